"""All that has machine code: the lowerings, entered by importing them."""

from gradserve.execution.fused import contraction, control, indexing, movement, order, reduction
from gradserve.execution.fused.lowerable import lowerable, weight
from gradserve.execution.fused.lowering import lower

__all__ = ["contraction", "control", "indexing", "lower", "lowerable", "movement", "order", "reduction", "weight"]
