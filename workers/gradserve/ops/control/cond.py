"""One of two functions, by a truth value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.graph import Graph
from gradserve.ir.op import Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.ops.control.calling import Calling, Function, output_types, require_signature
from gradserve.ops.family import require
from gradserve.ops.registry import builder, register

_TRUTH = TensorType(ElementType.BOOL)


@register
@dataclass(frozen=True)
class Cond(Calling):
    """`then` of the operands after the first if that is true, `otherwise` of them if not; the other is not computed.

    Where the truth value changes, the function may have a kink or a jump: the derivative is that of the one that is
    computed.
    """

    name = "cond"
    total = True
    calls_functions = ("then", "otherwise")
    constraints = {
        "C1": "the first operand is a truth value",
        "C2": "both functions take the operands after the first",
        "C3": "both functions give the same types, at least one",
    }
    then: Graph
    otherwise: Graph

    def coerce(self, g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...]:
        """The operands, the first as a truth value."""
        truth, *others = (g.lift(operand) for operand in operands)
        return (g.convert(truth, ElementType.BOOL), *others)

    @property
    def calls(self) -> int:
        """Once."""
        return 1

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        """The types of the outputs of either function."""
        require(types[:1] == (_TRUTH,), "C1", f"the first operand is {types[0] if types else 'missing'}, not {_TRUTH}")
        for function in (self.then, self.otherwise):
            require_signature(function, types[1:], "C2")
        given, other = output_types(self.then), output_types(self.otherwise)
        text = f"one function gives {', '.join(map(str, given))}, the other {', '.join(map(str, other))}"
        require(bool(given) and given == other, "C3", text)
        return tuple(given)

    def run(self, xp: Any, functions: Mapping[str, Function], *arrays: Array) -> list[Array]:
        """The outputs of the chosen function."""
        truth, *others = arrays
        return list(functions["then" if bool(truth) else "otherwise"](*others))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Both ways, on vectors and on nothing; the unchosen function has no derivative where it is."""
        for element_type in (ElementType.FLOAT64, ElementType.FLOAT32):
            for numbers in ([0.5, 2.0, -1.0], []):
                x: Array = np.array(numbers, element_type.dtype)
                type_ = TensorType(element_type, x.shape)
                op = cls(_product(type_), _exponential(type_))
                for truth in (True, False):
                    yield Sample(op, (np.array(truth), x, x * 0.25))


def _product(type_: TensorType) -> Graph:
    g = builder()
    x, y = g.input("x0", type_), g.input("x1", type_)
    return g.build({"y0": g.sin(x) * y, "y1": x})


def _exponential(type_: TensorType) -> Graph:
    g = builder()
    x, y = g.input("x0", type_), g.input("x1", type_)
    return g.build({"y0": x * x, "y1": g.exp(y) + x})
