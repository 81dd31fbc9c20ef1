"""What is measured. Each prints figures against a reference that was measured in the same run, on the same lab."""
