"""Claims of every kind, verified where a client evaluates: by a service or in this process, to the same bits."""

from typing import Any

import numpy as np
import pytest

from gradserve.client import InvalidRequest
from gradserve.questions.verdicts import Verdict
from gradserve.verification import targets

RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((5, 6)), RNG.standard_normal((5, 2))
X, Y, V, U = (RNG.standard_normal(n) for n in (6, 2, 6, 2))


def function(x, y):
    """An array of two axes."""
    return np.stack([np.tanh(A @ x + B @ y), np.sin(A @ x)])


def loss(x, y):
    return np.sum(np.tanh(A @ x + B @ y) ** 2)


def jacobian():
    s, c = 1 / np.cosh(A @ X + B @ Y) ** 2, np.cos(A @ X)
    return {"x": np.stack([s[:, None] * A, c[:, None] * A]), "y": np.stack([s[:, None] * B, np.zeros((5, 2))])}


def jvp():
    blocks = jacobian()
    return blocks["x"] @ V + blocks["y"] @ U


def hessian():
    m, t = np.concatenate([A, B], axis=1), np.tanh(A @ X + B @ Y)
    return m.T @ ((2 * (1 - t**2) * (1 - 3 * t**2))[:, None] * m)


def split(vector):
    return {"x": vector[:6].copy(), "y": vector[6:].copy()}


TANGENT = {"x": V, "y": U}
CLAIMS: dict[str, tuple[Any, Any, Any]] = {
    "jvp": (function, jvp, TANGENT),
    "jacobian": (function, jacobian, None),
    "hvp": (loss, lambda: split(hessian() @ np.r_[V, U]), TANGENT),
    "diagonal": (loss, lambda: split(np.diag(hessian())), None),
}
PLACES = {
    "jvp": (lambda c: c, (1, 3), "[1,3]"),
    "jacobian": (lambda c: c["x"], (0, 2, 4), "[0,2] by x[4]"),
    "hvp": (lambda c: c["y"], (1,), "y[1]"),
    "diagonal": (lambda c: c["x"], (5,), "x[5]"),
}
"""Where a fault is made, and what the name of the entry ends in."""


def verified(client, of, claim):
    made, _, tangent = CLAIMS[of]
    return client.function(made, X, Y).verify(X, Y, claimed=claim, of=of, tangent=tangent)


@pytest.mark.parametrize("of", CLAIMS)
def test_right_claims_agree_and_wrong_entries_are_named(agree, of):
    right = CLAIMS[of][1]()
    assert agree(lambda client: verified(client, of, right)).passed
    part, index, name = PLACES[of]
    true = part(right)[index]
    part(right)[index] *= 1 + 1e-3
    found = agree(lambda client: verified(client, of, right))
    assert found.verdict is Verdict.DISAGREES
    (entry,) = found.entries
    assert entry.name.endswith(name)
    assert abs(entry.measured - true) <= entry.error_bound < 1e-4 * abs(true)


@pytest.mark.parametrize("of", CLAIMS)
def test_what_is_derived_here_agrees(client, of):
    made, _, tangent = CLAIMS[of]
    f = client.function(made, X, Y)
    own = {
        "jvp": lambda: f.jvp(X, Y, tangent=tangent)[1],
        "jacobian": lambda: f.jacobian(X, Y),
        "hvp": lambda: f.hvp(X, Y, tangent=tangent),
        "diagonal": lambda: {"x": np.diag(f.hessian(X, Y)["x"]["x"]), "y": np.diag(f.hessian(X, Y)["y"]["y"])},
    }
    assert verified(client, of, own[of]()).passed


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no claim": ({"of": "hvp", "tangent": TANGENT}, "give the hvp"),
    "no tangent": ({"of": "hvp", "claimed": {"x": X, "y": Y}}, "the vector of the product in x is missing"),
    "a tangent too many": ({"of": "diagonal", "claimed": {"x": X, "y": Y}, "tangent": TANGENT}, "takes none"),
    "shape of a diagonal": ({"of": "diagonal", "claimed": {"x": Y, "y": Y}}, r"f64\[2\] is given where f64\[6\]"),
    "shape of a block": ({"of": "jacobian", "claimed": {"x": A, "y": Y}}, r"where f64\[6\] is expected"),
    "shape of a jvp": ({"of": "jvp", "claimed": X, "tangent": TANGENT}, r"where f64\[\] is expected"),
    "by other means": ({"of": "diagonal", "claimed": {"x": X, "y": Y}, "thorough": True}, "other means"),
    "order": ({"of": "diagonal", "claimed": {"x": X, "y": Y}, "order": 2}, "only the first order"),
    "unknown": ({"of": "curl", "claimed": {"x": X, "y": Y}}, "gradient"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused(client, case):
    wishes, told = REFUSED[case]
    with pytest.raises(InvalidRequest, match=told):
        client.function(loss, X, Y).verify(X, Y, **wishes)


def test_products_of_several_arrays_are_refused(client):
    several = client.function(lambda x: (np.sin(x), np.cos(x)), X)
    with pytest.raises(InvalidRequest, match="one floating-point output"):
        several.verify(X, claimed=(X, X), of="jvp", tangent=X)


def test_products_of_complex_arrays_are_refused(client):
    """Differences are taken of real numbers: an imaginary part would be left out without a word."""
    turned = client.function(lambda x: x * (1 + 2j), X)
    with pytest.raises(InvalidRequest, match="which is real"):
        turned.verify(X, claimed=(1 + 5j) * np.ones_like(X), of="jvp", tangent=np.ones_like(X))


def test_single_precision(embedded):
    x = X.astype(np.float32)
    f = embedded.function(lambda x: np.sum(np.sin(x) ** 2), x)
    right = 2 * np.cos(2 * X)
    assert f.verify(x, claimed=right, of="diagonal").passed
    assert not f.verify(x, claimed=right * 1.01, of="diagonal").passed


def test_without_the_step_of_the_tangent_a_right_product_fails(embedded, monkeypatch):
    """The planted fault: a tangent that is not measured in the units that steps along it are in."""
    monkeypatch.setattr(targets, "_unit", lambda tangent, at: 2.0)
    monkeypatch.setattr(targets.Product, "along", lambda self, v, steps, known: np.array(
        [float(np.sum(v * known("tangent", step))) for step in steps]
    ))  # fmt: skip
    assert not verified(embedded, "jvp", jvp()).passed


def test_the_reproducer_repeats_the_worst_check_or_all_of_them(client, capsys):
    f, at = client.function(loss, X, Y), (X, Y)
    gradient = f.grad(X, Y)
    gradient["x"][3] *= 1 + 1e-4
    found = f.verify(*at, claimed=gradient, seed=3)
    exec(found.reproducer, {"function": f, "at": at})
    claimed, measured = (float(word.strip(",")) for word in capsys.readouterr().out.split()[1::2])
    assert claimed == found.worst.claimed == gradient["x"][3]
    assert abs(measured - found.worst.measured) < 1e-8
    whole = f.verify(*at, claimed=split(hessian() @ np.r_[V, U]), of="hvp", tangent=TANGENT, seed=3)
    exec(whole.reproducer, {"function": f, "at": at, "tangent": TANGENT, "claimed": split(hessian() @ np.r_[V, U])})
    assert capsys.readouterr().out.strip() == str(whole)
