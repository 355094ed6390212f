"""Certificates of black-box functions and of traced ones: what they say, name and repeat."""

import json
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.client import Client, InvalidRequest, certify
from gradserve.questions.verdicts import Verdict

RNG = np.random.default_rng(0)
W, B, X = RNG.normal(size=(4, 3)), RNG.normal(size=4), np.arange(3.0)


def loss(w, b):
    return np.sum(np.tanh(w @ X + b) ** 2)


def gradient(w, b):
    z = np.tanh(w @ X + b)
    s = 2 * z * (1 - z * z)
    return np.outer(s, X), s


def faulty(w, b):
    dw, db = gradient(w, b)
    dw[2, 1] *= 1 + 1e-5
    return dw, db


FORMS = {
    "by position": ((W, B), lambda g: g),
    "by name": ({"w": W, "b": B}, lambda g: {"b": g[1], "w": g[0]}),
    "as a list": ((W, B), list),
}


@pytest.mark.parametrize("form", FORMS)
def test_right_gradients_pass_and_wrong_ones_are_named(form):
    at, shaped = FORMS[form]
    assert certify(loss, shaped(gradient(W, B)), at=at).passed
    found = certify(loss, shaped(faulty(W, B)), at=at)
    assert found.verdict is Verdict.DISAGREES
    assert [(row.input, row.verdict) for row in found.inputs] == [("w", Verdict.DISAGREES), ("b", Verdict.AGREES)]
    (entry,) = found.entries
    assert (entry.input, entry.index) == ("w", (2, 1))
    assert abs(entry.measured - gradient(W, B)[0][2, 1]) <= entry.error_bound < 1e-7


def test_evaluations_are_those_of_the_function():
    calls = []

    def function(x):
        calls.append(x)
        return float(x @ x)

    found = certify(function, 2 * B, at=B)
    assert found.evaluations == len(calls)


@dataclass
class Layer:
    weight: np.ndarray
    shift: float


def test_trees_of_any_container_with_integers_held_fixed():
    at = {"layers": [Layer(W, 0.5), Layer(W + 1, -0.5)], "power": np.int64(2)}

    def function(params):
        return sum(np.sum((layer.weight + layer.shift) ** params["power"]) for layer in params["layers"])

    def claimed(params):
        layers = params["layers"]
        return {
            "layers": [Layer(2 * (n.weight + n.shift), 2 * np.sum(n.weight + n.shift)) for n in layers],
            "power": None,
        }

    assert certify(function, claimed, at=at).passed
    wrong = claimed(at)
    wrong["layers"][1].shift += 1e-3
    assert [e.name for e in certify(function, wrong, at=at).entries] == ["params.layers.1.shift"]
    wrong["layers"][1].shift = None
    assert len(certify(function, wrong, at=at).inputs) == 3


def test_numbers_alone():
    assert certify(lambda x: x**2, 6.0, at=3.0).passed
    assert not certify(lambda x: x**2, 6.001, at=3.0).passed


def test_arrays_stay_of_their_kind():
    def function(w):
        assert isinstance(w, jax.Array)
        assert w.dtype == np.float32
        return jnp.sum(jnp.tanh(w))

    at = jnp.asarray(W, jnp.float32)
    claimed = jax.grad(lambda w: jnp.sum(jnp.tanh(w)))
    assert certify(function, claimed, at=at).passed
    wrong = certify(function, claimed(at).at[1, 2].multiply(1.02), at=at)
    assert [entry.name for entry in wrong.entries] == ["w[1,2]"]


def test_nobody_sees_what_the_function_does_to_its_arguments():
    at = B.copy()

    def function(x):
        value = float(x @ x)
        x[:] = 0
        return value

    assert certify(function, 2 * B, at=at).passed
    np.testing.assert_array_equal(at, B)


def test_values_that_differ_at_the_same_point_are_told():
    rng = np.random.default_rng(0)
    found = certify(lambda x: float(x @ x) + 1e-9 * rng.normal(), 2 * B, at=B)
    assert found.passed
    assert 0 < found.repeats.value < 1e-8
    assert "not deterministic" in str(found)
    assert certify(lambda x: float(x @ x), 2 * B, at=B).repeats.exact


def test_a_gradient_that_is_another_at_the_second_time_does_not_pass():
    buffer = 2 * B

    def claimed(x):
        given = buffer.copy()
        buffer[0] += 1e-3
        return given

    found = certify(lambda x: float(x @ x), claimed, at=B)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.report.verdict is Verdict.AGREES
    assert "more than rounding explains" in str(found)


