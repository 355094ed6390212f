"""Programs as functions that JAX can trace: every op by its own mathematics on `jax.numpy`, or by a lowering of ours.

Refusals depend on numbers, and compiled code cannot raise. So the guards of all nodes, those of functions included, are
one more output: for each the first position at which it refuses, or -1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import jax.numpy as jnp
from jax import lax

from gradserve.execution.xla.lowerings import lowered
from gradserve.ir.graph import Graph, Literal, Node
from gradserve.ir.guards import Guard
from gradserve.ir.records import dataclass
from gradserve.ir.types import TensorType
from gradserve.ops.control.calling import output_types
from gradserve.ops.control.cond import Cond
from gradserve.ops.control.once import Once
from gradserve.ops.control.scan import Scan

NOWHERE = -1
Traced: TypeAlias = Any
"""An array that JAX traces."""
Call: TypeAlias = Callable[..., tuple[list[Traced], list[Traced]]]
"""A function of a node: of its inputs, to its outputs and its flags."""


@dataclass(frozen=True)
class Guarded:
    """A guard at its node."""

    graph: Graph
    position: int
    guard: Guard


def guarded(graph: Graph) -> list[Guarded]:
    """All guards of a graph, in the order of their flags: of each node its own, then those of its functions."""
    found = []
    for position, node in enumerate(graph.nodes):
        found += [Guarded(graph, position, guard) for guard in node.op.guards]
        for function in node.op.functions.values():
            found += guarded(function)
    return found


class Lowering:
    """A graph lowered while JAX traces it."""

    def __init__(self) -> None:
        """`shapes` will hold the shape of each guard's test, by guard."""
        self.shapes: dict[tuple[int, int, str], tuple[int, ...]] = {}

    def run(self, graph: Graph, arguments: Sequence[Traced]) -> tuple[list[Traced], list[Traced]]:
        """The outputs of a graph in their order, and its flags."""
        values = [*arguments, *(jnp.asarray(c.array) for c in graph.constants if isinstance(c, Literal))]
        flags: list[Traced] = []
        types = graph.value_types
        for position, node in enumerate(graph.nodes):
            operands = [values[k] for k in node.operands]
            results, inner = self._node(node, operands, [types[k] for k in node.operands])
            results = [jnp.asarray(r, t.element_type.dtype) for r, t in zip(results, node.types, strict=True)]
            for guard in node.op.guards:
                test = jnp.asarray(guard.test(node.op, jnp, operands, results))
                self.shapes[id(graph), position, guard.constraint] = test.shape
                flags.append(_first(test))
            flags += inner
            values += results
        return [values[output.value] for output in graph.outputs], flags

    def _node(
        self, node: Node, operands: Sequence[Traced], types: Sequence[TensorType]
    ) -> tuple[Sequence[Traced], list[Traced]]:
        op = node.op
        calls = {name: self._call(function) for name, function in op.functions.items()}
        match op:
            case Scan():
                return _scan(op, calls["body"], len(guarded(op.body)), operands)
            case Cond():
                return _cond(op, calls, operands)
            case Once():
                return _once(op, calls["function"], operands)
        return lowered(op, node, operands, types), []

    def _call(self, function: Graph) -> Call:
        return lambda *arguments: self.run(function, arguments)


def _first(test: Traced) -> Traced:
    """The first position of a true flag, counted through the flattened array, or NOWHERE."""
    if not test.size:
        return jnp.asarray(NOWHERE)
    flat = jnp.ravel(test)
    return jnp.where(jnp.any(flat), jnp.argmax(flat), NOWHERE)


def _scan(op: Scan, body: Call, guards: int, operands: Sequence[Traced]) -> tuple[Sequence[Traced], list[Traced]]:
    steps, carries, scanned, shared = op.parts(operands)
    first = int(op.stops)
    types = output_types(op.body)[first + op.carries :]
    stacked = [jnp.zeros((op.length, *t.lengths), t.element_type.dtype) for t in types]
    nothing = [jnp.asarray(NOWHERE)] * guards
    if not op.length:
        return [*[jnp.asarray(op.cut_off(0, True, steps), int)] * first, *carries, *stacked], nothing
    count = jnp.minimum(steps, op.length)

    def goes_on(state: Any) -> Traced:
        done, wanted, *_ = state
        return jnp.logical_and(done < count, wanted)

    def step(state: Any) -> Any:
        done, _, carries, stacked, flags = state
        row = count - 1 - done if op.reverse else done
        rows = [lax.dynamic_index_in_dim(array, row, 0, keepdims=False) for array in scanned]
        outputs, found = body(*carries, *rows, *shared)
        made = zip(stacked, outputs[first + op.carries :], strict=True)
        return (
            done + 1,
            outputs[0] if op.stops else jnp.asarray(True),
            outputs[first : first + op.carries],
            [lax.dynamic_update_index_in_dim(into, output, row, 0) for into, output in made],
            [jnp.where(old == NOWHERE, new, old) for old, new in zip(flags, found, strict=True)],
        )

    start = (jnp.asarray(0), jnp.asarray(True), list(carries), stacked, nothing)
    done, wanted, last, rows, flags = lax.while_loop(goes_on, step, start)
    return [*[done + op.cut_off(done, wanted, steps)] * first, *last, *rows], flags


def _once(op: Once, function: Call, operands: Sequence[Traced]) -> tuple[Sequence[Traced], list[Traced]]:
    # Behind a barrier: XLA would find that what is to be computed again is known.
    outputs, flags = function(*lax.optimization_barrier(tuple(operands)))  # type: ignore[no-untyped-call]
    uncalled = [each for name, graph in op.functions.items() if name != "function" for each in guarded(graph)]
    return outputs, [*flags, *[jnp.asarray(NOWHERE)] * len(uncalled)]


def _cond(op: Cond, calls: Mapping[str, Call], operands: Sequence[Traced]) -> tuple[Sequence[Traced], list[Traced]]:
    truth, *others = operands
    quiet = {name: [jnp.asarray(NOWHERE)] * len(guarded(function)) for name, function in op.functions.items()}

    def then(*arguments: Traced) -> tuple[list[Traced], list[Traced]]:
        outputs, flags = calls["then"](*arguments)
        return outputs, [*flags, *quiet["otherwise"]]

    def otherwise(*arguments: Traced) -> tuple[list[Traced], list[Traced]]:
        outputs, flags = calls["otherwise"](*arguments)
        return outputs, [*quiet["then"], *flags]

    outputs, flags = lax.cond(truth, then, otherwise, *others)
    return outputs, flags
