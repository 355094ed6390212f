"""What answers draw: the data in the axes are those of the answers; pages hold tables and pictures."""

from __future__ import annotations

import re
import sys
import types
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from gradserve.client import Live
from gradserve.questions import figures
from tests.clients.examples import C as B
from tests.clients.examples import V as W
from tests.clients.examples import fitted as loss


@pytest.fixture
def axes() -> Any:
    return Figure().subplots()


def drawn(line: Any) -> tuple[list[float], list[float]]:
    return list(line.get_xdata()), list(line.get_ydata())


def band(axes: Any) -> Any:
    """The corners of what is filled."""
    return axes.collections[0].get_paths()[0].vertices


def told_on_the_way(client, method, **options):
    seen: list[Any] = []
    found = getattr(client.function(loss), method)(W, B, progress=seen.append, **options)
    return seen, found


# ---- convergence


@pytest.mark.parametrize("method", ["hessian_trace", "hessian_diagonal", "zero_order_gradient"])
def test_an_estimate_draws_how_it_became_better(client, axes, method):
    signs = {"estimator": "hutchinson"} if method == "hessian_trace" else {}
    seen, found = told_on_the_way(client, method, max_probes=100, seed=2, **signs)
    assert found.plot(axes) is axes
    probes, values = drawn(axes.get_lines()[0])
    assert probes == [each.probes for each in seen] == [16, 32, 64, 100]
    assert values == [each.look.value for each in seen]
    corners = band(axes)
    for each in seen:
        edges = corners[corners[:, 0] == each.probes, 1]
        assert each.look.value - each.look.half_width == pytest.approx(edges.min())
        assert each.look.value + each.look.half_width == pytest.approx(edges.max())
    assert axes.get_xlabel() == "probes"


def test_what_is_drawn_of_a_trace_is_the_trace(client, axes):
    found = client.function(loss).hessian_trace(W, B, max_probes=64, estimator="hutchinson")
    found.plot(axes)
    assert drawn(axes.get_lines()[0])[1][-1] == found.value
    assert band(axes)[:, 1].max() >= found.upper
    assert axes.get_ylabel() == "trace"


def test_an_estimator_that_holds_products_draws_its_looks(client, axes):
    seen, found = told_on_the_way(client, "hessian_trace", estimator="hutch++", max_probes=48)
    found.plot(axes)
    assert drawn(axes.get_lines()[0])[0] == [each.probes for each in seen]


def test_the_looks_are_those_of_both_clients(agree):
    looks = agree(lambda c: c.function(loss).hessian_trace(W, B, max_probes=64, estimator="hutchinson", seed=3).looks)
    assert [look.probes for look in looks] == [16, 32, 64]
    halves = [look.half_width for look in looks]
    assert halves == sorted(halves, reverse=True)


def test_an_unknown_interval_is_not_drawn(client, axes):
    """Of one direction nothing is known of the spread."""
    found = client.function(loss).zero_order_gradient(W, B, max_probes=1, step=1e-3)
    found.plot(axes)
    assert found.looks[0].half_width == np.inf
    assert len(axes.get_lines()[0].get_xdata()) == 1
    assert not axes.collections[0].get_paths() or not len(band(axes))


# ---- bars


def test_bars_are_the_parts_of_a_trace(client, axes):
    found = client.function(loss).hessian_trace(W, B, estimator="auto")
    found.bars(axes)
    assert [bar.get_width() for bar in axes.patches] == [float(found.parts[name]) for name in ("w", "b")]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["w", "b"]
    assert sum(bar.get_width() for bar in axes.patches) == pytest.approx(found.value)


def test_bars_are_the_means_of_a_diagonal_and_the_lengths_of_a_gradient(client, axes):
    f = client.function(lambda layers: np.sum(layers[0]["a"] ** 2) + np.sum(layers[1]["a"] ** 3))
    point = [{"a": np.array([1.0, 2.0])}, {"a": np.array([3.0])}]
    f.hessian_diagonal(point, max_probes=64).bars(axes)
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([2, 18])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0.a", "1.a"]
    other: Any = Figure().subplots()
    f.zero_order_gradient(point, sampler="basis").bars(other)
    assert [bar.get_width() for bar in other.patches] == pytest.approx([np.sqrt(20), 27])


def test_one_input_is_one_bar(client, axes):
    found = client.function(lambda w: np.sum(w**3)).hessian_trace(np.arange(1.0, 4.0))
    found.bars(axes)
    assert [bar.get_width() for bar in axes.patches] == [found.value]


def test_bars_of_a_verification_are_discrepancies(client, axes):
    f = client.function(loss)
    claimed = f.grad(W, B)
    claimed["b"][1] += 0.5
    report = f.verify(W, B, claimed=claimed)
    report.bars(axes)
    widths = [abs(bar.get_width()) for bar in axes.patches]
    assert widths == [abs(row.claimed - row.measured) for row in report.inputs]
    assert widths[1] > 0.1 > 1e-6 > widths[0]


# ---- steps


