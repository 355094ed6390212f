"""What it takes to count the nodes that sit on a kink, in small gradients."""

from __future__ import annotations

import functools
import time
from typing import Any

import numpy as np

from gradserve.client import Client
from tests.bench.report import Screen, Section, duration, time_floor
from tests.bench.timing import Here, Timing, interleave, ratio, turns

COUNTED = 1.03
"""The most of the time without counting."""
_CAUSE = "one more output of a program is about a microsecond of Python, whatever the graph takes"
_RNG = np.random.default_rng(0)
_X, _Y = _RNG.standard_normal((64, 16)), _RNG.standard_normal((64, 1))


def _network(first: Any, second: Any) -> Any:
    return np.mean((np.maximum(_X @ first, 0.0) @ second - _Y) ** 2)


def _lasso(w: Any) -> Any:
    return np.mean((_X @ w - _Y[:, 0]) ** 2) + 0.1 * np.sum(np.abs(w))


def _huber(w: Any) -> Any:
    return np.sum(np.where(np.abs(w) < 1.0, 0.5 * w * w, np.abs(w) - 0.5))


def _hinge(w: Any) -> Any:
    return np.mean(np.maximum(0.0, 1.0 - _Y[:, 0] * (_X @ w)))


LOSSES: dict[str, tuple[Any, ...]] = {
    "network of 16-8-1, rectified, 64 examples": (_network, (16, 8), (8, 1)),
    "lasso, 64 x 16": (_lasso, (16,)),
    "Huber's loss of 1000": (_huber, (1000,)),
    "hinge loss, 64 x 16": (_hinge, (16,)),
}


def counted(seconds: float, screen: Screen) -> Section:
    """Processor times with and without counting."""
    rows, floors = [], []
    with Client(threads=1) as client:
        for name, (loss, *shapes) in LOSSES.items():
            times = _times(client, loss, [_RNG.standard_normal(shape) for shape in shapes], seconds)
            of_plain = ratio(times["counted"], times["plain"])
            rows.append((name, *(duration(t.median) for t in times.values()), str(of_plain), turns(times)))
            floors.append(time_floor(f"{name}: time with kinks counted of that without", of_plain, COUNTED, _CAUSE))
            screen.line(str(floors[-1]))
    header = ("loss", "counted", "not counted", "ratio", "turns")
    text = "Value and gradient through `Client(threads=1)` as machine code, processor time, interleaved turns."
    return Section("Kinks counted", text, header, rows, floors)


def _times(client: Client, loss: Any, point: list[Any], seconds: float) -> dict[str, Timing]:
    subjects = []
    for name in ("counted", "plain"):
        function = client.function(loss, *point)
        function.executor, function.count_kinks = "fused", name == "counted"
        call = functools.partial(function.value_and_grad, *point)
        call()
        subjects.append(Here(name, call, time.process_time))
    return interleave(subjects, seconds)
