"""A pool of Ray actors; the only package that imports ray."""
