"""NumPy code becomes a graph by being run once on arrays without elements."""
