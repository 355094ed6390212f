"""Deadlines and cancellation, bounded caches, memory, BLAS threads."""
