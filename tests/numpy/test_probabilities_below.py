"""Probabilities to be below and above numbers: SciPy's values, and derivatives that are those of SciPy's values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from gradserve.client import Client
from gradserve.numpy.scipy.below import PROBABILITIES
from tests.clients.evaluation import traced_result
from tests.rows import in_one

SHAPES: dict[str, tuple[float, ...]] = {
    **{"alpha": (1.3,), "betaprime": (2.1, 1.4), "bradford": (0.7,), "burr": (2.1, 1.4), "dgamma": (1.7,)},
    **{"dweibull": (1.7,), "exponpow": (1.3,), "exponweib": (1.3, 0.8), "fatiguelife": (0.9,), "foldcauchy": (0.9,)},
    **{"foldnorm": (0.9,), "gengamma": (1.3, -1.2), "halfgennorm": (1.3,), "jf_skew_t": (2.0, 3.0)},
    **{"johnsonsb": (0.4, 1.2), "kappa3": (1.3,), "laplace_asymmetric": (1.6,), "loggamma": (1.4,)},
    **{"mielke": (2.1, 1.4), "powerlognorm": (1.3, 0.8), "powernorm": (1.6,), "rdist": (1.6,), "skewcauchy": (0.3,)},
    **{"truncpareto": (1.3, 5.0), "truncweibull_min": (1.3, 0.4, 2.0)},
}
SHARES = np.array([0.03, 0.3, 0.55, 0.8, 0.98])


def _law(name: str) -> tuple[Any, tuple[float, ...], Any]:
    law, shapes = getattr(stats, name), SHAPES.get(name, ())
    return law, shapes, law.ppf(SHARES, *shapes)


def test_all_have_their_shapes():
    assert {name for name in PROBABILITIES if getattr(stats, name).shapes} == {*SHAPES}


@in_one
@pytest.mark.parametrize("method", ["cdf", "sf", "logcdf", "logsf"])
@pytest.mark.parametrize("name", PROBABILITIES)
def test_values_are_scipys(name, method):
    law, shapes, x = _law(name)
    x = np.concatenate([x, x[:1] - 20.0, x[-1:] + 20.0])
    with np.errstate(all="ignore"):
        expected = getattr(law, method)(x, *shapes, loc=0.0, scale=1.0)
    found = traced_result(lambda x: getattr(law, method)(x, *shapes, loc=0.0, scale=1.0), x)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-14)


@in_one
@pytest.mark.parametrize("name", PROBABILITIES)
def test_derivatives_are_those_of_scipys_values(name):
    law, shapes, x = _law(name)
    x = x[1:-1]
    point = np.array([*x, *shapes, 0.1, 1.2])

    def total(q: Any) -> Any:
        count = len(x)
        return np.sum(
            law.cdf(q[:count] * q[-1] + q[-2], *(q[count + k] for k in range(len(shapes))), q[-2] + 0.05, q[-1])
        )

    h = 1e-4
    near = [[total(point + k * h * e) for k in (-2, -1, 1, 2)] for e in np.eye(point.size)]
    expected = [(8 * (c - b) - (d - a)) / (12 * h) for a, b, c, d in near]
    np.testing.assert_allclose(Client().function(total, point).grad(point), expected, rtol=1e-6, atol=1e-7)
