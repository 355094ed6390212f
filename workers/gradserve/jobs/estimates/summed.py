"""Matrices that are sums over a batch of examples: every product is a sweep over these, and the rest is done here.

Examples are cut into chunks, and those into what fits, as in any sum: so neither their number nor where they are run
changes anything but time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from gradserve.autodiff import names
from gradserve.estimation.asking import Columns, Probes
from gradserve.estimation.diagonal import DiagonalSoFar
from gradserve.estimation.recurrence import STATE, Recurrence
from gradserve.ir.types import Array
from gradserve.jobs.estimates.multiplied import Products
from gradserve.jobs.estimates.traces import capacity
from gradserve.jobs.sweeps.chunks import LapOf
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.vectors import CHUNK_PROBES
from gradserve.pools.sources import array_of
from gradserve.questions.estimates import EstimateDiagonal, Sampler
from gradserve.questions.matrices import OfMatrix
from gradserve.questions.report import Report
from gradserve.questions.resuming import Standing
from gradserve.runtime.control import Control
from gradserve.verification.widen import epsilon_of


class Sums:
    """The runs of a recurrence, of which only the products are made by workers."""

    def __init__(
        self,
        context: Context,
        question: OfMatrix,
        recurrence: Recurrence,
        control: Control,
        stood: Standing | None = None,
    ) -> None:
        """`question` has its call checked and its inputs named."""
        self._recurrence, self._control = recurrence, control
        self._products = Products(context, question, question.wrt, control, stood)

    def each(self, laps: LapOf, chunks: range) -> Iterator[Mapping[str, Array]]:
        """What the recurrence gives in some of its laps, in their order.

        Raises:
            NumericalFailure: a product is not finite.
            Cancelled, DeadlineExceeded, WorkerLost: while running.
        """
        for k in chunks:
            split = {names.split(name): source for name, source in laps(k).items()}
            own = {name: array_of(source, {}, {}) for (role, name), source in split.items() if role == STATE}
            yield self._run(own)

    def one(self, number: int, state: Mapping[str, Array]) -> Mapping[str, Array]:
        """What the recurrence makes of a state; raises what `each` does."""
        del number
        return self._run(state)

    def report(self, products: int) -> Report:
        """What has been spent so far, on so many products."""
        return replace(self._products.report, batch_size=products)

    def _run(self, state: Mapping[str, Array]) -> Mapping[str, Array]:
        return self._recurrence(self._product, state)

    def _product(self, rows: Array) -> Array:
        self._control.check()
        return self._products.products(Columns(rows))


class SummedProbing:
    """Samples of a diagonal, probe by probe."""

    def __init__(self, products: Products, question: EstimateDiagonal, planned: float, stood: Standing | None) -> None:
        """Of a question whose call is checked, after so many seconds of planning; `stood` is where it stood."""
        products.began(planned)
        self._products, self._question, self._stood = products, question, stood

    @property
    def report(self) -> Report:
        """What has been spent so far."""
        return self._products.report

    def beginning(self) -> DiagonalSoFar:
        """The estimate before the first sample, or where it stood."""
        found = DiagonalSoFar(self._question.seed, epsilon_of(self._question.call.graph))
        if self._stood is None:
            return found
        return found.standing(self._stood, {names.product(n): t for n, t in self._products.space.types.items()})

    def samples(self, start: int, stop: int) -> Iterator[Mapping[str, Array]]:
        """Samples `start` to `stop`."""
        most = max(1, min(CHUNK_PROBES, capacity(self._products.space.size)))
        for low in range(start, stop, most):
            ask = Probes(low, min(low + most, stop), Sampler.SIGNS)
            rows, products = self._products.reply(ask, self._products.products(ask))
            yield self._products.space.split(rows * products)
