"""What an estimator is: samples of a derivation at random signs, and what they say so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self, TypeAlias

from gradserve.estimation.looks import Target
from gradserve.ir.types import Array, TensorType
from gradserve.questions.report import Report
from gradserve.questions.resuming import Standing, State

ProbesOf: TypeAlias = Callable[[str], Array]
"""The probes of a chunk in an input, with a leading axis; made when they are asked for."""


class Estimator(Protocol):
    """What the samples so far say. Made of the seed of the probes and the spacing at 1 of the numbers computed with."""

    def __init__(self, seed: int, epsilon: float) -> None:
        """Nothing has been sampled."""

    @staticmethod
    def samples_of(outputs: Mapping[str, Array], probes: ProbesOf) -> Mapping[str, Array]:
        """The samples of a chunk: arrays with a leading axis of probes, made of its outputs and of its probes."""
        ...

    def state(self) -> State:
        """What `standing` takes."""
        ...

    def standing(self, stood: Standing, outputs: Mapping[str, TensorType]) -> Self:
        """The estimator where it stood; `outputs` are what a probe gives, by name.

        Raises:
            InvalidRequest: it never stood there.
        """
        ...

    @property
    def taken(self) -> int:
        """The samples so far."""
        ...

    def with_samples(self, samples: Mapping[str, Array]) -> Self:
        """The estimator after more samples; its bits depend on their order, not on how they were cut."""
        ...

    def answer(self, target: Target, look: int, report: Report) -> Any:
        """The full current answer of look 1, 2, ..., with its stop reason."""
        ...
