"""Functions of arrays from functions on values: traced arrays join their graph, others are computed at once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.client.tracing.recording import traced
from gradserve.client.tracing.tracer import Operands, tracers
from gradserve.ir.builder import Builder, Value
from gradserve.ir.evaluate import evaluated
from gradserve.ir.types import Array, type_of
from gradserve.numpy.recorder import Recorder
from gradserve.numpy.table import OWN, PACKAGE


def of_arrays(name: str) -> Callable[..., Any]:
    """Our own function of that name, of arrays: it takes and gives traced arrays, or numbers."""
    return function_of_arrays(OWN[name].call, PACKAGE, name)


def function_of_arrays(implementation: Callable[..., Any], module: str, name: str) -> Callable[..., Any]:
    """A function on values as one of arrays, which authors find in a module by that name."""
    signature = inspect.signature(implementation)
    shown = f"{module}.{name}"

    @functools.wraps(implementation)
    def call(*args: Any, **named: Any) -> Any:
        operands = Operands()
        values, options = operands.values(args), operands.values(named)
        if operands.are_traced:
            return tracers(traced(operands.builder, shown, lambda g: implementation(g, *values, **options)))
        return _computed(implementation, args, named)

    call.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    call.__module__, call.__name__ = module, name
    return call


def _computed(implementation: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """What the graph of the call gives, op by op."""
    g = Recorder()
    given: dict[int, Array] = {}

    def lifted(argument: Any) -> Any:
        # Indices and the like stay what they are: implementations may look at their numbers.
        if not isinstance(argument, np.ndarray) or argument.dtype.kind != "f" or not argument.ndim:
            return argument
        value = g.input(f"x{len(given)}", type_of(argument))
        given[value.index] = argument
        return value

    def emit(g: Builder) -> Any:
        return implementation(g, *map(lifted, args), **{key: lifted(value) for key, value in named.items()})

    results = traced(g, implementation.__name__, emit)
    several = isinstance(results, tuple)
    # What is known while tracing, such as the frequencies of a spectrum, is given as it is.
    values = [x if isinstance(x, Value) else g.constant(x) for x in (results if several else (results,))]
    numbers = [np.array(array)[()] for array in evaluated(g, values, given)]
    return tuple(numbers) if several else numbers[0]
