"""Claims of other derivatives than gradients: products, Jacobians and diagonals, right and wrong."""

import numpy as np
import pytest

from gradserve.client import Client, InvalidRequest, certify
from gradserve.questions.verdicts import Verdict
from gradserve.verification import targets

RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((5, 6)), RNG.standard_normal((5, 2))
X, Y, V, U = (RNG.standard_normal(n) for n in (6, 2, 6, 2))


def function(x, y):
    """An array of two axes."""
    return np.stack([np.tanh(A @ x + B @ y), np.sin(A @ x)])


def blocks(x, y):
    s, c = 1 / np.cosh(A @ x + B @ y) ** 2, np.cos(A @ x)
    return np.stack([s[:, None] * A, c[:, None] * A]), np.stack([s[:, None] * B, np.zeros((5, 2))])


def jvp(x, y):
    in_x, in_y = blocks(x, y)
    return in_x @ V + in_y @ U


def loss(x, y):
    return float(np.sum(np.tanh(A @ x + B @ y) ** 2))


def hessian(x, y):
    """The Hessian of the loss in x and y together."""
    m, t = np.concatenate([A, B], axis=1), np.tanh(A @ x + B @ y)
    return m.T @ ((2 * (1 - t**2) * (1 - 3 * t**2))[:, None] * m)


def hvp(x, y):
    found = hessian(x, y) @ np.r_[V, U]
    return found[:6], found[6:]


def diagonal(x, y):
    found = np.diag(hessian(x, y)).copy()
    return found[:6], found[6:]


CLAIMS = {
    "jvp": (function, jvp, (V, U)),
    "jacobian": (function, blocks, None),
    "hvp": (loss, hvp, (V, U)),
    "diagonal": (loss, diagonal, None),
}
PLACES = {
    "jvp": (lambda c: c, (1, 3), "value[1,3]"),
    "jacobian": (lambda c: c[0], (0, 2, 4), "value[0,2] by x[4]"),
    "hvp": (lambda c: c[1], (1,), "y[1]"),
    "diagonal": (lambda c: c[0], (5,), "x[5]"),
}
"""Where a fault is made, and what it is called."""


def certified(of, claimed, **wishes):
    f, _, tangent = CLAIMS[of]
    return certify(f, claimed, at=(X, Y), of=of, tangent=tangent, **wishes)


@pytest.mark.parametrize("of", CLAIMS)
def test_right_claims_pass_and_wrong_ones_are_named(of):
    right = CLAIMS[of][1]
    found = certified(of, right)
    assert found.passed
    assert found.headline.startswith(f"{of} of ")
    wrong = right(X, Y)
    part, index, name = PLACES[of]
    true = part(wrong)[index]
    part(wrong)[index] *= 1 + 1e-3
    found = certified(of, wrong)
    assert found.verdict is Verdict.DISAGREES
    assert [entry.name for entry in found.entries] == [name]
    assert abs(found.entries[0].measured - true) <= found.entries[0].error_bound < 1e-4 * abs(true)


def test_products_take_the_evaluations_of_one_direction():
    assert certified("jvp", jvp).evaluations < 60


@pytest.mark.parametrize("of", ["jvp", "hvp"])
def test_the_length_of_the_tangent_does_not_matter(of):
    f, right, _ = CLAIMS[of]
    for scale in (1e-8, 1e6):
        claimed = right(X, Y)
        claimed = scale * claimed if of == "jvp" else tuple(scale * part for part in claimed)
        assert certify(f, claimed, at=(X, Y), of=of, tangent=(scale * V, scale * U)).passed


def test_some_arrays_may_be_left_out():
    in_x, _ = blocks(X, Y)
    assert certify(function, (in_x, None), at=(X, Y), of="jacobian").passed
    assert certify(function, in_x @ V, at=(X, Y), of="jvp", tangent=(V, None)).passed
    assert certify(loss, (diagonal(X, Y)[0], None), at=(X, Y), of="diagonal").passed


def test_numbers_alone():
    assert certify(lambda x: x**3, 12.0, at=2.0, of="diagonal").passed
    assert not certify(lambda x: x**3, 12.01, at=2.0, of="diagonal").passed
    assert certify(lambda x: x**3, 6.0, at=2.0, of="jvp", tangent=0.5).passed


def test_functions_of_a_client_are_called():
    with Client() as client:
        known = client.function(lambda x, y: np.sum(np.tanh(A @ x + B @ y) ** 2), X, Y)
        claimed = known.hvp(X, Y, tangent={"x": V, "y": U})
        assert client.certify(known, claimed, at=(X, Y), of="hvp", tangent=(V, U)).passed


def test_the_reproducer_is_the_certificate_again(capsys):
    wrong = jvp(X, Y) * 1.01
    found = certified("jvp", wrong, seed=2)
    exec(found.reproducer, {"function": function, "claimed": wrong, "at": (X, Y), "tangent": (V, U)})
    assert capsys.readouterr().out.strip() == str(found)


REFUSED = {
    "shape of a jvp": ({"of": "jvp", "claimed": jvp(X, Y).T, "tangent": (V, U)}, r"has shape \(5, 2\)"),
    "shape of a block": ({"of": "jacobian", "claimed": (blocks(X, Y)[0][0], None)}, r"\(2, 5, 6\) belongs"),
    "shape of a tangent": ({"of": "jvp", "claimed": jvp(X, Y), "tangent": (U, V)}, "the tangent in x has shape"),
    "no tangent": ({"of": "jvp", "claimed": jvp(X, Y)}, "a tangent"),
    "a tangent too many": ({"of": "jacobian", "claimed": blocks(X, Y), "tangent": (V, U)}, "no tangent"),
    "unknown": ({"of": "curl", "claimed": jvp(X, Y)}, "gradient, jvp, hvp, jacobian, diagonal"),
    "no loss": ({"of": "diagonal", "claimed": (X, Y)}, "Sum it"),
    "other arrays": ({"of": "hvp", "claimed": (X, None), "tangent": (V, U)}, "the same arrays"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused(case):
    wishes, told = REFUSED[case]
    with pytest.raises(InvalidRequest, match=told):
        certify(function, wishes.pop("claimed"), at=(X, Y), **wishes)


def test_without_the_value_at_the_point_taken_away_right_products_fail(monkeypatch):
    """The planted fault: values paired with vectors as they are, so that each has another value at the point."""

    def along(self, vector, steps, known):
        return self._unit * np.array([float(vector @ known("tangent", step)) for step in steps])

    monkeypatch.setattr(targets.Product, "along", along)
    wrong = jvp(X, Y)
    wrong[1, 3] *= 1.5
    wrong[0, 0] *= 1.5
    assert [entry.name for entry in certified("jvp", wrong).entries] != ["value[1,3]", "value[0,0]"]
