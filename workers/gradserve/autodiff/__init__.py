"""Derivatives as functions from graphs to graphs."""

from gradserve.autodiff import control  # noqa: F401  (registers the rules of ops that call functions)
from gradserve.autodiff.derive import derive
from gradserve.autodiff.jvp import jvp
from gradserve.autodiff.kinks import kinks
from gradserve.autodiff.linearize import Linearized, linearize
from gradserve.autodiff.transpose import transpose
from gradserve.autodiff.vmap import vmap
from gradserve.autodiff.within import written_out

__all__ = ["Linearized", "derive", "jvp", "kinks", "linearize", "transpose", "vmap", "written_out"]
