"""Graphs in double precision."""

from typing import Any

import numpy as np
import pytest

from gradserve.ir.check import check
from gradserve.ir.op import Sample
from gradserve.ir.types import ElementType, TensorType, type_of
from gradserve.ops import OP_SET, builder
from gradserve.verification.widen import is_single, widen
from tests.running import prepared

SINGLE, DOUBLE = ElementType.FLOAT32, ElementType.FLOAT64


def evaluated(graph, arguments):
    return prepared(graph)(arguments)


def mixed():
    g = builder()
    x = g.input("x", TensorType(SINGLE, (6,)))
    k = g.input("k", TensorType(ElementType.INT32, (6,)))
    y = g.input("y", TensorType(DOUBLE, (6,)))
    ramp = g.iota(length=6, element_type=SINGLE)
    z = g.sin(x * np.float32(0.1)) + g.convert(k, SINGLE) + ramp + g.convert(y, SINGLE)
    return g.build({"loss": g.reduce_sum(g.convert(z, DOUBLE) * y, axes=(0,)), "index": g.argmax(z, axis=0)})


def test_every_value_is_double_and_integers_stay():
    wide = widen(mixed())
    check(wide)
    assert is_single(mixed())
    assert not is_single(wide)
    kinds = [t.element_type for t in wide.input_types.values()]
    assert kinds == [DOUBLE, ElementType.INT32, DOUBLE]
    assert SINGLE not in {t.element_type for t in wide.value_types}


def test_the_function_is_the_same_but_for_rounding():
    rng = np.random.default_rng(0)
    arguments: dict[str, Any] = {
        "x": rng.standard_normal(6).astype(np.float32),
        "k": rng.integers(-3, 3, 6).astype(np.int32),
        "y": rng.standard_normal(6),
    }
    narrow = evaluated(mixed(), arguments)
    wide = evaluated(widen(mixed()), {**arguments, "x": arguments["x"].astype(np.float64)})
    assert wide["loss"] == pytest.approx(narrow["loss"], rel=1e-6)
    assert wide["loss"] != narrow["loss"]
    assert wide["index"] == narrow["index"]
    exact = np.sin(arguments["x"].astype(float) * float(np.float32(0.1))) + arguments["k"] + np.arange(6)
    assert wide["loss"] == pytest.approx(np.sum((exact + arguments["y"]) * arguments["y"]), rel=1e-14)


def test_a_graph_without_single_precision_keeps_its_identity():
    g = builder()
    x = g.input("x", TensorType(DOUBLE, (3,)))
    graph = g.build({"loss": g.reduce_sum(g.exp(x), axes=(0,))})
    assert not is_single(graph)
    assert widen(graph).digest == graph.digest


def single_samples():
    """Every sample of every op, its reals in single precision, where the op takes that."""
    for op in OP_SET:
        for sample in op.samples():
            narrow = not sample.op.functions  # whose types are their own; their samples are in both precisions
            operands = (a.astype(np.float32) if narrow and a.dtype == np.float64 else a for a in sample.operands)
            yield Sample(sample.op, tuple(operands))


def test_every_op_can_be_widened():
    count = 0
    for sample in single_samples():
        g = builder()
        inputs = [g.input(f"x{k}", type_of(a)) for k, a in enumerate(sample.operands)]
        results = g.apply(sample.op, inputs)
        graph = g.build({f"y{k}": r for k, r in enumerate(results)})
        wide = widen(graph)
        check(wide)
        wider = {SINGLE: DOUBLE, ElementType.COMPLEX64: ElementType.COMPLEX128}
        types = graph.output_types.values()
        expected = [t.with_element_type(wider.get(t.element_type, t.element_type)) for t in types]
        assert list(wide.output_types.values()) == expected
        count += is_single(graph)
    assert count > 100
