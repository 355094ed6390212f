"""Rotations of scipy.spatial.transform by traced parameters: SciPy's numbers, and differences of them."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import Untraceable

RANDOM = np.random.default_rng(4)
POINTS, GOALS = RANDOM.normal(size=(5, 3)), RANDOM.normal(size=(5, 3))
VECTOR, VECTORS = np.array([0.4, -0.7, 0.2]), RANDOM.normal(size=(5, 3))
STEP = 1e-5


def registration(v):
    turned = Rotation.from_rotvec(v)
    return np.sum((turned.apply(POINTS) - GOALS) ** 2) + turned.magnitude()


def chain(v):
    """An arm of three links, each turned against the one before."""
    first = Rotation.from_euler("z", v[0])
    second = first * Rotation.from_euler("xy", 90 * v[:2], degrees=True)
    third = second * Rotation.from_euler("ZYX", v)
    return sum(np.sum(r.apply(POINTS[k], inverse=k == 1) * GOALS[k]) for k, r in enumerate((first, second, third)))


def geodesics(v):
    some = Rotation.from_rotvec(v + VECTORS)
    apart = some.inv() * Rotation.from_quat(np.concatenate([v, v[:1] + 2.0]))
    parts = np.sum(apart[1].as_matrix() * np.arange(9.0).reshape(3, 3)) + len(apart)
    return np.sum(apart.magnitude() ** 2) + np.sum(apart.as_rotvec(degrees=True)[:, 0]) + parts


def quaternions(v):
    some = Rotation.from_quat(np.append(v, -0.3), scalar_first=True)
    near = Rotation.from_rotvec(1e-5 * v).as_rotvec()
    return np.sum(some.as_quat(canonical=True) * np.arange(4.0)) + some.as_quat(scalar_first=True)[0] + 1e5 * near[1]


def attitudes(v):
    """Angles about all kinds of axes, and rotations of matrices that are none, of each largest component."""
    some = Rotation.from_rotvec(v + 2 * VECTORS)
    angles = [some.as_euler(seq, degrees=seq == "ZYX")[0] for seq in ("xyz", "ZYX", "zxz", "YXY")]
    near = Rotation.from_matrix(some.as_matrix() + 0.02 * np.outer(v, v)).as_quat(canonical=True)
    return np.sum(np.stack(angles) * np.arange(12.0).reshape(4, 3)) + np.sum(near * np.arange(4.0))


LOSSES = [registration, chain, geodesics, quaternions, attitudes]


@pytest.mark.parametrize("loss", LOSSES)
def test_values_and_derivatives_are_those_of_scipys(embedded, loss):
    value, gradient = embedded.function(loss, VECTOR).value_and_grad(VECTOR)
    np.testing.assert_allclose(value, loss(VECTOR), rtol=1e-12)
    slopes = [(loss(VECTOR + step) - loss(VECTOR - step)) / (2 * STEP) for step in STEP * np.eye(3)]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-7)
    with pytest.raises(AssertionError):  # of another point
        np.testing.assert_allclose(gradient, embedded.function(loss, VECTOR).grad(VECTOR + 0.01), rtol=1e-6)


def test_no_rotation_is_a_smooth_point(embedded):
    """There d(R p) = v x p, and the rotation vector is the vector itself, to the second order."""
    f = embedded.function(lambda v: np.sum(GOALS * Rotation.from_rotvec(v).apply(POINTS)), VECTOR)
    np.testing.assert_allclose(f.grad(np.zeros(3)), np.sum(np.cross(POINTS, GOALS), axis=0), rtol=1e-12)
    inner = np.einsum("ij,ik->jk", POINTS, GOALS)
    np.testing.assert_allclose(f.hessian(np.zeros(3)), (inner + inner.T) / 2 - np.trace(inner) * np.eye(3), atol=1e-12)
    g = embedded.function(lambda v: np.sum(Rotation.from_rotvec(v).as_rotvec() * np.arange(3.0)), VECTOR)
    np.testing.assert_allclose(g.grad(np.zeros(3)), np.arange(3.0), atol=1e-12)
    np.testing.assert_allclose(g.hessian(np.zeros(3)), np.zeros((3, 3)), atol=1e-12)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda v: Rotation.from_rotvec(v).as_mrp(), r"\.as_mrp of a traced rotation.*as_rotvec\(\)"),
        (lambda v: Rotation.from_rotvec(v).as_davenport(np.eye(3), "e"), r"\.as_davenport of a traced rotation"),
    ],
)
def test_what_is_missing_is_refused(function, said):
    with pytest.raises(Untraceable, match=rf"test_rotations.py:\d+: .*{said}"):
        trace(function, VECTOR)


@pytest.mark.filterwarnings("ignore:Gimbal lock")
@pytest.mark.parametrize("seq", ["xyz", "ZYX", "zxz", "YXY"])
def test_where_two_axes_fall_together_the_last_angle_is_none(embedded, seq):
    for middle in (0.0, 180.0) if seq[0] == seq[2] else (90.0, -90.0):
        quat = Rotation.from_euler(seq, [20.0, middle, 30.0], degrees=True).as_quat()
        wanted = Rotation.from_quat(quat).as_euler(seq, degrees=True)
        found = embedded.function(lambda q: Rotation.from_quat(q).as_euler(seq, degrees=True), quat)(quat)
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_matrices_that_are_no_rotations(embedded):
    """Gradients are across the rotations nearest to them: none along their sizes; of a reflection there is none."""
    turn = Rotation.from_rotvec(VECTOR).as_matrix()
    f = embedded.function(lambda m: np.sum(Rotation.from_matrix(m).as_rotvec() * np.arange(3.0)), turn)
    assert abs(np.sum(f.grad(2.0 * turn) * turn)) < 1e-12
    assert np.isnan(f(-turn))
