"""The pace of this machine: by what predictions are multiplied before they are told, and for nothing else.

Costs are those of one server, the same everywhere, because chunks and bits depend on them. A reader wants the seconds
of the machine at hand, which may be twice as fast.
"""

from __future__ import annotations

import functools
import math
import time

import numpy as np

from gradserve.execution.executors import executor
from gradserve.execution.program import instance_of
from gradserve.ir.graph import Graph
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder
from gradserve.ops.contraction.contract import matrix_product
from gradserve.runtime.blas import ONE_BLAS_THREAD

_RUNS = 5
"""Of each yardstick, of which the quickest counts: whatever else the machine does only delays them."""


@functools.cache
def pace() -> float:
    """What a second of predictions takes here, in seconds: measured once in a process, in some milliseconds."""
    ratios = [_measured(graph) for graph in (_steps(), _product(), _reading(), _functions())]
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def _measured(graph: Graph) -> float:
    """What a program takes, in multiples of what is predicted for it."""
    instance, numpy = instance_of(graph), executor("numpy")
    schedule = numpy.schedule(instance.program)
    run = numpy.prepare(schedule)
    given = {i.name: np.full(i.type.lengths, 0.5) for i in graph.inputs} | dict(instance.arrays)
    taken = []
    with ONE_BLAS_THREAD:
        for _ in range(_RUNS):
            began = time.thread_time()
            run(given)
            taken.append(time.thread_time() - began)
    return min(taken) / schedule.seconds


def _steps() -> Graph:
    """Many steps on few numbers."""
    g = builder()
    x = g.input("x", TensorType(ElementType.FLOAT64, (4,)))
    y = x
    for _ in range(50):
        y = g.mul(g.add(y, x), x)
    return g.finished({"y": y})


def _product() -> Graph:
    """Two matrices multiplied."""
    g = builder()
    x = g.input("x", TensorType(ElementType.FLOAT64, (128, 128)))
    return g.finished({"y": matrix_product(g, x, x)})


def _reading() -> Graph:
    """A matrix that no cache holds, with a vector."""
    g = builder()
    a, x = (g.input(name, TensorType(ElementType.FLOAT64, (1000, n))) for name, n in (("a", 1000), ("x", 1)))
    return g.finished({"y": matrix_product(g, a, x)})


def _functions() -> Graph:
    """Elementary functions of many numbers."""
    g = builder()
    x = g.input("x", TensorType(ElementType.FLOAT64, (10_000,)))
    return g.finished({"y": g.mul(g.exp(x), g.sin(x))})
