"""GradBench's evaluations through the public client against JAX: `make bench BENCH_ARGS="--only gradbench"`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradserve.client import Client
from tests.bench.peers_local import CLOSE, Jax
from tests.bench.report import Screen, Section, duration, time_floor
from tests.bench.timing import Here, Timing, interleave, ratio, turns
from tests.thirdparty.gradbench import inputs
from tests.thirdparty.gradbench.evaluations import EVALUATIONS

AS_FAST = 1.0
LIMITS = {"lstm": 1.2, "particle": 2.0, "saddle": 2.0}
"""Of JAX's time, by evaluation, where it is another than `AS_FAST`."""
CAUSES = {
    "gmm jacobian d10 k25": "its passes are over rows of ten, in arrays of two orders of axes",
    "ode primal n1000 s100": "each step joins a number and a row four times over, in loops over a thousand elements",
}
"""What keeps rows from being as fast."""
EXECUTORS = ("fused", "numpy")


@dataclass(frozen=True)
class Row:
    """A function of an evaluation at one size."""

    module: str
    function: str
    size: str
    make: Callable[[], Any]

    @property
    def name(self) -> str:
        return " ".join(filter(None, (self.module, self.function, self.size)))


def _rows(module: str, functions: str, *sizes: tuple[str, Callable[[], Any]]) -> list[Row]:
    return [Row(module, function, size, make) for size, make in sizes for function in functions.split()]


ROWS = {
    row.name: row
    for row in (
        *_rows("ba", "objective jacobian", ("31843", lambda: inputs.ba(49, 7776, 31843))),
        *_rows("det", "primal gradient", *((str(n), lambda n=n: inputs.det(n)) for n in (9, 10, 11))),
        *_rows("gmm", "objective jacobian", ("d10 k25", lambda: inputs.gmm(10, 25))),
        *_rows("ht", "objective jacobian", ("small", lambda: inputs.ht(544, 100))),
        *_rows("ht", "objective jacobian", ("big", lambda: inputs.ht(10000, 100))),
        *_rows("kmeans", "cost", ("k1000", lambda: inputs.kmeans(1000, 10000, 8))),
        *_rows("kmeans", "dir", ("k100", lambda: inputs.kmeans(100, 10000, 8))),
        *_rows("llsq", "primal gradient", ("n4096", lambda: inputs.llsq(4096))),
        *_rows("lse", "primal gradient", ("n10000", lambda: inputs.lse(10000))),
        *_rows("lstm", "objective jacobian", ("l2 c1024", lambda: inputs.lstm(2, 1024))),
        *_rows("lstm", "objective jacobian", ("l4 c4096", lambda: inputs.lstm(4, 4096))),
        *_rows("ode", "primal gradient", ("n1000 s100", lambda: inputs.ode(1000, 100))),
        *_rows("particle", "rr ff", ("", lambda: {"w": 0.0})),
        *_rows("saddle", "rr ff", ("", lambda: {"start": [1.0, 1.0]})),
    )
}


class _Pinned:
    """A client whose functions run on one executor."""

    def __init__(self, client: Client, executor: str) -> None:
        self._client, self._executor = client, executor

    def function(self, *arguments: Any) -> Any:
        function = self._client.function(*arguments)
        function.executor = self._executor
        return function


def compared(names: list[str], seconds: float, screen: Screen) -> Section:
    """Processor times by row; the results agree before anything is timed."""
    timings: dict[str, dict[str, Timing]] = {}
    jax = Jax()
    with Client(timeout=None, threads=1) as client:
        for name in names:
            timings[name] = times = _timed(ROWS[name], client, jax, seconds)
            shown = "  ".join(f"{who} {duration(timing.median):>8}" for who, timing in times.items())
            screen.line(f"{name:24} {shown}  of JAX {ratio(times['fused'], times['jax'])}")
    jax.close()
    header = ("evaluation", "`fused`", "`numpy`", "JAX", "of JAX", "turns")
    rows = [
        (
            f"`{name}`",
            *(f"{duration(timing.median)} ({duration(timing.best)})" for timing in times.values()),
            str(ratio(times["fused"], times["jax"])),
            turns(times),
        )
        for name, times in timings.items()
    ]
    floors = [
        time_floor(
            f"{name}: time of JAX's",
            ratio(times["fused"], times["jax"]),
            LIMITS.get(ROWS[name].module, AS_FAST),
            CAUSES.get(name, ""),
        )
        for name, times in timings.items()
    ]
    text = (
        "The evaluations of [GradBench](https://github.com/gradbench/gradbench) as its tool in `tests/thirdparty` runs "
        "them, calls of `Client(threads=1)` with all their checks, held to an executor. JAX is `jit` of the same "
        "formulas in float64 in a process of its own, held to one core; `particle` and `saddle` are in forward mode, "
        "outside, as JAX cannot go backwards through their loops. Processor time: medians of interleaved turns "
        f"and, in brackets, the best turn. All results agree to {CLOSE:g} before anything is timed."
    )
    return Section("GradBench", text, header, rows, floors)


def _timed(row: Row, client: Client, jax: Jax, seconds: float) -> dict[str, Timing]:
    given = row.make()
    evaluation = EVALUATIONS[row.module][row.function]
    expected = jax.load(f"gradbench {row.name}")[1]
    subjects: list[Any] = []
    for executor in EXECUTORS:
        task: Any = evaluation(_Pinned(client, executor), given)  # type: ignore[arg-type]
        off = _difference(leaves(task.run()), expected)
        assert off < CLOSE, f"{row.name}: {executor} differs from JAX by {off:.1e}"
        subjects.append(Here(executor, task.run, time.process_time))
    return interleave([*subjects, jax], seconds)


def leaves(tree: Any) -> list[Any]:
    """Arrays of dicts, in the order of their keys, of tuples and of records."""
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in leaves(tree[key])]
    if isinstance(tree, tuple):
        return [leaf for each in tree for leaf in leaves(each)]
    return leaves(vars(tree)) if hasattr(tree, "__dataclass_fields__") else [np.asarray(tree)]


def _difference(found: Sequence[Any], expected: Sequence[Any]) -> float:
    """The largest, relative to the largest number of its array."""
    pairs = zip(found, expected, strict=True)
    return max(float(np.max(np.abs(a - b)) / (np.max(np.abs(b)) or 1.0)) for a, b in pairs)
