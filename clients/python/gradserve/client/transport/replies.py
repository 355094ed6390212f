"""What replies have to hold: all that was asked for, of the types that follow from the question.

A service may be wrong, or something on the way to it: what it leaves out must not become None among gradients.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

import numpy as np

from gradserve import wire
from gradserve.ir.bind import solve_symbols, unify
from gradserve.ir.errors import InvalidReply, InvalidRequest, Violation
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array, Shape, TensorType
from gradserve.questions.asked import Answer, Question
from gradserve.questions.call import Call, Reduction, types_of
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.estimates import BY_GROUP
from gradserve.questions.explanation import Explain
from gradserve.questions.inspection import Inspection
from gradserve.questions.taylor import ExpandAlong

_OF_OUTPUTS = ("value", "tangent")
"""Roles of what belongs to outputs; all others belong to inputs."""
_MAY_LACK = ("value", "gradient")
"""Roles that a product alone leaves out."""


def answer_in(question: Question, reply: Any, source: wire.Source) -> Answer:
    """The answer in a reply.

    Raises:
        InvalidReply: it is none to the question; names what is missing and what is wrong.
        BlobNotFound: some of its arrays are blobs.
    """
    try:
        answer = wire.decode_answer(question, reply, source)
    except InvalidRequest as error:
        raise wrong(question.rpc, error.violations or [Violation("", "A2", error.message)]) from None
    if isinstance(question, Differentiate):
        require_answered(question, answer)
    elif not isinstance(question, Explain) and (faults := [*_faults_of_record(question, answer)]):
        raise wrong(question.rpc, faults)
    return answer


def require_answered(question: Differentiate, answer: Derivatives, points: Shape = ()) -> None:
    """Sees that derivatives are those that were asked for; those of a stream have an axis of `points` before all else.

    Raises:
        InvalidReply: they are not.
    """
    if faults := [*_faults(question, answer, points)]:
        raise wrong(question.rpc, faults)


def wrong(rpc: str, faults: Sequence[Violation]) -> InvalidReply:
    """The error of a reply with these faults."""
    text = f"what came back is no answer to {rpc}; the service, or something on the way to it, is at fault"
    return InvalidReply(text, faults)


@dataclass(frozen=True, slots=True)
class _Expected:
    """What an array has to be like."""

    dtypes: Collection[np.dtype[Any]]
    shape: Shape
    lengths: dict[str, int]
    """Of symbols, as far as they are known."""

    def fault(self, field: str, found: Array | None) -> Iterator[Violation]:
        """What is wrong with what came in its place."""
        if found is None:
            yield Violation(field, "A1", "it was asked for, and is missing")
        elif found.dtype not in self.dtypes:
            yield Violation(field, "A2", f"{found.dtype} came, and {' or '.join(map(str, self.dtypes))} was asked for")
        elif why := unify(self.shape, found.shape, self.lengths):
            yield Violation(field, "A2", f"what came does not fit what was asked for: {why}")


def _faults(question: Differentiate, answer: Derivatives, points: Shape) -> Iterator[Violation]:
    call, derivation = question.call, question.derivation
    lengths = _lengths(call)
    if call.reduction is Reduction.NONE and (size := call.batch_size) is not None:
        points = (*points, size)
    inputs = _inputs(call, derivation.resolved(call.graph, question.vectors).wrt)
    outputs, real = call.graph.output_types, _real(call.graph.output_types)
    for field, role in derivation.gives.items():
        found = answer.arrays.get(role, {})
        if not found and role in _MAY_LACK and getattr(derivation, "product_only", False):
            continue
        for name, type_ in (outputs if role == "value" else real if role in _OF_OUTPUTS else inputs).items():
            expected = _Expected({type_.element_type.dtype}, (*points, *type_.shape), lengths)
            yield from expected.fault(_at(field, name), found.get(name))
    if derivation.dense:
        rows = inputs if "gradient" in derivation.gives.values() else real
        for row, down in rows.items():
            for column, across in inputs.items():
                expected = _Expected(_of_block(down, across), (*points, *down.shape, *across.shape), lengths)
                block = answer.blocks.get(row, {}).get(column)
                yield from expected.fault(_at(_at("blocks", row), column), block)


def _of_block(down: TensorType, across: TensorType) -> Collection[np.dtype[Any]]:
    """The elements that derivatives of a value in an input may have: by rows the input's, by columns the value's."""
    both = down.element_type.dtype, across.element_type.dtype
    common = np.result_type(*both)
    return {common, *(dtype for dtype in both if dtype.kind == common.kind)}


def _faults_of_record(question: Any, answer: Answer) -> Iterator[Violation]:
    """What is wrong with the arrays by input, or by output, that a record has."""
    if isinstance(answer, Inspection):
        yield from _faults_inside(question.call, answer)
        return
    lengths, confidence = _lengths(question.call), getattr(answer, "confidence", None)
    if confidence is not None and not 0.0 < confidence < 1.0:
        yield Violation("confidence", "A2", f"{confidence} is no probability that an interval could have")
    for field in fields(answer):
        found = getattr(answer, field.name)
        if not isinstance(found, Mapping) or not (found or field.default_factory is MISSING):
            continue
        for name, type_ in _owners(question, answer, field.name).items():
            arrays = found.get(name)
            if isinstance(question, ExpandAlong):
                powers: Sequence[Array | None] = [*(arrays or ()), *[None] * (question.order + 1)]
                for power in range(question.order + 1):
                    expected = _Expected({type_.element_type.dtype}, type_.shape, lengths)
                    yield from expected.fault(f"{_at(field.name, name)}[{power}]", powers[power])
                continue
            shape = () if field.name in BY_GROUP else type_.shape
            ahead = () if arrays is None else arrays.shape[: max(0, arrays.ndim - len(shape))]
            dtypes = {np.dtype(float), type_.element_type.dtype}
            yield from _Expected(dtypes, (*ahead, *shape), lengths).fault(_at(field.name, name), arrays)


def _owners(question: Any, answer: Answer, field: str) -> Mapping[str, TensorType]:
    """What a record has arrays for: outputs, groups, or the inputs in question."""
    call: Call = question.call
    if isinstance(question, ExpandAlong):
        return _real(call.graph.output_types)
    groups = {each.name: each.inputs for each in getattr(question, "groups", ())}
    inputs = _inputs(call, groups.get(getattr(answer, "group", ""), question.wrt))
    if groups and field in BY_GROUP:
        return dict.fromkeys(groups, next(iter(inputs.values())))
    return inputs


def _faults_inside(call: Call, answer: Inspection) -> Iterator[Violation]:
    before = -1
    for k, value in enumerate(answer.values):
        if value.number <= before or any(not 0 <= operand < value.number for operand in value.operands):
            text = "values come in the order in which they are computed, each after its operands"
            yield Violation(f"values[{k}]", "A2", text)
        before = value.number
    told = {name for value in answer.values for name in value.outputs}
    for name in call.graph.output_types.keys() - told:
        yield Violation("values", "A1", f"the output {json.dumps(name)} was asked for, and is missing")


def _inputs(call: Call, names: Collection[str]) -> dict[str, TensorType]:
    """The inputs of these names; all that are real if there are none."""
    types = call.graph.input_types
    return {name: types[name] for name in names if name in types} if names else _real(types)


def _real(types: Mapping[str, TensorType]) -> dict[str, TensorType]:
    return {name: type_ for name, type_ in types.items() if type_.is_float}


def _lengths(call: Call) -> dict[str, int]:
    """The lengths of the graph's symbols, as far as the arguments tell them."""
    shapes = {name: type_.lengths for name, type_ in types_of(call.arguments).items()}
    own = {name: shape[1:] if name in call.batched else shape for name, shape in shapes.items()}
    return solve_symbols(call.graph, own)


def _at(field: str, name: str) -> str:
    return f"{field}[{json.dumps(name)}]"
