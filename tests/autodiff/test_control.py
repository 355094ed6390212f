"""Ops that call functions: what their transforms are made of, what these cost, and that the laws see their faults."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest

from gradserve.autodiff import derive, rules, vmap
from gradserve.autodiff.control import cond, scan
from gradserve.client.functions import cond as choose
from gradserve.client.functions import scan as loop
from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import Cancelled
from gradserve.ir.graph import Graph
from gradserve.ir.types import ElementType, TensorType, type_of
from gradserve.ops import builder
from gradserve.ops.control.cond import Cond
from gradserve.ops.control.scan import Scan
from gradserve.optimize import optimize
from gradserve.questions.derivations import Gradient, Hvp
from gradserve.text.printing import to_text
from tests.laws.derived import Derived
from tests.laws.laws import LAWS
from tests.running import kernel_of, prepared, program_of

T = TypeVar("T")
RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((12, 32))
WEIGHTS = RNG.standard_normal((32, 32)) / 6


def recurrent(w):
    """A recurrent net: mostly products of a matrix and a vector."""
    return np.sum(loop(lambda h, x: (np.tanh(w @ h + x), np.sum(h * x)), np.zeros(32), ROWS).rows)


def chosen(w):
    return np.sum(choose(np.sum(w) > 0, lambda: np.tanh(w @ w), lambda: np.sin(w) @ w))


def ops_of(graph: Graph, kind: type[T]) -> list[T]:
    return [node.op for node in graph.nodes if isinstance(node.op, kind)]


@pytest.mark.parametrize("loss", [recurrent, chosen])
def test_flops_of_derivatives(loss):
    graph = trace(loss, WEIGHTS).graph
    flops = program_of(optimize(graph)).flops
    assert program_of(optimize(derive(graph, Gradient(("w",))))).flops <= 4 * flops
    assert program_of(optimize(derive(graph, Hvp(("w",), product_only=True)))).flops <= 8 * flops


def test_nothing_is_computed_twice():
    """The scan that gives the value records what the one back needs: there is no third."""
    forward, back = ops_of(optimize(derive(trace(recurrent, WEIGHTS).graph, Gradient(("w",)))), Scan)
    assert (forward.reverse, back.reverse) == (False, True)
    assert not any(node.op.name == "tanh" for node in back.body.nodes)


def test_what_all_steps_share_is_computed_once():
    def loss(w):
        return np.sum(loop(lambda h, _: (np.exp(w) * np.sin(h), None), np.ones(32), None, 5).carry)

    (_, back) = ops_of(derive(trace(loss, np.ones(32)).graph, Gradient(("w",))), Scan)
    assert not any(node.op.name == "exp" for node in back.body.nodes)
    assert back.scanned == 2  # sin h and cos h, not exp w


def test_what_nobody_reads_is_not_computed():
    """Rows, carries and operands of a loop, and outputs of a choice, that only unread results need."""

    def loss(w, v):
        def step(carry, x):
            h, unread, counted = carry
            return (np.tanh(w @ h + x), np.exp(v @ unread), counted + 1), (np.sum(np.sin(h) @ v), h)

        (h, _, _), (_, rows) = loop(step, (np.zeros(32), np.ones(32), 0), ROWS)
        return np.sum(h) + choose(rows[0, 0] > 0, lambda: (h[0], v @ v), lambda: (h[1], v))[0]

    graph = optimize(trace(loss, WEIGHTS, WEIGHTS).graph)
    (op,), (choice,) = ops_of(graph, Scan), ops_of(graph, Cond)
    assert (op.carries, len(op.body.outputs), len(op.body.inputs)) == (1, 2, 3)
    assert not {"exp", "sin"} & {node.op.name for node in op.body.nodes}
    assert not any(node.op.name == "contract" for node in choice.then.nodes)


def test_a_loop_without_results_is_dead():
    """As one is whose carries and rows all are none."""
    inner = builder()
    inner.input("row", TensorType(ElementType.FLOAT64))
    g = builder()
    rows = g.input("x", TensorType(ElementType.FLOAT64, (3,)))
    op = Scan(inner.build({}), length=3, carries=0, scanned=1, reverse=False, stops=False)
    assert g.apply(op, [g.lift(np.int64(3)), rows]) == ()
    assert len(g.build({"y": g.reduce_sum(rows, axes=(0,))}).nodes) == 1


def test_a_known_choice_is_made_at_once():
    graph = optimize(trace(lambda x: np.sum(choose(True, lambda: x * x, lambda: np.exp(x))), np.ones(3)).graph)
    assert not ops_of(graph, Cond)
    assert "exp" not in to_text(graph)


def test_a_loop_over_constants_is_left_to_the_run():
    graph = optimize(trace(lambda x: x + np.sum(loop(lambda c, r: (c, r * 2), x, np.ones(10**5)).rows), 1.0).graph)
    assert ops_of(graph, Scan)


def test_a_batch_of_fixed_loops_is_one_loop():
    graph = vmap(trace(recurrent, WEIGHTS).graph, ("w",), 7)
    (op,) = ops_of(graph, Scan)
    assert op.length == len(ROWS)


def test_a_carry_that_does_not_differ_is_not_batched():
    def loss(w):
        return loop(lambda c, _: ((c[0] + 1, c[1] * w), None), (0, 1.0), None, 3).carry[1]

    (op,) = ops_of(vmap(trace(loss, 2.0).graph, ("w",), 7), Scan)
    assert [i.type.shape for i in op.body.inputs] == [(), (7,), (7,)]


def test_a_loop_can_be_stopped():
    program = prepared(trace(lambda w: loop(lambda c, _: (np.sin(c), None), w, None, 10_000).carry, 0.5).graph)
    calls = []

    def stopped():
        calls.append(1)
        return len(calls) > 4

    with pytest.raises(Cancelled):
        program({"w": np.array(0.5)}, stopped)
    assert len(calls) == 5


def test_a_carry_that_is_an_operand_is_copied():
    """Results of their own memory: a later step may write into them."""
    x = np.arange(3.0)
    (scan_op,) = ops_of(trace(lambda x: loop(lambda c, _: (c, None), x, None, 2).carry, x).graph, Scan)
    found = kernel_of(scan_op, [type_of(np.array(2)), type_of(x)])(np.array(2), x)
    assert np.array_equal(found, x)
    assert not np.shares_memory(found, x)


# ---- planted faults


def not_reversed(op, g, cotangents, operands):
    return scan.pull(replace(op, reverse=not op.reverse), g, cotangents, operands)


def branches_exchanged(op, g, cotangents, operands):
    return cond.pull(replace(op, then=op.otherwise, otherwise=op.then), g, cotangents, operands)


def tangents_of_carries_lost(op, g, primals, tangents):
    outputs, pushed = scan.push(op, g, primals, tangents)
    return outputs, (None, *pushed[1:])


def first_example_for_all(op, g, operands, batched, size):
    return tuple(
        g.broadcast(
            g.emit("slice", y, starts=(0,) * y.type.rank, stops=(1, *y.shape[1:]), strides=(1,) * y.type.rank),
            y.type.shape,
        )
        for y in scan.spread(op, g, operands, batched, size)
    )


FAULTS = [
    (rules.pull, Scan, not_reversed, "transpose_keeps_inner_products"),
    (rules.pull, Cond, branches_exchanged, "transpose_keeps_inner_products"),
    (rules.push, Scan, tangents_of_carries_lost, "jvp_agrees_with_differences"),
    (rules.spread, Scan, first_example_for_all, "vmap_agrees_with_loop"),
]


@pytest.mark.parametrize(("rule", "op", "fault", "law"), FAULTS)
def test_the_laws_see_a_fault(rule, op, fault, law):
    def keep_law():
        for sample in op.samples():
            LAWS[law](sample, Derived())

    keep_law()
    right = rule.dispatch(op)
    rule.register(op, fault)
    try:
        with pytest.raises(AssertionError):
            keep_law()
    finally:
        rule.register(op, right)