VERDICTS: dict[Verdict, tuple[Any, Any, Any]] = {
    Verdict.KINK: (lambda x: float(np.sum(np.abs(x))), np.zeros(2), np.zeros(2)),
    Verdict.NOT_FINITE: (lambda x: float(np.sum(np.log(x))), np.full(2, np.nan), np.ones(2)),
    Verdict.INCONCLUSIVE: (lambda x: float((x @ x + 1e14) - 1e14), np.full(2, 2.0), np.ones(2)),
}


@pytest.mark.parametrize("verdict", VERDICTS)
def test_verdicts_beside_right_and_wrong(verdict):
    function, claimed, at = VERDICTS[verdict]
    found = certify(function, claimed, at=at)
    assert found.verdict is verdict
    assert not found.passed


@pytest.mark.parametrize("at", [(W, B), {"w": W, "b": B}])
def test_the_reproducer_repeats_the_worst_check(at, capsys):
    found = certify(loss, faulty, at=at)
    exec(found.reproducer, {"function": loss, "claimed": faulty, "at": at})
    claimed, measured = (float(word.strip(",")) for word in capsys.readouterr().out.split()[1::2])
    assert claimed == found.entries[0].claimed
    assert abs(measured - gradient(W, B)[0][2, 1]) < 1e-8


def test_the_reproducer_of_what_has_no_entry_is_the_certificate(capsys):
    function = lambda x: float((x @ x + 1e14) - 1e14)  # noqa: E731
    found = certify(function, 2 * B, at=B, seed=3)
    exec(found.reproducer, {"function": function, "claimed": 2 * B, "at": B})
    assert capsys.readouterr().out.strip() == str(found)


class Cells(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.data = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        assert not {"src", "href"} & {name for name, _ in attrs}

    def handle_data(self, data):
        self.data.append(data)


def test_documents_tell_the_same():
    def nasty(x):
        return float(np.sum(x["<b>&"] ** 2))

    nasty.__qualname__ = "f</script>\x00"
    found = certify(nasty, {"<b>&": 2 * B + 1e-3}, at={"<b>&": B})
    read = json.loads(found.to_json())
    assert read["verdict"] == "disagrees"
    assert read["inputs"][0]["input"] == "x.<b>&"
    assert [tuple(e["index"]) for e in read["entries"]] == [e.index for e in found.entries]
    page = Cells(found.to_html())
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert "x.<b>&" in page.data
    assert found._repr_html_() in found.to_html()
    suite = ElementTree.fromstring(found.to_junit())
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    assert [case.get("name") for case in suite.iter("testcase")] == ["x.<b>&"]
    right = ElementTree.fromstring(certify(loss, gradient, at=(W, B)).to_junit())
    assert (right.get("tests"), right.get("failures"), right.find(".//failure")) == ("2", "0", None)


def test_numbers_that_are_not_finite_are_json():
    found = certify(lambda x: float(x @ x), np.array([np.nan, 1.0]), at=np.ones(2))
    assert json.loads(found.to_json())["entries"][0]["claimed"] == "nan"


def test_functions_of_a_client_and_graphs(tmp_path):
    with Client() as client:
        f = client.function(loss, W, B)
        f.save(tmp_path / "loss.pb")
        for known in (f, f.graph, tmp_path / "loss.pb", str(tmp_path / "loss.pb")):
            for at in ((W, B), {"w": W, "b": B}):
                assert client.certify(known, gradient, at=at).passed
                assert [e.name for e in client.certify(known, faulty, at=at).entries] == ["w[2,1]"]
        late = client.certify(client.function(loss), faulty(W, B), at=(W, B))
        assert [e.name for e in late.entries] == ["w[2,1]"]


REFUSED: dict[str, tuple[Any, Any, Any, str]] = {
    "shape": (loss, (W.T, B), (W, B), "has shape"),
    "structure": (loss, W, (W, B), "one tree for each of w, b"),
    "unknown": (loss, {"w": W, "c": B}, (W, B), "c"),
    "nothing": (loss, (None, None), (W, B), "nothing is claimed"),
    "vector": (lambda x: x, B, B, "Sum it"),
    "complex": (lambda x: 0.0, B, B + 1j, "real parts"),
    "half": (lambda x: 0.0, B, B.astype(np.float16), "float32"),
    "text": (lambda x: 0.0, np.array(["a"] * 4), B, "no array of numbers"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused(case):
    function, claimed, at, told = REFUSED[case]
    with pytest.raises(InvalidRequest, match=told):
        certify(function, claimed, at=at)


@pytest.mark.parametrize("options", [{"directions": -1}, {"rel_tol": -1.0}, {"rel_tol": np.inf}])
def test_options_that_make_no_sense(options):
    with pytest.raises(InvalidRequest):
        certify(loss, gradient, at=(W, B), **options)


def test_errors_of_the_function_at_the_point_are_its_own():
    def function(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        certify(function, B, at=B)
