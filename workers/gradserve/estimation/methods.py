"""The estimators by name, with the sampler that suits each and the fewest products that it can do with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from gradserve.estimation import automatic, exact, leave_one_out, residual, scaling, sketched
from gradserve.estimation.asking import Dialogue, Method, Operator
from gradserve.estimation.deflation import Deflation
from gradserve.estimation.looks import Target
from gradserve.ir.records import dataclass
from gradserve.questions.estimates import Estimator, Sampler
from gradserve.questions.resuming import Standing


@dataclass(frozen=True, slots=True)
class Way:
    """One of the estimators."""

    begin: Callable[..., Dialogue]
    fewest: int
    """Products below which there is no interval."""
    sampler: Sampler | None = None
    """The sampler that suits it; None if it takes no other than its own."""
    parts: bool = True
    """Whether it tells the parts that inputs have in the trace, and the diagonal."""
    beside: type[Deflation] = Deflation
    """What it samples beside."""

    def method(self, sampler: Sampler) -> Method:
        """The estimator with a sampler, of numbers of any size."""
        given = {} if self.sampler is None else {"sampler": self._chosen(sampler)}
        return lambda operator, target: scaling.scaled(functools.partial(self.begin, operator, **given), target)

    def resumed(self, sampler: Sampler, operator: Operator, target: Target, at: Standing) -> Dialogue:
        """The dialogue from where it stood, what it said there first."""
        return scaling.resumed(lambda target: self._resumed(sampler, operator, target, at), target, at)

    def _resumed(self, sampler: Sampler, operator: Operator, target: Target, at: Standing) -> Dialogue:
        if "entries" in at or "trace" in at:
            return exact.resumed(operator, at)
        return residual.resumed(operator, target, at, self.beside, self._chosen(sampler))

    def _chosen(self, sampler: Sampler) -> Sampler:
        return (self.sampler or Sampler.SIGNS) if sampler is Sampler.AUTO else sampler


def _exact(operator: Operator, target: Target) -> Dialogue:
    del target
    return exact.columns(operator, 0)


WAYS: Mapping[Estimator, Way] = {
    Estimator.AUTO: Way(automatic.estimate, 2),
    Estimator.HUTCHINSON: Way(sketched.hutchinson, 2, Sampler.SIGNS),
    Estimator.HUTCHPP: Way(sketched.hutchpp, 6, Sampler.SIGNS),
    Estimator.NYSTROMPP: Way(sketched.nystrompp, 4, Sampler.SIGNS, beside=sketched.Approximation),
    Estimator.XTRACE: Way(leave_one_out.xtrace, 8, Sampler.SPHERE, parts=False),
    Estimator.XNYSTRACE: Way(leave_one_out.xnystrace, 4, Sampler.SPHERE, parts=False),
    Estimator.EXACT: Way(_exact, 1),
}
"""What answers by each name."""
