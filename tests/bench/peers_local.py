"""Who computes a workload's value and gradient on this machine: gradserve, HIPS autograd, JAX."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from gradserve.client import Function
from gradserve.ir.graph import Graph
from tests.bench import models, workloads
from tests.bench.timing import Here, Turn
from tests.bench.workloads import Workload
from tests.running import prepared

Result = tuple[Any, Sequence[Any]]
"""A value and its gradients, one for each parameter."""
CLOSE = 1e-9
"""The largest relative difference between two right gradients."""


def engine(workload: Workload, graph: Graph, executor: str) -> Callable[[], Result]:
    """A prepared program on an executor, as a worker runs it."""
    program = prepared(graph, executor)
    value = next(name for name in graph.output_types if name.startswith("value:"))
    gradients = [f"gradient:{name}" for name in workload.parameters]

    def call() -> Result:
        outputs = program(workload.parameters)
        return outputs[value], [outputs[name] for name in gradients]

    return call


def client(workload: Workload, function: Function) -> Callable[[], Result]:
    """The same through `Client()`: arguments checked, cost predicted, limits looked at, chunks run on threads."""
    point, single = workload.point, len(workload.parameters) == 1

    def call() -> Result:
        value, gradients = function.value_and_grad(*point)
        return value, [gradients] if single else list(gradients.values())

    return call


def warm(function: Function, call: Callable[[], Result], seconds: float = 20.0) -> None:
    """Calls until the program has become machine code."""
    stop = time.monotonic() + seconds
    while time.monotonic() < stop and function.last_report is not None and function.last_report.executor != "fused":
        call()


def autograd(workload: Workload) -> Callable[[], Result]:
    """HIPS autograd on its own NumPy."""
    import autograd
    import autograd.numpy

    positions = tuple(range(len(workload.parameters)))
    function = autograd.value_and_grad(workload.using(autograd.numpy), positions)
    point = workload.point
    return lambda: function(*point)


def difference(found: Result, expected: Result) -> float:
    """The largest difference of a value or a gradient, relative to the largest entry expected."""
    pairs = [(found[0], expected[0]), *zip(found[1], expected[1], strict=True)]
    return max(float(np.max(np.abs(np.asarray(x) - y)) / (np.max(np.abs(y)) or 1.0)) for x, y in pairs)


class Jax:
    """jax.jit in a process of its own, held to one core, which leaves XLA one thread."""

    def __init__(self, name: str = "jax") -> None:
        """Starts the process; tables call it `name`."""
        self.name = name
        spawn = multiprocessing.get_context("spawn")
        self._here, there = spawn.Pipe()
        self._process = spawn.Process(target=_serve_jax, args=(there,), daemon=True)
        self._process.start()
        there.close()

    def load(self, name: str) -> Result:
        """Compiles the value and gradient of the workload of that name and returns them.

        `hvp NAME` is its Hessian product, `jacfwd 10` and `jacrev 10` are the Jacobian of ten outputs, in place of the
        value; `vmap 1000` is the toy at so many points; `gradbench lse gradient` is that row of GradBench's, in
        processor time.
        """
        self._here.send(name)
        result: Result = self._here.recv()
        return result

    def turn(self, calls: int) -> Turn:
        self._here.send(calls)
        turn: Turn = self._here.recv()
        return turn

    def close(self) -> None:
        """Ends the process."""
        self._here.close()
        self._process.join(10)


def _serve_jax(pipe: Connection) -> None:
    """Loads workloads by name and runs turns of them, as asked through the pipe."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    subject = Here("jax", lambda: None)
    while True:
        try:
            wanted = pipe.recv()
        except EOFError:
            return
        if isinstance(wanted, int):
            pipe.send(subject.turn(wanted))
            continue
        subject = _jax_subject(wanted)
        value, gradients = subject.call()
        pipe.send((np.asarray(value), [np.asarray(gradient) for gradient in gradients]))


def _jax_subject(name: str) -> Here:
    """What is timed under that name."""
    kind, _, rest = name.partition(" ")
    if kind == "gradbench":
        from tests.bench.gradbench_jax import call_of

        return Here("jax", call_of(rest), time.process_time)
    if kind == "vmap":
        return Here("jax", _jax_batch(int(rest)))
    if kind == "hvp":
        return Here("jax", _jax_product(models.make(rest)))
    return Here("jax", _jax_jacobian(*name.split()) if rest else _jax_call(models.make(name)))


def _jax_product(workload: Workload) -> Callable[[], Result]:
    import jax
    import jax.numpy

    loss, many = workload.using(jax.numpy), range(len(workload.parameters))
    gradient = jax.grad(loss, tuple(many))
    product = jax.jit(lambda point, tangents: jax.jvp(gradient, point, tangents)[1])
    point, tangents = (
        tuple(jax.numpy.asarray(array) for array in arrays) for arrays in (workload.point, models.directions(workload))
    )
    return lambda: (0.0, jax.block_until_ready(product(point, tangents)))


def _jax_batch(count: int) -> Callable[[], Result]:
    import jax
    import jax.numpy

    gradient = jax.value_and_grad(workloads.make("a_toy").using(jax.numpy), (0, 1))
    function = jax.jit(jax.vmap(gradient))
    points = [jax.numpy.asarray(point) for point in models.toy_points(count)]
    return lambda: jax.block_until_ready(function(*points))


def _jax_call(workload: Workload) -> Callable[[], Result]:
    import jax
    import jax.numpy

    positions = tuple(range(len(workload.parameters)))
    function = jax.jit(jax.value_and_grad(workload.using(jax.numpy), positions))
    point = [jax.numpy.asarray(parameter) for parameter in workload.point]
    return lambda: jax.block_until_ready(function(*point))


def _jax_jacobian(mode: str, outputs: str) -> Callable[[], Result]:
    import jax
    import jax.numpy

    workload = workloads.jacobian_network(int(outputs))
    function = jax.jit(getattr(jax, mode)(workload.using(jax.numpy)))
    point = [jax.numpy.asarray(parameter) for parameter in workload.point]
    return lambda: (jax.block_until_ready(function(*point)), [])
