"""Where graphs and blobs are kept beyond the memory of one process."""
