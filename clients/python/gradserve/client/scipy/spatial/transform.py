"""scipy.spatial.transform: rotations of traced parameters, with SciPy's names and conventions."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from gradserve.client.functions.of_arrays import of_arrays
from gradserve.client.tracing.origins import untraceable

_SMALL = 1e-6
"""The square of an angle up to which its functions are the first terms of their series: the rest is below rounding."""

_LOCKED = 1e-7
"""As SciPy has it."""
_polar = of_arrays("polar")


class Rotation:
    """Rotations as unit quaternions (x, y, z, w), along the last axis."""

    def __init__(self, quat: Any) -> None:
        """Of quaternions of any length but 0."""
        self._quat = quat / np.linalg.norm(quat, axis=-1, keepdims=True)

    @classmethod
    def from_quat(cls, quat: Any, *, scalar_first: bool = False) -> Rotation:
        """Those of quaternions, with the real part last unless it is first."""
        given = np.asarray(quat)
        return cls(np.roll(given, -1, axis=-1) if scalar_first else given)

    @classmethod
    def from_rotvec(cls, rotvec: Any, degrees: bool = False) -> Rotation:
        """Those about vectors, by angles that are their lengths; smooth at 0."""
        vector = np.deg2rad(np.asarray(rotvec)) if degrees else np.asarray(rotvec)
        square = np.sum(vector * vector, axis=-1, keepdims=True)
        small = square < _SMALL
        angle = np.sqrt(np.where(small, 1.0, square))
        share = np.where(small, 0.5 - square / 48 + square**2 / 3840, np.sin(angle / 2) / angle)
        real = np.where(small, 1 - square / 8 + square**2 / 384, np.cos(angle / 2))
        return cls(np.concatenate([share * vector, real], axis=-1))

    @classmethod
    def from_euler(cls, seq: str, angles: Any, degrees: bool = False) -> Rotation:
        """Those by angles about axes one after the other: of the body for capital letters, else fixed ones."""
        given = np.deg2rad(np.asarray(angles)) if degrees else np.asarray(angles)
        if len(seq) == 1 and (given.ndim == 0 or given.shape[-1] != 1 or given.ndim == 1):
            given = given[..., None]
        if not 1 <= len(seq) <= 3 or given.shape[-1] != len(seq) or seq.lower() not in (seq, seq.swapcase()):
            raise ValueError(f"Expected axes of {seq!r} from 'xyz' or 'XYZ', and an angle for each")
        turns = [cls._about("xyz".index(axis), given[..., k]) for k, axis in enumerate(seq.lower())]
        found, *more = turns if seq.isupper() else turns[::-1]
        for turn in more:
            found = found * turn
        return found

    @classmethod
    def _about(cls, axis: int, angle: Any) -> Rotation:
        sine, nothing = np.sin(angle / 2), np.zeros_like(angle)
        return cls(np.stack([*(sine if k == axis else nothing for k in range(3)), np.cos(angle / 2)], axis=-1))

    @classmethod
    def from_matrix(cls, matrix: Any, *, assume_valid: bool = False) -> Rotation:
        """Those of matrices, or of the nearest rotation to each; NaN where a determinant is not above 0."""
        given = np.asarray(matrix)
        turned = (
            given if assume_valid else np.where(np.linalg.det(given)[..., None, None] > 0, _polar(given)[0], np.nan)
        )
        m = [[turned[..., j, k] for k in range(3)] for j in range(3)]
        trace = m[0][0] + m[1][1] + m[2][2]
        candidates = [
            [1 - trace + 2 * m[i][i] if k == i else m[k][i] + m[i][k] for k in range(3)]
            + [m[(i + 2) % 3][(i + 1) % 3] - m[(i + 1) % 3][(i + 2) % 3]]
            for i in range(3)
        ]
        candidates.append([*(m[(k + 2) % 3][(k + 1) % 3] - m[(k + 1) % 3][(k + 2) % 3] for k in range(3)), 1 + trace])
        # Of the largest component all others are divided: it is the one whose square has the most digits.
        largest = np.argmax(np.stack([m[0][0], m[1][1], m[2][2], trace], axis=-1), axis=-1)[..., None]
        found = np.stack(candidates[3], axis=-1)
        for k in range(3):
            found = np.where(largest == k, np.stack(candidates[k], axis=-1), found)
        return cls(found)

    def as_quat(self, canonical: bool = False, *, scalar_first: bool = False) -> Any:
        """The quaternions; canonical ones have a real part that is not negative."""
        quat = np.where(self._quat[..., 3:] < 0, -self._quat, self._quat) if canonical else self._quat
        return np.roll(quat, 1, axis=-1) if scalar_first else quat

    def as_matrix(self) -> Any:
        """The matrices, of shape (..., 3, 3)."""
        x, y, z, w = (self._quat[..., k] for k in range(4))
        rows = [
            [x * x - y * y - z * z + w * w, 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), -x * x + y * y - z * z + w * w, 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), -x * x - y * y + z * z + w * w],
        ]
        return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)

    def as_rotvec(self, degrees: bool = False) -> Any:
        """The vectors about which they are, by angles from 0 to pi; smooth at 0."""
        quat = self.as_quat(canonical=True)
        vector, real = quat[..., :3], quat[..., 3:]
        square = np.sum(vector * vector, axis=-1, keepdims=True)
        small = square < _SMALL
        sine = np.sqrt(np.where(small, 1.0, square))
        ratio = square / np.where(small, real, 1.0) ** 2
        near = 2 * (1 - ratio / 3 + ratio**2 / 5) / np.where(small, real, 1.0)
        found = np.where(small, near, 2 * np.arctan2(sine, real) / sine) * vector
        return np.rad2deg(found) if degrees else found

    def as_euler(self, seq: str, degrees: bool = False) -> Any:
        """The angles about three axes, of the body for capital letters, else fixed ones; the first and last one turn.

        Where the first and the last axis fall together, within 1e-7, the last angle is 0.
        """
        if len(seq) != 3 or seq.lower() not in (seq, seq.swapcase()) or seq[0] == seq[1] or seq[1] == seq[2]:
            raise ValueError(f"Expected three axes of {seq!r} from 'xyz' or 'XYZ', of which none follows itself")
        fixed = seq.islower()
        i, j, k = ("xyz".index(axis) for axis in (seq if fixed else seq[::-1]).lower())
        symmetric = i == k
        k = 3 - i - j if symmetric else k
        sign = (i - j) * (j - k) * (k - i) // 2
        q = [self._quat[..., n] for n in range(4)]
        if symmetric:
            a, b, c, d = q[3], q[i], q[j], q[k] * sign
        else:
            a, b, c, d = q[3] - q[j], q[i] + q[k] * sign, q[j] + q[3], q[k] * sign - q[i]
        middle = 2 * np.arctan2(np.hypot(c, d), np.hypot(a, b))
        low, high = np.abs(middle) <= _LOCKED, np.abs(middle - np.pi) <= _LOCKED
        half_sum = np.arctan2(np.where(high, 0.0, b), np.where(high, 1.0, a))
        half_difference = np.arctan2(np.where(low, 0.0, d), np.where(low, 1.0, c))
        locked = low | high
        turn = np.where(low, 2 * half_sum, 2 * half_difference * (-1 if fixed else 1))
        first = np.where(locked, turn if fixed else 0.0, half_sum - half_difference)
        third = np.where(locked, 0.0 if fixed else turn, half_sum + half_difference)
        if not symmetric:
            third, middle = third * sign, middle - np.pi / 2
        angles = np.stack([first, middle, third] if fixed else [third, middle, first], axis=-1)
        angles = np.where(angles < -np.pi, angles + 2 * np.pi, np.where(angles > np.pi, angles - 2 * np.pi, angles))
        return np.rad2deg(angles) if degrees else angles

    def magnitude(self) -> Any:
        """The angles, from 0 to pi."""
        return 2 * np.arctan2(np.linalg.norm(self._quat[..., :3], axis=-1), np.abs(self._quat[..., 3]))

    def apply(self, vectors: Any, inverse: bool = False) -> Any:
        """The vectors turned, or turned back."""
        return np.einsum("...kj,...k->...j" if inverse else "...jk,...k->...j", self.as_matrix(), np.asarray(vectors))

    def inv(self) -> Rotation:
        """The rotations back."""
        return Rotation(self._quat * np.array([-1.0, -1.0, -1.0, 1.0]))

    def __mul__(self, other: Any) -> Rotation:
        return _composed(self._quat, other.as_quat())

    def __rmul__(self, other: Any) -> Rotation:
        return _composed(other.as_quat(), self._quat)

    def __len__(self) -> int:
        if self._quat.ndim == 1:
            raise TypeError("Single rotation has no len().")
        return len(self._quat)

    def __getitem__(self, key: Any) -> Rotation:
        return Rotation(self._quat[key])

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise untraceable(
            f".{name} of a traced rotation cannot be traced",
            "write it with as_quat(), as_matrix(), as_rotvec(), as_euler(), magnitude(), apply(v), inv() and products",
        )


def _composed(first: Any, second: Any) -> Rotation:
    """The second rotations, and then the first."""
    p, q = first[..., :3], second[..., :3]
    v, w = first[..., 3:], second[..., 3:]
    vector = v * q + w * p + np.cross(p, q)
    return Rotation(np.concatenate([vector, v * w - np.sum(p * q, axis=-1, keepdims=True)], axis=-1))
