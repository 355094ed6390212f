"""Graphs run as they are, without a job around them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from gradserve.execution import Program, Schedule, instance_of
from gradserve.execution import executor as executor_of
from gradserve.execution.numpy.executor import calling
from gradserve.execution.numpy.kernels.table import made
from gradserve.execution.numpy.schedule import schedule_of as numpy_schedule
from gradserve.ir.graph import Graph
from gradserve.ir.op import Op
from gradserve.ir.types import Array, TensorType
from gradserve.ops.control.calling import Calling


def program_of(graph: Graph) -> Program:
    """The program of a concrete graph."""
    return instance_of(graph).program


def schedule_of(graph: Graph, executor: str = "numpy") -> Schedule:
    """How an executor runs a graph."""
    return executor_of(executor).schedule(program_of(graph))


def prepared(graph: Graph, executor: str = "numpy") -> Callable[..., dict[str, Array]]:
    """A function from arguments by name (and perhaps `stopped`) to outputs by name."""
    instance = instance_of(graph)
    run = executor_of(executor).prepare(executor_of(executor).schedule(instance.program))

    def call(arguments: Mapping[str, Array], stopped: Callable[[], bool] | None = None) -> dict[str, Array]:
        return run({**arguments, **instance.arrays}, stopped)

    return call


def kernel_of(op: Op, types: Sequence[TensorType]) -> Callable[..., Any]:
    """NumPy's kernel of an op on operands of these types, with the schedules of functions that it calls."""
    if not isinstance(op, Calling):
        return made(op, types)
    schedules = {name: numpy_schedule(program_of(graph)) for name, graph in op.functions.items()}
    return partial(calling(op, schedules), lambda: None)
