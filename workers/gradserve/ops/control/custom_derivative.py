"""A function with a derivative of its author's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradserve.ir.graph import Graph
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType, TensorType, type_of
from gradserve.ops.control.calling import output_types, require_signature
from gradserve.ops.control.linearity import require_linear
from gradserve.ops.control.once import Once, sample_numbers
from gradserve.ops.family import require
from gradserve.ops.registry import builder, register


@register
@dataclass(frozen=True)
class CustomDerivative(Once):
    """`function` of the operands; along tangents of those that are `moved` it has the derivative that `rule` gives.

    The rule takes the results, the tangents, and the operands, and gives the tangents of the real results. Higher
    derivatives are those of the rule, in which the results move as the rule says. In other operands there is no
    derivative. Optimised graphs call the function without it.
    """

    name = "custom_derivative"
    calls_functions = ("function", "rule")
    constraints = {
        **Once.constraints,
        "C3": "`moved` are positions of real operands, ascending",
        "C4": "the rule takes the results, tangents of what is moved, and the operands",
        "C5": "the rule gives the tangents of the real results",
        "C6": "the rule is linear in the tangents",
    }
    rule: Graph
    moved: tuple[int, ...]

    @property
    def still(self) -> frozenset[int]:
        """The operands that are not moved."""
        return frozenset(range(len(self.function.inputs))) - {*self.moved}

    @property
    def tangents(self) -> range:
        """Which inputs of the rule are tangents."""
        results = len(self.function.outputs)
        return range(results, results + len(self.moved))

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        """The types of the function's outputs."""
        results = super().infer(*types)
        real = all(0 <= k < len(types) and types[k].is_float for k in self.moved)
        require(real and list(self.moved) == sorted({*self.moved}), "C3", f"moved is {self.moved}")
        require_signature(self.rule, [*results, *(types[k] for k in self.moved), *types], "C4")
        given, wanted = output_types(self.rule), [type_ for type_ in results if type_.is_float]
        text = f"it gives {', '.join(map(str, given)) or 'nothing'}, not {', '.join(map(str, wanted)) or 'nothing'}"
        require(given == wanted, "C5", text)
        require_linear(self.rule, self.tangents, "C6", "the tangents")
        return results

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Vectors, scalars and nothing; in both operands and in one."""
        for x in sample_numbers():
            function, rule = _exponential(type_of(x))
            yield Sample(cls(function, rule, (0, 1)), (x, np.asarray(x * x.dtype.type(0.25))))


def _exponential(type_: TensorType) -> tuple[Graph, Graph]:
    """exp(x) y and whether x > y, and the differential of the first by its value."""
    g = builder()
    x, y = g.input("x0", type_), g.input("x1", type_)
    function = g.build({"y0": g.exp(x) * y, "y1": g.convert(g.emit("gt", x, y), ElementType.INT64)})
    g = builder()
    given = (type_, type_.with_element_type(ElementType.INT64), type_, type_, type_, type_)
    result, _, dx, dy, x, _ = (g.input(f"x{k}", own) for k, own in enumerate(given))
    return function, g.build({"y0": result * dx + g.exp(x) * dy})
