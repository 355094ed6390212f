"""Jobs on numbers that are not finite, or become so, say it in their answers and warn of nothing."""

import math
import warnings

import numpy as np
import pytest

from gradserve.client import Client, NumericalFailure

HUGE = np.array([1e80, -1e100])
ASKED = {
    "symmetry": lambda f: f.verify_symmetry(HUGE),
    "verify": lambda f: f.verify(HUGE),
}


@pytest.fixture(params=["in process", "remote"])
def client(request, address):
    with Client(address if request.param == "remote" else None) as made, warnings.catch_warnings():
        warnings.simplefilter("error")
        yield made


def test_a_model_with_infinite_coefficients_has_an_error_that_is_no_number(client):
    f = client.function(lambda w: np.sum(np.sqrt(w)), w=np.zeros(2))
    model = f.taylor_along(np.zeros(2), direction=np.ones(2), order=3)
    assert np.all(np.isinf(model.coefficients[1]))
    assert all(math.isnan(deviation.error) for deviation in model.deviations)


REFUSED = {
    "trace": lambda f: f.hessian_trace(HUGE),
    "diagonal": lambda f: f.hessian_diagonal(HUGE),
    "spectrum": lambda f: f.hessian_spectrum(HUGE),
    "eigenpairs": lambda f: f.hessian_eigenpairs(HUGE),
}
"""Estimates, which would be of nothing."""


@pytest.mark.parametrize("name", ASKED)
def test_curvature_that_overflows_is_answered(client, name):
    f = client.function(lambda w: np.sum(np.exp(w) + w**4), w=HUGE)
    assert ASKED[name](f) is not None


@pytest.mark.parametrize("name", REFUSED)
def test_estimates_of_curvature_that_overflows_are_refused(client, name):
    f = client.function(lambda w: np.sum(np.exp(w) + w**4), w=HUGE)
    with pytest.raises(NumericalFailure, match="not finite"):
        REFUSED[name](f)


def test_the_state_of_the_caller_is_left_alone(client):
    f = client.function(lambda w: np.sum(w**4), w=np.ones(2))
    with np.errstate(divide="raise"):
        f.hessian_trace(np.ones(2))
        assert np.geterr()["divide"] == "raise"
