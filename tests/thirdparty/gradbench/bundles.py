"""ba: where cameras see points, and the sparse Jacobian of what they should have seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradserve.ir.types import Array
from tests.thirdparty.gradbench.library import Library

CAMERA, POINT = 11, 3
"""Numbers of a camera (rotation, centre, focal length, principal point, distortion) and of a point."""


def reprojection(library: Library) -> Callable[[Any, Any, Any, Any], Any]:
    """The weighted error of one observation: of a camera, a point, a weight and what was seen."""
    xp = library.np

    def cross(a: Any, b: Any) -> Any:
        return xp.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])

    def rotated(axis: Any, x: Any) -> Any:
        """By Rodrigues' formula; an axis of length 0 turns nothing."""
        squared = xp.sum(axis * axis)
        still = squared == 0.0
        angle = xp.sqrt(xp.where(still, 1.0, squared))
        w = axis / angle
        turned = x * xp.cos(angle) + cross(w, x) * xp.sin(angle) + w * (xp.sum(w * x) * (1.0 - xp.cos(angle)))
        return xp.where(still, x + cross(axis, x), turned)

    def error(camera: Any, point: Any, weight: Any, seen: Any) -> Any:
        before = rotated(camera[:3], point - camera[3:6])
        plane = before[:2] / before[2]
        squared = xp.sum(plane * plane)
        distorted = plane * (1.0 + camera[9] * squared + camera[10] * squared * squared)
        return weight * (distorted * camera[6] + camera[7:9] - seen)

    return error


def weight_error(library: Library) -> Callable[[Any], Any]:
    """How far a weight is from 1."""
    return lambda weight: 1.0 - weight * weight


@dataclass(frozen=True)
class Scene:
    """Cameras and points, and observations: which camera sees which point, with what weight, and where."""

    cameras: Array
    points: Array
    weights: Array
    seen: Array
    by: Array
    of: Array

    @staticmethod
    def of_input(given: Mapping[str, Any]) -> Scene:
        """One camera, point, weight and observation over and over, as the evaluation wants them."""
        n, m, p = given["n"], given["m"], given["p"]
        one = np.arange(p)
        return Scene(
            np.tile(given["cam"], (n, 1)),
            np.tile(given["x"], (m, 1)),
            np.full(p, given["w"], float),
            np.tile(given["feat"], (p, 1)),
            one % n,
            one % m,
        )

    @property
    def observed(self) -> tuple[Array, Array, Array, Array]:
        """The arguments of all errors, one row each."""
        return self.cameras[self.by], self.points[self.of], self.weights, self.seen


@dataclass(frozen=True)
class Sparse:
    """A matrix by rows: where each begins, and the columns and values of all."""

    rows: Array
    columns: Array
    values: Array


def sparse(scene: Scene, blocks: tuple[Array, Array, Array], of_weights: Array) -> Sparse:
    """The Jacobian of all errors in cameras, points and weights, from its blocks.

    Blocks have shapes (p, 2, 11), (p, 2, 3) and (p, 2), and the derivatives of the weights' errors (p).
    """
    p, width = len(scene.weights), CAMERA + POINT + 1
    first_point = CAMERA * len(scene.cameras)
    first_weight = first_point + POINT * len(scene.points)
    own = first_weight + np.arange(p)
    columns = np.empty((p, 2, width), np.int64)
    columns[:, :, :CAMERA] = (CAMERA * scene.by[:, None] + np.arange(CAMERA))[:, None]
    columns[:, :, CAMERA:-1] = (first_point + POINT * scene.of[:, None] + np.arange(POINT))[:, None]
    columns[:, :, -1] = own[:, None]
    cameras, points, weights = blocks
    values = np.concatenate([cameras, points, weights[:, :, None]], axis=2)
    inner, filled = np.arange(2 * p) * width, 2 * p * width
    return Sparse(
        np.concatenate([inner, filled + np.arange(p + 1)]),
        np.concatenate([columns.reshape(-1), own]),
        np.concatenate([values.reshape(-1), of_weights]),
    )
