"""What an op is: one frozen class with its attributes as fields and its rules as methods."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, get_type_hints

import numpy as np

from gradserve.ir.errors import ConstraintError
from gradserve.ir.guards import Guard, enforce
from gradserve.ir.pieces import Pieces
from gradserve.ir.records import dataclass, once
from gradserve.ir.types import Array, ElementType, Shape, TensorType

if TYPE_CHECKING:
    from gradserve.ir.builder import Builder, Operand, Value
    from gradserve.ir.graph import Graph

Attribute: TypeAlias = bool | int | float | str | tuple[int, ...] | Shape | ElementType


@dataclass(frozen=True, slots=True)
class Cost:
    """Floating-point operations and bytes moved, from shapes alone."""

    flops: float
    bytes: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.bytes + other.bytes)


@dataclass(frozen=True, slots=True)
class Sample:
    """An application of an op on which its laws are tried: the op with its attributes, and operands."""

    op: Op
    operands: tuple[Array, ...]
    differentiable: bool = True
    """Whether the op is smooth at these operands."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Stands for the operand in which a node is to be transposed; the same one wherever that is among its operands."""

    type: TensorType


@dataclass(frozen=True, slots=True)
class Absorbed:
    """An op applied to values, some linear in tangents or cotangents, so that zeros absorb what is not finite."""

    results: tuple[Value, ...]
    reach: tuple[Value | None, ...]
    """For each result numbers of its type: 0 where it is zero because nothing was chosen, positive elsewhere.

    None for a result that is not linear.
    """
    hits: Value | None = None
    """Truth values of any shape: where a zero that was not chosen but computed has absorbed something."""


