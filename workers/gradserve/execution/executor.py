"""What an executor is: it schedules programs from shapes alone, and makes schedules ready to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from gradserve.execution.program import Program
from gradserve.ir.types import Array

Stopped: TypeAlias = Callable[[], bool]


class Schedule(Protocol):
    """How one executor will run a program: what that takes, before anything is allocated."""

    @property
    def program(self) -> Program:
        """What is run."""
        ...

    @property
    def seconds(self) -> float:
        """Predicted seconds on one core."""
        ...

    @property
    def longest_step_seconds(self) -> float:
        """Predicted seconds of the longest step, which is how long a cancellation may take to be seen."""
        ...

    @property
    def peak_bytes(self) -> int:
        """The largest sum of live bytes: arguments, and what steps have allocated and not yet freed."""
        ...


class Prepared(Protocol):
    """A schedule made ready to run."""

    def __call__(self, arguments: Mapping[str, Array], stopped: Stopped | None = None) -> dict[str, Array]:
        """The outputs by name, for an argument for each of the program's inputs. Looks at `stopped` between steps.

        Raises:
            Cancelled: `stopped` said so.
            NumericalFailure: a step is impossible on these numbers.
            NotDifferentiable: a derivative does not exist at these numbers.
        """
        ...


class Executor(Protocol):
    """One way to run programs."""

    name: str

    def schedule(self, program: Program) -> Schedule:
        """How the program will be run."""
        ...

    def preparing_seconds(self, program: Program, /) -> float:
        """Predicted seconds of a processor until a schedule of the program is ready; 0 if nothing is to be compiled."""
        ...

    def prepare(self, schedule: Schedule) -> Prepared:
        """The schedule, one of this executor's own, made ready to run."""
        ...
