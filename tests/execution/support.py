"""Schedules of the benchmark's losses and of random graphs, and their steps run one at a time."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradserve.autodiff import derive
from gradserve.client import Client
from gradserve.execution import instance_of
from gradserve.execution.numpy.executor import kernel
from gradserve.execution.numpy.schedule import NumpySchedule, Step, schedule_of
from gradserve.ir.graph import Graph, Literal
from gradserve.ir.types import Array
from gradserve.optimize import optimize
from gradserve.questions.derivations import Derivation, Evaluate, Gradient, Hvp
from tests.bench.workloads import MAKERS, Workload, make

SCALE = 0.2
WORKLOADS = tuple(MAKERS)
DERIVATIONS = ("evaluate", "gradient", "hvp")


@functools.cache
def workload(name: str) -> Workload:
    return make(name, SCALE)


@functools.cache
def graph(name: str) -> Graph:
    """The graph of a workload's loss."""
    with Client() as client:
        return client.function(workload(name).using(np), *workload(name).point).graph


def derivation(kind: str, wrt: tuple[str, ...]) -> Derivation:
    known: dict[str, Derivation] = {"evaluate": Evaluate(), "gradient": Gradient(wrt), "hvp": Hvp(wrt)}
    return known[kind]


@dataclass(frozen=True)
class Scheduled:
    """A schedule, and the constants of the graph that it came from."""

    schedule: NumpySchedule
    constants: dict[str, Array]

    @property
    def graph(self) -> Graph:
        return self.schedule.program.graph


def scheduled(of: Graph) -> Scheduled:
    instance = instance_of(of)
    return Scheduled(schedule_of(instance.program), instance.arrays)


@functools.cache
def scheduled_workload(name: str, kind: str) -> Scheduled:
    return scheduled(optimize(derive(graph(name), derivation(kind, tuple(workload(name).parameters)))))


def arguments(of: Scheduled, known: dict[str, Any]) -> dict[str, Any]:
    """The known arguments, constants, and random numbers for tangents."""
    rng, known = np.random.default_rng(3), {**of.constants, **known}
    return {i.name: known[i.name] if i.name in known else rng.standard_normal(i.type.lengths) for i in of.graph.inputs}


@dataclass(frozen=True)
class Moment:
    """Just after a step: its results, and the bytes alive before and after its dead values are freed."""

    step: Step
    results: tuple[Any, ...]
    live_bytes: int
    kept_bytes: int


def moments(of: Scheduled, known: dict[str, Any]) -> Iterator[Moment]:
    """Runs the steps with the executor's own kernels, one at a time."""
    given = [np.array(known[i.name]) for i in of.graph.inputs]
    leaves = given + [c.array for c in of.graph.constants if isinstance(c, Literal)]
    values: dict[int, Any] = dict(enumerate(a if a.ndim else a[()] for a in leaves))
    always = {id(_buffer(value)): _buffer(value) for value in values.values()}
    for step in of.schedule.steps:
        out = {} if step.reuses is None else {"out": values[step.reuses]}
        made = kernel(step)(*(values[k] for k in step.operands), **out)
        made = made if isinstance(made, tuple) else (made,)
        values.update(zip(step.results, made, strict=True))
        live = _bytes(values, always)
        for dead in step.frees:
            del values[dead]
        yield Moment(step, made, live, _bytes(values, always))


def _buffer(array: Any) -> Any:
    """What owns the memory; a NumPy scalar owns its own."""
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return array


def _bytes(values: dict[int, Any], always: dict[int, Any]) -> int:
    buffers = always | {id(_buffer(value)): _buffer(value) for value in values.values()}
    return sum(buffer.nbytes for buffer in buffers.values())
