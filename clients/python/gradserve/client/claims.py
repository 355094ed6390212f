"""What may be claimed of a function, by name."""

TARGETS = ("gradient", "jvp", "hvp", "jacobian", "diagonal")
"""The derivatives that may be claimed."""
OUTPUT = "value"
"""What the function's value is called where it is an array."""
