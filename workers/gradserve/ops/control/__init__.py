"""Ops that call functions."""

from gradserve.ops.control import cond, derivatives, scan
