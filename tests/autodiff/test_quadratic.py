"""Forms <v, H v> alone, against products H v and what they are worth."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gradserve.autodiff import names, quadratic
from gradserve.autodiff.derivation import Curvature, Form
from gradserve.autodiff.derive import derive
from gradserve.client.functions import scan
from gradserve.execution.program import Program, instance_of
from gradserve.ir.errors import NotDifferentiable
from gradserve.ir.graph import Graph
from gradserve.optimize import optimize
from tests.autodiff.test_laplacian import LOSSES, A, X, traced
from tests.running import prepared

FORM = names.product("curvature")
RNG = np.random.default_rng(11)


def form(graph: Graph, points, vectors, derivation=Form) -> float:
    derived = optimize(derive(graph, derivation(tuple(vectors))))
    found = prepared(derived)({**points, **{names.tangent(name): each for name, each in vectors.items()}})
    return float(found[FORM])


def both(loss, *points) -> tuple[float, float]:
    """The form alone, and that of the product, along random vectors in all inputs."""
    graph = traced(loss, *points)
    given = {i.name: np.asarray(point) for i, point in zip(graph.inputs, points, strict=True)}
    vectors = {name: np.asarray(RNG.standard_normal(each.shape)) for name, each in given.items()}
    return form(graph, given, vectors), form(graph, given, vectors, Curvature)


@pytest.mark.parametrize("name", LOSSES)
def test_it_is_the_form_of_the_product(name):
    found, expected = both(LOSSES[name], X)
    assert found == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(
    ("loss", "points"),
    [
        (lambda w, s: np.sum(np.sin(w) * s**2) + s * np.sum(w[:2]) + s**3, (X, 0.7)),
        (lambda w, v: np.sum(np.tanh(np.tanh(A @ w) @ v) ** 2), (X, RNG.standard_normal((6, 3)))),
        (lambda w: np.sum(scan(lambda c, _: (np.sin(c + A.T @ (A @ c) / 9), None), w, length=5)[0] ** 2), (X,)),
        (lambda w: np.sum(np.abs(np.fft.fft(np.sin(w))) ** 4), (X,)),  # complex on the way
        (lambda w: 3 * np.sum(w), (X,)),
    ],
    ids=["several inputs", "products of inputs", "a loop", "complex", "linear"],
)
def test_graphs_of_every_kind(loss, points):
    found, expected = both(loss, *points)
    assert found == pytest.approx(expected, rel=1e-11, abs=1e-13)


def test_it_takes_half_of_a_product():
    data = RNG.standard_normal((64, 32))
    graph = traced(
        lambda u, v: np.sum(np.tanh(np.tanh(data @ u) @ v)), RNG.standard_normal((32, 32)), RNG.standard_normal((32, 8))
    )
    wrt = tuple(i.name for i in graph.inputs)
    programs: list[Program] = [instance_of(optimize(derive(graph, each(wrt)))).program for each in (Form, Curvature)]
    form_alone, whole = (program.flops for program in programs)
    assert form_alone < 0.75 * whole  # the gradient, which many forms share, included


def test_without_a_derivative_it_is_refused():
    graph = traced(lambda x: np.sum(np.sort(x) * x) + x, X)
    with pytest.raises(NotDifferentiable):
        derive(graph, Form((graph.inputs[0].name,)))


def test_the_law_fails_without_factors(monkeypatch):
    """A planted fault: of functions of one number the square alone, without their second derivative."""
    monkeypatch.setattr(quadratic, "_Bend", lambda along, factor=None: SimpleNamespace(along=along, factor=None))
    found, expected = both(LOSSES["network"], X)
    assert found != pytest.approx(expected, rel=0.01)
