"""Random records of any class, by its type hints; independent of how the codec reads these."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from gradserve.ir.graph import Graph
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import OP_SET
from gradserve.questions.asked import QUESTIONS
from gradserve.questions.derivations import DERIVATIONS
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.estimated import ESTIMATES
from gradserve.questions.explanation import Explain
from gradserve.questions.report import PHASES, Report
from gradserve.questions.shown import HERE
from gradserve.questions.spectra import SPECTRA
from gradserve.text.parsing import parse

GRAPHS = [
    parse(text, OP_SET)
    for text in (
        'graph (%0 "w": f64[3]) {\n  %1: f64[3] = mul %0, %0\n  return "y" %1\n}',
        'graph (%0 "w": f64[n], %1 "k": i64[]) {\n  %2: f64[n] = sin %0\n  return "a" %0, "b" %2\n}',
    )
]
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
TYPES = st.builds(
    TensorType,
    st.sampled_from(list(ElementType)),
    st.lists(st.integers(0, 3), max_size=3).map(tuple),
)
ARRAYS = TYPES.flatmap(lambda t: arrays_of.arrays(t.element_type.dtype, t.lengths))
SECONDS = st.builds(lambda whole, nanos: whole + 1e-9 * nanos, st.integers(0, 10**6), st.integers(0, 10**9 - 1))


EXPLAINED: tuple[Any, ...] = (*ESTIMATES.values(), *SPECTRA.values())
"""What can be explained besides derivations."""


def named(values: st.SearchStrategy[Any], least: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(NAMES, values, min_size=least, max_size=3)


def values_of(hint: Any, argument: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values of a type hint; `argument` is what stands where an array or its type may."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint is Graph:
        return st.sampled_from(GRAPHS)
    if hint is TensorType:
        return TYPES
    if origin is np.ndarray:
        return ARRAYS
    if origin is types.UnionType and TensorType in parts:
        return argument
    if origin is types.UnionType:
        return st.one_of(*(st.none() if part is type(None) else values_of(part, argument) for part in parts))
    if origin is tuple:
        return st.lists(values_of(parts[0], argument), max_size=3).map(tuple)
    if origin is Mapping:
        return named(values_of(parts[1], argument))
    if dataclasses.is_dataclass(hint):
        return records(hint, argument)
    if issubclass(hint, enum.StrEnum):
        return st.sampled_from(list(hint))
    return {
        bool: st.booleans(),
        int: st.integers(0, 2**31 - 1),
        float: st.floats(),
        str: NAMES,
        bytes: st.binary(max_size=5),
    }[hint]


def records(kind: Any, argument: st.SearchStrategy[Any] = ARRAYS) -> st.SearchStrategy[Any]:
    """Records of a class."""
    hints = typing.get_type_hints(kind)
    said = [field.name for field in dataclasses.fields(kind) if HERE not in field.metadata]
    fields = {name: values_of(hints[name], argument) for name in said}
    if kind is Report:
        fields |= dict.fromkeys(PHASES, SECONDS)
    return st.builds(kind, **fields)


def questions(rpc: str, argument: st.SearchStrategy[Any] = ARRAYS) -> st.SearchStrategy[Any]:
    """Questions to a method, without regard to whether they fit their graph."""
    kind = QUESTIONS[rpc]
    if kind is Explain:
        asked = [rpc for rpc, kind in QUESTIONS.items() if kind is Differentiate or kind in EXPLAINED]
        return st.sampled_from(asked).flatmap(lambda rpc: st.builds(Explain, questions(rpc, TYPES)))
    if kind is not Differentiate:
        return records(kind, argument)
    derivation = next(d for d in DERIVATIONS.values() if d.__name__ == rpc)
    asked_of = st.builds(derivation) if rpc == "Evaluate" else records(derivation)
    vectors = named(argument, least=1) if derivation.takes else st.just({})
    call = values_of(typing.get_type_hints(Differentiate)["call"], argument)
    return st.builds(Differentiate, call, asked_of, vectors)


def answers(question: Any) -> st.SearchStrategy[Any]:
    """Answers to a question, without regard to whether they are right."""
    if not isinstance(question, Differentiate):
        return records(question.answer)
    derivation = question.derivation
    one = st.dictionaries(st.just(question.call.graph.outputs[0].name), ARRAYS, max_size=1)
    roles = {role: one if field == "value" else named(ARRAYS) for field, role in derivation.gives.items()}
    dense = (
        {
            "blocks": st.dictionaries(NAMES, named(ARRAYS, least=1), max_size=3),
            "mode": st.sampled_from(list(type(Derivatives.mode))),
        }
        if derivation.dense
        else {}
    )
    return st.builds(Derivatives, st.fixed_dictionaries(roles), records(Report), **dense)


def same(left: Any, right: Any) -> bool:
    """Whether two values are the same to the bit, and of one kind."""
    if isinstance(left, np.ndarray):
        return (
            isinstance(right, np.ndarray)
            and (left.dtype, left.shape) == (right.dtype, right.shape)
            and (left.tobytes() == right.tobytes())
        )
    if isinstance(left, Graph):
        return left is right
    if dataclasses.is_dataclass(left):
        return isinstance(right, type(left)) and all(
            same(getattr(left, f.name), getattr(right, f.name)) for f in dataclasses.fields(left)
        )
    if isinstance(left, Mapping):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return np.float64(left).tobytes() == np.float64(right).tobytes() or (left != left and right != right)
    return type(left) is type(right) and left == right
