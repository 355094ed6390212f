"""The reference executor, on NumPy."""
