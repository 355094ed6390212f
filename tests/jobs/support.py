"""Graphs and calls for the tests of jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.jobs.answering import answers
from gradserve.jobs.sweeps.context import Context
from gradserve.ops import builder
from gradserve.questions.call import Call
from gradserve.questions.derivations import Derivation
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.estimates import EstimateTrace, TraceEstimate
from gradserve.questions.verification import VerificationProgress, VerificationReport, VerifyGradient
from gradserve.runtime.control import Control

F64, F32 = ElementType.FLOAT64, ElementType.FLOAT32


def real(*shape: int, element_type: ElementType = F64) -> TensorType:
    return TensorType(element_type, shape)


def total(g: Builder, x: Value) -> Value:
    return g.reduce_sum(x, axes=tuple(range(x.type.rank)))


def product(g: Builder, x: Value, y: Value) -> Value:
    """x y over the last axis of x and the first of y."""
    return g.contract(x, y, lhs_contract=(x.type.rank - 1,), rhs_contract=(0,), lhs_batch=(), rhs_batch=())


def quadratic(matrix: Array) -> Graph:
    """<x, A x> / 2, whose Hessian is A if A is symmetric."""
    g = builder()
    x = g.input("x", TensorType(ElementType.of(matrix.dtype), (len(matrix),)))
    return g.build({"loss": total(g, x * product(g, g.constant(matrix), x)) * 0.5})


def layer(element_type: ElementType = F64, width: int = 20) -> Graph:
    """The sum of tanh(W x + b)^2, and an input that it does not use."""
    g = builder()
    w = g.input("W", real(width, width, element_type=element_type))
    x, b = (g.input(name, real(width, element_type=element_type)) for name in ("x", "b"))
    g.input("unused", real(3, element_type=element_type))
    h = g.tanh(product(g, w, x) + b)
    return g.build({"loss": total(g, h * h)})


def arguments_of(graph: Graph, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    types = graph.input_types.items()
    return {name: rng.standard_normal(t.lengths).astype(t.element_type.dtype) * 0.3 for name, t in types}


def wrt_of(graph: Graph) -> tuple[str, ...]:
    return tuple(i.name for i in graph.inputs if i.type.is_float)


def call_of(graph: Graph, arguments: Mapping[str, Array]) -> Call:
    return Call(graph, arguments)


def progress(
    context: Context,
    call: Call,
    claimed: Mapping[str, Array] | None = None,
    wrt: Sequence[str] = (),
    control: Control | None = None,
    **options,
) -> list[VerificationProgress]:
    """Every message of a verification."""
    question = VerifyGradient(call, tuple(wrt), claimed or {}, **options)
    return list(answers(context, question, control or Control()))


def verified(context: Context, graph: Graph, arguments: Mapping[str, Array], **wishes) -> VerificationReport:
    """The report of a verification."""
    report = progress(context, call_of(graph, arguments), **wishes)[-1].report
    assert report is not None
    return report


def estimates(
    context: Context, call: Call, wrt: Sequence[str] = (), control: Control | None = None, **options
) -> list[TraceEstimate]:
    """Every message of an estimate."""
    return list(answers(context, EstimateTrace(call, tuple(wrt), **options), control or Control()))


def differentiated(
    context: Context, call: Call, derivation: Derivation, vectors: Mapping[str, Array] | None = None
) -> Derivatives:
    """The answer to a derivation."""
    found: Derivatives
    (found,) = answers(context, Differentiate(call, derivation, vectors or {}), Control.after(60.0))
    return found
