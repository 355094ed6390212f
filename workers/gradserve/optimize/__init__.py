"""Equal graphs that cost less."""

from gradserve.optimize.pipeline import optimize

__all__ = ["optimize"]
