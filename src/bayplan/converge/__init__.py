"""Passes of observe, plan, apply over the ports, until the plan is empty."""
