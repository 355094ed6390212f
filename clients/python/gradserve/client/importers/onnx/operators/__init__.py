"""ONNX's operators by groups; importing this package enters them all in the table."""

from gradserve.client.importers.onnx.operators import (
    activations,
    control,
    elementwise,
    indexing,
    losses,
    movement,
    normalisation,
    ordering,
    pools,
    products,
    recurrent,
    reductions,
    resizing,
    shapes,
)

__all__ = [
    "activations",
    "control",
    "elementwise",
    "indexing",
    "losses",
    "movement",
    "normalisation",
    "ordering",
    "pools",
    "products",
    "recurrent",
    "reductions",
    "resizing",
    "shapes",
]
