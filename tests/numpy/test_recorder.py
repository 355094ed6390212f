"""What an importer does: it records nodes, constants and functions into a graph, without any traced array."""

import numpy as np
import pytest

from gradserve import numpy as gnp
from gradserve.ir.errors import InvalidGraph, Untraceable
from gradserve.ir.graph import Literal, Origin
from gradserve.ir.types import ElementType, TensorType
from gradserve.numpy.recorder import Recorder
from gradserve.ops.control.cond import Cond
from tests.running import prepared

DATA = np.random.default_rng(0).normal(size=(4, 3))
X = np.array([0.5, -1.5, 2.0])
TYPE = TensorType(ElementType.FLOAT64, (3,))


def run(graph, **arguments):
    return prepared(graph)(arguments)


def test_a_loss_is_recorded():
    g = Recorder()
    x = g.input("x", TYPE)
    loss = gnp.mean(gnp.logaddexp(0.0, gnp.negative(gnp.dot(DATA, x))))
    found = run(g.build({"loss": loss}), x=X)["loss"]
    np.testing.assert_allclose(found, np.mean(np.logaddexp(0.0, -(DATA @ X))))


def test_an_array_is_one_constant_however_often_it_takes_part(monkeypatch):
    g = Recorder()
    hashed = []
    digest = Literal.__hash__

    def counted(self):
        hashed.append(self)
        return digest(self)

    monkeypatch.setattr(Literal, "__hash__", counted)
    first = g.constant(DATA)
    count = len(hashed)
    assert g.constant(DATA) is first
    assert len(hashed) == count, "found by identity, without reading it for a digest"
    assert g.constant(DATA.copy()) is first


def test_an_array_that_was_written_to_is_another_constant():
    g, data = Recorder(), DATA.copy()
    first = g.constant(data)
    data[0, 0] += 1
    assert g.constant(data) is not first
    literal = g.literal(first)
    assert isinstance(literal, Literal)
    assert literal.array[0, 0] == DATA[0, 0]


def test_constants_are_converted_at_once():
    g = Recorder()
    x = g.input("x", TYPE)
    graph = g.build({"y": gnp.multiply(x, np.arange(3))})
    assert [node.op.name for node in graph.nodes] == ["mul"]
    assert [str(constant.type) for constant in graph.constants] == ["f64[3]"]


def test_a_function_reads_values_around_it_as_further_inputs():
    g = Recorder()
    x = g.input("x", TYPE)
    branches = []
    for factor in (2.0, -1.0):
        inner = Recorder(g)
        y = inner.input("y", TYPE)
        result = gnp.add(gnp.multiply(y, factor), inner.adopt(x))
        (captured,) = (own for _, own in inner.captured.values())
        branches.append(inner.build({"result": result}, [y, captured]))
    truth = gnp.greater(gnp.sum(x), 0.0)
    (chosen,) = g.apply(Cond(*branches), [truth, gnp.sin(x), x])
    graph = g.build({"y": chosen})
    np.testing.assert_allclose(run(graph, x=X)["y"], 2 * np.sin(X) + X)
    np.testing.assert_allclose(run(graph, x=-X)["y"], -np.sin(-X) - X)


def test_refusals_name_the_origin_that_the_importer_gives():
    g = Recorder()
    x = g.input("x", TYPE)
    g.origin = Origin("model.onnx", 7)
    with pytest.raises(InvalidGraph, match=r"sum: axis 3 is out of bounds for f64\[3\]; traced at model.onnx:7"):
        gnp.sum(x, axis=3)
    with pytest.raises(Untraceable, match="no graph has such elements; convert it beforehand"):
        g.constant(np.zeros(2, np.float16))
