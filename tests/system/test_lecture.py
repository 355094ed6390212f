"""The lecture's examples through the service, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from tests.system.lecture import EXAMPLES

pytestmark = pytest.mark.ray

TOLERANCE = 1e-12


def relative_error(found, expected):
    return np.max(np.abs(found - expected)) / np.max(np.abs(expected))


@pytest.fixture(params=["remote", "embedded"])
def client(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_gradient(client, example):
    value, gradient = client.function(example.loss, example.point).value_and_grad(example.point)
    assert relative_error(value, example.loss(example.point)) < TOLERANCE
    assert relative_error(gradient, example.gradient(example.point)) < TOLERANCE


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_jvp(client, example):
    v = example.direction
    value, tangent = client.function(example.loss, example.point).jvp(example.point, tangent=v)
    assert relative_error(value, example.loss(example.point)) < TOLERANCE
    assert relative_error(tangent, np.sum(example.gradient(example.point) * v)) < TOLERANCE


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_vjp(client, example):
    _, cotangent = client.function(example.loss, example.point).vjp(example.point, cotangent=-3.0)
    assert relative_error(cotangent, -3.0 * example.gradient(example.point)) < TOLERANCE


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.name)
def test_hvp(client, example):
    v = example.direction
    product = client.function(example.loss, example.point).hvp(example.point, tangent=v)
    assert relative_error(product, example.hvp(example.point, v)) < TOLERANCE


def test_the_closed_forms_can_fail(client):
    """A planted fault: a gradient that is wrong in the tenth digit is seen."""
    example = EXAMPLES[1]
    gradient = client.function(example.loss, example.point).grad(example.point)
    assert relative_error(gradient * (1 + 1e-10), example.gradient(example.point)) > TOLERANCE
