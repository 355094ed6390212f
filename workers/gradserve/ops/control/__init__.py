"""Ops that call functions."""

from gradserve.ops.control import cond, custom_derivative, derivatives, linear_call, linear_solve, once, required, scan
