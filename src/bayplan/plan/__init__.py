"""From spec and facts to steps, each with its reason. Pure: no I/O, no clock, no randomness."""
