"""Derivatives compared with what does without them."""
