"""The estimators by name, with the sampler that suits each and the fewest products that it can do with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gradserve.estimation import automatic, exact, leave_one_out, sketched
from gradserve.estimation.asking import Dialogue, Method, Operator
from gradserve.estimation.looks import Target
from gradserve.questions.estimates import Estimator, Sampler


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

    def method(self, sampler: Sampler) -> Method:
        """The estimator with a sampler."""
        if self.sampler is None:
            return self.begin
        chosen = self.sampler if sampler is Sampler.AUTO else sampler
        return functools.partial(self.begin, sampler=chosen)


def _exact(operator: Operator, target: Target) -> Dialogue:
    del target
    return exact.columns(operator, 0)


WAYS: Mapping[Estimator, Way] = {
    Estimator.AUTO: Way(automatic.estimate, 2),
    Estimator.HUTCHINSON: Way(sketched.hutchinson, 2, Sampler.SIGNS),
    Estimator.HUTCHPP: Way(sketched.hutchpp, 6, Sampler.SIGNS),
    Estimator.NYSTROMPP: Way(sketched.nystrompp, 4, Sampler.SIGNS),
    Estimator.XTRACE: Way(leave_one_out.xtrace, 8, Sampler.SPHERE, parts=False),
    Estimator.XNYSTRACE: Way(leave_one_out.xnystrace, 4, Sampler.SPHERE, parts=False),
    Estimator.EXACT: Way(_exact, 1),
}
"""What answers by each name."""
