"""Methods and commands that nobody wrote: those that derivations and estimates have by being in their tables."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from gradserve.client import InvalidRequest
from gradserve.client.importers.files import load_arrays
from gradserve.client.methods import NAMES, method_of
from gradserve.ir.records import dataclass
from gradserve.questions.derivations import DERIVATIONS, TANGENTS, Derivation
from gradserve.questions.options import option
from tests.clients.bits import same_bits
from tests.clients.command_line import B, W, exits, loss

V: dict[str, Any] = {"w": np.array([1.0, 0.0, -1.0]), "b": np.float64(2.0)}


@pytest.fixture
def f(client):
    return client.function(loss)


def test_methods_of_the_tables_give_what_those_written_by_hand_do(f):
    assert same_bits(f.evaluate(W, B), f(W, B))
    assert same_bits(f.gradient(W, B), f.value_and_grad(W, B))
    assert same_bits(f.gradient(W, B, wrt="w"), f.value_and_grad(W, B, wrt="w"))
    points = np.stack([W, -W])
    assert same_bits(
        f.gradient(points, B, wrt="w", batch=True, reduction="sum"),
        f.value_and_grad(points, B, wrt="w", batch=True, reduction="sum"),
    )
    product = method_of("hvp", f._derive, f._estimate)(W, B, tangent=V, product_only=True)
    assert same_bits(product, f.hvp(W, B, tangent=V))
    value, gradient, same = method_of("hvp", f._derive, f._estimate)(W, B, tangent=V, product_only=False)
    assert same_bits((value, gradient), f.value_and_grad(W, B))
    assert same_bits(same, product)


def test_methods_for_every_entry(f):
    assert set(dir(f)) >= NAMES
    for name in NAMES:
        method = getattr(f, name)
        assert callable(method)
        assert method.__doc__
        assert method.__name__ == name
    with pytest.raises(AttributeError, match="'Function' object has no attribute 'gauss'"):
        _ = f.gauss


@dataclass(frozen=True)
class Twisted(Derivation):
    """The outputs and a twist of the tangents."""

    turns: int = option(3, "how often to turn")

    takes = TANGENTS
    gives: ClassVar[Mapping[str, str]] = {"outputs": "value", "products": "product"}


def test_a_new_derivation_has_a_method_with_its_signature_and_documentation(monkeypatch):
    monkeypatch.setitem(DERIVATIONS, "twisted", Twisted)
    seen: list[Any] = []
    method = method_of("twisted", lambda *given, **more: seen.append((given, more)), print)
    assert str(inspect.signature(method)) == (
        "(*arguments, tangent, turns=3, wrt=(), batch=False, reduction='none', **named)"
    )
    assert method.__doc__ is not None
    assert method.__doc__.startswith("The outputs and a twist of the tangents.")
    assert "turns: how often to turn (default 3)." in method.__doc__
    method(W, b=B, tangent=V, turns=5)
    assert seen == [((Twisted, (W,), {"b": B}), {"tangent": V, "turns": 5})]
    with pytest.raises(TypeError, match=r"twisted\(\) needs the keyword tangent"):
        method(W)


def test_estimates(f):
    seen: list[int] = []
    made = method_of("hessian_trace", f._derive, f._estimate)
    found = made(W, B, max_probes=64, seed=1, estimator="hutchinson", progress=lambda e: seen.append(e.probes))
    expected = f.hessian_trace(W, B, max_probes=64, estimator="hutchinson", seed=1)
    assert (found.value, found.interval, found.probes) == (expected.value, expected.interval, 64)
    assert seen[-1] == 64


def test_words_that_are_none_of_those_there_are(f):
    with pytest.raises(InvalidRequest, match="there is no mode 'sideways'; there are auto, forward, reverse"):
        f.jacobian(W, B, mode="sideways")
    with pytest.raises(InvalidRequest, match="there is no placement 'moon'; there are auto, front-end, cluster"):
        f.placement = "moon"


# ---- the command line


def test_products_on_the_command_line(folder, run, place, embedded):
    np.savez("v.npz", **V)
    status, out, err = run("jvp", "loss.pb", "point.npz", "--tangents", "v.npz", "--out", "out.npz", *place)
    assert (status, err) == (0, "")
    assert "tangent:result" in out
    value, tangent = embedded.function(loss).jvp(W, B, tangent=V)
    expected = {"value:result": np.asarray(value), "tangent:result": np.asarray(tangent)}
    assert same_bits(load_arrays(folder / "out.npz"), expected)
    status, _, _ = run("hvp", "loss.pb", "point.npz", "--tangents", "v.npz", "--product-only", "--out", "h.npz", *place)
    assert status == 0
    assert set(load_arrays(folder / "h.npz")) == {"product:w", "product:b"}


def test_matrices_on_the_command_line(folder, run, place, embedded):
    command = ("jacobian", "loss.pb", "point.npz", "--wrt", "w", "--mode", "forward", "--out", "j.npz")
    status, out, _ = run(*command, *place)
    assert status == 0
    assert "result:w" in out
    found = load_arrays(folder / "j.npz")["result:w"]
    assert same_bits(found, embedded.function(loss).jacobian(W, B, wrt="w", mode="forward"))


def test_estimates_on_the_command_line_say_what_they_are(folder, run, capsys):
    """The trace has a command of its own; others have those of the table."""
    for name in (*DERIVATIONS, "hessian_diagonal"):
        assert exits(run, name.replace("_", "-"), "--help") == 0
        assert "--out FILE.npz" in capsys.readouterr().out
    assert exits(run, "vjp", "loss.pb", "point.npz") == 2
    assert "--cotangents" in capsys.readouterr().err
    status, out, _ = run("describe", "loss.pb", "--derivation", "hessian_trace")
    assert status == 0
    assert "placement" in out
    status, out, _ = run("hessian-diagonal", "loss.pb", "point.npz", "--max-probes", "64", "--out", "d.npz")
    assert status == 0
    assert "64 probes" in out
    assert {"values:w", "half_widths:b"} <= set(load_arrays(folder / "d.npz"))
