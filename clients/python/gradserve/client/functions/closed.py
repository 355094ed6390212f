"""Functions that a graph calls: traced once, and closed, so that all they read are their inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradserve.client.tracing.choices import on_all_ways
from gradserve.client.tracing.current import current
from gradserve.client.tracing.origins import untraceable
from gradserve.client.tracing.recording import recording
from gradserve.client.tracing.trace import flat_result
from gradserve.client.tracing.traced import as_array
from gradserve.client.tracing.tracer import Tracer, tracers
from gradserve.client.tracing.trees import Structure, flatten, unflatten
from gradserve.ir import evaluate
from gradserve.ir.builder import Value
from gradserve.ir.graph import Graph, Input, Literal
from gradserve.ir.op import Op
from gradserve.ir.records import dataclass
from gradserve.ir.types import TensorType, type_of
from gradserve.numpy.recorder import Recorder
from gradserve.ops.control.derivatives import Derivative


@dataclass(frozen=True)
class Tree:
    """A tree of arrays, traced or not: its leaves by path, and its structure."""

    leaves: tuple[tuple[str, Any], ...]
    structure: Structure

    @staticmethod
    def of(tree: Any, name: str) -> Tree:
        """The tree, whose paths begin with a name."""
        leaves, structure = flatten(tree, name)
        return Tree(tuple(leaves), structure)

    @property
    def types(self) -> list[TensorType]:
        """The types of its leaves."""
        return [leaf.value.type if isinstance(leaf, Tracer) else type_of(as_array(leaf, p)) for p, leaf in self.leaves]

    def adapted(self, types: Sequence[TensorType]) -> Tree:
        """The tree with Python's numbers as scalars of these types."""
        leaves = tuple(
            (path, np.array(leaf, t.element_type.dtype) if type(leaf) in (bool, int, float) and not t.rank else leaf)
            for (path, leaf), t in zip(self.leaves, types, strict=True)
        )
        return Tree(leaves, self.structure)

    def values(self, g: Recorder) -> list[Value]:
        """Its leaves as values of a graph."""
        return [
            g.adopt(leaf.value) if isinstance(leaf, Tracer) else g.constant(as_array(leaf, path))
            for path, leaf in self.leaves
        ]


class Closed:
    """A traced function of trees."""

    def __init__(
        self,
        outer: Recorder,
        function: Callable[..., Any],
        *arguments: tuple[Structure, Sequence[TensorType]],
        continues: bool = False,
    ) -> None:
        """Calls the function on arrays without elements: once, unless it chooses by numbers."""
        self.recorder = Recorder(outer, continues)
        leaves = enumerate(type_ for _, types in arguments for type_ in types)
        self.inputs = [self.recorder.input(f"x{k}", type_) for k, type_ in leaves]
        given = iter(self.inputs)
        leaves_of = [[next(given) for _ in types] for _, types in arguments]

        def run() -> Any:
            # With trees and memories of its own each time: the function may change what it is given.
            return function(
                *(
                    unflatten(structure, tracers(leaves))
                    for (structure, _), leaves in zip(arguments, leaves_of, strict=True)
                )
            )

        with recording(self.recorder):
            outputs, self.structure = flat_result(self.recorder, on_all_ways(run))
        self.paths = tuple(outputs)
        self.outputs = list(outputs.values())

    @property
    def types(self) -> list[TensorType]:
        """The types of what it returns."""
        return [value.type for value in self.outputs]

    def reads(self, outputs: Sequence[Value]) -> list[Value]:
        """The values around it that these outputs need."""
        live = self.recorder.live(outputs)
        return [outer for outer, inner in self.recorder.captured.values() if inner.index in live]

    def graph(self, outputs: Sequence[Value], captured: Sequence[Value]) -> Graph:
        """The function of its arguments, and of these values around it."""
        inputs = [*self.inputs, *(self.recorder.adopt(value) for value in captured)]
        graph = self.recorder.build({f"y{k}": value for k, value in enumerate(outputs)}, inputs)
        # What is captured was numbered in the order in which it was met, which says nothing.
        return replace(graph, inputs=tuple(Input(f"x{k}", i.type) for k, i in enumerate(graph.inputs)))


TRACED_INSTEAD = "put this line into a function of what it needs, and call that one by Client().function(...)"
"""What to do about derivatives within functions that nobody traces."""


def around() -> Recorder:
    """The graph in which a function would be called: a new one where nothing is being traced."""
    return current() or Recorder()


def applied(g: Recorder, op: Op, operands: Sequence[Value]) -> list[Any]:
    """The results of an op: numbers if all its operands are known, and traced arrays otherwise.

    Functions that name derivatives have no numbers here.

    Raises:
        Untraceable: there are such functions, and nothing is being traced.
    """
    literals = [literal for literal in map(g.literal, operands) if isinstance(literal, Literal)]
    named = any(function.holds(Derivative) for function in op.functions.values())
    if named and current() is None:
        raise untraceable("a derivative is asked for where no function is being traced", TRACED_INSTEAD)
    if named or len(literals) < len(operands):
        return list(tracers(g.apply(op, operands)))
    return [array[()] for array in evaluate.applied(op, [literal.array for literal in literals])]
