"""`bayplan size`: what is asked (CSV files, or an app and its fleet) to a packing problem, and its answer to figures."""
