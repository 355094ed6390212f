"""Ops that move elements and compute nothing."""

from gradserve.ops.movement import placement, shapes
