"""Systems of linear equations, given by products with their matrix."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradserve.ir.graph import Graph
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import TensorType, type_of
from gradserve.ops.control.calling import output_types, require_signature
from gradserve.ops.control.linear_call import LinearCall
from gradserve.ops.control.linearity import require_linear
from gradserve.ops.control.once import sample_numbers
from gradserve.ops.family import require
from gradserve.ops.registry import builder, register


@register
@dataclass(frozen=True)
class LinearSolve(LinearCall):
    """The x of `matrix` x = b, as `function` finds it from b, which is the first `linear` operands.

    `matrix` takes x and the other operands, and is linear in x; `transposed` solves with its transpose. In the other
    operands the derivative is that of the equation, whatever the function does: dx solves it for db - dmatrix x.
    """

    name = "linear_solve"
    calls_functions = ("function", "transposed", "matrix")
    constraints = {
        **LinearCall.constraints,
        "C6": "the results have the types of the first operands",
        "C7": "the matrix takes the operands, and gives the types of the first",
        "C8": "the matrix is linear in the first operands",
    }
    matrix: Graph

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        """The types of the first operands."""
        results = super().infer(*types)
        require(results == types[: self.linear], "C6", f"the results are {', '.join(map(str, results))}")
        require_signature(self.matrix, types, "C7")
        given = ", ".join(map(str, output_types(self.matrix)))
        require(tuple(output_types(self.matrix)) == results, "C7", f"the matrix gives {given}")
        require_linear(self.matrix, range(self.linear), "C8", "the first operands")
        return results

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Vectors, scalars and nothing."""
        for x in sample_numbers():
            type_ = type_of(x)
            operands = (x, np.asarray(x * x.dtype.type(0.5)), np.asarray(x * x.dtype.type(0.25)))
            yield Sample(cls(_solver(type_, 1.0), _solver(type_, -1.0), 2, _turned(type_)), operands)


def _turned(type_: TensorType) -> Graph:
    """2 x - exp(z) y and exp(z) x + 2 y."""
    g = builder()
    x, y, z = (g.input(f"x{k}", type_) for k in range(3))
    return g.build({"y0": x * 2.0 - g.exp(z) * y, "y1": g.exp(z) * x + y * 2.0})


def _solver(type_: TensorType, sign: float) -> Graph:
    """What solves with that, or with its transpose, which has the other sign of z."""
    g = builder()
    x, y, z = (g.input(f"x{k}", type_) for k in range(3))
    turn = g.exp(z) * sign
    square = turn * turn + 4.0
    return g.build({"y0": (x * 2.0 + turn * y) / square, "y1": (y * 2.0 - turn * x) / square})
