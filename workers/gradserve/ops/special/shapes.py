"""Shapes of laws by their probabilities: each moves as the probability stays what it is said to be."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.op import Op, Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import TensorType
from gradserve.ops.family import Columns, RealElementwise, require, total
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.special.erf import Special
from gradserve.ops.special.incomplete import Betainc, Gammainc, Gammaincc
from gradserve.ops.special.rare import OfScipy

Row = tuple[float, ...]
"""A number, what multiplies the shape, and what multiplies each operand: an operand of a probability."""

LAWS: dict[str, tuple[Op, int, tuple[Row, ...]]] = {
    "bdtrik": (Betainc(), 0, ((0, -1, 0, 1, 0), (1, 1, 0, 0, 0), (1, 0, 0, 0, -1))),
    "bdtrin": (Betainc(), 1, ((0, 1, -1, 0, 0), (1, 0, 1, 0, 0), (1, 0, 0, 0, -1))),
    "btdtria": (Betainc(), 0, ((0, 1, 0, 0, 0), (0, 0, 0, 1, 0), (0, 0, 0, 0, 1))),
    "btdtrib": (Betainc(), 1, ((0, 0, 1, 0, 0), (0, 1, 0, 0, 0), (0, 0, 0, 0, 1))),
    "chdtriv": (Gammainc(), 0, ((0, 0.5, 0, 0), (0, 0, 0, 0.5))),
    "nbdtrik": (Betainc(), 0, ((0, 0, 0, 1, 0), (1, 1, 0, 0, 0), (0, 0, 0, 0, 1))),
    "nbdtrin": (Betainc(), 1, ((0, 1, 0, 0, 0), (1, 0, 1, 0, 0), (0, 0, 0, 0, 1))),
    "pdtrik": (Gammaincc(), 0, ((1, 1, 0, 0), (0, 0, 0, 1))),
}
"""By SciPy's name: the function that the shape solves, which operand its value is, and its operands."""
_POINTS: dict[str, Columns] = {
    "btdtria": ((0.3, 0.5), (2.0, 3.5), (0.4, 0.3)),
    "bdtrik": ((0.3, 0.5), (9.0, 6.5), (0.4, 0.3)),
    "bdtrin": ((2.0, 3.5), (0.3, 0.6), (0.4, 0.3)),
    "btdtrib": ((2.0, 3.5), (0.3, 0.5), (0.4, 0.3)),
    "chdtriv": ((0.3, 0.5), (2.0, 3.5)),
    "nbdtrik": ((0.3, 0.5), (3.0, 2.5), (0.3, 0.4)),
    "nbdtrin": ((2.0, 3.5), (0.3, 0.6), (0.4, 0.3)),
    "pdtrik": ((0.3, 0.5), (5.0, 3.5)),
}
_WIDEST, _LEAST = 0.99e10, 1e-90
"""From here on, and below the least one, SciPy has found none, and gives where it stopped."""


@dataclass(frozen=True)
class Shape(OfScipy, RealElementwise):
    """A parameter of a law by a probability and what else there is, in the order of SciPy's function."""

    of: str

    flops = 8 * Special.flops
    constraints = {**Special.constraints, "C4": "the parameter is one of those that are known"}

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        known = self.of in LAWS and len(LAWS[self.of][2][0]) - 2 == self.arity
        require(known, "C4", f"there is no parameter {self.of!r} of {self.arity} operands")
        return super().infer(*types)

    def chosen(self, xp: Any) -> Callable[..., Any]:
        return routine(xp, self.of)

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """What moves the probability beside the shape, divided by how the shape does; 0 where it is held at 0."""
        law, value, rows = LAWS[self.of]
        shape = outputs[0]
        operands = [_at(g, row, [shape, *primals]) for row in rows]
        results = g.apply(law, operands)
        beside = [dx if k != value else None for k, dx in enumerate(tangents)]
        moved = law.jvp(g, results, operands, [_moved(g, row[2:], beside) for row in rows])[0]
        unit = [g.full(shape.type, row[1]) if row[1] else None for row in rows]
        slope = law.jvp(g, results, operands, unit)[0]
        change = total(g, [tangents[value], None if moved is None else g.neg(moved)])
        if change is None:
            return (None,)
        assert slope is not None
        found = g.logical_and(g.lt(shape, _WIDEST), g.gt(shape, _LEAST))
        infinite, none = (g.full(shape.type, number) for number in (math.inf, math.nan))
        by_shape = g.select(found, slope, g.select(g.eq(shape, 0.0), infinite, none))
        return (g.div(change, by_shape),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """All of them; scalars, nothing."""
        own = [of for of, columns in _POINTS.items() if len(columns) == cls.arity]
        for of in own:
            yield Sample(cls(of), tuple(np.array(column) for column in _POINTS[of]))
        yield Sample(cls(own[0]), tuple(np.array(column[0]) for column in _POINTS[own[0]]))
        yield Sample(cls(own[0]), tuple(np.zeros((2, 0)) for _ in _POINTS[own[0]]))


@register
@dataclass(frozen=True)
class ShapeByTwo(Shape):
    """A parameter of a law by a probability and a point: chdtriv and pdtrik."""

    name = "shape_by_two"
    arity = 2
    points = ()


@register
@dataclass(frozen=True)
class ShapeByThree(Shape):
    """A parameter of a law by a probability, a point and another parameter: bdtrik, btdtria and their like."""

    name = "shape_by_three"
    arity = 3
    points = ()


def _at(g: Builder, row: Row, operands: Sequence[Value]) -> Value:
    found = total(g, [None if not c else x if c == 1 else g.mul(x, c) for c, x in zip(row[1:], operands, strict=True)])
    assert found is not None
    return g.add(found, row[0]) if row[0] else found


def _moved(g: Builder, row: Row, tangents: Sequence[Value | None]) -> Value | None:
    return total(g, [None if dx is None or not c else g.mul(dx, c) for c, dx in zip(row, tangents, strict=True)])
