"""The fused executor: regions of a program as machine code, in the place of their nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from gradserve.execution.costs import of_graph
from gradserve.execution.executor import Prepared, Schedule, Stopped
from gradserve.execution.fused.native import Native
from gradserve.execution.fused.region import Region
from gradserve.execution.fused.schedule import FusedSchedule, fused_schedule
from gradserve.execution.numpy.executor import NumpyPrepared, checker, kernel
from gradserve.execution.numpy.schedule import Step, schedule_of
from gradserve.execution.program import Program
from gradserve.ir.types import Array
from gradserve.ops.control.calling import unpacked

_COMPILING_SECONDS, _SECONDS_PER_PART = 0.03, 1e-3
"""For a program, and for each of its parts."""


class _Refused(Exception):
    """Machine code has come to numbers that it refuses; it does not say which."""


class FusedExecutor:
    """Runs programs as machine code, and on NumPy what has none."""

    name = "fused"

    def __init__(self) -> None:
        """Has compiled nothing yet."""
        self._prepared: WeakValueDictionary[str, FusedPrepared] = WeakValueDictionary()
        """By digest, as long as anybody keeps them."""

    def schedule(self, program: Program) -> FusedSchedule:
        """The regions, and the steps between them."""
        return fused_schedule(program)

    def preparing_seconds(self, program: Program, /) -> float:
        """What LLVM takes about; 0 for what is compiled."""
        known = program.digest in self._prepared
        return 0.0 if known else _COMPILING_SECONDS + _SECONDS_PER_PART * program.parts

    def prepare(self, schedule: Schedule) -> FusedPrepared:
        """The schedule with its regions compiled."""
        assert isinstance(schedule, FusedSchedule), "a schedule is prepared by the executor that made it"
        found = self._prepared.get(schedule.program.digest)
        if found is None:
            found = self._prepared[schedule.program.digest] = FusedPrepared(schedule)
        return found


class FusedPrepared:
    """A schedule whose regions are machine code."""

    def __init__(self, schedule: FusedSchedule) -> None:
        """Compiles."""
        self._program = schedule.program
        whole = _whole(schedule)
        self._run = NumpyPrepared(schedule.steps, kernel_of=_kernel) if whole is None else whole

    def __call__(self, arguments: Mapping[str, Array], stopped: Stopped | None = None) -> dict[str, Array]:
        """The outputs by name; see `Prepared`. What machine code refuses, the reference executor says why."""
        try:
            return self._run(arguments, stopped)
        except _Refused:
            return NumpyPrepared(schedule_of(self._program))(arguments, stopped)


def _whole(schedule: FusedSchedule) -> Prepared | None:
    """A program that is one region alone, run without any Python between its steps; None for any other."""
    graph, steps = schedule.steps.program.graph, schedule.steps.steps
    if len(steps) != 1 or not isinstance(steps[0].op, Region):
        return None
    made = {value: k for k, value in enumerate(steps[0].results)}
    if any(output.value not in made for output in graph.outputs):
        return None
    given = [graph.inputs[k].name for k in steps[0].operands]
    outputs = [(output.name, made[output.value]) for output in graph.outputs]
    native = Native(steps[0].op.body, of_graph(steps[0].op.body))

    def run(arguments: Mapping[str, Array], stopped: Stopped | None = None) -> dict[str, Array]:
        found = native(checker(stopped), [arguments[name] for name in given])
        if found is None:
            raise _Refused
        return {name: np.asarray(found[k]) for name, k in outputs}

    return run


def _kernel(step: Step) -> Callable[..., Any]:
    """Machine code for regions; what the NumPy executor has for other steps."""
    return _region(step.op) if isinstance(step.op, Region) else kernel(step, _kernel)


def _region(op: Region) -> Callable[..., Any]:
    native = Native(op.body, of_graph(op.body))

    def run(check: Callable[[], None], *operands: Array) -> Any:
        found = native(check, operands)
        if found is None:
            raise _Refused
        return unpacked(found)

    return run
