"""Rotations that lay one set of points on another (Kabsch's algorithm), as they are written, against SciPy's.

Planar sets have a singular value of 0 and symmetric ones repeat theirs: the rotation is unique and smooth all the same.
"""

from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gradserve.client import Client, functions
from gradserve.ir.errors import NotDifferentiable
from gradserve.ir.types import Array

G = np.random.default_rng(1).normal(size=(3, 3))
TURN = Rotation.from_rotvec([0.3, -0.5, 0.8]).as_matrix()
CLOUD = np.random.default_rng(2).normal(size=(8, 3))
SQUARE = np.array([[1.0, 1, 0], [1, -1, 0], [-1, -1, 0], [-1, 1, 0]])
CUBE = np.array([[x, y, z] for x in (1.0, -1) for y in (1, -1) for z in (1, -1)])
LINE = np.outer([1.0, 2.0, -3.0], [1.0, 1.0, 0.5])


def diagonal(h: Any) -> Any:
    u, _s, vt = np.linalg.svd(h)
    d = np.sign(np.linalg.det(u @ vt))
    return u @ np.diag([1, 1, d]) @ vt


def transposed(h: Any) -> Any:
    u, _s, vt = np.linalg.svd(h.T)
    d = np.sign(np.linalg.det(vt.T @ u.T))
    return vt.T @ np.diag([1.0, 1.0, d]) @ u.T


def scaled_columns(h: Any) -> Any:
    u, _s, vt = np.linalg.svd(h)
    return (u * np.stack([1.0, 1.0, np.linalg.det(u) * np.linalg.det(vt)])) @ vt


def last_column_turned(h: Any) -> Any:
    u, _s, vt = np.linalg.svd(h)
    v = vt.T
    d = np.sign(np.linalg.det(u) * np.linalg.det(v))
    v = functions.set_at(v, np.s_[:, -1], v[:, -1] * d)
    return u @ v.T


def last_row_turned(h: Any) -> Any:
    u, _s, vt = np.linalg.svd(h)
    d = np.sign(np.linalg.det(u)) * np.sign(np.linalg.det(vt))
    return u @ np.vstack([vt[:2], d * vt[2:]])


def chosen_by_where(h: Any) -> Any:
    u, _s, vt = np.linalg.svd(h)
    d = np.where(np.linalg.det(u @ vt) < 0, -1.0, 1.0)
    return np.einsum("ik,k,kj->ij", u, np.append(np.ones(2), d), vt)


def corrected_identity(h: Any) -> Any:
    u, _s, vt = np.linalg.svd(h)
    d, _ = np.linalg.slogdet(u.dot(vt))
    return u.dot(functions.set_at(np.eye(3), (2, 2), d)).dot(vt)


SPELLINGS = [
    diagonal,
    transposed,
    scaled_columns,
    last_column_turned,
    last_row_turned,
    chosen_by_where,
    corrected_identity,
]
SETS = {
    "a cloud": (CLOUD, CLOUD @ TURN.T + 0.1 * CLOUD[::-1]),
    "its mirror image": (CLOUD, CLOUD @ TURN.T * [1, 1, -1]),
    "a planar cloud": (CLOUD * [1, 1, 0], (CLOUD * [1, 1, 0]) @ TURN.T),
    "a square": (SQUARE, SQUARE @ TURN.T),
    "a cube": (CUBE, CUBE @ TURN.T),
}


def of_points(rotation: Any, target: Array) -> Any:
    def loss(points: Any) -> Any:
        return np.sum(rotation(points.T @ target) * G)

    return loss


def aligned(points: Array, target: Array) -> float:
    return float(np.sum(Rotation.align_vectors(points, target)[0].as_matrix() * G))


def differences(points: Array, target: Array, step: float = 1e-5) -> Array:
    """The gradient of SciPy's rotation."""
    result = np.zeros_like(points)
    for k in np.ndindex(points.shape):
        moved = np.zeros_like(points)
        moved[k] = step
        result[k] = (aligned(points + moved, target) - aligned(points - moved, target)) / (2 * step)
    return result


@pytest.fixture(scope="module")
def client():
    with Client() as embedded:
        yield embedded


@pytest.mark.parametrize("name", SETS)
def test_gradients_are_those_of_scipys_rotation(client, name):
    points, target = SETS[name]
    wanted = differences(points, target)
    assert np.abs(wanted).max() > 1e-3
    for rotation in SPELLINGS:
        f = client.function(of_points(rotation, target), points=points)
        value, gradient = f.value_and_grad(points)
        assert value == pytest.approx(aligned(points, target), abs=1e-9)
        np.testing.assert_allclose(gradient, wanted, atol=1e-8, err_msg=rotation.__name__)


@pytest.mark.parametrize("name", ["a planar cloud", "a square", "a cube"])
def test_second_derivatives_and_forward_mode(client, name):
    points, target = SETS[name]
    f = client.function(of_points(diagonal, target), points=points)
    direction = np.cos(np.arange(points.size)).reshape(points.shape)
    ahead, behind = (f.grad(points + h * direction) for h in (1e-5, -1e-5))
    np.testing.assert_allclose(f.hvp(points, tangent=direction), (ahead - behind) / 2e-5, atol=1e-7)
    assert f.jvp(points, tangent=direction)[1] == pytest.approx(np.sum(f.grad(points) * direction), abs=1e-11)


def test_stacks_of_matrices_and_the_scale_of_umeyama(client):
    points = np.stack([SETS[name][0][:4] for name in ("a planar cloud", "a square", "a cloud")])
    target = points @ TURN.T

    def loss(points: Any) -> Any:
        h = np.swapaxes(points, -1, -2) @ target
        u, s, vt = np.linalg.svd(h)
        d = np.stack([np.ones(3), np.ones(3), np.sign(np.linalg.det(u @ vt))], axis=-1)
        return np.sum(((u * d[:, None, :]) @ vt) * G) + np.sum(np.sum(s * d, axis=-1) ** 2)

    f = client.function(loss, points=points)
    direction = np.cos(np.arange(points.size)).reshape(points.shape)
    quotient = (loss(points + 1e-6 * direction) - loss(points - 1e-6 * direction)) / 2e-6
    assert np.sum(f.grad(points) * direction) == pytest.approx(quotient, rel=1e-7)


@pytest.mark.parametrize("rotation", SPELLINGS)
@pytest.mark.parametrize(
    "points", [LINE, np.diag([2.0, 1.0, -1.0]), np.diag([1.0, 1.0, -1.0])], ids=["a line", "a tie", "a mirrored cross"]
)
def test_what_is_not_unique_is_refused(client, rotation, points):
    with pytest.raises(NotDifferentiable):
        client.function(of_points(rotation, np.eye(len(points))), points=points).grad(points)


def test_without_the_correction_a_planar_set_is_refused(client):
    points, target = SETS["a planar cloud"]

    def orthogonal(h: Any) -> Any:
        u, _s, vt = np.linalg.svd(h)
        return u @ vt

    with pytest.raises(NotDifferentiable):
        client.function(of_points(orthogonal, target), points=points).grad(points)


def test_another_factor_than_the_determinants_sign_has_no_derivative_there(client):
    points, target = SETS["a square"]

    def turned(h: Any) -> Any:
        u, _s, vt = np.linalg.svd(h)
        return u @ np.diag([1, 1, -np.linalg.det(u @ vt)]) @ vt

    with pytest.raises(NotDifferentiable):
        client.function(of_points(turned, target), points=points).grad(points)
