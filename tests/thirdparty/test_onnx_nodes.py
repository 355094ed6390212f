"""ONNX's own tests of its operators, run over our importer: all pass but for what `not_supported.toml` lists.

Values are compared with the results that the onnx package ships, gradients with central differences in float64.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gradserve.client import Client
from gradserve.client.importers.onnx import from_onnx
from gradserve.client.importers.onnx.table import TRANSLATORS
from gradserve.ir.errors import GradserveError
from tests.thirdparty.onnx_nodes.node_tests import FOLDER, failure, gradient_failure, listed, load

pytestmark = pytest.mark.slow

TESTS = 1884
LEAST = 1627
GRADIENTS = (FOLDER / "gradients.txt").read_text(encoding="utf-8").split()


@pytest.fixture(scope="module")
def cases() -> dict[str, Any]:
    return load()


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Client() as made, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield made


def test_all_pass_but_those_listed(cases, client):
    failures = {name: why for name, case in cases.items() if (why := failure(client, case))}
    assert {name: why for name, why in failures.items() if name not in listed()} == {}
    assert [name for name in listed() if name not in failures] == []
    # What is not supported is refused: nothing is wrong without a word.
    assert [why for why in failures.values() if why.startswith(("WRONG", "CRASH"))] == []
    assert len(cases) == TESTS
    assert len(cases) - len(failures) >= LEAST


def test_gradients_are_those_of_differences(cases, client):
    assert len(set(GRADIENTS)) >= 100
    assert {name: why for name in GRADIENTS if (why := gradient_failure(client, cases[name]))} == {}


def test_a_wrong_value_is_found(cases, client, monkeypatch):
    monkeypatch.setitem(TRANSLATORS, "Add", TRANSLATORS["Sub"])
    assert failure(client, cases["test_add"]).startswith("WRONG")


def test_a_wrong_gradient_is_found(cases, client, monkeypatch):
    # The value stays, and the derivative is lost.
    stopped = replace(TRANSLATORS["Tanh"], translate=lambda n, x: n.g.stop_gradient(n.g.tanh(x.value)))
    monkeypatch.setitem(TRANSLATORS, "Tanh", stopped)
    assert failure(client, cases["test_tanh"]) == ""
    assert gradient_failure(client, cases["test_tanh"]).startswith("WRONG")


def test_damaged_models_are_refused_with_typed_errors(cases):
    rng = random.Random(5)
    refused = 0
    for case in rng.sample(list(cases.values()), 150):
        data = bytearray(case.model.SerializeToString())
        data[rng.randrange(len(data))] = rng.randrange(256)
        data[rng.randrange(len(data))] = rng.choice((0, 1, 127, 255))
        try:
            from_onnx(bytes(data))
        except GradserveError:
            refused += 1
    assert refused > 50
