"""Functions of arrays from implementations on values: traced arrays join their graph, others are computed at once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gradserve.client.numpy_surface.table import OWN, Entry, enter
from gradserve.client.tracing.recorder import Recorder
from gradserve.client.tracing.tracer import Tracer
from gradserve.ir.builder import Value
from gradserve.ir.graph import Literal
from gradserve.ir.types import Array, type_of

_PACKAGE = "gradserve.client.functions"


def of_arrays(implementation: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator: the function of arrays that an implementation describes, without its first argument, the builder."""
    signature = inspect.signature(implementation)

    @functools.wraps(implementation)
    def call(*args: Any, **named: Any) -> Any:
        tracer = next(_tracers((args, named)), None)
        if tracer is not None:
            return tracer.__array_function__(call, (Tracer,), args, named)
        return _computed(implementation, signature.bind(None, *args, **named))

    call.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    call.__module__ = _PACKAGE
    enter(call, Entry(implementation, view=False))
    OWN.append(f"{_PACKAGE}.{implementation.__name__}")
    return call


def _tracers(tree: Any) -> Iterator[Tracer]:
    """The traced arrays within lists, tuples and dicts, as far as they matter for what to do."""
    if isinstance(tree, Tracer):
        yield tree
    elif isinstance(tree, list | tuple):
        for part in tree:
            yield from _tracers(part)
    elif isinstance(tree, dict):
        yield from _tracers(list(tree.values()))


def _computed(implementation: Callable[..., Any], bound: inspect.BoundArguments) -> Any:
    """What the graph of the call gives, op by op."""
    g = Recorder()
    arrays: dict[str, Array] = {}

    def lifted(argument: Any) -> Any:
        # Indices and the like stay what they are: implementations may look at their numbers.
        if not isinstance(argument, np.ndarray) or argument.dtype.kind != "f" or not argument.ndim:
            return argument
        name = f"x{len(arrays)}"
        arrays[name] = argument
        return g.input(name, type_of(argument))

    _, *args = bound.args
    results = implementation(g, *map(lifted, args), **{key: lifted(value) for key, value in bound.kwargs.items()})
    several = isinstance(results, tuple)
    outputs = {f"y{k}": value for k, value in enumerate(results if several else (results,))}
    numbers = _evaluated(g, outputs, arrays)
    return tuple(numbers) if several else numbers[0]


def _evaluated(g: Recorder, outputs: dict[str, Value], arrays: dict[str, Array]) -> list[Any]:
    graph = g.build(outputs)
    values: list[Any] = [np.ascontiguousarray(arrays[i.name]) for i in graph.inputs]
    values += [constant.array for constant in graph.constants if isinstance(constant, Literal)]
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            operands = [values[k] for k in node.operands]
            values += node.op.numbers(*operands)
    return [np.array(values[output.value])[()] for output in graph.outputs]
