"""Tracing: a plain NumPy function becomes a graph by being run once on arrays without elements."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np

from gradserve.client.tracing import chosen  # noqa: F401  (which enters what masks choose)
from gradserve.client.tracing.buffers import taking_buffers
from gradserve.client.tracing.captured import taking_traced_indices
from gradserve.client.tracing.choices import following_choices, on_all_ways
from gradserve.client.tracing.foreign import of_call, of_scipy, refusal_of_foreign
from gradserve.client.tracing.memory import Memory
from gradserve.client.tracing.names import names_lead_here, some_names_lead_here
from gradserve.client.tracing.origins import stands_inside, untraceable
from gradserve.client.tracing.own_names import OF_NUMBERS, QUESTIONS, standing_in
from gradserve.client.tracing.parameters import Parameters
from gradserve.client.tracing.reached import Reached, reached
from gradserve.client.tracing.recording import recording
from gradserve.client.tracing.refusals import Assigned, ElementsAsked, of_compiled
from gradserve.client.tracing.traced import RESULT, Traced, as_array
from gradserve.client.tracing.tracer import Tracer
from gradserve.client.tracing.trees import Structure, flatten, require_keys, unflatten
from gradserve.ir.errors import GradserveError, InvalidRequest, Untraceable
from gradserve.ir.types import TensorType, type_of
from gradserve.numpy.recorder import Recorder


def trace(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Traced:
    """The graph of `function`, run once on arrays of the types of the example arguments.

    Inputs are named after parameters and the paths in their trees: `w`, or `model.layers.0.weight`. NumPy arrays that
    the function captures become constants of the graph; parameters that are not given keep their defaults.

    Raises:
        Untraceable: the code does something that no graph can say; names the line and what to write instead.
        InvalidRequest: an example argument is not a tree of arrays and numbers.
        TypeError: the examples do not fit the signature.
    """
    parameters = Parameters(function)
    return trace_bound(parameters, parameters.bind(arguments, named))


def trace_bound(parameters: Parameters, examples: Mapping[str, Any]) -> Traced:
    """As `trace`, with examples by the names that `Parameters.bind` gives.

    Most functions need no more than NumPy's protocols. One that is refused is traced again, with names that lead to
    traced arrays, and if it still asks one for its elements, with others in the places of captured arrays, which take
    traced indices, of functions that were imported alone, and of Python's own. If it assigns to elements of arrays that
    it makes, or gives traced ones to their methods, these are traced ones at last.
    """
    require_keys(tuple(examples))
    found = reached(parameters.function)
    with standing_in(found, QUESTIONS):
        # One after the other: an error of a later attempt is not to be taken for the refusal that led to it.
        with contextlib.suppress(Untraceable), some_names_lead_here():
            return _recorded(parameters, examples)
        refusal: ElementsAsked | None = None
        try:
            with names_lead_here():
                return _recorded(parameters, examples)
        except ElementsAsked as error:
            refusal = error
    if not isinstance(refusal, Assigned):
        try:
            with _every_name_leads_here(parameters, found):
                return _recorded(parameters, examples)
        except ElementsAsked as error:
            refusal = error
    with _every_name_leads_here(parameters, found), taking_buffers():
        if isinstance(refusal, Assigned):
            return _recorded(parameters, examples)
        with contextlib.suppress(Exception):
            return _recorded(parameters, examples)
    raise refusal


@contextmanager
def _every_name_leads_here(parameters: Parameters, found: Reached) -> Iterator[None]:
    with standing_in(found, OF_NUMBERS), taking_traced_indices(parameters.function), following_choices():
        yield


def _recorded(parameters: Parameters, examples: Mapping[str, Any]) -> Traced:
    g = Recorder()
    inputs: dict[str, Structure] = {}
    tracers: dict[str, Any] = {}
    for name, example in examples.items():
        leaves, inputs[name] = flatten(example, name)
        tracers[name] = [_input(g, path, leaf) for path, leaf in leaves]

    def run() -> Any:
        # With trees of its own each time: the function may change what it is given.
        return _run(parameters, {name: unflatten(inputs[name], tracers[name]) for name in inputs})

    with recording(g):
        outputs, output = flat_result(g, on_all_ways(run))
    return Traced(g.build(outputs), inputs, output)


def bind(function: Callable[..., Any], arguments: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by the names of the function's parameters; see `Parameters.bind`."""
    return Parameters(function).bind(arguments, named)


def _input(g: Recorder, path: str, leaf: Any) -> Tracer:
    type_: TensorType = type_of(as_array(leaf, path))
    is_array = isinstance(leaf, np.ndarray) or type_.rank > 0
    return Tracer(g.input(path, type_), Memory(of_caller=True) if is_array else None)


def author_places(error: Exception) -> list[tuple[FrameType, int]]:
    """The frames that an error came through, without those of NumPy and SciPy, and the lines that they were at."""
    places = [*traceback.walk_tb(error.__traceback__)]
    return [at for at in places if not stands_inside(str(at[0].f_globals.get("__name__", "")))] or places


def _run(parameters: Parameters, tracers: Mapping[str, Any]) -> Any:
    try:
        return parameters.call(tracers)
    except Exception as error:
        refusal = refusal_of(error)
        if refusal is None or refusal is error:
            raise
        raise refusal from error


def refusal_of(error: Exception) -> Exception | None:
    """The refusal of what cannot be traced, if that is what an error comes from; None of an author's own."""
    if isinstance(error, Untraceable):
        return of_call(error) or error
    # NumPy puts an error of its own around some refusals, such as that of an assignment to an element.
    refusal = _refusal_behind(error) or refusal_of_foreign(error) or of_call(error)
    if refusal is None and isinstance(error, TypeError):
        refusal = of_compiled(error, author_places(error)[-1][0])
    return refusal or of_scipy(error) or (error if isinstance(error, GradserveError) else None)


def _refusal_behind(error: BaseException) -> Untraceable | None:
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, Untraceable):
        behind = behind.__cause__ or behind.__context__
    return behind


def flat_result(g: Recorder, result: Any) -> tuple[dict[str, Any], Structure]:
    """The values of what the function returned, by output name, and its structure."""
    try:
        leaves, structure = flatten(result, RESULT)
    except InvalidRequest as error:
        raise Untraceable(f"the function returned something that is not made of arrays: {error}") from None
    outputs = {}
    for path, leaf in leaves:
        if not isinstance(leaf, Tracer):
            outputs[path] = g.constant(as_array(leaf, path))
        elif g.is_within(leaf.value.builder):
            outputs[path] = g.adopt(leaf.value)
        else:
            raise untraceable("the function returned a traced array of another call", "return what it computes itself")
    return outputs, structure
