"""ht: a hand of bones, its skin, and how far it is from points that were measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradserve.ir.types import Array
from tests.thirdparty.gradbench.library import Library

FINGERS, FINGER_BONES = 5, 4


@dataclass(frozen=True)
class Hand:
    """The model, the measured points, and the vertex (or triangle) that each of them belongs to."""

    parents: tuple[int, ...]
    relatives: Array
    inverse_absolutes: Array
    positions: Array
    weights: Array
    triangles: Array
    mirrored: bool
    correspondences: Array
    points: Array

    @staticmethod
    def of_input(data: Mapping[str, Any]) -> Hand:
        """As the protocol sends it."""
        model = data["model"]
        return Hand(
            tuple(model["parents"]),
            np.array(model["base_relatives"], float),
            np.array(model["inverse_base_absolutes"], float),
            np.array(model["base_positions"], float),
            np.array(model["weights"], float),
            np.array(model["triangles"], int),
            bool(model["is_mirrored"]),
            np.array(data["correspondences"], int),
            np.array(data["points"], float),
        )


def _places(bones: int) -> Array:
    """Where in theta the three angles of each bone are; -1 for one that is 0.

    A finger has an angle of its first bone, one across, and one of each of the two bones that follow.
    """
    places = np.full((bones, 3), -1)
    angle = iter(range(6, 6 + FINGERS * FINGER_BONES))
    for finger in range(FINGERS):
        first = 2 + finger * FINGER_BONES
        places[first, 0], places[first, 1] = next(angle), next(angle)
        places[first + 1, 0], places[first + 2, 0] = next(angle), next(angle)
    return places


def skin(library: Library, hand: Hand) -> Callable[[Any], Any]:
    """The positions of all vertices, (vertices, 3), of theta: a rotation, a translation and the fingers' angles."""
    xp, bones = library.np, len(hand.parents)
    places = _places(bones) + 1

    def turns(angles: Any) -> Any:
        """The rotations Rz Ry Rx of angles in the order x, z, y."""
        (cx, cz, cy), (sx, sz, sy) = xp.cos(angles).T, xp.sin(angles).T
        entries = [
            *(cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx),
            *(sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx),
            *(-sy, cy * sx, cy * cx),
        ]
        return xp.reshape(xp.stack(entries, axis=1), (bones, 3, 3))

    def around(axis: Any) -> Any:
        """The rotation around an axis by its length; none if that is hardly more than 0."""
        squared = xp.sum(axis * axis)
        still = squared < 1e-8
        angle = xp.sqrt(xp.where(still, 1.0, squared))
        x, y, z = axis / angle
        s, c = xp.sin(angle), xp.cos(angle)
        entries = [
            *(x * x + (1 - x * x) * c, x * y * (1 - c) - z * s, x * z * (1 - c) + y * s),
            *(x * y * (1 - c) + z * s, y * y + (1 - y * y) * c, y * z * (1 - c) - x * s),
            *(x * z * (1 - c) - y * s, z * y * (1 - c) + x * s, z * z + (1 - z * z) * c),
        ]
        return xp.where(still, np.eye(3), xp.reshape(xp.stack(entries), (3, 3)))

    def positions(theta: Any) -> Any:
        rotations = turns(xp.concatenate([np.zeros(1), theta])[places])
        # The fourth row and column of a turn are the identity's.
        turned = xp.matmul(hand.relatives[:, :, :3], rotations)
        relatives = xp.concatenate([turned, hand.relatives[:, :, 3:]], axis=2)
        absolutes: list[Any] = []
        for bone, parent in enumerate(hand.parents):
            own = relatives[bone]
            absolutes.append(own if parent < 0 else xp.matmul(absolutes[parent], own))
        transforms = xp.matmul(xp.stack(absolutes), hand.inverse_absolutes)[:, :3]
        mixed = xp.reshape(xp.dot(hand.weights, xp.reshape(transforms, (bones, 12))), (-1, 3, 4))
        skinned = xp.sum(mixed * hand.positions[:, None, :], axis=2)
        skinned = skinned * np.array([-1.0, 1.0, 1.0]) if hand.mirrored else skinned
        return xp.dot(skinned, around(theta[:3]).T) + theta[3:6]

    return positions


def simple(library: Library, hand: Hand) -> Callable[[Any], Any]:
    """What measured points lack of their vertices, (3 points)."""
    positions = skin(library, hand)
    return lambda theta: library.np.reshape(hand.points - positions(theta)[hand.correspondences], (-1,))


def complicated(library: Library, hand: Hand, inside: Array) -> Callable[[Any, Any], Any]:
    """What measured points lack of places in their triangles, (3 points), of a shift of all places and of theta.

    A place concerns its own point alone. So the derivatives in one shift of all of them are those in each of them.
    """
    xp, positions, corners = library.np, skin(library, hand), hand.triangles[hand.correspondences]

    def missing(shift: Any, theta: Any) -> Any:
        vertices, within = positions(theta), inside + shift
        u, v = within[:, :1], within[:, 1:]
        place = u * vertices[corners[:, 0]] + v * vertices[corners[:, 1]] + (1.0 - u - v) * vertices[corners[:, 2]]
        return xp.reshape(hand.points - place, (-1,))

    return missing
