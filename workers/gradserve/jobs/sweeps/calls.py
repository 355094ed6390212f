"""Calls checked: the graph's symbols are numbers, and every argument has the type that the graph says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gradserve.autodiff import names
from gradserve.autodiff.derive import PARTS
from gradserve.ir.bind import bind, solve_symbols
from gradserve.ir.errors import BlobNotFound, InvalidRequest, Violation, listed, repeated, shown
from gradserve.ir.graph import BlobRef, Graph
from gradserve.ir.types import TensorType
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.programs import Check
from gradserve.questions.call import Argument, Call, types_of


def checked(context: Context, call: Call, check: Check) -> Call:
    """The call, its graph's symbols bound to the lengths of the arguments, and derivatives within it written out.

    Raises:
        InvalidRequest: arguments are missing, unknown or of the wrong type, or the batch does not fit; all violations.
        BlobNotFound: the elements of a constant are elsewhere.
        NotDifferentiable, LimitExceeded: a derivative within the graph is not there or too large.
    """
    graph, batch = call.graph, call.batched
    elsewhere = [constant.digest for constant in graph.constants if isinstance(constant, BlobRef)]
    if elsewhere:
        raise BlobNotFound(elsewhere)
    violations = _name_violations(graph, call.arguments, batch, bool(call.batch))
    if violations:
        raise InvalidRequest("the arguments do not fit the graph", violations)
    types = types_of(call.arguments)
    if not graph.is_concrete:
        shapes = {n: t.lengths[1:] if n in batch else t.lengths for n, t in types.items()}
        graph = bind(graph, solve_symbols(graph, shapes))
    expected = graph.input_types
    violations = [v for n, t in types.items() for v in type_violations(f'arguments["{n}"]', t, expected[n], n in batch)]
    violations += _batch_violations(types, batch)
    if violations:
        raise InvalidRequest("the arguments do not fit the graph", violations)
    return replace(call, graph=context.programs.written_out(graph, check))


def require_no_batch(call: Call, constraint: str, text: str) -> None:
    """Refuses a batch where the question is about one point.

    Raises:
        InvalidRequest: there is one.
    """
    if call.batch:
        raise InvalidRequest("the request does not fit", [Violation("call.batch", constraint, text)])


def inputs_in_question(graph: Graph, wrt: Sequence[str], real: bool = True) -> tuple[str, ...]:
    """`wrt`, or every floating-point input if it is empty; `real` ones, unless the question is of complex ones as well.

    Raises:
        InvalidRequest: one is named twice, or complex where the question is about vectors of real numbers.
    """
    chosen = tuple(wrt) or tuple(i.name for i in graph.inputs if i.type.is_float)
    types = graph.input_types
    if twice := repeated(chosen):
        found = [Violation(f"wrt[{k}]", "W1", f"{shown(chosen[k])} is named twice") for k in twice]
        raise InvalidRequest("the inputs in question do not fit", found)
    if real and any(name in types and types[name].is_complex for name in chosen):
        raise InvalidRequest("the question is about real inputs", complex_violations(types, chosen))
    return chosen


def complex_violations(types: Mapping[str, TensorType], names: Sequence[str]) -> list[Violation]:
    """Says of each complex input that the question has a meaning in real ones alone."""
    asked = f"is complex, and this is asked of real inputs alone; {PARTS}"
    return [
        Violation(f"wrt[{k}]", "W1", f"{name}: {types[name]} {asked}")
        for k, name in enumerate(names)
        if name in types and types[name].is_complex
    ]


def named_vectors(takes: str, vectors: Mapping[str, Argument]) -> dict[str, Argument]:
    """The vectors of a derivation that takes such by their names in the derived graph."""
    return {names.vector(takes, name): vector for name, vector in vectors.items()}


def type_violations(field_path: str, given: TensorType, expected: TensorType, batched: bool) -> list[Violation]:
    """Why an array does not have the expected type; with a leading batch axis if `batched`."""
    fits = not batched or given.shape
    if fits and given == (expected.with_shape((given.shape[0], *expected.shape)) if batched else expected):
        return []
    axis = " with a leading batch axis" if batched else ""
    return [Violation(field_path, "R4", f"{given} is given where {expected}{axis} is expected")]


def _name_violations(
    graph: Graph, arguments: Mapping[str, object], batch: Sequence[str], has_batch: bool
) -> list[Violation]:
    if not has_batch and arguments.keys() == graph.input_types.keys():
        return []
    names = list(graph.input_types)
    known = listed(names)
    missing = [
        Violation(f'arguments["{n}"]', "R1", f"the argument {n}: {graph.input_types[n]} is missing")
        for n in names
        if n not in arguments
    ]
    extra = [
        Violation(f'arguments["{n}"]', "R2", f"the graph has no input {shown(n)}; its inputs are {known}")
        for n in arguments
        if n not in graph.input_types
    ]
    unknown = [
        Violation(f"batch.inputs[{k}]", "R3", f"the graph has no input {shown(n)}; its inputs are {known}")
        for k, n in enumerate(batch)
        if n not in graph.input_types
    ]
    twice = [Violation(f"batch.inputs[{k}]", "R3", f"{shown(batch[k])} is named twice") for k in repeated(batch)]
    return missing + extra + unknown + twice


def _batch_violations(types: Mapping[str, TensorType], batch: Sequence[str]) -> list[Violation]:
    lengths = {name: types[name].lengths[0] for name in batch if types[name].shape}
    if not lengths:
        return []
    if len(set(lengths.values())) > 1:
        told = listed([f"{name}: {length}" for name, length in lengths.items()])
        return [Violation("batch.inputs", "R5", f"batched arguments have different lengths: {told}")]
    if 0 in lengths.values():
        return [Violation("batch.inputs", "R6", "the batch has no points; send at least one")]
    return []
