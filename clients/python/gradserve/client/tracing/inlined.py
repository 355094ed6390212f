"""A graph that is called within a function that is traced: its nodes become nodes of that one's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradserve.client.tracing.recording import recorded, traced, written
from gradserve.client.tracing.signature import converted, widened
from gradserve.client.tracing.traced import Traced
from gradserve.client.tracing.tracer import Tracer, tracers
from gradserve.client.tracing.trees import unflatten
from gradserve.ir.bind import bind, solve_symbols
from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.types import TensorType
from gradserve.numpy.recorder import Recorder


def inlined(g: Recorder, what: str, function: Traced, leaves: Mapping[str, Any]) -> Any:
    """What a graph comes to at arrays by its inputs, traced or not: traced arrays of the graph that is recorded.

    Raises:
        InvalidRequest: an array has another shape than the input, or elements that would lose something.
    """
    types = function.graph.input_types
    values = {path: _value(g, leaves[path], type_, path) for path, type_ in types.items()}
    graph = function.graph
    if not graph.is_concrete:
        graph = bind(graph, solve_symbols(graph, {path: value.shape for path, value in values.items()}))
    for path, type_ in graph.input_types.items():
        if values[path].shape != type_.shape:
            raise InvalidRequest(f"{path} has the shape {values[path].shape} and {what} takes {type_}")
    outputs = traced(g, what, lambda g: written(g, graph, [values[path] for path in types]))
    return unflatten(function.output, list(tracers(outputs)))


def _value(g: Builder, leaf: Any, type_: TensorType, path: str) -> Value:
    """An argument as a value in the elements of its input."""
    if not isinstance(leaf, Tracer):
        return g.constant(converted(widened(leaf, type_, path), type_, path))
    g, value = recorded(leaf.value)
    given, wanted = value.type.element_type, type_.element_type
    if given is wanted:
        return value
    if not np.can_cast(given.dtype, wanted.dtype, "safe"):
        raise InvalidRequest(f"{path} is {given.dtype} and the graph takes {wanted.dtype}; convert it by .astype")
    return g.convert(value, wanted)
