"""`bayplan size`: what is asked (CSV files) to a packing problem, and its answer to figures."""
