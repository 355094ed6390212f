"""ATen's operators by groups; importing this package enters them all in the table."""

from gradserve.client.importers.aten.operators import (
    activations,
    comparison,
    control,
    creation,
    elementwise,
    indexing,
    linalg,
    losses,
    movement,
    normalisation,
    ordering,
    pools,
    products,
    reductions,
    resizing,
    special,
)

__all__ = [
    "activations",
    "comparison",
    "control",
    "creation",
    "elementwise",
    "indexing",
    "linalg",
    "losses",
    "movement",
    "normalisation",
    "ordering",
    "pools",
    "products",
    "reductions",
    "resizing",
    "special",
]
