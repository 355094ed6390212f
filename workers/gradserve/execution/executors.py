"""Executors by name, and what one is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from gradserve.execution.numpy.executor import NumpyExecutor
from gradserve.execution.plan import Plan
from gradserve.ir.types import Array

Stopped: TypeAlias = Callable[[], bool]


class Program(Protocol):
    """A plan made ready to run."""

    def __call__(self, arguments: Mapping[str, Array], stopped: Stopped | None = None) -> dict[str, Array]:
        """The outputs by name. Looks at `stopped` between heavy steps.

        Raises:
            Cancelled: `stopped` said so.
            NumericalFailure: a step is impossible on these numbers.
        """
        ...


class Executor(Protocol):
    """Makes plans ready to run."""

    name: str

    def prepare(self, plan: Plan) -> Program:
        """The program of a plan."""
        ...


EXECUTORS: Mapping[str, Executor] = {"numpy": NumpyExecutor()}
