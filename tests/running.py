"""Graphs run as they are, without a job around them."""

from collections.abc import Callable, Mapping

from gradserve.execution import Program, Schedule, instance_of
from gradserve.execution import executor as executor_of
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array


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
