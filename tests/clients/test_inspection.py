"""Every value with its tangent and its adjoint, as in the lecture's figures, in process and remote."""

import xml.etree.ElementTree as ET

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.autodiff import inspect as transform
from gradserve.autodiff.walk import declare_inputs, inline
from gradserve.client import Client
from gradserve.ir.errors import InvalidRequest
from gradserve.ops import builder

jax.config.update("jax_enable_x64", True)

W1, W2 = 2.0, 3.0
LOG, SQRT = np.log(W1), np.sqrt(W2 * np.log(W1))


@pytest.fixture(params=["in process", "remote"])
def client(request, address):
    with Client(address if request.param == "remote" else None) as made:
        yield made


def lecture(w1, w2):
    product = w2 * np.log(w1)
    return product + np.sqrt(product)


def by_op(inspection):
    return {value.op if value.op != "input" else value.name: value for value in inspection.values}


def test_the_figure_of_the_lecture(client):
    """Primals, tangents along w1 and adjoints of w2 log w1 + sqrt(w2 log w1), by hand."""
    found = client.function(lecture).inspect(W1, W2, tangent={"w1": 1.0, "w2": 0.0})
    slope = 1 + 0.5 / SQRT
    expected = {
        "w1": (W1, 1.0, slope * W2 / W1),
        "w2": (W2, 0.0, slope * LOG),
        "log": (LOG, 1 / W1, slope * W2),
        "mul": (W2 * LOG, W2 / W1, slope),
        "sqrt": (SQRT, 0.5 / SQRT * W2 / W1, 1.0),
        "add": (W2 * LOG + SQRT, slope * W2 / W1, 1.0),
    }
    values = by_op(found)
    assert values.keys() == expected.keys()
    for name, numbers in expected.items():
        value = values[name]
        np.testing.assert_allclose((value.value, value.tangent, value.adjoint), numbers, rtol=1e-14, err_msg=name)
    assert values["add"].outputs == ("result",)
    assert values["log"].source.startswith("test_inspection.py:")


def test_adjoints_of_a_network_are_gradients_in_something_added(client):
    rng = np.random.default_rng(3)
    x, w, v = rng.standard_normal((5, 4)), rng.standard_normal((4, 3)), rng.standard_normal(3)

    def loss(w, v):
        return np.mean(np.tanh(x @ w) @ v) ** 2

    def from_hidden(hidden):
        return jnp.mean(jnp.tanh(hidden) @ v) ** 2

    f = client.function(loss)
    values = by_op(f.inspect(w, v))
    hidden = next(value for value in f.inspect(w, v).values if value.op == "contract" and value.value.shape == (5, 3))
    np.testing.assert_allclose(hidden.adjoint, jax.grad(from_hidden)(x @ w), rtol=1e-12)
    gradient = f.grad(w, v)
    np.testing.assert_allclose(values["w"].adjoint, gradient["w"], rtol=1e-12)
    np.testing.assert_allclose(values["v"].adjoint, gradient["v"], rtol=1e-12)
    assert values["w"].tangent is None


def test_what_is_no_loss_has_no_adjoints(client):
    found = client.function(lambda x: {"a": np.sin(x), "b": np.argmax(x)}).inspect(np.ones(3), tangent=np.ones(3))
    assert [value.adjoint for value in found.values] == [None] * len(found.values)
    values = by_op(found)
    np.testing.assert_allclose(values["sin"].tangent, np.cos(np.ones(3)), rtol=1e-15)
    assert values["argmax"].tangent is None


def test_tables_and_pictures(client):
    found = client.function(lecture).inspect(W1, W2)
    lines = str(found).splitlines()
    assert lines[0].split() == ["value", "type", "primal", "adjoint", "source"]
    assert len(lines) == 7
    assert lines[4].startswith("%3 mul %1, %2")
    assert '"%0 w1\\nprimal 2.\\nadjoint' in found.dot()
    assert found.dot().count("->") == 6
    picture = ET.fromstring(found.svg())
    space = "{http://www.w3.org/2000/svg}"
    assert len(picture.findall(f"{space}rect")) == 6
    assert len(picture.findall(f"{space}path")) == 6
    assert {text.text for text in picture.iter(f"{space}text")} >= {"%0 w1", "%2 log %0", "= result"}


def test_boxes_do_not_overlap(client):
    rng = np.random.default_rng(0)
    f = client.function(lambda a, b: np.sum(np.sin(a) * np.cos(b) + np.exp(a - b) / (1 + a * a)))
    picture = ET.fromstring(f.inspect(rng.standard_normal(3), rng.standard_normal(3)).svg())
    boxes = [
        [float(rect.attrib[side]) for side in ("x", "y", "width", "height")]
        for rect in picture.findall("{http://www.w3.org/2000/svg}rect")
    ]
    for k, (x, y, width, height) in enumerate(boxes):
        for x2, y2, width2, height2 in boxes[:k]:
            assert x + width <= x2 or x2 + width2 <= x or y + height <= y2 or y2 + height2 <= y


def test_a_tangent_of_another_shape_is_refused(client):
    with pytest.raises(InvalidRequest):
        client.function(lecture).inspect(W1, W2, tangent={"w1": np.ones(2), "w2": 0.0})


def test_a_wrong_adjoint_would_be_seen(monkeypatch):
    """The planted fault: what is added counts twice."""
    true = transform.perturbed
    monkeypatch.setattr(transform, "perturbed", lambda graph, perturbed: _doubled(true(graph, perturbed)))
    with Client() as client, pytest.raises(AssertionError):
        test_the_figure_of_the_lecture(client)


def _doubled(graph):
    g = builder()
    arguments = declare_inputs(g, graph)
    doubled = {n: v + v if n.startswith("perturbation:") else v for n, v in arguments.items()}
    return g.build(inline(g, graph, doubled))
