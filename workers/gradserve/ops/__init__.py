"""Every primitive op, one class each, and the registry that holds them."""

from gradserve.ops import (  # noqa: F401  (importing a module registers its ops)
    arithmetic,
    calculus,
    comparison,
    contraction,
    indexing,
    linalg,
    movement,
    ordered,
    placement,
    reduction,
    rounding,
    solve,
    trigonometry,
)
from gradserve.ops.registry import OP_SET, Registry, builder

__all__ = ["OP_SET", "Registry", "builder"]
