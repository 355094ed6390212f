"""A value that is there only if a condition holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import NumericalFailure
from gradserve.ir.guards import Guard
from gradserve.ir.op import Cost, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.ops.family import Multilinear, only, require, require_arity, with_batch
from gradserve.ops.registry import register


@register
@dataclass(frozen=True)
class Required(Multilinear):
    """The first operand, if all of the second, truth values of any shape, are true.

    It is refused otherwise, for the reason given; so are its derivatives.
    """

    reason: str

    name = "required"
    arity = 2
    takes_complex = True
    linear_in = (0,)
    constraints = {"C0": "two operands", "C1": "the second are truth values"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require_arity(self, types, 2)
        require(types[1].element_type is ElementType.BOOL, "C1", f"{types[1]} are no truth values")
        return (types[0],)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        # Memory of its own: what an operand lies in is used again when nothing else reads it.
        return xp.reshape(xp.concat([xp.reshape(arrays[0], (-1,))]), arrays[0].shape)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """The condition."""
        text = self.reason.replace("{", "{{").replace("}", "}}")
        return (Guard("R1", text, NumericalFailure, lambda op, xp, operands, results: ~operands[1]),)

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The cotangent, under the same condition."""
        truth = operands[1]
        assert isinstance(truth, Value)
        return (g.emit("required", only(cotangents), truth, reason=self.reason), None)

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        return g.apply(self, (with_batch(g, operands[0], batched[0], size), operands[1]))

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """Nothing is computed."""
        return Cost(0.0, float(results[0].nbytes))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Vectors, matrices, nothing and numbers; one condition, several, and none."""
        for x in (np.arange(3.0), np.arange(6.0).reshape(2, 3), np.zeros(0), np.array(0.5), np.array([1.0 + 2.0j])):
            for truth in (np.array(True), np.ones(2, bool), np.ones(0, bool)):
                yield Sample(cls("it is wanted"), (x, truth))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """One condition, and one of several."""
        for truth in (np.array(False), np.array([True, False])):
            yield "R1", Sample(cls("it is not wanted"), (np.arange(2.0), truth))
