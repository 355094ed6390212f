"""Where a function is not differentiable: replies count the nodes, and Inspect names them; in process and remote."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.client.functions import softmax
from gradserve.jobs.sweeps import cut
from gradserve.ops.elementwise.arithmetic import Abs
from gradserve.questions.report import Kinks

W = np.array([0.0, 1.0, -1.0, 0.0])
POINTS = np.array([[0.5, 1.0, -1.5, 2.0], W, [0.5, 1.5, -1.5, 2.0], [0.5, 1.0, -1.5, 0.0]])
"""Smooth, all three nodes on a kink, smooth, two nodes: maximum and abs."""


@pytest.fixture(params=["in process", "remote"])
def client(request, address):
    with Client(address if request.param == "remote" else None) as made:
        yield made


def loss(w):
    return np.sum(np.maximum(w, 0) ** 2) + np.max(np.abs(w))


def count(client, ask, function=loss):
    f = client.function(function)
    ask(f)
    return f.last_report.kinks


ASKED = {
    "grad": lambda f, w, **options: f.grad(w, **options),
    "jvp": lambda f, w, **options: f.jvp(w, tangent=np.ones_like(w), **options),
    "vjp": lambda f, w, **options: f.vjp(w, cotangent=np.ones(np.shape(w)[:-1]), **options),
    "hvp": lambda f, w, **options: f.hvp(w, tangent=np.ones_like(w), **options),
    "jacobian forward": lambda f, w, **options: f.jacobian(w, mode="forward", **options),
    "jacobian reverse": lambda f, w, **options: f.jacobian(w, mode="reverse", **options),
    "hessian": lambda f, w, **options: f.hessian(w, **options),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_every_reply_counts_nodes_on_kinks(client, ask):
    assert [count(client, lambda f, w=w: ask(f, w)) for w in POINTS] == [
        Kinks(0, 0),
        Kinks(3, 1),
        Kinks(0, 0),
        Kinks(2, 1),
    ]


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_a_batch_counts_nodes_and_points(client, ask, reduction):
    assert count(client, lambda f: ask(f, POINTS, batch=True, reduction=reduction)) == Kinks(3, 2)
    assert count(client, lambda f: ask(f, POINTS[[0, 2]], batch=True, reduction=reduction)) == Kinks(0, 0)


def test_a_batch_in_many_chunks_counts_them_all(client, monkeypatch):
    monkeypatch.setattr(cut, "CHUNK_SECONDS", 1e-4)
    f = client.function(loss)
    f.grad(np.tile(POINTS, (5000, 1)), batch=True, reduction="sum")
    assert f.last_report.chunks > 1
    assert f.last_report.kinks == Kinks(3, 10_000)


def test_counting_leaves_the_bits(client):
    f = client.function(loss)
    f.count_kinks = False
    plain = f.value_and_grad(POINTS, batch=True)
    assert f.last_report.kinks is None
    f.count_kinks = True
    for one, other in zip(plain, f.value_and_grad(POINTS, batch=True), strict=True):
        assert one.tobytes() == other.tobytes()


def test_only_what_moves_counts(client):
    f = client.function(lambda v, w: np.abs(v).sum() * np.maximum(w, 0).sum())
    f.grad(W, W, wrt="v")
    assert f.last_report.kinks == Kinks(1, 1)


def test_smooth_functions_have_no_kinks_inside(client):
    """What a softmax shifts by, and what a mean without NaN asks, are nobody's kinks."""
    for function in (softmax, lambda w: np.nanmean(w) + np.hypot(w, 1.0) + np.sinc(w)):
        assert count(client, lambda f: f.jacobian(np.zeros(4)), function) == Kinks(0, 0)


def test_a_value_alone_needs_no_derivative(client):
    assert count(client, lambda f: f(W)) is None


def test_what_cannot_have_kinks_is_computed_as_without_counting(client):
    f = client.function(lambda w: np.sum(np.exp(w)))
    texts = []
    for f.count_kinks in (True, False):
        texts.append(f.explain(W).text)
    assert texts[0] == texts[1]
    assert count(client, lambda f: f.grad(W), lambda w: np.sum(np.exp(w))) == Kinks(0, 0)


def test_inspect_names_them(client):
    found = client.function(loss).inspect(W)
    assert [(value.op, value.kinks) for value in found.kinks] == [("maximum", 2), ("abs", 2), ("reduce_max", 1)]
    assert all(value.source.startswith("test_kinks.py:") for value in found.kinks)
    assert found.report.kinks == Kinks(3, 1)
    assert client.function(loss).inspect(POINTS[0]).kinks == ()


def test_they_are_marked_in_the_table_and_in_pictures(client):
    f = client.function(loss)
    found, smooth = f.inspect(W), f.inspect(POINTS[0])
    marked = [line.split()[1] for line in str(found).splitlines() if "on a kink" in line]
    assert marked == ["maximum", "abs", "reduce_max"]
    assert found.dot().count("color=darkorange") == 3
    frames = [rect.attrib["stroke"] for rect in ET.fromstring(found.svg()).iter("{http://www.w3.org/2000/svg}rect")]
    assert frames.count("darkorange") == 3
    assert all(
        "on a kink" not in text and "darkorange" not in text for text in (str(smooth), smooth.dot(), smooth.svg())
    )


def test_the_command_line_tells_of_them(folder, run, place, embedded):
    embedded.function(loss, W).save("kinked.pb")
    np.savez("w.npz", w=W)
    np.savez("smooth.npz", w=POINTS[0])
    status, out, err = run("inspect", "kinked.pb", "w.npz", "--dot", "w.dot", "--svg", "w.svg", *place)
    assert (status, err) == (0, "")
    assert "3 node(s) on a kink at 1 point(s), where derivatives follow the conventions of docs/NUMPY.md" in out
    assert (folder / "w.dot").read_text().count("on a kink") == (folder / "w.svg").read_text().count("on a kink") == 3
    assert "on a kink" not in run("inspect", "kinked.pb", "smooth.npz", *place)[1]
    assert "3 node(s) on a kink" in run("gradient", "kinked.pb", "w.npz", *place)[1]
    assert "on a kink" not in run("gradient", "kinked.pb", "smooth.npz", *place)[1]


def test_a_wrong_count_would_be_seen(monkeypatch):
    """The planted fault: abs says that it is smooth at 0."""
    monkeypatch.setattr(Abs, "kink", lambda self, g, operands, outputs: None)
    with Client() as client, pytest.raises(AssertionError):
        test_inspect_names_them(client)
