"""Products of a matrix with vectors, as an estimator asks for them: chunks of a sweep, whatever the vectors are.

Chunks have sizes that are powers of two, so that few programs serve all requests, and how a request is cut depends on
it alone. Random vectors are made again where they are needed; those of an estimator travel as data, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from gradserve.autodiff import names
from gradserve.autodiff.derivation import FisherProduct, added_inputs
from gradserve.estimation.asking import Basis, Columns, Probes
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array, TensorType
from gradserve.jobs.chunks import Lap
from gradserve.jobs.context import Context
from gradserve.jobs.folds import KinkCount, count_nonfinite
from gradserve.jobs.programs import Axis, Check
from gradserve.jobs.sweep import Sweep, SweepSchedule, counting
from gradserve.pools.sources import array_of
from gradserve.pools.work import Normals, OneHots, Rows, Shared, Signs, Source
from gradserve.questions.call import Reduction, arrays_of
from gradserve.questions.derivations import Derivation, GaussNewtonProduct, Hvp
from gradserve.questions.estimates import EstimateTrace, Matrix, Sampler
from gradserve.questions.report import Report
from gradserve.runtime.control import Control

_SourceOf: TypeAlias = Callable[[str, TensorType, int, int], Source]
"""Where vectors come from: by the input, its type, the first of them and the one after the last."""
CHUNK_PROBES = 64
"""The most vectors of a chunk, a power of two; fewer if they cost more than a chunk should."""
BATCH_PROBES = 8
"""Those of a chunk of examples, which is cut along these."""


def derivation_of(question: EstimateTrace, wrt: tuple[str, ...]) -> Derivation:
    """What gives products of the matrix in question."""
    match question.matrix:
        case Matrix.GAUSS_NEWTON:
            return GaussNewtonProduct(wrt, question.loss)
        case Matrix.FISHER:
            return FisherProduct(wrt)
    return Hvp(wrt, product_only=True)


@dataclass(frozen=True)
class Layout:
    """Where the entries of each input lie in vectors that run through all of them."""

    types: Mapping[str, TensorType]

    @classmethod
    def of(cls, graph: Graph, wrt: tuple[str, ...]) -> Layout:
        """The inputs one after the other."""
        return cls({name: graph.input_types[name] for name in wrt if name in graph.input_types})

    @property
    def size(self) -> int:
        """All entries."""
        return sum(type_.size for type_ in self.types.values())

    def slices(self) -> dict[str, slice]:
        """The entries of each input."""
        found, start = {}, 0
        for name, type_ in self.types.items():
            found[name] = slice(start, start + type_.size)
            start += type_.size
        return found

    def together(self, arrays: Mapping[str, Array]) -> Array:
        """Rows of float64 from arrays with a leading axis."""
        return np.concatenate([arrays[n].reshape(len(arrays[n]), -1).astype(np.float64) for n in self.types], axis=1)

    def apart(self, rows: Array) -> dict[str, Array]:
        """Arrays with a leading axis from rows."""
        return {
            name: np.ascontiguousarray(rows[:, part])
            .reshape(len(rows), *self.types[name].lengths)
            .astype(self.types[name].element_type.dtype, copy=False)
            for name, part in self.slices().items()
        }


class Products:
    """Multiplies for an estimator, and keeps the report."""

    def __init__(self, context: Context, question: EstimateTrace, wrt: tuple[str, ...], control: Control) -> None:
        """`question` has its call checked."""
        self._context, self._question, self._control = context, question, control
        self._derivation = counting(derivation_of(question, wrt), question.call.options)
        self.layout = Layout.of(question.call.graph, wrt)
        self._vectors = frozenset(added_inputs(question.call.graph, self._derivation))
        self._kinks = KinkCount(self._derivation)
        self._largest = 0
        self._planned = 0.0
        self.report = Report()

    def schedule(self, check: Check, budget: int) -> SweepSchedule:
        """How `budget` products will be run, if all of them are.

        Raises:
            InvalidRequest, NotDifferentiable, LimitExceeded: they cannot be.
        """
        size = self._size(check)
        return self._sweep(size, -(-budget // size)).schedule(self._context, check)

    def began(self, seconds: float) -> None:
        """Takes down how long planning took."""
        self._planned = seconds

    def answer(self, ask: Probes | Columns | Basis) -> Array | tuple[Array, Array]:
        """What an estimator is sent."""
        match ask:
            case Columns(rows):
                given = self.layout.apart(rows)
                return self._products(0, len(rows), {_data(name): array for name, array in given.items()}, _rows)
            case Basis(start, stop):
                return self._products(start, stop, {}, self._one_hots)
        sampler = self._normals if ask.sampler is Sampler.SPHERE else self._signs
        products = self._products(ask.start, ask.stop, {}, sampler)
        types = self.layout.types
        drawn = {name: array_of(sampler(name, types[name], ask.start, ask.stop), {}, {}) for name in types}
        probes = self.layout.together(drawn)
        if ask.sampler is Sampler.SPHERE:  # products are linear, so they are brought to the sphere with their probes
            scale = np.sqrt(self.layout.size) / np.linalg.norm(probes, axis=1, keepdims=True)
            probes, products = scale * probes, scale * products
        return probes, products

    def _products(self, start: int, stop: int, extra: Mapping[str, Array], source: _SourceOf) -> Array:
        found: list[Array] = []
        for size, first, laps in _pieces(start, stop, self._size(self._control.check)):
            found += self._run(size, first, laps, extra, source)
        return np.concatenate(found) if found else np.zeros((0, self.layout.size))

    def _run(self, size: int, first: int, laps: int, extra: Mapping[str, Array], source: _SourceOf) -> Iterator[Array]:
        """The products of some chunks of one size."""
        scheduled = self._sweep(size, laps, extra).schedule(self._context, self._control.check)
        call, types = self._question.call, self.layout.types

        def lap(k: int) -> Lap:
            low = first + k * size
            own: dict[str, Source] = {n: Shared(n) for n in call.arguments}
            own |= {n: Rows(n, 0, call.batch_size or 1) for n in call.batched}
            return own | {names.tangent(n): source(n, types[n], low, low + size) for n in types}

        running = scheduled.run(lap, {**arrays_of(call.arguments), **extra}, self._control)
        results, nonfinite = iter(running), 0
        for _ in range(laps):
            total: dict[str, Array] = {}
            for _ in scheduled.pieces:
                outputs = next(results).outputs
                products = {n: outputs[names.product(n)] for n in types}
                total = {n: total[n] + each for n, each in products.items()} if total else products
                if not self.report.chunks:
                    self._kinks.add(outputs, one_point=True)
            nonfinite += count_nonfinite(total.values())
            rows = self.layout.together(total)
            yield rows / (call.batch_size or 1) if call.reduction is Reduction.MEAN else rows
        next(results, None)  # so that the pool ends its work here
        report = running.report(self._planned, nonfinite_outputs=nonfinite, kinks=self._kinks.done())
        before, self._planned = self.report, 0.0
        self.report = replace(before + report if before.chunks else report, batch_size=before.batch_size + laps * size)
        if not before.chunks:
            self.report = replace(self.report, batch_size=laps * size)

    def _sweep(self, size: int, laps: int, extra: Mapping[str, Array] | None = None) -> Sweep:
        call, axis = self._question.call, Axis(self._vectors, size)
        nbytes = sum(a.nbytes for a in (*call.arguments.values(), *(extra or {}).values()))
        if call.batch:
            axis = Axis(frozenset(call.batched), call.batch_size or 1, summed=True, within=axis)
        return Sweep(call.graph, self._derivation, call.options, nbytes, axis, laps, divisible=bool(call.batch))

    def _size(self, check: Check) -> int:
        """The vectors of a large chunk: a power of two, by predicted cost."""
        if not self._largest and self._question.call.batch:
            self._largest = BATCH_PROBES
        elif not self._largest:
            most = replace(self._sweep(CHUNK_PROBES, 1), divisible=True).unlimited(self._context, check).sizes[0]
            self._largest = 1 << (most.bit_length() - 1)
        return self._largest

    def _signs(self, name: str, type_: TensorType, start: int, stop: int) -> Source:
        return Signs(self._question.seed, _purpose(name), start, stop, type_.lengths, type_.element_type)

    def _normals(self, name: str, type_: TensorType, start: int, stop: int) -> Source:
        return Normals(self._question.seed, _purpose(name), start, stop, type_.lengths, type_.element_type)

    def _one_hots(self, name: str, type_: TensorType, start: int, stop: int) -> Source:
        return OneHots(start, stop, self.layout.slices()[name].start, type_.lengths, type_.element_type)


def _rows(name: str, type_: TensorType, start: int, stop: int) -> Source:
    del type_
    return Rows(_data(name), start, stop)


def _data(name: str) -> str:
    return f"rows:{name}"


def _purpose(name: str) -> str:
    return f"probe:{name}"


def _pieces(start: int, stop: int, largest: int) -> Iterator[tuple[int, int, int]]:
    """Sizes of chunks, the first vector and how many chunks there are: as many large ones as fit, then halves."""
    size = largest
    while start < stop:
        count = (stop - start) // size
        if count:
            yield size, start, count
            start += count * size
        size //= 2
