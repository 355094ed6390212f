"""The manifest says all that clients in other languages need, as JSON."""

import json
import subprocess
import sys

import pytest

from gradserve.ops import OP_SET
from gradserve.ops.manifest import attribute_type, manifest


def entries():
    return {entry["name"]: entry for entry in manifest(OP_SET)["ops"]}


def test_every_op_is_listed_once_and_in_order():
    names = [entry["name"] for entry in manifest(OP_SET)["ops"]]
    assert names == sorted(op.name for op in OP_SET)


def test_command_prints_the_manifest():
    printed = subprocess.run(
        [sys.executable, "-m", "gradserve.ops", "--manifest"], capture_output=True, check=True, text=True
    ).stdout
    assert json.loads(printed) == manifest(OP_SET)


def test_entries_say_what_an_op_takes():
    assert entries()["mul"] | {"summary": "", "constraints": {}} == {
        "name": "mul",
        "summary": "",
        "since": 1,
        "arity": 2,
        "functions": [],
        "attributes": {},
        "constraints": {},
        "linear_in": [0, 1],
        "refuses": [],
        "differentiable": True,
        "internal": False,
    }
    assert entries()["reshape"]["attributes"] == {"shape": "shape"}
    assert entries()["convert"]["attributes"] == {"element_type": "element_type"}
    assert entries()["concatenate"]["arity"] is None
    assert entries()["add"]["linear_in"] is None
    assert entries()["jacobi"]["refuses"] == [1]
    assert entries()["hyp1f1"]["refuses"] == [0, 1]
    assert not entries()["argmax"]["differentiable"]
    assert entries()["lu"]["internal"]


def test_every_entry_is_complete():
    for entry in entries().values():
        assert entry["summary"].endswith(".")
        assert entry["constraints"]
        assert 1 <= entry["since"] <= OP_SET.version


def test_unknown_attribute_type_is_refused():
    with pytest.raises(TypeError, match="complex"):
        attribute_type(complex)
