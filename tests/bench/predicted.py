"""Predicted seconds against those that a processor took, for every workload, derivation and executor."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gradserve.client import Client
from gradserve.client.functions import scan
from gradserve.execution import Program, executor, instance_of
from gradserve.ir.types import Array
from gradserve.jobs.sweeps.pace import pace
from gradserve.questions.derivations import Evaluate, Gradient, Hvp
from tests.bench import workloads
from tests.bench.local import derived_graph, graph_of
from tests.bench.report import Screen, Section, duration

EXECUTORS = ("numpy", "fused", "xla")
WITHIN = 2.0
"""How far a prediction may be off, either way."""
CALLS = 7
LEAST_SECONDS = 5e-3
"""Of what is timed at once: calls that are shorter are made several times."""


def predictions(names: Sequence[str], screen: Screen) -> Section:
    """A row for every program: predicted and measured seconds on each executor."""
    rows, off = [], 0
    for title, program, arguments in _programs(names):
        cells = []
        for name in EXECUTORS:
            schedule = executor(name).schedule(program)
            prepared = executor(name).prepare(schedule)
            taken = _processor_seconds(functools.partial(prepared, arguments))
            told = schedule.seconds * pace()
            ratio = told / taken
            off += not 1 / WITHIN <= ratio <= WITHIN
            cells.append(f"{duration(told)} : {duration(taken)} = {ratio:.2f}")
        rows.append((title, *cells))
        screen.line(f"{title:24} " + "   ".join(f"{n} {c}" for n, c in zip(EXECUTORS, cells, strict=True)))
    text = (
        "What `f.explain` predicts for one core, what a processor took (the least of several calls, of all threads), "
        "and the ratio of the two. The figures that predictions are made of are the same on every machine, because "
        f"chunks, and with them bits, are made by them; what is told is multiplied by {pace():.2f}, the pace of this "
        f"machine. {off} of {len(rows) * len(EXECUTORS)} are off by more than "
        f"{WITHIN:g}: XLA's mostly, which sums and multiplies matrices in its own way, and those whose data a cache "
        "may hold or not."
    )
    screen.line(f"{off} of {len(rows) * len(EXECUTORS)} predictions are off by more than {WITHIN:g}")
    return Section("Predicted time", text, ("program", *EXECUTORS), rows)


def _processor_seconds(call: Callable[[], Any]) -> float:
    """The least processor time of a call, of all threads of this process."""
    call()
    began = time.process_time()
    call()
    once = max(time.process_time() - began, 1e-7)
    repetitions = max(1, int(LEAST_SECONDS / once))
    found = []
    for _ in range(CALLS):
        began = time.process_time()
        for _ in range(repetitions):
            call()
        found.append((time.process_time() - began) / repetitions)
    return min(found)


def _programs(names: Sequence[str]) -> Iterator[tuple[str, Program, Mapping[str, Array]]]:
    """Programs with their arguments: of workloads, and of loops."""
    made = {name: workloads.make(name) for name in names} | LOOPS
    with Client() as embedded:
        for name, workload in made.items():
            graph, wrt = graph_of(workload, embedded), tuple(workload.parameters)
            tangents = {f"tangent:{key}": np.ones_like(array) for key, array in workload.parameters.items()}
            for derivation in (Evaluate(), Gradient(wrt), Hvp(wrt, product_only=True)):
                instance = instance_of(derived_graph(graph, derivation))
                program, given = instance.program, {**workload.parameters, **tangents, **instance.arrays}
                arguments = {each.name: np.asarray(given[each.name]) for each in program.graph.inputs}
                yield f"`{name}` {type(derivation).__name__}", program, arguments


def _loop(
    name: str, title: str, step: Callable[[Any, Any], Any], carry: Any, rows: Any = None, length: int | None = None
) -> workloads.Workload:
    def loss(xp: Any, w: Any) -> Any:
        last, _ = scan(lambda c, row: (step(w, c) if row is None else step(w, c) + row, None), carry, rows, length)
        return xp.sum(last * last)

    return workloads.Workload(name, title, loss, {"w": np.asarray(carry) * 0.5 + 0.3})


_RNG = np.random.default_rng(7)
_M = _RNG.standard_normal((32, 32)) / 8
LOOPS = {
    loop.name: loop
    for loop in (
        _loop("l_map", "logistic map", lambda w, c: 3.5 * w * c * (1.0 - c), np.array(0.4), length=1000),
        _loop("l_sines", "a sine a step", lambda w, c: np.sin(c + w), np.array(0.4), length=1000),
        _loop("l_cell", "a recurrent cell", lambda w, c: np.tanh(_M @ c + w), np.zeros(32), length=200),
        _loop("l_rows", "vectors", lambda w, c: 0.9 * c + w, np.zeros(1000), _RNG.standard_normal((200, 1000))),
    )
}
"""Functions whose steps are done one after the other."""
