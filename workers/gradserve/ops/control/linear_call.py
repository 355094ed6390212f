"""A linear function with a transpose of its author's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from gradserve.ir.graph import Graph
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import TensorType, type_of
from gradserve.ops.control.calling import output_types, require_signature
from gradserve.ops.control.once import Once, sample_numbers
from gradserve.ops.family import require
from gradserve.ops.registry import builder, register


@register
@dataclass(frozen=True)
class LinearCall(Once):
    """`function` of the operands, taken to be linear in the first `linear` of them, with `transposed` as its transpose.

    That takes cotangents of the results, and the other operands, and gives cotangents of the first. So a system may be
    solved, or an equation integrated, by other steps backwards than forwards. Nobody looks whether the two belong
    together. In the other operands it is differentiated as the function is. Optimised graphs call that without it.
    """

    name = "linear_call"
    calls_functions: ClassVar[tuple[str, ...]] = ("function", "transposed")
    constraints = {
        **Once.constraints,
        "C3": "the function is linear in some operands, all real, and has real results",
        "C4": "the transpose takes cotangents of the results, and the other operands",
        "C5": "the transpose gives cotangents of the first operands",
    }
    transposed: Graph
    linear: int

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        """The types of the function's outputs."""
        results = super().infer(*types)
        first = list(types[: self.linear])
        some = 0 < self.linear == len(first)
        require(some and all(t.is_float for t in (*first, *results)), "C3", f"it is linear in {self.linear}")
        require_signature(self.transposed, [*results, *types[self.linear :]], "C4")
        given = output_types(self.transposed)
        text = f"it gives {', '.join(map(str, given)) or 'nothing'}, not {', '.join(map(str, first))}"
        require(given == first, "C5", text)
        return results

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Vectors, scalars and nothing."""
        for x in sample_numbers():
            yield Sample(cls(*_pair(type_of(x)), linear=1), (x, np.asarray(x * x.dtype.type(0.25))))


def _pair(type_: TensorType) -> tuple[Graph, Graph]:
    """cos(y) x and y^2 x of x, which is what is linear, and y; and from cotangents back."""
    g = builder()
    x, y = g.input("x0", type_), g.input("x1", type_)
    function = g.build({"y0": g.cos(y) * x, "y1": y * y * x})
    g = builder()
    first, second, y = (g.input(f"x{k}", type_) for k in range(3))
    return function, g.build({"y0": g.cos(y) * first + y * y * second})
