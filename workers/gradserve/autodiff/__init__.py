"""Derivatives as functions from graphs to graphs."""

from gradserve.autodiff.derivation import (
    Along,
    Curvature,
    Derivation,
    Evaluate,
    Gradient,
    Hvp,
    Inspect,
    Jvp,
    Taylor,
    Vjp,
)
from gradserve.autodiff.derive import derive
from gradserve.autodiff.jvp import jvp
from gradserve.autodiff.linearize import Linearized, linearize
from gradserve.autodiff.transpose import transpose
from gradserve.autodiff.vmap import vmap

__all__ = [
    "Along",
    "Curvature",
    "Derivation",
    "Evaluate",
    "Gradient",
    "Hvp",
    "Inspect",
    "Jvp",
    "Linearized",
    "Taylor",
    "Vjp",
    "derive",
    "jvp",
    "linearize",
    "transpose",
    "vmap",
]
