"""SciPy's functions by SciPy's own names: values are SciPy's, and derivatives are those of SciPy's values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradserve.ops.special.erf import Ndtr
from tests.clients.evaluation import assert_same, traced_result
from tests.numpy.scipy_calls.every import CALLS
from tests.numpy.slopes import assert_slope_is_that_of_values
from tests.rows import in_one


@in_one
@pytest.mark.parametrize("call", CALLS)
def test_values_are_scipys(call):
    function, *arguments = CALLS[call]
    assert_same(traced_result(function, *arguments), _plain(function(*arguments)))


def _plain(tree: Any) -> Any:
    return type(tree)(map(_plain, tree)) if isinstance(tree, list | tuple) else np.asarray(tree)


@pytest.mark.parametrize("call", CALLS)
def test_derivatives_are_those_of_scipys_values(call):
    """Along a random direction of all arguments, against central differences of SciPy's own values."""
    function, *arguments = CALLS[call]
    rng = np.random.default_rng(1)
    shapes = [np.shape(part) for part in _parts(function(*arguments))]
    weights = [rng.normal(size=shape) for shape in shapes]
    directions = [rng.normal(size=np.shape(x)) for x in arguments]

    def loss(x: Any) -> Any:
        return sum(np.sum(w * part) for w, part in zip(weights, _parts(function(*x)), strict=True))

    assert_slope_is_that_of_values(loss, arguments, directions)


def test_another_derivative_is_seen(monkeypatch):
    """The law above can fail: with a faulty rule of the error function's kin it does."""
    monkeypatch.setattr(Ndtr, "differential", lambda self, g, dx, x, y: g.mul(g.mul(y, 1.01), dx))
    with pytest.raises(AssertionError):
        test_derivatives_are_those_of_scipys_values("norm")


def _parts(tree: Any) -> list[Any]:
    return [part for each in tree for part in _parts(each)] if isinstance(tree, list | tuple) else [tree]
