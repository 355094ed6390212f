"""Taylor models: what a function is near a point, and how near."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradserve.client.operators import LinearOperator
from gradserve.ir.records import dataclass
from gradserve.questions.report import Kinks
from gradserve.questions.taylor import Deviation, Expansion


@dataclass(frozen=True, slots=True)
class TaylorAlong:
    """A function along one direction as a polynomial of the step. Prints as a table of deviations."""

    coefficients: Sequence[Any]
    """What stands before the powers 0, 1, ... of the step; each has the structure of the value."""
    deviations: tuple[Deviation, ...]
    observed_order: float
    """The power of the step with which the deviation falls.

    Infinite if no deviation is more than rounding errors; NaN if that cannot be told.
    """
    predict: Callable[[float], Any]
    """What the model says of the function so far along the direction."""
    kinks: Kinks | None = None
    """What sits on a kink at the point, where coefficients follow conventions."""

    @property
    def order(self) -> int:
        """The highest power."""
        return len(self.coefficients) - 1

    @property
    def passed(self) -> bool:
        """Whether the deviation falls as fast as that of a right model must: with the power `order` + 1."""
        return self.observed_order > self.order + 0.5

    def __call__(self, step: float) -> Any:
        """What the model says of the function `step` along the direction."""
        return self.predict(step)

    def __str__(self) -> str:
        verdict = "right" if self.passed else "in doubt"
        rows = [f"order {self.order}: deviation falls with the power {self.observed_order:.2f} of the step: {verdict}"]
        rows += [f"  {self.kinks.note('coefficients')}"] if self.kinks and self.kinks.nodes else []
        rows += [f"  step {d.step:9.3g}  deviation {d.error:9.3g}" for d in self.deviations if d.meaningful]
        return "\n".join(rows)


@dataclass(frozen=True, slots=True)
class TaylorModel:
    """A loss around a point: f + <g, d>, and + <d, H d>/2 in the second order. Prints its check along a direction."""

    value: float
    gradient: Any
    hessian: LinearOperator | None
    """The Hessian as a map; None in the first order."""
    along: TaylorAlong
    """The check: the same model along one random direction."""
    inner: Callable[[Any, Any], float]
    """The inner product of two structures of parameters."""

    @property
    def passed(self) -> bool:
        """Whether the check along the direction passed."""
        return self.along.passed

    def __call__(self, displacement: Any) -> float:
        """What the model says of the loss at the point moved by `displacement`; in the second order one call."""
        linear = self.value + self.inner(self.gradient, displacement)
        if self.hessian is None:
            return linear
        return linear + 0.5 * self.inner(displacement, self.hessian.mv(displacement))

    def __str__(self) -> str:
        return str(self.along)


def along_direction(outputs: Callable[[dict[str, Any]], Any], found: Expansion) -> TaylorAlong:
    """An expansion as a model of the function; `outputs` makes of arrays by output what the function returns."""
    coefficients, kinks = found.coefficients, found.report.kinks
    count = max(map(len, coefficients.values()), default=0)
    powers = [{name: own[k] for name, own in coefficients.items()} for k in range(count)]

    def predict(step: float) -> Any:
        return outputs({n: np.asarray(sum(step**k * c for k, c in enumerate(own))) for n, own in coefficients.items()})

    return TaylorAlong([outputs(power) for power in powers], found.deviations, found.observed_order, predict, kinks)
