"""Equal graphs that cost less."""

from gradserve.optimize.chains import in_order
from gradserve.optimize.loops import rerolled
from gradserve.optimize.pipeline import optimize

__all__ = ["in_order", "optimize", "rerolled"]
