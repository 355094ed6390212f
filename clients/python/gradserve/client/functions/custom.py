"""Functions within a graph whose derivative is not that of what they compute, or is computed in another way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from gradserve.client.functions.closed import Closed, Tree, applied, around
from gradserve.client.tracing.origins import untraceable
from gradserve.client.tracing.recording import recorded, traced, written
from gradserve.client.tracing.tracer import Tracer, tracers
from gradserve.client.tracing.trees import Structure, count, unflatten
from gradserve.ir.builder import Value
from gradserve.ir.graph import Graph, Literal
from gradserve.ir.types import TensorType
from gradserve.numpy.recorder import Recorder
from gradserve.ops.control.custom_derivative import CustomDerivative
from gradserve.ops.control.linear_call import LinearCall
from gradserve.ops.control.linear_solve import LinearSolve
from gradserve.ops.control.once import Checkpoint


def stop_gradient(tree: Any) -> Any:
    """The tree of arrays, taken as constants: their derivatives are 0.

    A loss that uses it is verified as any other, and its derivative is then not that of its values.
    """
    found = Tree.of(tree, "tree")
    return unflatten(found.structure, [_stopped(leaf) for _, leaf in found.leaves])


def _stopped(leaf: Any) -> Any:
    if not isinstance(leaf, Tracer):
        return leaf
    g, value = recorded(leaf.value)
    return tracers(traced(g, "stop_gradient", lambda g: g.stop_gradient(value)))


def checkpoint(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, of which derivatives keep nothing but arguments and results: they compute the rest again.

    Reverse mode then needs memory for what one such function computes on its way, not for all of them: in a loop,
    for one step and what is carried. Each derivative computes the function once more. `f.explain(w)` tells the memory.
    """

    def call(*arguments: Any) -> Any:
        outer = around()
        trees = [Tree.of(argument, f"argument {k}") for k, argument in enumerate(arguments)]
        closed = Closed(outer, function, *((tree.structure, tree.types) for tree in trees))
        captured = closed.reads(closed.outputs)
        op = Checkpoint(closed.graph(closed.outputs, captured))

        def emit(g: Any) -> list[Any]:
            return applied(g, op, [*(v for tree in trees for v in tree.values(g)), *captured])

        return unflatten(closed.structure, traced(outer, "checkpoint", emit))

    return call


