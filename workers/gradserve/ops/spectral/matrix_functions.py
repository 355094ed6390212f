"""Functions of matrices: f(A) for a function f of one variable, and its derivatives of every order.

The k-th derivative in the directions E1, ..., Ek is a sum over the orders of the directions of one multilinear form, in
which each direction stands between two functions of A. That form is one op, with the directions for further operands:
its differential inserts one more direction at every place, and its transpose turns the directions around in a circle.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import ConstraintError
from gradserve.ir.guards import Guard
from gradserve.ir.op import Cost, Sample, Unknown
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, TensorType
from gradserve.ops.family import moved_bytes, only, require, total
from gradserve.ops.linalg.stacked import Beside
from gradserve.ops.linalg.triangles import flipped, mirror, mirrored
from gradserve.ops.registry import register
from gradserve.ops.routines import routine
from gradserve.ops.spectral import spectral_forms
from gradserve.ops.spectral.form_guards import form_guards
from gradserve.ops.spectral.scalar_functions import FUNCTIONS


@dataclass(frozen=True)
class AlongDirections(Beside):
    """Factors with k directions beside them: a form that is linear in each direction."""

    arity = None
    beside_rank = 2

    def adjoint(self, g: Builder, factors: Sequence[Value]) -> Sequence[Value]:
        """The factors of the form with its ends exchanged and all directions transposed."""
        return factors

    def along_factors(self, g: Builder, y: Value, primals: Sequence[Value], tangents: Sequence[Value]) -> list[Value]:
        """The terms of the differential in the factors, all of which move."""
        raise ConstraintError("D1", f"{self.name} has no derivative in its factors")

    def jvp(
        self, g: Builder, outputs: Sequence[Value], primals: Sequence[Value], tangents: Sequence[Value | None]
    ) -> tuple[Value | None, ...]:
        """Each direction replaced by its tangent, and what the factors add."""
        count = len(self.factor_ranks)
        terms: list[Value | None] = []
        for k, tangent in enumerate(tangents[count:], start=count):
            if tangent is not None:
                terms += g.apply(self, [*primals[:k], tangent, *primals[k + 1 :]])
        moving = [tangent for tangent in tangents[:count] if tangent is not None]
        if moving:
            terms += self.along_factors(g, outputs[0], primals, moving)
        return (total(g, terms),)

    def transpose(
        self, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
    ) -> tuple[Value | None, ...]:
        """The other directions turned around in a circle, each transposed, with the cotangent between its ends."""
        count = len(self.factor_ranks)
        k = next(k for k, x in enumerate(operands) if isinstance(x, Unknown))
        known = [x for x in operands if isinstance(x, Value)]
        factors, before, after = known[:count], known[count:k], known[k:]
        circle = [*(flipped(g, x) for x in reversed(before)), only(cotangents), *(flipped(g, x) for x in after[::-1])]
        found = g.apply(self, [*self.adjoint(g, factors), *circle])[0]
        return tuple(found if j == k else None for j in range(len(operands)))


@dataclass(frozen=True)
class OfSquare(AlongDirections):
    """A function of a square matrix, or with k directions beside it a form of its k-th derivative."""

    factor_ranks = (2,)
    constraints: ClassVar[dict[str, str]] = {
        "C0": "one operand or more",
        "C1": "they are square matrices of one size, or batches of them",
        **Beside.stack_constraints,
    }

    @abstractmethod
    def moved(self, g: Builder, da: Value) -> Value:
        """The direction in which the function's argument moves when A moves by dA."""

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require(len(types) > 0, "C0", f"{self.name} takes one operand or more")
        self.leading(types)
        a = types[0]
        square = all(t.shape[-2:] == (a.shape[-1], a.shape[-1]) for t in types)
        require(square, "C1", f"{', '.join(map(str, types))} are no square matrices of one size")
        return (types[-1],)

    def along_factors(self, g: Builder, y: Value, primals: Sequence[Value], tangents: Sequence[Value]) -> list[Value]:
        """The direction of A inserted at every place."""
        inserted = g.broadcast(self.moved(g, tangents[0]), y.type.shape)
        places = range(1, len(primals) + 1)
        return [g.apply(self, [*primals[:k], inserted, *primals[k:]])[0] for k in places]

    @staticmethod
    def with_directions(a: Array) -> Iterator[tuple[Array, ...]]:
        """The matrix alone, with one direction, and with two."""
        n = a.shape[-1]
        e = np.cos(np.arange(float(a.size))).reshape(a.shape)
        yield (a,)
        yield (a, e)
        yield (a, e, np.swapaxes(e, -1, -2) - 0.5 * np.eye(n))


