"""A function at a point: traced to a graph, derived, optimised and run on NumPy, as a job does it.

A function that is traced while another one is becomes part of the other's graph, with an input of its own that its
argument is put in for afterwards. So gradients can be nested, and may refer to what the outer function was given.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gradserve.autodiff import derive
from gradserve.autodiff.walk import inline
from gradserve.client.tracing.memory import Memory
from gradserve.client.tracing.traced import as_array
from gradserve.client.tracing.tracer import Tracer
from gradserve.client.tracing.trees import flatten, unflatten
from gradserve.ir.builder import Value
from gradserve.ir.graph import Graph
from gradserve.ir.types import type_of
from gradserve.numpy.recorder import Recorder
from gradserve.optimize import optimize
from gradserve.questions.derivations import Derivation, Evaluate, Jvp, Vjp
from tests.running import prepared

calls = 0
"""How many functions were traced, or computed by what the client has of its own: a test without any tests nothing."""


class _Trace(Recorder):
    """The graph of the outermost function, and the inputs of all functions inside it."""

    def __init__(self) -> None:
        super().__init__()
        self.arguments: dict[str, Value] = {}

    def argument(self, example: Any) -> tuple[str, Tracer]:
        name = f"x{len(self.arguments)}"
        type_ = example.value.type if isinstance(example, Tracer) else type_of(as_array(example, name))
        self.arguments[name] = self.input(name, type_)
        return name, _tracer(self.arguments[name])


_traces: list[_Trace] = []
"""The trace under way, if there is one."""


class Traced:
    """A function at a point, a tree of arrays or numbers."""

    def __init__(self, function: Callable[..., Any], point: Any) -> None:
        global calls
        calls += 1
        leaves, structure = flatten(point)
        self._outer = _traces[-1] if _traces else None
        g = self._outer or _Trace()
        inputs = [g.argument(leaf) for _, leaf in leaves]
        self._names = [name for name, _ in inputs]
        self._point = dict(zip(self._names, [leaf for _, leaf in leaves], strict=True))
        self._function, self._structure = function, structure
        _traces.append(g)
        try:
            results, self._results = flatten(function(unflatten(structure, [tracer for _, tracer in inputs])))
        finally:
            _traces.pop()
        self._graph = g.build({f"y{k}": _value(g, result) for k, (_, result) in enumerate(results)})

    def at(self, point: Any) -> Traced:
        """The function at another point: traced anew within a trace and where types are others, else as it is known."""
        leaves, _ = flatten(point)
        if _traces or self._outer or _kinds(leaves) != _kinds(zip(self._names, self._point.values(), strict=True)):
            return Traced(self._function, point)
        there = copy.copy(self)
        there._point = dict(zip(self._names, [leaf for _, leaf in leaves], strict=True))
        return there

    def value(self) -> Any:
        """The function's value."""
        return unflatten(self._results, self._compute(Evaluate(), {}, self._outputs("value")))

    def pushed(self, tangent: Any) -> Any:
        """The value's tangent; zero for what is no real number."""
        given = self._given("tangent", self._names, tangent)
        return unflatten(self._results, self._compute(Jvp(tuple(self._names)), given, self._outputs("tangent")))

    def pulled(self, cotangent: Any) -> Any:
        """The point's cotangent."""
        given = self._given("cotangent", list(self._graph.output_types), cotangent)
        wanted = [f"cotangent:{name}" for name in self._names]
        return unflatten(self._structure, self._compute(Vjp(tuple(self._names)), given, wanted))

    def _outputs(self, role: str) -> list[str]:
        return [f"{role}:{name}" for name in self._graph.output_types]

    @staticmethod
    def _given(role: str, names: Sequence[str], tree: Any) -> dict[str, Any]:
        return {f"{role}:{name}": leaf for name, (_, leaf) in zip(names, flatten(tree)[0], strict=True)}

    def _compute(self, derivation: Derivation, given: Mapping[str, Any], wanted: Sequence[str]) -> list[Any]:
        """The named outputs of the derived graph: arrays, or tracers within another trace."""
        derived = _derived(self._graph, derivation)
        zero = {name: np.zeros(t.lengths, t.element_type.dtype) for name, t in self._graph.output_types.items()}
        zeros = {f"tangent:{name}": array for name, array in zero.items()}
        known = {**self._point, **given}
        if self._outer is None:
            return [np.asarray(x)[()] for x in _ordered(zeros | _run(derived, known), wanted)]
        g = self._outer
        arguments = {name: _value(g, leaf) for name, leaf in known.items()}
        arguments = {**g.arguments, **arguments}
        arguments = {i.name: g.convert(arguments[i.name], i.type.element_type) for i in derived.inputs}
        values = inline(g, derived, arguments)
        return [_tracer(_value(g, x)) for x in _ordered({**zeros, **values}, wanted)]


def counted(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose calls count as well."""

    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        global calls
        calls += 1
        return function(*args, **named)

    return call


def _ordered(outputs: Mapping[str, Any], wanted: Sequence[str]) -> list[Any]:
    return [outputs[name] for name in wanted]


def _tracer(value: Value) -> Tracer:
    return Tracer(value, Memory(of_caller=True) if value.type.rank else None)


def _kinds(leaves: Iterable[tuple[str, Any]]) -> list[Any]:
    """What of the leaves a trace depends on."""
    return [leaf if isinstance(leaf, Tracer) else type_of(as_array(leaf, name)) for name, leaf in leaves]


def _value(g: Recorder, leaf: Any) -> Value:
    if isinstance(leaf, Value):
        return leaf
    return leaf.value if isinstance(leaf, Tracer) else g.constant(as_array(leaf, "leaf"))


@functools.lru_cache(512)
def _derived(graph: Graph, derivation: Derivation) -> Graph:
    return derive(graph, derivation)


@functools.lru_cache(512)
def _program(derived: Graph) -> Any:
    return prepared(optimize(derived))


def _run(derived: Graph, known: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs; inputs of functions inside were replaced by their arguments and may hold anything."""
    given = {
        i.name: np.asarray(known.get(i.name, np.zeros(i.type.lengths)), i.type.element_type.dtype)
        for i in derived.inputs
    }
    return _program(derived)(given)  # type: ignore[no-any-return]
