"""Equal graphs that cost less."""

from gradserve.optimize.loops import rerolled
from gradserve.optimize.pipeline import optimize

__all__ = ["optimize", "rerolled"]