@register
@dataclass(frozen=True)
class Spectral(OfSquare):
    """f of a symmetric matrix A = Q diag(w) Q^T, Q diag(f(w)) Q^T, or its derivative along directions E.

    That is Q M Q^T, where M_ij is the sum over all paths from i to j of f[w_i, ..., w_j] times the elements on the
    path of the Q^T E Q (Daleckii, Krein 1956). Of A, the lower triangle alone is read.

    `function` names f, and `parameter` is its exponent if f is a power. For `band`, f(w) is 1 for the eigenvalues
    `start` to `stop` and 0 for the others. Derivatives are right at repeated eigenvalues as elsewhere, and refused
    where f has none.
    """

    function: str
    parameter: float
    start: int
    stop: int

    name = "spectral"
    constraints: ClassVar[dict[str, str]] = {
        **OfSquare.constraints,
        "C2": "the function is one of those known",
        "C3": "start and stop are positions among the eigenvalues",
    }

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        results = super().infer(*types)
        self.require_function(types[0])
        return results

    def require_function(self, a: TensorType) -> None:
        """Checks the attributes against the matrix.

        Raises:
            ConstraintError: C2 or C3 is broken.
        """
        known = self.function == spectral_forms.BAND or self.function in FUNCTIONS
        require(known, "C2", f"{self.function!r} is none of {', '.join((*FUNCTIONS, spectral_forms.BAND))}")
        fits = 0 <= self.start <= self.stop <= a.lengths[-1]
        require(fits, "C3", f"there are no eigenvalues {self.start}:{self.stop} of {a}")

    def moved(self, g: Builder, da: Value) -> Value:
        return mirrored(g, da)

    @property
    def form(self) -> spectral_forms.Form:
        """The numbers behind the op."""
        return spectral_forms.Form(self.function, self.parameter, self.start, self.stop)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        w, q = self.factors(xp, arrays)
        return self.form.sandwich(xp, w, q, arrays[1:])

    @property
    def guards(self) -> tuple[Guard, ...]:
        """Bands that end in a cluster, and derivatives that f has not."""
        return form_guards(self.form)

    @staticmethod
    def factors(xp: Any, arrays: Sequence[Array]) -> tuple[Any, Any]:
        """Eigenvalues and eigenvectors, from the operands."""
        w, q = routine(xp, "eigh")(mirror(xp, arrays[0]))
        return w, q

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """A decomposition, and what `Form` takes."""
        a, *directions = operands
        n = a.lengths[-1]
        return Cost(9.0 * n * a.size + spectral_forms.flops(a, directions), moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """No, one and two directions; repeated eigenvalues; several functions; a batch, one element, nothing."""
        turn = np.array([[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
        positive = turn @ np.diag([0.75, 2.0, 3.0]) @ turn.T
        repeated = turn @ np.diag([1.5, 0.5, 1.5]) @ turn.T
        exponential = cls("exp", 0.0, 0, 3)
        for operands in cls.with_directions(positive):
            yield Sample(exponential, operands)
        for operands in cls.with_directions(repeated):
            yield Sample(exponential, operands)
        for op in (cls("sqrt", 0.0, 0, 3), cls("power", -1.5, 0, 3), cls("abs", 0.0, 0, 3), cls("band", 0.0, 1, 3)):
            for operands in list(cls.with_directions(positive - np.eye(3) * (op.function == "abs")))[:2]:
                yield Sample(op, operands)
        yield Sample(cls("tanh", 0.0, 0, 3), (np.stack([positive, repeated]), np.stack([turn, turn.T])))
        yield Sample(cls("exp", 0.0, 0, 3), (positive, np.stack([turn, turn.T])))
        yield Sample(cls("log", 0.0, 0, 1), (np.array([[2.5]]),))
        yield Sample(cls("exp", 0.0, 0, 0), (np.zeros((2, 0, 0)),))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """Kinks and singularities at zero, also in one of a batch; a band that parts a cluster."""
        singular, e = np.diag([0.0, 1.0, 2.0]), np.ones((3, 3))
        for function in ("sqrt", "log", "reciprocal", "sign"):
            yield "R1", Sample(cls(function, 0.0, 0, 3), (singular, e))
        yield "R1", Sample(cls("sqrt", 0.0, 0, 3), (np.stack([np.eye(3), singular]), np.stack([e, e])))
        yield "R1", Sample(cls("band", 0.0, 0, 1), (np.diag([1.0, 1.0, 2.0]), e))


@register
@dataclass(frozen=True)
class SpectralByFactors(AlongDirections):
    """As Spectral, given eigenvalues and eigenvectors in the place of the matrix.

    Nobody writes it: the optimiser puts it in the place of several decompositions of one matrix, after all derivatives
    are taken. So it has none in the factors.
    """

    function: str
    parameter: float
    start: int
    stop: int

    name = "spectral_by_factors"
    internal = True
    factor_ranks = (1, 2)
    refuses = (0, 1)
    constraints: ClassVar[dict[str, str]] = {
        "C0": "two operands or more: eigenvalues, eigenvectors, directions",
        "C1": "eigenvectors and directions are square, with a row for each eigenvalue",
        "C2": Spectral.constraints["C2"],
        "C3": Spectral.constraints["C3"],
        **Beside.stack_constraints,
    }

    @property
    def whole(self) -> Spectral:
        """The op of the matrix."""
        return Spectral(self.function, self.parameter, self.start, self.stop)

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        require(len(types) >= 2, "C0", f"{self.name} takes two operands or more, not {len(types)}")
        self.leading(types)
        w, *square = types
        fits = all(t.shape[-2:] == (w.shape[-1], w.shape[-1]) for t in square)
        require(fits, "C1", f"{', '.join(map(str, types))} do not go together")
        self.whole.require_function(types[1])
        return (types[-1],)

    def impl(self, xp: Any, *arrays: Array) -> Any:
        w, q, *directions = arrays
        return self.form.sandwich(xp, w, q, directions)

    @property
    def guards(self) -> tuple[Guard, ...]:
        """Those of Spectral."""
        return form_guards(self.form)

    @property
    def form(self) -> spectral_forms.Form:
        """The numbers behind the op."""
        return self.whole.form

    @staticmethod
    def factors(xp: Any, arrays: Sequence[Array]) -> tuple[Any, Any]:
        """Eigenvalues and eigenvectors, from the operands."""
        del xp
        return arrays[0], arrays[1]

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """What `Form` takes."""
        _, q, *directions = operands
        return Cost(spectral_forms.flops(q, directions), moved_bytes(operands, results))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        """Those of Spectral."""
        for sample in Spectral.samples():
            op, (a, *directions) = sample.op, sample.operands
            assert isinstance(op, Spectral)
            w, q = np.linalg.eigh(mirror(np, a))
            own = cls(op.function, op.parameter, op.start, op.stop)
            yield Sample(own, (w, q, *directions), differentiable=bool(directions))

    @classmethod
    def refused_samples(cls) -> Iterator[tuple[str, Sample]]:
        """Those of Spectral."""
        for constraint, sample in Spectral.refused_samples():
            op, (a, *directions) = sample.op, sample.operands
            assert isinstance(op, Spectral)
            w, q = np.linalg.eigh(mirror(np, a))
            yield constraint, Sample(cls(op.function, op.parameter, op.start, op.stop), (w, q, *directions))
