"""Graphs that come from elsewhere than traced code."""

from gradserve.client.importers.jaxprs import from_jax

__all__ = ["from_jax"]
