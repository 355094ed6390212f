"""What authors apply to traced arrays: linear operators, captured matrices, metrics of their own."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
from scipy.spatial.distance import cdist, pdist, squareform

from gradserve.client import Client

W = np.array([0.3, 0.7, 1.2, 0.4])
X = np.arange(12.0).reshape(4, 3) ** 1.1
A: Any = scipy.sparse.random(5, 4, density=0.5, random_state=0, format="coo")
OPERATOR: Any = scipy.sparse.linalg.aslinearoperator(A)
SUMS: Any = scipy.sparse.linalg.LinearOperator(
    (4, 4), matvec=lambda v: np.cumsum(v), rmatvec=lambda v: np.cumsum(v[::-1])[::-1], dtype=float
)


def _scaled(u, v, size=1.0):
    return np.sum(np.abs(u - v) * size)


LOSSES = {
    "coo.dot": lambda w: np.sum(A.dot(w) ** 2),
    "coo.T.dot of a matrix": lambda w: np.sum(A.T.dot(np.outer(np.append(w, 1.0), w)) ** 2),
    "csr.dot": lambda w: np.sum(A.tocsr().dot(w) ** 2),
    "operator @": lambda w: np.sum((OPERATOR @ w) ** 2),
    "operator made within": lambda w: np.sum((scipy.sparse.linalg.aslinearoperator(X.T) @ w) ** 2),
    "matvec, matmat": lambda w: np.sum(OPERATOR.matvec(w) ** 2) + np.sum(OPERATOR.matmat(np.outer(w, w))),
    "rmatvec, T": lambda w: np.sum(OPERATOR.rmatvec(np.append(w, 1.0)) ** 2 * (OPERATOR.T @ np.append(w, 2.0))),
    "sum of operators": lambda w: np.sum(((OPERATOR.H @ OPERATOR + 2 * SUMS) @ w) ** 2),
    "operator of functions": lambda w: np.sum((SUMS @ w) ** 2 + SUMS.rmatvec(w)),
    "take": lambda w: np.sum(X.take(np.argmax(w), axis=0) * w[:3]),
    "metric of rows": lambda w: np.sum(cdist(X * w[:3], X, lambda u, v: np.sum(np.abs(u - v) ** 1.5))),
    "metric of what is captured": lambda w: np.sum(
        squareform(pdist(X, lambda u, v: np.sqrt(np.sum(w[:3] * (u - v) ** 2))))
    ),
    "metric with more": lambda w: np.sum(cdist(X * w[:3], X + 0.1, _scaled, size=2.0)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_it_has_the_value_of_numpy_and_the_derivative_of_differences(name):
    loss, h = LOSSES[name], 1e-6
    with Client() as client:
        value, gradient = client.function(loss).value_and_grad(W)
    np.testing.assert_allclose(value, loss(W), rtol=1e-13)
    differences = [(loss(W + h * e) - loss(W - h * e)) / (2 * h) for e in np.eye(W.size)]
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-7)
