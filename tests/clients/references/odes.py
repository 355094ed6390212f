"""Solutions of two differential equations, and their derivatives, to 60 digits.

`python -m tests.clients.references.odes` makes them again.

Taylor series of order 70 in integers of 400 binary places, for the states and for the variational equations. Each is
computed twice, with steps of half the length the second time; what is written are the digits in which the two agree,
at least 60; mpmath's odefun has the first 38 of Lotka's and Volterra's. It takes some minutes, and writes odes.json
beside this file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

BITS, ORDER, DIGITS = 400, 70, 60
ONE = 1 << BITS


@dataclass(frozen=True)
class System:
    """dy_i/dt = the sum of sign p_k y_a y_b ..., term by term, and times at which y is asked for."""

    terms: Sequence[Sequence[tuple[int, int, tuple[int, ...]]]]
    """For each i its terms: a sign, the number of a parameter, and the numbers of factors."""
    parameters: Sequence[str]
    start: Sequence[str]
    times: Sequence[str]
    longest: str
    """The longest step: about 3 over how fast the fastest part decays or turns."""
    first: str
    """The first step; later ones are at most an eighth of the time, as poles in the complex plane are that near."""


SYSTEMS = {
    "lotka-volterra": System(
        terms=(((1, 0, (0,)), (-1, 1, (0, 1))), ((-1, 2, (1,)), (1, 3, (0, 1)))),
        parameters=("1.5", "1", "3", "1"),
        start=("1", "1"),
        times=("0", "1", "5"),
        longest="0.05",
        first="0.05",
    ),
    "robertson": System(
        terms=(
            ((-1, 0, (0,)), (1, 2, (1, 2))),
            ((1, 0, (0,)), (-1, 2, (1, 2)), (-1, 1, (1, 1))),
            ((1, 1, (1, 1)),),
        ),
        parameters=("0.04", "30000000", "10000"),
        start=("1", "0", "0"),
        times=("0", "0.4", "4"),
        longest="0.0008",
        first="0.00015",
    ),
}


def fixed(text: str | Fraction) -> int:
    """A number as an integer of so many binary places."""
    return round(Fraction(text) * ONE)


Series = list[int]


def product(x: Series, y: Series, k: int) -> int:
    """The coefficient of degree k."""
    return sum(a * b for a, b in zip(x[: k + 1], y[k::-1], strict=True)) >> BITS


class Step:
    """The Taylor series of a state and of its derivatives in the first state and the parameters, over one step."""

    def __init__(self, system: System, state: Sequence[Sequence[int]], length: Fraction) -> None:
        """The state holds for each i the value, and then the derivatives."""
        self._system, self._length = system, length
        self._values = [fixed(text) for text in system.parameters]
        self._count = len(system.start)
        self._y: list[list[Series]] = [[[number] for number in numbers] for numbers in state]
        self._products: dict[tuple[int, int], list[Series]] = {
            (a, b): [[] for _ in state[0]] for terms in system.terms for _, _, f in terms if len(f) == 2 for a, b in [f]
        }
        for k in range(ORDER):
            self._grow(k)

    def _grow(self, k: int) -> None:
        """The coefficients of degree k + 1."""
        for (a, b), rows in self._products.items():
            x, y = self._y[a], self._y[b]
            rows[0].append(product(x[0], y[0], k))
            for j in range(1, len(rows)):
                rows[j].append(product(x[j], y[0], k) + product(x[0], y[j], k))
        for own, terms in zip(self._y, self._system.terms, strict=True):
            for j, series in enumerate(own):
                total = sum(sign * self._term(p, factors, j, k) for sign, p, factors in terms)
                series.append(total * self._length.numerator // (self._length.denominator * (k + 1)))

    def _term(self, p: int, factors: tuple[int, ...], j: int, k: int) -> int:
        rows = self._y[factors[0]] if len(factors) == 1 else self._products[factors[0], factors[1]]
        found = self._values[p] * rows[j][k] >> BITS
        return found + rows[0][k] if j == 1 + self._count + p else found

    def end(self) -> list[list[int]]:
        """The state after the step."""
        return [[sum(series) for series in own] for own in self._y]


def states(system: System, halved: int) -> list[list[list[int]]]:
    """The states at the times after the first, each with its derivatives."""
    count, width = len(system.start), 1 + len(system.start) + len(system.parameters)
    state = [
        [fixed(text) if j == 0 else ONE * (j == 1 + i) for j in range(width)] for i, text in enumerate(system.start)
    ]
    assert len(state) == count
    found = []
    times = [Fraction(text) for text in system.times]
    for before, after in pairwise(times):
        now = before
        while now < after:
            length = min(Fraction(system.longest), max(Fraction(system.first), now.limit_denominator(10**9) / 8))
            length = min(length / (1 << halved), after - now)
            state = Step(system, state, length).end()
            now += length
        found.append(state)
    return found


def written(number: int, other: int) -> str:
    """A number in decimals, of which it sees that another one has the same."""
    assert abs(number - other) * 10**DIGITS < ONE, "they differ"
    digits = abs(number) * 10**DIGITS >> BITS
    return f"{'-' * (number < 0)}{digits // 10**DIGITS}.{digits % 10**DIGITS:0{DIGITS}d}"


def main() -> None:
    """Writes all of it."""
    found = {}
    for name, system in SYSTEMS.items():
        both = [states(system, halved) for halved in (0, 1)]
        rows = [
            [[written(x, y) for x, y in zip(*pair, strict=True)] for pair in zip(*states_, strict=True)]
            for states_ in zip(*both, strict=True)
        ]
        found[name] = {
            "parameters": system.parameters,
            "start": system.start,
            "times": system.times,
            "states": [[own[0] for own in row] for row in rows],
            "derivatives": [[own[1:] for own in row] for row in rows],
        }
        sys.stdout.write(f"{name}: {rows[-1][0][0]}\n")
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
