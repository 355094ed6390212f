"""How the fused executor runs a program: regions as machine code, and between them the steps of the NumPy executor."""

from __future__ import annotations

from dataclasses import dataclass

from gradserve.execution.costs import SECONDS_PER_STEP
from gradserve.execution.fused import control
from gradserve.execution.fused.region import Region, fused
from gradserve.execution.fused.table import lowerable, weight
from gradserve.execution.numpy.schedule import NumpySchedule, Step, schedule_of
from gradserve.execution.program import Program


@dataclass(frozen=True)
class FusedSchedule:
    """A program's regions and other steps, and what they take."""

    program: Program
    steps: NumpySchedule
    seconds: float
    """Predicted seconds on one core."""
    longest_step_seconds: float
    """Predicted seconds of the longest step, which is how long a cancellation may take to be seen."""

    @property
    def peak_bytes(self) -> int:
        """The largest sum of live bytes: arguments, and what steps have allocated and not yet freed."""
        return self.steps.peak_bytes


def fused_schedule(program: Program) -> FusedSchedule:
    """The schedule of a program."""
    steps = schedule_of(Program(fused(program.graph, lowerable, weight)))
    seconds = [_seconds(step) for step in steps.steps]
    return FusedSchedule(program, steps, sum(seconds), max(seconds, default=0.0))


def _seconds(step: Step) -> float:
    return SECONDS_PER_STEP + control.seconds(step.op.body) if isinstance(step.op, Region) else step.seconds
