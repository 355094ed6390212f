"""Graphs and blobs: whose they are, what calls name of them, and where they outlive the memory of one process."""
