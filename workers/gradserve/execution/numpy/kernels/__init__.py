"""Kernels of the NumPy executor, one module for each package of ops."""
