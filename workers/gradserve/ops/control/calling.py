"""Ops that call functions: closed graphs that read their inputs and nothing else."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph, Literal
from gradserve.ir.guards import enforce
from gradserve.ir.op import Cost, Op
from gradserve.ir.types import Array, TensorType
from gradserve.ops.family import require

Function: TypeAlias = Callable[..., Sequence[Array]]
"""What computes the outputs of a graph, in their order, from its inputs."""


class Calling(Op):
    """Calls its functions on parts of its operands.

    The transforms of such an op are made of the same transforms of its functions, so they are in `autodiff.control`.
    """

    arity = None

    @property
    @abstractmethod
    def calls(self) -> int:
        """How often a function is called, at most."""

    @abstractmethod
    def run(self, xp: Any, functions: Mapping[str, Function], *arrays: Array) -> list[Array]:
        """The results in the array namespace `xp`, given what computes each function."""

    def impl(self, xp: Any, *arrays: Array) -> Any:
        """The results, with functions computed node by node."""
        callables = {
            name: functools.partial(interpret, xp, graph, functools.partial(_results, xp))
            for name, graph in self.functions.items()
        }
        return unpacked(self.run(xp, callables, *arrays))

    def numbers(self, *arrays: Array) -> tuple[Array, ...]:
        """The results in NumPy, with guards of what the functions compute."""
        callables = {name: functools.partial(interpret, np, graph, _numbers) for name, graph in self.functions.items()}
        results = self.run(np, callables, *arrays)
        enforce(self, arrays, results)
        return tuple(results)

    def batch(self, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int) -> tuple[Value, ...]:
        """Not here: it needs the transform of graphs."""
        raise TypeError(f"{self.name} is batched by autodiff.control")

    def cost(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
        """That of the costliest function, as often as one is called."""
        costs = [_function_cost(function) for function in self.functions.values()]
        return Cost(
            flops=self.calls * max(cost.flops for cost in costs),
            bytes=self.calls * max(cost.bytes for cost in costs) + sum(t.nbytes for t in results),
        )


def _results(xp: Any, op: Op, *arrays: Array) -> tuple[Array, ...]:
    return op.results(xp, *arrays)


def _numbers(op: Op, *arrays: Array) -> tuple[Array, ...]:
    return op.numbers(*arrays)


def interpret(xp: Any, graph: Graph, results: Callable[..., tuple[Array, ...]], *arrays: Array) -> list[Array]:
    """The outputs of a function on arrays of a namespace, node by node; `results` gives those of an op at operands."""
    values = [*arrays]
    values += [xp.asarray(constant.array) for constant in graph.constants if isinstance(constant, Literal)]
    for node in graph.nodes:
        values += results(node.op, *(values[k] for k in node.operands))
    return [values[output.value] for output in graph.outputs]


def unpacked(results: Sequence[Array]) -> Any:
    """The only result, or a tuple of several: what executors take from an op."""
    return results[0] if len(results) == 1 else tuple(results)


def require_signature(function: Graph, inputs: Sequence[TensorType], constraint: str) -> None:
    """Sees that a function takes these types."""
    taken = [i.type for i in function.inputs]
    text = f"the function takes {_listed(taken)}; it is given {_listed(inputs)}"
    require(taken == list(inputs), constraint, text)


def output_types(function: Graph) -> list[TensorType]:
    """The types of a function's outputs, in their order."""
    return [function.value_types[output.value] for output in function.outputs]


def _listed(types: Sequence[TensorType]) -> str:
    return ", ".join(map(str, types)) or "nothing"


def graph_cost(graph: Graph) -> Cost:
    """The cost of all nodes of a concrete graph."""
    types = graph.value_types
    known: dict[tuple[int, ...], Cost] = {}
    flops = moved = 0.0
    for node in graph.nodes:  # most of which share their ops and their types with others
        operands = [types[k] for k in node.operands]
        kind = (id(node.op), *map(id, operands))
        cost = known.get(kind)
        if cost is None:
            cost = known[kind] = node.op.cost(operands, node.types)
        flops += cost.flops
        moved += cost.bytes
    return Cost(flops, moved)


_function_cost = functools.lru_cache(maxsize=1024)(graph_cost)
