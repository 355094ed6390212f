"""Ops that act element by element."""

from gradserve.ops.elementwise import arithmetic, comparison, powers, rounding, stop_gradient, trigonometry
