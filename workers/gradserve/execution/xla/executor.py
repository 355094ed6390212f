"""The executor that compiles programs by XLA. Importing this imports JAX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradserve.execution.executor import Schedule, Stopped
from gradserve.execution.failures import located
from gradserve.execution.program import Program
from gradserve.execution.xla.programs import NOWHERE, Guarded, Lowering, guarded
from gradserve.execution.xla.schedule import XlaSchedule, schedule_of
from gradserve.ir.errors import Cancelled, GradserveError
from gradserve.ir.guards import refusal
from gradserve.ir.types import Array

_SECONDS_PER_PART = 2e-3


class XlaExecutor:
    """Compiles each program on its first run. Chosen only when it is asked for."""

    name = "xla"

    def schedule(self, program: Program) -> XlaSchedule:
        """The program as one step."""
        return schedule_of(program)

    def preparing_seconds(self, program: Program, /) -> float:
        """What XLA takes about; who keeps what is prepared knows whether that is behind it."""
        return _SECONDS_PER_PART * program.parts

    def prepare(self, schedule: Schedule) -> XlaPrepared:
        """The program, to be compiled on its first run."""
        return XlaPrepared(schedule.program)


class XlaPrepared:
    """A program as a compiled function."""

    def __init__(self, program: Program) -> None:
        """Compiles nothing yet."""
        self._graph = program.graph
        self._guards = guarded(self._graph)
        self._lowering = Lowering()
        self._run = jax.jit(self._traced)

    def __call__(self, arguments: Mapping[str, Array], stopped: Stopped | None = None) -> dict[str, Array]:
        """The outputs by name; see `Prepared`."""
        _check(stopped)
        # Only here: whoever uses JAX beside us may want other precisions.
        with jax.enable_x64(True):
            outputs, flags = self._run([np.asarray(arguments[given.name]) for given in self._graph.inputs])
        positions = np.asarray(flags)
        for guard, position in zip(self._guards, positions.tolist(), strict=True):
            if position != NOWHERE:
                raise self._refusal(guard, position)
        _check(stopped)
        return {o.name: np.asarray(array) for o, array in zip(self._graph.outputs, outputs, strict=True)}

    def _traced(self, arguments: list[Any]) -> tuple[list[Any], Any]:
        outputs, flags = self._lowering.run(self._graph, arguments)
        return outputs, jnp.stack(flags) if flags else jnp.zeros(0, jnp.int64)

    def _refusal(self, found: Guarded, position: int) -> GradserveError:
        op = found.graph.nodes[found.position].op
        flags = np.zeros(self._lowering.shapes[id(found.graph), found.position, found.guard.constraint], bool)
        flags.flat[position] = True
        return located(refusal(op, found.guard, flags), found.graph, found.position)


def _check(stopped: Stopped | None) -> None:
    if stopped is not None and stopped():
        raise Cancelled("the work was stopped before or after the whole program")
