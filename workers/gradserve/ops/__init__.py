"""Every primitive op, one class each, and the registry that holds them."""

from gradserve.ops import (
    contraction,
    control,
    elementwise,
    fourier,
    indexing,
    linalg,
    movement,
    reduction,
    special,
    spectral,
    windows,
)
from gradserve.ops.registry import OP_SET, Registry, builder

__all__ = ["OP_SET", "Registry", "builder"]
