"""A function called once, on all operands of its node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.graph import Graph
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, TensorType, type_of
from gradserve.ops.control.calling import Calling, Function, output_types, require_signature
from gradserve.ops.family import require
from gradserve.ops.registry import builder, register


@dataclass(frozen=True)
class Once(Calling):
    """`function` of the operands."""

    total = True
    calls_functions: ClassVar[tuple[str, ...]] = ("function",)
    constraints = {
        "C1": "the function takes the operands",
        "C2": "the function gives at least one result",
    }
    function: Graph

    @property
    def calls(self) -> int:
        """Once."""
        return 1

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        """The types of the function's outputs."""
        require_signature(self.function, types, "C1")
        require(bool(self.function.outputs), "C2", "it gives none")
        return tuple(output_types(self.function))

    def run(self, xp: Any, functions: Mapping[str, Function], *arrays: Array) -> list[Array]:
        """The outputs of the function."""
        return list(functions["function"](*arrays))


@register
@dataclass(frozen=True)
class Checkpoint(Once):
    """`function` of the operands, of which nothing is kept on the way: derivatives compute it again.

    That takes the function once more for each derivative of it, and memory for what it computes only while it is
    called (Griewank and Walther, Evaluating Derivatives, 2008, chapter 12).
    """

    name = "checkpoint"

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Vectors, scalars and nothing; one result that moves and one that does not."""
        for x in sample_numbers():
            yield Sample(cls(_waves(type_of(x))), (x, np.asarray(x * x.dtype.type(0.25))))


def sample_numbers() -> Iterator[Array]:
    """What such ops are tried with: vectors, scalars and nothing, in both precisions."""
    for element_type in (ElementType.FLOAT64, ElementType.FLOAT32):
        for numbers in (np.array([0.5, 2.0, -1.0]), np.array(0.75), np.array([])):
            yield numbers.astype(element_type.dtype)


def _waves(type_: TensorType) -> Graph:
    g = builder()
    x, y = g.input("x0", type_), g.input("x1", type_)
    inner = g.exp(g.sin(x) * y)
    return g.build({"y0": g.tanh(inner) * x, "y1": g.convert(g.emit("gt", x, y), ElementType.INT64), "y2": inner + y})
