"""What may be claimed of a function, and which values certify it: derivatives linear in the vectors that probe them.

Each target pairs a claim with values along vectors of the claim's own space: their derivative in the step, or their
second one, is the claim times the vector. Those values are made of the function's own along lines through the point,
which vectors may share. Everything else (directions, noise, bounds, the search for entries) is the same for all.
"""

from __future__ import annotations

import abc
import functools
import hashlib
from collections.abc import Callable, Hashable, Iterator
from typing import TypeAlias

import numpy as np

from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.verification.directions import Layout, scales
from gradserve.verification.measure import Dialogue, Stage, T

AT_ONCE = 1 << 22
"""Numbers in the lines that are asked of together."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line through the point: what tells it from others, and its vector, made where it is needed."""

    key: Hashable
    vector: Callable[[], Array]


Known: TypeAlias = Callable[[Hashable, float], Array]
"""The function's value, laid out as one vector, at a step along the line with a key."""


class Target(abc.ABC):
    """A claim, and the values along vectors that certify it."""

    second = False
    """Whether the claim is what second derivatives of the values are."""

    def __init__(self, layout: Layout, claimed: Array, point: Array) -> None:
        """Of a claim and a point in one space, laid out as vectors."""
        self.layout, self.claimed, self.point = layout, claimed, point

    @abc.abstractmethod
    def lines(self, vector: Array, steps: Array) -> Iterator[tuple[Line, Array]]:
        """The lines that a vector needs, and the steps along each."""

    @abc.abstractmethod
    def along(self, vector: Array, steps: Array, known: Known) -> Array:
        """The values that belong to a vector and its steps."""


class Gradient(Target):
    """<u, f(x + h d)>, whose derivative in h is <J^T u, d>: the gradient of a number, or of a combination of many."""

    def __init__(self, layout: Layout, claimed: Array, point: Array, weights: Array) -> None:
        """Of J^T u for the weights u, 1 for one number."""
        super().__init__(layout, claimed, point)
        self._weights = weights

    def lines(self, vector: Array, steps: Array) -> Iterator[tuple[Line, Array]]:
        """The line along the vector."""
        yield _line(vector), steps

    def along(self, vector: Array, steps: Array, known: Known) -> Array:
        """The function along the vector."""
        key = _line(vector).key
        return np.array([self._weights @ known(key, step) for step in steps])


class Product(Target):
    """<u, F(x + h v) - F(x)> for a fixed v, whose derivative in h is <u, J v>: J v is what is claimed.

    All vectors share the same evaluations, one for each step.
    """

    def __init__(self, layout: Layout, claimed: Array, tangent: Array, at: Array) -> None:
        """Of J v for the tangent v, laid out as the point `at` is."""
        super().__init__(layout, claimed, np.zeros(layout.size))
        self._unit = _unit(tangent, at)
        self._line = Line("tangent", lambda: tangent / self._unit)

    def lines(self, vector: Array, steps: Array) -> Iterator[tuple[Line, Array]]:
        """The line along the tangent, whatever the vector."""
        del vector
        yield self._line, np.append(steps, 0.0)

    def along(self, vector: Array, steps: Array, known: Known) -> Array:
        """What the values at a step are more than those at the point, paired with the vector."""
        origin = known(self._line.key, 0.0)
        offset = float(np.linalg.norm(origin))  # whose rounding that of the values is
        more = [float(np.sum(vector * (known(self._line.key, step) - origin))) for step in steps]
        return self._unit * (offset + np.array(more))


class HessianProduct(Target):
    """f + (f(x + h(w + v)) - f(x + h(w - v))) / 4 for a fixed v, whose second derivative in h is <w, H v>."""

    second = True

    def __init__(self, layout: Layout, claimed: Array, tangent: Array, at: Array) -> None:
        """Of H v for the tangent v, laid out as the point `at` is."""
        super().__init__(layout, claimed, at)
        self._unit = _unit(tangent, at)
        self._tangent = tangent / self._unit

    def lines(self, vector: Array, steps: Array) -> Iterator[tuple[Line, Array]]:
        """The lines along both combinations, and the point itself."""
        yield _origin(self.point)
        for sign in (1.0, -1.0):
            yield _line(vector + sign * self._tangent), steps[steps != 0]

    def along(self, vector: Array, steps: Array, known: Known) -> Array:
        """The polarised function."""
        right, left = (_line(vector + sign * self._tangent).key for sign in (1.0, -1.0))
        origin = float(known(ORIGIN, 0.0)[0])
        more = [(float(known(right, h)[0]) - float(known(left, h)[0])) / 4 if h else 0.0 for h in steps]
        return self._unit * (origin + np.array(more))