def custom_derivative(function: Callable[..., Any], rule: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with the derivative that `rule(primals, result, tangents)` gives.

    The rule is called with the tuple of arguments, with what the function returns there, and with the tuple of the
    tangents of the arguments: in their structure, None in the place of what is not real. It returns the tangent of the
    result, in its structure, and is linear in the tangents; reverse mode transposes it. Second derivatives are those of
    the rule, in which the result moves as the rule says. `f.verify(w)` compares a loss with differences, and so finds a
    wrong rule.

    What the two capture does not move: of a parameter that they capture there is no derivative, and asking for it is
    refused. It is what JAX calls `custom_jvp`.

    Raises:
        Untraceable: when called: the rule returns another structure or other types.
        InvalidGraph: when called: the rule is not linear in the tangents.
    """

    def call(*arguments: Any) -> Any:
        outer = around()
        trees = [Tree.of(argument, f"argument {k}") for k, argument in enumerate(arguments)]
        given = [(tree.structure, tree.types) for tree in trees]
        plain = Closed(outer, function, *given)
        ruled = _Rule(rule, trees, plain)
        derived = Closed(outer, ruled, (plain.structure, plain.types), ruled.tangents, *given)
        captured = _captured(plain, derived)
        own, moving = (each.graph(each.outputs, captured) for each in (plain, derived))
        zeros = [_is_zero(value) for value in captured]
        op = CustomDerivative(own, _knowing(moving, zeros), ruled.moved)

        def emit(g: Any) -> list[Any]:
            return applied(g, op, [*(v for tree in trees for v in tree.values(g)), *captured])

        return unflatten(plain.structure, traced(outer, "custom_derivative", emit))

    return call


def linear_call(
    function: Callable[..., Any], transposed: Callable[..., Any], vectors: Sequence[Any], known: Sequence[Any]
) -> list[Any]:
    """What `function(vectors, known)` returns, a list of real arrays, taken to be linear in the vectors.

    `transposed(cotangents, known)` is its transpose: from cotangents of the list to a list of those of the vectors. It
    is what JAX calls `linear_call`.
    """
    first, rest = Tree.of(list(vectors), "vectors"), Tree.of(list(known), "known")
    plain = Closed(around(), function, (first.structure, first.types), (rest.structure, rest.types))
    back = Closed(around(), transposed, (plain.structure, plain.types), (rest.structure, rest.types))
    return _linear(lambda own, turned: LinearCall(own, turned, len(first.leaves)), first, rest, plain, back)


def linear_solve(
    matrix: Callable[..., Any], solvers: Sequence[Callable[..., Any]], right: Any, known: Sequence[Any]
) -> Any:
    """The array x for which `matrix(x, known)` is `right`.

    The first of the solvers finds it, the second what solves with the transpose: each of the right-hand side and of
    what is known. Derivatives are those of the equation.
    """
    first, rest = Tree.of([right], "right"), Tree.of(list(known), "known")
    given = (first.structure, first.types), (rest.structure, rest.types)

    def listed(function: Callable[..., Any]) -> Closed:
        return Closed(around(), lambda vectors, known: [function(vectors[0], known)], *given)

    plain, back, whole = map(listed, (*solvers, matrix))
    (found,) = _linear(lambda own, turned, matrix: LinearSolve(own, turned, 1, matrix), first, rest, plain, back, whole)
    return found


def _linear(make: Callable[..., LinearCall], first: Tree, rest: Tree, plain: Closed, *others: Closed) -> list[Any]:
    """What the op that is made of these functions gives."""
    captured = _captured(plain, *others)
    op = make(*(each.graph(each.outputs, captured) for each in (plain, *others)))

    def emit(g: Any) -> list[Any]:
        return applied(g, op, [*first.values(g), *rest.values(g), *captured])

    found: list[Any] = unflatten(plain.structure, traced(around(), op.name, emit))
    return found


def _knowing(rule: Graph, zeros: Sequence[bool]) -> Graph:
    """The rule with zeros of its own in the place of those that it captures: to add them to tangents is linear."""
    g = Recorder()
    inputs = [g.input(i.name, i.type) for i in rule.inputs]
    first = len(inputs) - len(zeros)
    given = [g.zeros(x.type) if k >= first and zeros[k - first] else x for k, x in enumerate(inputs)]
    return g.build({f"y{k}": value for k, value in enumerate(written(g, rule, given))}, inputs)


def _is_zero(value: Value) -> bool:
    """Whether a value is a constant of zeros."""
    literal = value.builder.literal(value)
    return isinstance(literal, Literal) and not np.any(literal.array)


def _captured(*functions: Closed) -> list[Value]:
    """What functions read of what is around them, each once."""
    return [*{value.index: value for closed in functions for value in closed.reads(closed.outputs)}.values()]


class _Rule:
    """The author's rule as a function of the result, a list of real tangents, and the arguments."""

    def __init__(self, rule: Callable[..., Any], trees: Sequence[Tree], plain: Closed) -> None:
        self._rule, self._plain = rule, plain
        self._structures = [tree.structure for tree in trees]
        self._types = [type_ for tree in trees for type_ in tree.types]
        self.moved = tuple(k for k, type_ in enumerate(self._types) if type_.is_float)
        """The real ones among the leaves of all arguments."""

    @property
    def tangents(self) -> tuple[Structure, list[TensorType]]:
        """The structure and types of the list of tangents."""
        return Tree.of([0.0] * len(self.moved), "").structure, [self._types[k] for k in self.moved]

    def __call__(self, result: Any, tangents: list[Any], *arguments: Any) -> list[Any]:
        """The tangents of the real leaves of the result."""
        given = dict(zip(self.moved, tangents, strict=True))
        leaves = iter([given.get(k) for k in range(len(self._types))])
        trees = [_refilled(structure, leaves) for structure in self._structures]
        found = Tree.of(self._rule(arguments, result, tuple(trees)), "the tangent of the result")
        if found.structure != self._plain.structure:
            text = f"the rule returns {found.structure} where the function returns {self._plain.structure}"
            raise untraceable(text, "return the tangent of the result, in its structure")
        found = found.adapted(self._plain.types)
        real = [k for k, type_ in enumerate(self._plain.types) if type_.is_float]
        for k in real:
            if found.types[k] != self._plain.types[k]:
                text = f"{found.leaves[k][0]} is {found.types[k]} where {self._plain.types[k]} belongs"
                raise untraceable(text, "reshape or convert it, or give np.zeros_like(...) of what does not move")
        return [found.leaves[k][1] for k in real]


def _refilled(structure: Structure, leaves: Iterator[Any]) -> Any:
    """The tree of this structure with the next leaves."""
    return unflatten(structure, [next(leaves) for _ in range(count(structure))])
