"""Numbers too small or too large to be squared: an estimator is sent multiples of them by a power of two.

Those are exact, so what it says of them is right of the numbers themselves, times the power. Which one it is the first
products of random vectors tell; of all that can be squared and multiplied again it is none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gradserve.estimation.asking import Dialogue, Known, Probes
from gradserve.estimation.looks import Target
from gradserve.estimation.recurrence import Product
from gradserve.ir.types import Array
from gradserve.questions.resuming import Standing

WITHIN = 200
"""Powers of two that are left as they are: fourth powers of such numbers are numbers still."""
LARGEST, SMALLEST = 1e300, 1e-300
"""What a tolerance may become: neither all nothing."""
_POWER, _MOST = "power", 1100


def scaled(begin: Callable[[Target], Dialogue], target: Target) -> Dialogue:
    """What an estimator says of a matrix, by its multiple that can be squared."""
    dialogue = begin(target)
    said = next(dialogue)
    reply = yield said
    power = power_of(reply[1]) if isinstance(said, Probes) else 0
    if power:
        dialogue = begin(_target(target, power))
        next(dialogue)
    yield from _going_on(dialogue, power, reply)


def resumed(begin: Callable[[Target], Dialogue], target: Target, at: Standing) -> Dialogue:
    """What it says from where it stood, what it said there first."""
    power = at.count(_POWER, -_MOST, _MOST) if _POWER in at else 0
    yield from _going_on(begin(_target(target, power)), power, None)


def power_of(products: Array) -> int:
    """The power of two, and of four, that the largest number is near; 0 if it can be squared, or has lost digits."""
    largest = float(np.max(np.abs(products), initial=0.0))
    if not np.finfo(float).tiny <= largest < np.inf:
        return 0
    power = int(np.frexp(largest)[1]) // 2 * 2
    return power if abs(power) > WITHIN else 0


class Multiple:
    """The products of the multiple of a matrix that can be squared, of which the first ones tell which it is."""

    def __init__(self, product: Product, known: Array) -> None:
        """`known` are products of before, if there are any."""
        self._product = product
        self._power = power_of(known) if known.size else None

    @property
    def power(self) -> int:
        """The power of two by which the matrix is divided."""
        return self._power or 0

    def __call__(self, rows: Array) -> Array:
        """The products with rows."""
        found = self._product(rows)
        if self._power is None:
            self._power = power_of(found)
        return self.of(found)

    def of(self, numbers: Array) -> Array:
        """Numbers of the matrix as those of its multiple."""
        return np.ldexp(numbers, -self.power) if self.power else numbers

    def back(self, numbers: Array) -> Array:
        """Numbers of the multiple as those of the matrix."""
        return np.ldexp(numbers, self.power) if self.power else numbers


def _going_on(dialogue: Dialogue, power: int, reply: Any) -> Dialogue:
    while True:
        try:
            said = dialogue.send(_multiple(reply, power))
        except StopIteration:
            return
        reply = yield _known(said, power) if isinstance(said, Known) else said


def _multiple(reply: Any, power: int) -> Any:
    """What an estimator is sent: probes as they are."""
    if reply is None or not power:
        return reply
    if isinstance(reply, tuple):
        return reply[0], np.ldexp(reply[1], -power)
    return np.ldexp(reply, -power)


@np.errstate(over="ignore", under="ignore")
def _known(known: Known, power: int) -> Known:
    """What it says, of the numbers themselves."""
    if not power:
        return known
    value, diagonal = np.ldexp(known.value, power), np.ldexp(known.diagonal, power)
    return replace(
        known,
        value=value,
        standard_error=np.ldexp(known.standard_error, power),
        half_width=np.where(np.isfinite(value), np.ldexp(known.half_width, power), np.inf),
        diagonal=diagonal,
        diagonal_error=np.ldexp(known.diagonal_error, power),
        diagonal_half_width=np.where(np.isfinite(diagonal), np.ldexp(known.diagonal_half_width, power), np.inf),
        state=None if known.state is None else {**known.state, _POWER: np.asarray(power)},
    )


@np.errstate(over="ignore", under="ignore")
def _target(target: Target, power: int) -> Target:
    absolute = target.absolute_tolerance
    if not power or not absolute:
        return target
    return replace(target, absolute_tolerance=float(np.clip(np.ldexp(absolute, -power), SMALLEST, LARGEST)))
