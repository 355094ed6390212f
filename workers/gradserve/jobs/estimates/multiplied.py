"""Products of a matrix with vectors, as an estimator asks for them: chunks of a sweep, whatever the vectors are.

Random vectors are made again where they are needed; those of an estimator travel as data, once.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from gradserve.autodiff import names
from gradserve.autodiff.derivation import FisherProduct, Laplacian, added_inputs
from gradserve.autodiff.laplacian import SUM
from gradserve.estimation.asking import Ask, Basis, Columns, Probes
from gradserve.estimation.recurrence import Space
from gradserve.ir.errors import LimitExceeded, NotDifferentiable, NumericalFailure
from gradserve.ir.types import Array, TensorType
from gradserve.jobs.estimates.probes import probes_of
from gradserve.jobs.sweeps.chunks import Lap
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.counted import counting
from gradserve.jobs.sweeps.folds import KinkCount, count_nonfinite
from gradserve.jobs.sweeps.programs import Check
from gradserve.jobs.sweeps.sweep import Sweep, SweepSchedule
from gradserve.jobs.sweeps.vectors import CHUNK_PROBES, OverVectors
from gradserve.pools.sources import array_of
from gradserve.pools.work import Normals, OneHots, Rows, Shared, Signs, Source
from gradserve.questions.call import Reduction, arrays_of
from gradserve.questions.derivations import Derivation, GaussNewtonProduct, Hvp
from gradserve.questions.estimates import MatrixEstimate, Sampler
from gradserve.questions.matrices import Matrix, OfMatrix
from gradserve.questions.report import Report
from gradserve.questions.resuming import Standing
from gradserve.runtime.control import Control

_SourceOf: TypeAlias = Callable[[str, TensorType, int, int], Source]
"""Where vectors come from: by the input, its type, the first of them and the one after the last."""


def product_of(question: MatrixEstimate | OfMatrix, wrt: tuple[str, ...]) -> Derivation:
    """What is asked for each vector: the product of the matrix in question."""
    match question.matrix:
        case Matrix.GAUSS_NEWTON:
            return GaussNewtonProduct(wrt, question.loss)
        case Matrix.FISHER:
            return FisherProduct(wrt)
    return Hvp(wrt, product_only=True)


def not_finite(question: MatrixEstimate | OfMatrix) -> NumericalFailure:
    """The error of products that are not."""
    name = question.matrix.replace("-", " ")
    return NumericalFailure(f"the products with the {name} matrix are not finite at this point")


class Products:
    """Multiplies for an estimator, and keeps the report."""

    def __init__(
        self,
        context: Context,
        question: MatrixEstimate | OfMatrix,
        wrt: tuple[str, ...],
        control: Control,
        stood: Standing | None = None,
    ) -> None:
        """`question` has its call checked."""
        self._context, self._question, self._control = context, question, control
        self._derivation = counting(product_of(question, wrt), question.call.options)
        self.space = Space.of(question.call.graph.input_types, wrt)
        call = question.call
        vectors = frozenset(added_inputs(call.graph, self._derivation))
        self._cut = OverVectors(call, self._derivation, vectors, sum(a.nbytes for a in call.arguments.values()))
        self._kinks = KinkCount(self._derivation)
        self._planned = 0.0
        self.report = Report() if stood is None else stood.report

    def schedule(self, check: Check, budget: int, points: int = 1) -> SweepSchedule:
        """How `budget` products at each of some points will be run, if all of them are.

        Raises:
            InvalidRequest, NotDifferentiable, LimitExceeded: they cannot be.
        """
        whole = self._cut.whole(budget, self._context, check)
        return replace(whole, laps=points * whole.laps).schedule(self._context, check)

    def began(self, seconds: float) -> None:
        """Takes down how long planning took."""
        self._planned = seconds

    def products(self, ask: Ask) -> Array:
        """The products that an estimator asks for.

        Raises:
            NumericalFailure: they are infinite or not a number, and so is what would be made of them.
        """
        match ask:
            case Columns(rows):
                given = self.space.typed(rows)
                return self._products(0, len(rows), {_data(name): array for name, array in given.items()}, _rows)
            case Basis(start, stop):
                return self._products(start, stop, {}, self._one_hots)
        return self._products(ask.start, ask.stop, {}, self._sampler(ask))

    def pass_price(self, check: Check) -> float:
        """What the trace takes in one pass, in products with columns, as predicted; infinite if there is none."""
        question = self._question
        if question.matrix is not Matrix.HESSIAN or question.call.batch:
            return math.inf
        columns = self._cut.pieces(0, self.space.size, self._context, check)
        seconds = sum(sweep.unlimited(self._context, check).seconds for sweep, _ in columns)
        try:
            with self._context.programs.trying(question.call.graph, check):
                return self.space.size * self._whole().schedule(self._context, check).seconds / seconds
        except (LimitExceeded, NotDifferentiable):
            return math.inf

    def trace(self) -> float:
        """The trace in one pass, some directions at a time; raises what `products` does."""
        sweep = self._whole()
        scheduled = sweep.schedule(self._context, self._control.check)
        call, size = self._question.call, self._directions

        def lap(k: int) -> Lap:
            own: dict[str, Source] = {n: Shared(n) for n in call.arguments}
            columns = {n: self._one_hots(n, t, k * size, (k + 1) * size) for n, t in self.space.inputs}
            return own | {names.tangent(n): source for n, source in columns.items()}

        running, total = scheduled.run(lap, arrays_of(call.arguments), self._control), 0.0
        for result in running:
            total += float(result.outputs[SUM])
        if not math.isfinite(total):
            raise not_finite(self._question)
        report = running.report(0.0)
        spent = self.report.batch_size + self.space.size
        self.report = replace(self.report + report, batch_size=spent)
        return total

    @property
    def _directions(self) -> int:
        """Those of one pass: the value and the sum that each carries besides are few then."""
        return max(1, min(self.space.size, CHUNK_PROBES))

    def _whole(self) -> Sweep:
        """The passes along all columns of the identity, and beyond the last of these along zeros."""
        call, size = self._question.call, self._directions
        nbytes = sum(a.nbytes for a in call.arguments.values())
        derivation = Laplacian(tuple(self.space.types), size)
        return Sweep(call.graph, derivation, call.options, nbytes, laps=-(-self.space.size // size))

    def reply(self, ask: Ask, products: Array) -> Array | tuple[Array, Array]:
        """What an estimator is sent: the products, and of probes these themselves before them."""
        if not isinstance(ask, Probes):
            return products
        sampler, types = self._sampler(ask), self.space.types
        drawn = {name: array_of(sampler(name, types[name], ask.start, ask.stop), {}, {}) for name in types}
        rows = self.space.joined(drawn)
        if ask.sampler is Sampler.SPHERE:  # products are linear, so they are brought to the sphere with their probes
            scale = np.sqrt(self.space.size) / np.linalg.norm(rows, axis=1, keepdims=True)
            rows, products = scale * rows, scale * products
        return rows, products

    def _sampler(self, ask: Probes) -> _SourceOf:
        kind: type[Signs] | type[Normals] = Normals if ask.sampler is Sampler.SPHERE else Signs
        return functools.partial(probes_of, kind, self._question.seed)

    def _products(self, start: int, stop: int, extra: Mapping[str, Array], source: _SourceOf) -> Array:
        found: list[Array] = []
        nbytes = sum(array.nbytes for array in extra.values())
        for sweep, first in self._cut.pieces(start, stop, self._context, self._control.check, nbytes):
            found += self._run(sweep, first, extra, source)
        return np.concatenate(found) if found else np.zeros((0, self.space.size))

    def _run(self, sweep: Sweep, first: int, extra: Mapping[str, Array], source: _SourceOf) -> Iterator[Array]:
        """The products of some chunks of one size."""
        scheduled, size = sweep.schedule(self._context, self._control.check), sweep.at_once
        call, types = self._question.call, self.space.types

        def lap(k: int) -> Lap:
            low = first + k * size
            own: dict[str, Source] = {n: Shared(n) for n in call.arguments}
            own |= {n: Rows(n, 0, call.batch_size or 1) for n in call.batched}
            return own | {names.tangent(n): source(n, types[n], low, low + size) for n in types}

        running = scheduled.run(lap, {**arrays_of(call.arguments), **extra}, self._control)
        results = iter(running)
        for _ in range(sweep.laps):
            total: dict[str, Array] = {}
            for _ in scheduled.pieces:
                outputs = next(results).outputs
                products = {n: outputs[names.product(n)] for n in types}
                total = {n: total[n] + each for n, each in products.items()} if total else products
                if not self.report.chunks:
                    self._kinks.add(outputs, one_point=True)
            if count_nonfinite(total.values()):
                raise not_finite(self._question)
            rows = self.space.joined(total)
            yield rows / (call.batch_size or 1) if call.reduction is Reduction.MEAN else rows
        next(results, None)  # so that the pool ends its work here
        report = running.report(self._planned, kinks=self._kinks.done())
        before, self._planned = self.report, 0.0
        self.report = replace(
            before + report if before.chunks else report, batch_size=before.batch_size + sweep.laps * size
        )
        if not before.chunks:
            self.report = replace(self.report, batch_size=sweep.laps * size)
            self._context = self._context.going_on(report.executor)  # a job stays on one executor

    def _one_hots(self, name: str, type_: TensorType, start: int, stop: int) -> Source:
        return OneHots(start, stop, self.space.slices()[name].start, type_.lengths, type_.element_type)


def _rows(name: str, type_: TensorType, start: int, stop: int) -> Source:
    del type_
    return Rows(_data(name), start, stop)


def _data(name: str) -> str:
    return f"rows:{name}"
