"""Spectra, eigenpairs and systems as a user asks for them: of a service, in process, and on the terminal."""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
import pytest

from gradserve.client import InvalidRequest, NotDifferentiable
from tests.clients.bits import same_bits
from tests.clients.examples import C as B
from tests.clients.examples import V as W
from tests.clients.examples import fitted as loss


def hessian_of(client):
    blocks = client.function(loss).hessian(W, B)
    rows = [
        [np.reshape(blocks[r][c], (a.size, b.size)) for c, b in (("w", W), ("b", B))] for r, a in (("w", W), ("b", B))
    ]
    return np.block(rows)


def flat(tree):
    return np.concatenate([np.ravel(tree["w"]), np.ravel(tree["b"])])


def test_a_spectrum(agree, embedded):
    found = agree(lambda c: _without_report(c.function(loss).hessian_spectrum(W, B, seed=4)))
    hessian = hessian_of(embedded)
    assert found["moments"][0].lower <= np.trace(hessian) / 8 <= found["moments"][0].upper
    assert found["largest"] == pytest.approx(np.linalg.eigvalsh(hessian)[-1])


def test_the_gradient_of_log_det(agree, embedded):
    damping = 1 - np.linalg.eigvalsh(hessian_of(embedded))[0]

    def ask(client):
        f = client.function(loss)
        return _without_report(f.hessian_spectrum(W, B, seed=4, damping=damping, gradient=True))

    found = agree(ask)
    assert found["gradient"]["w"].shape == W.shape
    assert found["gradient_residual"] < 1e-10


def test_eigenpairs_have_the_structure_of_the_parameters(agree, embedded):
    found = agree(lambda c: _without_report(c.function(loss).hessian_eigenpairs(W, B, count=3, end="magnitude")))
    assert found["vectors"]["w"].shape == (3, 3, 2)
    hessian = hessian_of(embedded)
    for k in range(3):
        v = flat({name: array[k] for name, array in found["vectors"].items()})
        assert np.allclose(hessian @ v, found["values"][k] * v)


def test_an_earlier_answer_is_a_start(agree):
    def ask(client):
        f = client.function(loss)
        first = f.hessian_eigenpairs(W, B, count=2)
        again = f.hessian_eigenpairs(W + 1e-3, B, count=2, start=first)
        return _without_report(f.hessian_eigenpairs(W + 1e-3, B, count=2, start=again.vectors))

    assert agree(ask)["complete"]


def test_a_system(agree, embedded):
    right = {"w": np.ones((3, 2)), "b": np.zeros(2)}
    hessian = hessian_of(embedded)
    damping = 1 - np.linalg.eigvalsh(hessian)[0]

    def ask(client):
        diagonal = {"w": np.full((3, 2), 3.0), "b": np.full(2, 2.0)}
        options = {"preconditioner": "diagonal", "diagonal": diagonal}
        return _without_report(client.function(loss).hessian_solve(W, B, right=right, damping=damping, **options))

    x = flat(agree(ask)["solution"])
    assert np.allclose(hessian @ x + damping * x, flat(right), atol=1e-5)


@pytest.mark.parametrize("kinks", ["resolve", "refuse"])
def test_kinks_are_refused_if_that_is_wanted(client, kinks):
    f = client.function(lambda w: np.sum(np.abs(w) * w))
    f.kinks = kinks
    assert f.hessian_eigenpairs(np.ones(3), count=1).values[0] == pytest.approx(2)
    with pytest.raises(NotDifferentiable, match="kink"):
        f.hessian_spectrum(np.array([1.0, 0.0, 2.0]))
    f.kinks = "convention"
    assert f.hessian_spectrum(np.array([1.0, 0.0, 2.0])).report.on_kinks


def test_numbers_that_travel_as_float32(agree):
    """The right-hand side is rounded in process as well."""

    def ask(client):
        f = client.function(loss)
        f.transport = "float32"
        return _without_report(f.hessian_solve(W, B, right={"w": W / 3, "b": B}, damping=50))

    exact = agree(
        lambda c: _without_report(c.function(loss).hessian_solve(W, B, right={"w": W / 3, "b": B}, damping=50))
    )
    assert not same_bits(agree(ask)["solution"], exact["solution"])


def test_one_parameter_is_no_dict(client):
    f = client.function(lambda w: np.sum(w**3))
    w = np.array([1.0, 2.0, 3.0])
    assert f.hessian_solve(w, right=np.ones(3)).solution == pytest.approx(1 / (6 * w))
    assert f.hessian_eigenpairs(w, count=1).vectors.shape == (1, 3)
    bent = f.hessian_solve(-w, right=np.ones(3))
    assert bent.stop_reason == "negative_curvature"
    assert bent.direction.shape == (3,)


@pytest.mark.parametrize("method", ["hessian_spectrum", "hessian_eigenpairs", "hessian_solve"])
def test_progress_tells_every_answer_and_may_leave(client, method):
    seen: list[Any] = []
    right = {"right": {"w": W, "b": B}, "damping": 50.0} if method == "hessian_solve" else {}

    def leave(answer):
        raise StopIteration

    f = client.function(loss)
    found = getattr(f, method)(W, B, progress=seen.append, **right)
    assert same_bits(seen[-1], found)
    assert f.last_report == found.report
    assert f.last_report.batch_size > 0
    first = getattr(f, method)(W, B, progress=leave, **right)
    assert same_bits(_without_report(first), _without_report(seen[0]))


