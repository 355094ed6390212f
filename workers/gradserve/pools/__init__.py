"""Work and its sources, and the workers that run it."""
