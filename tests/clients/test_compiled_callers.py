"""Compiled code has no frame: what it asks of NumPy is not taken for the author's, and gets no traced arrays."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import scipy.spatial

from gradserve.client import Untraceable

spatial: Any = scipy.spatial
POINTS = np.random.default_rng(0).standard_normal((8, 2))


@pytest.mark.parametrize(
    "loss",
    [
        lambda w: spatial.ConvexHull(w).volume,
        lambda w: spatial.ConvexHull(np.ascontiguousarray(w)).volume,
        lambda w: np.sum(spatial.Delaunay(w).simplices) * w[0, 0],
        lambda w: np.sum(spatial.Voronoi(w).vertices),
        lambda w: np.sum(spatial.cKDTree(w).query(w[0])[0]),
    ],
    ids=["ConvexHull", "ConvexHull of what is named", "Delaunay", "Voronoi", "cKDTree"],
)
def test_code_that_reads_memory_is_refused(loss, embedded):
    """It would end the process."""
    with pytest.raises(Untraceable, match=r"^test_compiled_callers.py:"):
        embedded.function(loss).grad(POINTS)


def _applied(function, x):
    return sum(map(function, x))


@pytest.mark.parametrize(
    "loss",
    [
        lambda w: np.sum(np.ascontiguousarray(w) ** 2),
        lambda w: sum(np.sum(x) for x in map(np.asarray, [w**2])),
        lambda w: _applied(np.sum, [[w[0, 0] ** 2], (w**2).ravel()[1:]]),
        lambda w: functools.reduce(lambda a, x: a + np.sum([x[0] ** 2, x[1] ** 2]), w, 0.0),
        lambda w: np.sum(np.apply_along_axis(np.sum, 1, w**2)),
    ],
    ids=["called", "mapped", "given", "within", "by NumPy"],
)
def test_authors_pass_functions_on_as_they_like(loss, embedded):
    value, gradient = embedded.function(loss).value_and_grad(POINTS)
    assert value == pytest.approx(np.sum(POINTS**2), rel=1e-12)
    np.testing.assert_allclose(gradient, 2 * POINTS, rtol=1e-12)