@dataclass(frozen=True)
class Op(abc.ABC):
    """A primitive op with its attributes and functions.

    Subclasses are frozen dataclasses. The fields named in `calls_functions` are the functions that the op calls; all
    others are its attributes. Rules build with the builder `g`, so that every transform composes with itself.
    """

    name: ClassVar[str]
    """The op's name in the registry, in the text form and on the wire."""
    since: ClassVar[int] = 1
    """The op-set version that brought it."""
    constraints: ClassVar[Mapping[str, str]] = {}
    """The numbered constraints that `infer` enforces."""
    arity: ClassVar[int | None] = 1
    """The number of operands; None means one or more."""
    internal: ClassVar[bool] = False
    """Whether only rules and the optimiser write it: clients may not send it."""
    takes_complex: ClassVar[bool] = False
    """Whether it takes complex numbers as well as real ones."""
    elementwise: ClassVar[bool] = False
    """Whether each element of the result is computed from those in the same place of the operands."""
    written_out: ClassVar[bool] = False
    """Whether `autodiff.within` writes other nodes in its place before anything else is done with a graph."""
    commutative: ClassVar[bool] = False
    """Whether its operands may be exchanged."""
    view: ClassVar[bool] = False
    """Whether the result has elements of the operand in other places, and nothing is computed."""
    fills: ClassVar[bool] = False
    """Whether a number that fills the first operand fills the result as well."""
    total: ClassVar[bool] = False
    """Whether it has a result for all numbers: no guard and no failure, such as that of a matrix without inverse.

    Of one that calls functions, if these have results.
    """
    folds: ClassVar[bool] = True
    """Whether its `impl` costs what `cost` says, so that it may be computed while a graph is made."""
    spectral_function: ClassVar[str] = ""
    """The function of `ops.spectral.scalar_functions` that it applies to each element, if there is one."""
    analytic: ClassVar[bool] = False
    """Whether `impl` in NumPy takes complex numbers near real ones as well, and is analytic there."""
    parity: ClassVar[str] = ""
    """`odd` or `even` if f(-x) is -f(x) or f(x), element by element."""
    linear_in: ClassVar[tuple[int, ...] | None] = ()
    """The operands in which the op is linear, one at a time; None means jointly linear in all."""
    refuses: ClassVar[tuple[int, ...]] = ()
    """The operands in which it has a derivative that no op computes: asking for it is refused."""

    calls_functions: ClassVar[tuple[str, ...]] = ()
    """The fields that are functions: graphs that it calls."""

    def __init_subclass__(cls, **more: Any) -> None:
        """Gives the class a hash that no client can make alike for many ops: a table of such is walked through."""
        super().__init_subclass__(**more)
        cls.__hash__ = Op.__hash__  # type: ignore[method-assign]  # or each dataclass makes its own

    @once
    def _hash(self) -> int:
        """By the text of its attributes: of numbers alone, hashes are the same in every process."""
        values = [getattr(self, name) for name in attribute_types(type(self))]
        return hash((self.name, repr(values), *self.functions.values()))

    def __hash__(self) -> int:
        return self._hash

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: hashes of texts are others in each process."""
        return {name: value for name, value in self.__dict__.items() if name != "_hash"}

    def attributes(self) -> dict[str, Attribute]:
        """The attributes by name."""
        return {name: getattr(self, name) for name in attribute_types(type(self))}

    @property
    def functions(self) -> dict[str, Graph]:
        """The graphs that it calls, by name: closed, so that all they read are their inputs."""
        return {name: getattr(self, name) for name in self.calls_functions} if self.calls_functions else {}

    def with_functions(self, change: Callable[[Graph], Graph]) -> Op:
        """The op with each of its functions changed; itself if it has none."""
        if not self.calls_functions:
            return self
        changed = {name: change(function) for name, function in self.functions.items()}
        return replace(self, **changed)

    def is_total(self, *types: TensorType) -> bool:
        """Whether it has a result for all numbers of these types."""
        return self.total

    def coerce(self, g: Builder, operands: Sequence[Operand]) -> tuple[Value, ...]:
        """The operands as values; families insert conversions and broadcasts here."""
        return tuple([g.lift(operand) for operand in operands])

    @abc.abstractmethod
    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        """The types of the results.

        Raises:
            ConstraintError: the operand types or the attributes break a numbered constraint.
        """

    @property
    def pieces(self) -> Pieces | None:
        """What it is made of where it jumps or has kinks, if that can be said."""
        return None

    @property
    def guards(self) -> tuple[Guard, ...]:
        """The conditions on numbers under which its results are refused."""
        return ()

    @abc.abstractmethod
    def impl(self, xp: Any, *arrays: Array) -> Any:
        """The result, or a tuple of results, computed in the array-API namespace `xp`."""

    def results(self, xp: Any, *arrays: Array) -> tuple[Array, ...]:
        """What `impl` gives, always as a tuple."""
        found = self.impl(xp, *arrays)
        return found if isinstance(found, tuple) else (found,)

    def numbers(self, *arrays: Array) -> tuple[Array, ...]:
        """The results in NumPy, for those who have no executor.

        Raises:
            NotDifferentiable, NumericalFailure: a guard refuses them.
        """
        results = self.results(np, *arrays)
        enforce(self, arrays, results)
        return results

    def jvp(
        self,
        g: Builder,
        outputs: Sequence[Value],
        primals: Sequence[Value],
        tangents: Sequence[Value | None],
    ) -> tuple[Value | None, ...]:
        """The op's differential: the tangent of each output, of its output's type; None for one that is zero.

        Args:
            g: where the tangents are built.
            outputs: the op's results at the primals, for rules that can use them.
            primals: the operands.
            tangents: for each operand a value of its type; None for one that does not move.

        Raises:
            ConstraintError: the op has no derivative.
        """
        raise ConstraintError("D1", f"{self.name} has no derivative")

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The cotangent of each operand: of the operand's type; None for a known operand, and for one that is zero.

        Args:
            g: where the cotangents are built.
            cotangents: for each result a value of its type; None for one that is zero.
            operands: the values of those that are known; `Unknown`, with its type, for those in which the op is
                transposed, and is linear.

        Raises:
            ConstraintError: the op is not linear in these operands.
        """
        raise ConstraintError("D2", f"{self.name} is not linear")

    def absorbing(self, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> Absorbed:
        """The results where the op multiplies nothing that is zero by something that is infinite or NaN.

        Args:
            g: where the results are built.
            operands: of which some are linear in tangents or cotangents.
            reach: for each of those what `Absorbed` says of results, and for factors that do not move near the point as
                well; None for all others.
        """
        results = g.apply(self, operands)
        return Absorbed(results, tuple(g.full(result.type, 1) for result in results))

    def kink(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """Where the op has no derivative, and its rule gives one by convention.

        Truth values, in whatever shape the op can best tell them, such as that of the result: each true one counts as a
        kink. None if the op is smooth everywhere.
        """
        return None

    def margin(self, g: Builder, operands: Sequence[Value], outputs: Sequence[Value]) -> Value | None:
        """How far operands are from where the op turns to another branch, element by element; None if it has none."""
        return None

    @abc.abstractmethod
    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """The results for a batch of `size` applications, each with a leading axis of that length.

        Args:
            g: where the results are built.
            operands: with a leading axis of length `size` where `batched` says so, else the same for all.
            batched: for each operand, whether it has the leading axis; true for at least one.
            size: the number of applications.
        """

    @abc.abstractmethod
    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """Floating-point operations and bytes read and written by one application, from types with known lengths."""

    @classmethod
    @abc.abstractmethod
    def samples(cls) -> Iterator[Sample]:
        """Applications on which every law is tried, corner cases included."""

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """For each guard of the op its constraint, and an application that it is the first to refuse."""
        yield from ()


class OpSet(Protocol):
    """Op classes by name."""

    version: int

    def find(self, name: str) -> type[Op] | None:
        """The op class of that name, or None."""
        ...


@functools.cache
def attribute_types(op: type[Op]) -> dict[str, Any]:
    """The attributes that an op class declares: names to annotations."""
    hints = get_type_hints(op)
    return {field.name: hints[field.name] for field in fields(op) if field.name not in op.calls_functions}