class Diagonal(Target):
    """f plus the sum over i of w_i (f(x + h e_i) - f(x)), whose second derivative in h is that of w_i H_ii.

    Every entry has to be moved alone, but all vectors share the evaluations.
    """

    second = True

    def __init__(self, layout: Layout, claimed: Array, at: Array) -> None:
        """Of the diagonal, laid out as the point `at` is."""
        super().__init__(layout, claimed, at)
        self._scales = scales(at)

    def lines(self, vector: Array, steps: Array) -> Iterator[tuple[Line, Array]]:
        """A line along every entry that the vector moves, and the point itself."""
        yield _origin(self.point)
        for k in np.flatnonzero(vector):
            yield Line(int(k), functools.partial(self._alone, int(k))), steps[steps != 0]

    def along(self, vector: Array, steps: Array, known: Known) -> Array:
        """The function with each entry moved alone, weighted."""
        weights, origin = vector / self._scales**2, float(known(ORIGIN, 0.0)[0])
        moved = [int(k) for k in np.flatnonzero(weights)]
        more = [sum(weights[k] * (known(k, h)[0] - origin) for k in moved) if h else 0.0 for h in steps]
        return origin + np.array(more, np.float64)

    def _alone(self, position: int) -> Array:
        vector = np.zeros(self.layout.size)
        vector[position] = self._scales[position]
        return vector


ORIGIN = "origin"
"""The key of the line of which the point alone is wanted."""


def by_lines(target: Target, dialogue: Dialogue[T]) -> Dialogue[T]:
    """The dialogue about values along a target's vectors, as one about the function's own along lines; each once."""
    values: dict[tuple[Hashable, float], Array] = {}
    try:
        stage = next(dialogue)
        while True:
            yield from _asked(target, stage, values)
            pairs = zip(stage.vectors, stage.steps, strict=True)
            known = lambda key, step: values[key, float(step)]  # noqa: E731
            stage = dialogue.send([target.along(vector, steps, known) for vector, steps in pairs])
    except StopIteration as ended:
        found: T = ended.value
        return found


def _asked(target: Target, stage: Stage, values: dict[tuple[Hashable, float], Array]) -> Dialogue[None]:
    """Asks for what a stage needs and is not known yet, some lines at a time."""
    missing: dict[Hashable, tuple[Line, dict[float, None]]] = {}
    for vector, steps in zip(stage.vectors, stage.steps, strict=True):
        for line, along in target.lines(vector, steps):
            wanted = [float(step) for step in along if (line.key, float(step)) not in values]
            missing.setdefault(line.key, (line, {}))[1].update(dict.fromkeys(wanted))
    left = [(line, np.array([*wanted])) for line, wanted in missing.values() if wanted]
    while left:
        count = max(1, AT_ONCE // max(1, len(left[0][0].vector())))
        group, left = left[:count], left[count:]
        found = yield Stage(stage.name, [line.vector() for line, _ in group], [steps for _, steps in group])
        for (line, steps), rows in zip(group, found, strict=True):
            values |= {(line.key, float(h)): np.ravel(row) for h, row in zip(steps, rows, strict=True)}


def _line(vector: Array) -> Line:
    return Line(hashlib.sha256(vector.tobytes()).digest(), lambda: vector)


def _origin(point: Array) -> tuple[Line, Array]:
    return Line(ORIGIN, lambda: np.zeros_like(point)), np.zeros(1)


def _unit(tangent: Array, at: Array) -> float:
    """The power of two by which a tangent is to be divided for steps along it to move the point by its own size."""
    size = float(np.max(np.abs(tangent) / scales(at), initial=0.0))
    return float(2.0 ** np.floor(np.log2(size))) if 0 < size < np.inf else 1.0
