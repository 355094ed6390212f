"""`gradserve certify` on Python files and graph files: what it prints, writes and returns."""

import json
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from gradserve.client.cli import main

MODEL = """
import numpy as np
from neighbour import SCALE

def loss(w, b):
    return SCALE * np.sum(np.tanh(w * b) ** 2)

def gradient(w, b):
    z = np.tanh(w * b)
    s = 2 * SCALE * z * (1 - z * z)
    return s * b, s @ w

def wrong(w, b):
    dw, db = gradient(w, b)
    return dw * [1, 1, 1.01], db

def tree(params):
    return np.sum(params["a"] ** 2) + params["c"]

def diagonal(w, b):
    z = np.tanh(w * b)
    s = 2 * SCALE * (1 - z * z) * (1 - 3 * z * z)
    return s * b * b, s @ w**2

def array(w, b):
    return np.sin(w * b)

def broken(w, b):
    return 1 / 0
"""


@pytest.fixture
def here(tmp_path, monkeypatch, embedded):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.delitem(sys.modules, "model", raising=False)
    (tmp_path / "neighbour.py").write_text("SCALE = 3.0\n")
    (tmp_path / "model.py").write_text(MODEL)
    w, b = np.arange(1.0, 4) / 3, np.array(0.7)
    np.savez("point.npz", w=w, b=b)
    embedded.function(lambda w, b: np.sum(np.tanh(w * b) ** 2), w, b).save("loss.pb")
    z = np.tanh(w * b)
    s = 2 * z * (1 - z * z)
    np.savez("right.npz", value=1.0, **{"gradient:w": s * b, "gradient:b": s @ w})
    np.savez("wrong.npz", w=s * b * [1, 1, 1.01], b=s @ w)
    np.savez("tree.npz", a=w, c=b)
    np.savez("direction.npz", w=w, b=0.0)
    np.savez("product.npz", np.cos(w * b) * b * w)
    np.savez("wrong_product.npz", np.cos(w * b) * b * w * [1, 1, 1.01])
    np.savez("tree_gradient.npz", a=2 * w, c=1.0)
    return tmp_path


RUNS = {
    "code": (["model.py:loss", "model.py:gradient"], 0),
    "wrong code": (["model.py:loss", "model.py:wrong"], 1),
    "graph": (["loss.pb", "--claimed", "right.npz"], 0),
    "wrong graph": (["loss.pb", "--claimed", "wrong.npz"], 1),
    "diagonal": (["model.py:loss", "model.py:diagonal", "--of", "diagonal"], 0),
    "product": (["model.py:array", "--claimed", "product.npz", "--of", "jvp", "--tangent", "direction.npz"], 0),
    "wrong product": (
        ["model.py:array", "--claimed", "wrong_product.npz", "--of", "jvp", "--tangent", "direction.npz"],
        1,
    ),
    "a dict alone": (["model.py:tree", "--claimed", "tree_gradient.npz", "--at", "tree.npz"], 0),
}


@pytest.mark.parametrize("name", RUNS)
def test_status_and_verdict(here, capsys, name):
    arguments, status = RUNS[name]
    assert main(["certify", "--at", "point.npz", *arguments]) == status
    out, err = capsys.readouterr()
    assert ("agrees" if status == 0 else "disagrees") in out.splitlines()[0]
    assert ("w[2]" in out or "value[2]" in out) == (status == 1)
    assert err == ""


def test_documents(here, capsys):
    files = ["--json", "--junit", "report.xml", "--html", "report.html"]
    assert main(["certify", "model.py:loss", "model.py:wrong", "--at", "point.npz", "--seed", "4", *files]) == 1
    read = json.loads(capsys.readouterr().out)
    assert (read["verdict"], read["seed"]) == ("disagrees", 4)
    assert ElementTree.parse("report.xml").getroot().get("failures") == "1"
    assert "disagrees" in (here / "report.html").read_text()


ERRORS = {
    "no claim": (["model.py:loss"], "give the gradient once"),
    "two claims": (["model.py:loss", "model.py:wrong", "--claimed", "right.npz"], "give the gradient once"),
    "no such function": (
        ["model.py:loss", "model.py:nope"],
        "it has loss, gradient, wrong, tree, diagonal, array, broken",
    ),
    "no tangent": (["model.py:array", "--claimed", "product.npz", "--of", "jvp"], "jvp takes a tangent"),
    "several arrays for one": (
        ["model.py:array", "--claimed", "wrong.npz", "--of", "jvp", "--tangent", "direction.npz"],
        "of a jvp there is one",
    ),
    "no function named": (["model.py", "model.py:gradient"], "as in model.py:gradient"),
    "no such file": (["other.py:loss", "model.py:gradient"], "other.py: there is no such file"),
    "no graph": (["other.pb", "--claimed", "right.npz"], "No such file"),
    "own error": (["model.py:loss", "model.py:broken"], "model.py:29: ZeroDivisionError"),
    "a service for code": (["model.py:loss", "model.py:wrong", "--address", "localhost:1"], "never on a service"),
    "no such folder": (["model.py:loss", "model.py:wrong", "--html", "a/b.html"], "no such folder"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_told_in_a_line(here, capsys, name):
    arguments, told = ERRORS[name]
    assert main(["certify", "--at", "point.npz", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert err.count("\n") == 1


def test_help_says_whose_code_runs(capsys):
    with pytest.raises(SystemExit):
        main(["certify", "--help"])
    assert "never sent to a service" in capsys.readouterr().out