def test_answers_print_as_tables_and_draw_themselves(client):
    axes = pytest.importorskip("matplotlib.figure").Figure().subplots()
    f = client.function(loss)
    found = (
        f.hessian_spectrum(W, B),
        f.hessian_eigenpairs(W, B),
        f.hessian_solve(W, B, right={"w": W, "b": B}, damping=50),
    )
    for answer, title in zip(
        found, ("8 eigenvalues from", "4 of 4 eigenpairs", "solution with a residual"), strict=True
    ):
        assert str(answer).startswith(title)
        assert answer._repr_html_().startswith(f"<p>{title}")
        assert answer._repr_html_().count("<tr>") == len(str(answer).splitlines()) - 1
        assert answer.plot(axes) is axes
    assert f.hessian_spectrum(W, B, damping=50).plot(axes, logarithmic=False) is axes


def test_drawing_without_matplotlib(embedded, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    found = embedded.function(loss).hessian_spectrum(W, B)
    with pytest.raises(ImportError, match="drawing needs matplotlib: pip install matplotlib"):
        found.plot()


@pytest.mark.parametrize("derivation", ["hessian_spectrum", "hessian_eigenpairs", "hessian_solve"])
def test_predictions(agree, derivation):
    found = agree(lambda c: c.function(loss).explain(W, B, derivation=derivation))
    assert found.flops > 8 * found.loss_flops
    assert list(found.outputs) == ["product:w", "product:b"]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda f: f.hessian_eigenpairs(W, B, count=9),
            "count: K6: 9 are asked for, and the number of eigenpairs is 8",
        ),
        (lambda f: f.hessian_eigenpairs(W, B, end="left"), "there is no end 'left'; there are largest, smallest"),
        (lambda f: f.hessian_eigenpairs(W, B, start=W), "the start must be a dict with w, b"),
        (lambda f: f.hessian_solve(W, B, right={"w": W[:2], "b": B}), r'right\["w"\]: R4: f64\[2,2\] is given'),
        (lambda f: f.hessian_solve(W, B, right=W), "the right-hand side must be a dict with w, b"),
        (lambda f: f.hessian_spectrum(W, B, probes=-1), "probes is -1; it must be a whole number"),
        (lambda f: f.hessian_spectrum(W, B, steps=1.5), "steps is 1.5; it must be a whole number"),
        (
            lambda f: f.hessian_spectrum(W, B, matrix="kronecker"),
            "there is no matrix 'kronecker'; there are hessian, gauss",
        ),
        (lambda f: f.hessian_spectrum(W, B, progress=3), "progress is 3; write a function"),
    ],
)
def test_what_does_not_fit_is_named(client, ask, message):
    with pytest.raises(InvalidRequest, match=message):
        ask(client.function(loss))


def _without_report(answer):
    return {name: value for name, value in vars(answer).items() if name != "report"}


# ---- the command line


def test_a_spectrum_on_the_terminal(run, folder, place):
    status, out, err = run(
        "spectrum", "loss.pb", "point.npz", *place, "--probes", "4", "--plot", "s.png", "--out", "s.npz"
    )
    assert (status, err) == (0, "")
    assert re.search(r"\d+ eigenvalues from .* \(4 probes of", out)
    assert "drawn into s.png" in out
    assert (folder / "s.png").stat().st_size > 1000
    with np.load("s.npz") as written:
        assert {"points", "density", "cumulative", "nodes", "weights"} <= set(written)


def test_eigenpairs_on_the_terminal(run, folder, place):
    status, out, _ = run("eigenpairs", "loss.pb", "point.npz", *place, "--count", "2", "--out", "e.npz")
    assert status == 0
    assert "2 of 2 eigenpairs (largest) converged, no other found" in out
    assert run("eigenpairs", "loss.pb", "point.npz", *place, "--count", "2", "--start", "e.npz")[0] == 0
    status, _, err = run("eigenpairs", "loss.pb", "point.npz", *place, "--count", "1000")
    assert status == 2
    assert "count: K6: 1000 are asked for" in err


def test_a_system_on_the_terminal(run, folder, place):
    status, out, _ = run("solve", "loss.pb", "point.npz", *place, "--damping", "50", "--out", "x.npz")
    assert status == 0
    assert "stopped by tolerance" in out
    with np.load("x.npz") as written:
        assert {"solution:w", "solution:b"} <= set(written)
    run("gradient", "loss.pb", "point.npz", *place, "--out", "g.npz")
    same = run("solve", "loss.pb", "point.npz", *place, "--damping", "50", "--right", "g.npz")[1]
    assert same.splitlines()[0] == out.splitlines()[0]
    assert run("solve", "loss.pb", "point.npz", *place, "--damping", "50", "--max-iterations", "1")[0] == 1


def test_the_help_teaches(run, capsys):
    for command, word in (("spectrum", "Frobenius"), ("eigenpairs", "certificate"), ("solve", "Newton")):
        with pytest.raises(SystemExit):
            run(command, "--help")
        assert word in capsys.readouterr().out