def test_a_verification_draws_the_error_of_plain_differences_by_step(agree, axes):
    report = agree(lambda c: c.function(np.exp).verify(0.5))
    report.plot(axes)
    steps, away = map(np.array, drawn(axes.get_lines()[0]))
    assert list(steps) == sorted(steps, reverse=True)
    coarse = away[(steps > 1e-3) & (steps < 0.3)]
    np.testing.assert_allclose(coarse[:-1] / coarse[1:], 16, rtol=0.05)
    # Along a direction d the difference is exp(x) sinh(d h) / h, and d exp(x) is claimed.
    direction = report.directions[0]
    moved = direction.claimed / np.exp(0.5)
    np.testing.assert_allclose(
        np.array(direction.differences)[steps > 1e-3],
        (np.exp(0.5) * np.sinh(moved * steps) / steps)[steps > 1e-3],
        rtol=1e-9,
    )


def test_a_wrong_claim_levels_off(client, axes):
    report = client.function(np.exp).verify(0.5, claimed=np.exp(0.5) + 0.25)
    report.plot(axes)
    moved = abs(report.directions[0].claimed) / (np.exp(0.5) + 0.25)
    away = drawn(axes.get_lines()[0])[1]
    assert away[-1] == pytest.approx(0.25 * moved, rel=1e-3)


def test_steps_out_of_the_domain_are_left_out(client, axes):
    report = client.function(lambda x: np.sum(np.sqrt(x))).verify(np.array([1e-4, 4.0]))
    report.plot(axes)
    for line in axes.get_lines():
        assert np.isfinite(np.array(drawn(line))).all()


# ---- pages


def answers(client) -> list[Any]:
    f = client.function(loss)
    return [
        f.hessian_trace(W, B, max_probes=40, estimator="auto"),
        f.zero_order_gradient(W, B, max_probes=40),
        f.hessian_spectrum(W, B, probes=4, damping=50),
        f.verify(W, B),
    ]


def test_pages_hold_tables_and_pictures(embedded):
    for answer in answers(embedded):
        page = answer._repr_html_()
        assert page.startswith("<p>")
        assert str(answer).splitlines()[0] in page.replace("&#x27;", "'").replace("&gt;", ">")
        tables, picture = page[: page.index("<svg")], page[page.index("<svg") :]
        assert tables.count("<table>") == tables.count("</table>") >= 1
        assert ElementTree.fromstring(picture).tag.endswith("svg")


def test_pages_without_matplotlib_hold_tables_alone(embedded, monkeypatch):
    found = answers(embedded)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for answer in found:
        assert "<table>" in answer._repr_html_()
        assert "<svg" not in answer._repr_html_()
        with pytest.raises(ImportError, match="drawing needs matplotlib: pip install matplotlib"):
            answer.plot()


def test_the_trace_tells_its_looks_and_parts(embedded):
    page = answers(embedded)[0]._repr_html_()
    rows = re.findall("<tr><td>(.*?)</td>", page)
    assert rows[-2:] == ["w", "b"]
    assert all(row.isdecimal() for row in rows[:-2])


def test_drawing_can_fail(embedded, axes, monkeypatch):
    """A planted fault: bars without their numbers."""
    found = embedded.function(loss).hessian_trace(W, B, estimator="auto")
    monkeypatch.setattr(figures, "bars", lambda axes, rows: axes.barh(range(len(rows)), 1.0))
    found.bars(axes)
    assert [bar.get_width() for bar in axes.patches] != [float(found.parts[name]) for name in ("w", "b")]


# ---- on the way


class Place:
    """Where a notebook displays."""

    def __init__(self) -> None:
        self.shown: list[Any] = []

    def display(self, answer: Any, display_id: bool) -> Any:
        assert display_id
        self.update(answer)
        return self

    def update(self, answer: Any) -> None:
        self.shown.append(answer)


def test_answers_are_shown_in_one_place_of_a_notebook(embedded, monkeypatch):
    """IPython is what a kernel has imported."""
    place = Place()
    shell = types.SimpleNamespace(kernel=object())
    ipython = types.SimpleNamespace(get_ipython=lambda: shell, display=types.SimpleNamespace(display=place.display))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    found = embedded.function(loss).hessian_trace(W, B, max_probes=64, estimator="hutchinson", progress=Live())
    assert [each.probes for each in place.shown] == [16, 32, 64]
    assert place.shown[-1] is found


def test_answers_are_lines_elsewhere(embedded, capsys):
    f = embedded.function(loss)
    found = f.hessian_trace(W, B, max_probes=64, estimator="hutchinson", progress=Live())
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[-1] == str(found)
    f.verify(W, B, progress=Live())
    assert capsys.readouterr().err.splitlines()[-1] == "done"


# ---- the command line


@pytest.mark.parametrize("command", ["trace", "hessian-diagonal", "zero-order-gradient", "verify"])
def test_pictures_of_commands(run, folder, command):
    limit = () if command == "verify" else ("--max-probes", "32")
    status, out, err = run(command, "loss.pb", "point.npz", *limit, "--plot", "p.png", "--bars", "b.svg")
    assert (status, err) == (0, "")
    assert "drawn into p.png" in out
    assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "b.svg").read_text()


def test_what_cannot_be_drawn_is_told_before_anything_runs(run, folder, monkeypatch):
    status, _, err = run("trace", "loss.pb", "point.npz", "--plot", "nowhere/p.png")
    assert status == 2
    assert "there is no such folder" in err
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    status, out, err = run("trace", "loss.pb", "point.npz", "--plot", "p.png")
    assert (status, out) == (2, "")
    assert "drawing needs matplotlib" in err
