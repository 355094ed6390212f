"""Derivatives that a graph names: what is written in their place has their types, and the differences that they say."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gradserve.autodiff import written_out
from gradserve.ir.types import type_of
from gradserve.ops import OP_SET, builder
from gradserve.ops.control.derivatives import Jvp, Vjp
from gradserve.ops.control.scan import Scan
from gradserve.text.parsing import parse
from gradserve.text.printing import to_text
from gradserve.wire import decode_graph, encode_graph
from tests.laws import laws
from tests.laws.derived import Derived
from tests.laws.support import arguments, evaluate, graph_of
from tests.rows import in_one

SAMPLES: list[Any] = [
    pytest.param(sample, id=f"{op.name}{k}") for op in (Jvp, Vjp) for k, sample in enumerate(op.samples())
]
STEP = 1e-6


def products(sample: Any) -> list[np.ndarray]:
    """What the written graph gives for its vectors, one product for each."""
    found = [*evaluate(written_out(graph_of(sample)), arguments(sample)).values()]
    return found[len(sample.op.function.outputs) :]


def jacobian(sample: Any) -> np.ndarray:
    """Of the real results in what moves, both flattened, by central differences."""
    function, columns = sample.op.function, []
    count = len(function.inputs)
    names = [i.name for i in function.inputs]
    for k in sample.op.moved:
        for element in range(sample.operands[k].size):
            sides = []
            for sign in (1.0, -1.0):
                given = [np.array(x, float) for x in sample.operands[:count]]
                given[k].reshape(-1)[element] += sign * STEP
                values = evaluate(function, dict(zip(names, given, strict=True))).values()
                sides.append(np.concatenate([np.ravel(y) for y in values if y.dtype.kind == "f"]))
            columns.append((sides[0] - sides[1]) / (2 * STEP))
    real = sum(type_.size for type_ in sample.op.real)
    return np.stack(columns, axis=1) if columns else np.zeros((real, 0))


def check(sample: Any) -> None:
    matrix = jacobian(sample)
    rows = sample.operands[-1].shape[0] if sample.op.stacked else 1

    def flat(arrays):
        return np.concatenate([np.reshape(x, (rows, -1 if rows else 0)) for x in arrays], axis=1, dtype=float)

    vectors = flat(sample.operands[len(sample.op.function.inputs) :])
    if not rows:
        assert all(x.shape[0] == 0 for x in products(sample))
        return
    expected = vectors @ (matrix.T if isinstance(sample.op, Jvp) else matrix)
    found = products(sample)
    single = found[0].dtype == np.float32
    np.testing.assert_allclose(flat(found), expected, rtol=1e-5 if single else 1e-8, atol=1e-5 if single else 1e-8)


@in_one
@pytest.mark.parametrize("sample", SAMPLES)
def test_products_are_those_of_differences(sample):
    check(sample)


def test_a_derivative_in_another_input_is_seen(monkeypatch):
    sample: Any = next(Vjp.samples())
    other = written_out(graph_of(replace(sample, op=replace(sample.op, moved=(1,)))))
    monkeypatch.setitem(globals(), "written_out", lambda graph: other)
    with pytest.raises(AssertionError):
        check(sample)


@in_one
@pytest.mark.parametrize("sample", SAMPLES)
def test_types_are_those_of_what_is_written(sample):
    foretold = sample.op.infer(*(type_of(x) for x in sample.operands))
    assert foretold == tuple(written_out(graph_of(sample)).output_types.values())


@in_one
@pytest.mark.parametrize("sample", SAMPLES)
def test_graphs_come_back_from_text_and_messages(sample):
    graph = graph_of(sample)
    assert parse(to_text(graph), OP_SET).digest == graph.digest
    assert decode_graph(encode_graph(graph), OP_SET).digest == graph.digest


@in_one
@pytest.mark.parametrize("sample", SAMPLES)
def test_other_operands_break_a_constraint(sample):
    laws.misuse_breaks_a_numbered_constraint(sample, Derived())


def test_every_such_op_is_here():
    assert {op for op in OP_SET if op.written_out} == {Jvp, Vjp}


def test_a_graph_without_any_stays_as_it_is():
    g = builder()
    x = g.input("x", type_of(np.ones(2)))
    graph = g.build({"y": g.sin(x)})
    assert written_out(graph) is graph


def test_functions_of_loops_are_written_out():
    sample = next(Vjp.samples())
    g = builder()
    x, y, *vectors = (g.input(name, type_of(array)) for name, array in arguments(sample).items())
    *_, slope = g.apply(sample.op, [x, y, *vectors])
    body = g.build({"y0": slope})
    outer = builder()
    operands = [outer.input(i.name, i.type) for i in body.inputs]
    count = outer.constant(np.array(2))
    (last,) = outer.apply(Scan(body, 2, 1, 0, reverse=False, stops=False), [count, *operands])
    written = written_out(outer.build({"last": last}))
    assert not any(op.written_out for each in (written, *written.functions) for op in each.kinds)
    once = evaluate(written_out(body), arguments(sample))["y0"]
    twice = evaluate(written_out(body), {**arguments(sample), "x0": once})["y0"]
    np.testing.assert_allclose(evaluate(written, arguments(sample))["last"], twice)
