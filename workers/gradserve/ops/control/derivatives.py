"""Derivatives of functions within a graph: said by name there, and written out before anything else is done."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import Untraceable
from gradserve.ir.graph import Graph
from gradserve.ir.op import Cost, Op, Sample
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, ElementType, Shape, TensorType
from gradserve.ops.control.calling import output_types, require_signature
from gradserve.ops.family import require
from gradserve.ops.registry import builder, register


@dataclass(frozen=True)
class Derivative(Op):
    """What a function gives at a point, and its derivative there times vectors.

    `autodiff.within` writes nodes in the place of such a node before anything else is done with a graph. So there is
    no other rule for it.
    """

    arity = None
    written_out = True
    folds = False
    calls_functions = ("function",)
    constraints = {
        "C1": "the function takes the first operands",
        "C2": "`moved` are positions of real ones among these, ascending, at least one",
        "C3": "the function gives a real result",
        "C4": "the other operands are vectors, of the types of what they belong to",
        "C5": "if `stacked`, all vectors have a leading axis of one length",
    }
    function: Graph
    moved: tuple[int, ...]
    stacked: bool

    @property
    def moving(self) -> list[TensorType]:
        """The types of the inputs that are moved."""
        return [self.function.inputs[k].type for k in self.moved]

    @property
    def real(self) -> list[TensorType]:
        """The types of the real results of the function."""
        return [type_ for type_ in output_types(self.function) if type_.is_float]

    @property
    @abstractmethod
    def vectors(self) -> list[TensorType]:
        """The types of the vectors that it takes, without the leading axis."""

    @property
    @abstractmethod
    def products(self) -> list[TensorType]:
        """The types of the derivative times vectors, without the leading axis."""

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        """The types of the function's results, then those of the products."""
        inputs = self.function.inputs
        require_signature(self.function, types[: len(inputs)], "C1")
        real = all(0 <= k < len(inputs) and inputs[k].type.is_float for k in self.moved)
        ascending = list(self.moved) == sorted({*self.moved})
        require(real and ascending and bool(self.moved), "C2", f"moved is {self.moved}")
        require(bool(self.real), "C3", "it gives none")
        axis = self._axis(types[len(inputs) :])
        return (*output_types(self.function), *_stacks(self.products, axis))

    def _axis(self, vectors: Sequence[TensorType]) -> Shape:
        """The leading axis of the vectors."""
        axes = {type_.shape[:1] for type_ in vectors} if self.stacked else {()}
        require(len(axes) == 1 and (() in axes) != self.stacked, "C5", f"the vectors are {_listed(vectors)}")
        (axis,) = axes
        wanted = _stacks(self.vectors, axis)
        require(list(vectors) == wanted, "C4", f"the vectors are {_listed(vectors)}, not {_listed(wanted)}")
        return axis

    def impl(self, xp: Any, *arrays: Array) -> Any:
        """Not here: it needs the transforms of graphs."""
        raise Untraceable("a derivative within a function is computed where the function is called by a client")

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """Not here either."""
        raise TypeError(_ELSEWHERE)

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """Not here either."""
        raise TypeError(_ELSEWHERE)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """One vector, stacks of three and of none; in one input and in both; of some elements and of none."""
        for element_type in (ElementType.FLOAT64, ElementType.FLOAT32):
            for numbers in ([0.5, 2.0, -1.0], []):
                x: Array = np.array(numbers, element_type.dtype)
                function = _example(TensorType(element_type, x.shape))
                for moved in ((0,), (0, 1)):
                    for axis in (None, (3,), (0,)):
                        op = cls(function, moved, axis is not None)
                        vectors = [_waves(type_) for type_ in _stacks(op.vectors, axis or ())]
                        yield Sample(op, (x, x * 0.25, *vectors))


@register
@dataclass(frozen=True)
class Jvp(Derivative):
    """The function's results, then the tangents of the real ones, for tangents of the operands that are `moved`.

    If `stacked`, the tangents have a leading axis, and those of results belong to them one by one.
    """

    name = "jvp"

    @property
    def vectors(self) -> list[TensorType]:
        """Tangents of what is moved."""
        return self.moving

    @property
    def products(self) -> list[TensorType]:
        """Tangents of the real results."""
        return self.real


@register
@dataclass(frozen=True)
class Vjp(Derivative):
    """The function's results, then the cotangents of the operands that are `moved`, for those of the real results.

    If `stacked`, the cotangents have a leading axis, and those of operands belong to them one by one.
    """

    name = "vjp"

    @property
    def vectors(self) -> list[TensorType]:
        """Cotangents of the real results."""
        return self.real

    @property
    def products(self) -> list[TensorType]:
        """Cotangents of what is moved."""
        return self.moving


_ELSEWHERE = "a derivative within a graph is written out by autodiff.within before anything else is done"


def _stacks(types: Sequence[TensorType], axis: Shape) -> list[TensorType]:
    return [type_.with_shape((*axis, *type_.shape)) for type_ in types]


def _listed(types: Sequence[TensorType]) -> str:
    return ", ".join(map(str, types)) or "none"


def _example(type_: TensorType) -> Graph:
    g = builder()
    x, y = g.input("x0", type_), g.input("x1", type_)
    return g.build({"y0": g.sin(x) * y, "y1": g.convert(g.emit("gt", x, y), ElementType.INT64), "y2": g.exp(y) * x})


def _waves(type_: TensorType) -> Array:
    count = int(np.prod(type_.lengths))
    return np.cos(np.arange(count)).reshape(type_.lengths).astype(type_.element_type.dtype)
