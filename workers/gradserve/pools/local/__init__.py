"""A pool of threads in this process."""
