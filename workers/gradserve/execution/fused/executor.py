"""The fused executor: regions of a program as machine code, in the place of their nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gradserve.execution.executor import Schedule, Stopped
from gradserve.execution.fused.control import seconds
from gradserve.execution.fused.native import Native
from gradserve.execution.fused.region import Region
from gradserve.execution.fused.schedule import FusedSchedule, fused_schedule
from gradserve.execution.numpy.executor import NumpyPrepared, kernel
from gradserve.execution.numpy.schedule import Step, schedule_of
from gradserve.execution.program import Program
from gradserve.ir.types import Array
from gradserve.ops.control.calling import unpacked


class _Refused(Exception):
    """Machine code has come to numbers that it refuses; it does not say which."""


class FusedExecutor:
    """Runs programs as machine code, and on NumPy what has none."""

    name = "fused"

    def schedule(self, program: Program) -> FusedSchedule:
        """The regions, and the steps between them."""
        return fused_schedule(program)

    def prepare(self, schedule: Schedule) -> FusedPrepared:
        """The schedule with its regions compiled."""
        assert isinstance(schedule, FusedSchedule), "a schedule is prepared by the executor that made it"
        return FusedPrepared(schedule)


class FusedPrepared:
    """A schedule whose regions are machine code."""

    def __init__(self, schedule: FusedSchedule) -> None:
        """Compiles."""
        self._program = schedule.program
        self._run = NumpyPrepared(schedule.steps, kernel_of=_kernel)

    def __call__(self, arguments: Mapping[str, Array], stopped: Stopped | None = None) -> dict[str, Array]:
        """The outputs by name; see `Prepared`. What machine code refuses, the reference executor says why."""
        try:
            return self._run(arguments, stopped)
        except _Refused:
            return NumpyPrepared(schedule_of(self._program))(arguments, stopped)


def _kernel(step: Step) -> Callable[..., Any]:
    """Machine code for regions; what the NumPy executor has for other steps."""
    return _region(step.op) if isinstance(step.op, Region) else kernel(step, _kernel)


def _region(op: Region) -> Callable[..., Any]:
    native = Native(op.body, seconds(op.body))

    def run(check: Callable[[], None], *operands: Array) -> Any:
        found = native(check, operands)
        if found is None:
            raise _Refused
        return unpacked(found)

    return run
