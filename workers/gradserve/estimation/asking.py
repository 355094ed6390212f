"""What an estimator asks for, and what it says: a dialogue without any knowledge of who multiplies.

An estimator is a generator. It yields `Probes` and is sent the probes and their products; it yields `Columns` or
`Basis` and is sent the products; it yields `Whole` and is sent the trace; it yields `Known`, the full current answer,
and is sent nothing. Vectors are rows of float64 that run through all inputs in question. Products of one request do not
depend on each other; a request may depend on all before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeAlias

from gradserve.estimation.looks import Target
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.estimates import Sampler, StopReason
from gradserve.questions.resuming import State


@dataclass(frozen=True, slots=True)
class Probes:
    """Asks for random vectors `start` to `stop` of a sampler and for their products."""

    start: int
    stop: int
    sampler: Sampler = Sampler.SIGNS

    @property
    def count(self) -> int:
        """How many products."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Columns:
    """Asks for the products with these rows."""

    rows: Array

    @property
    def count(self) -> int:
        """How many products."""
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Basis:
    """Asks for the products with rows `start` to `stop` of the identity."""

    start: int
    stop: int

    @property
    def count(self) -> int:
        """How many products."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Whole:
    """Asks for the trace itself, where that takes one pass; see `Operator.one_pass`."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known after so many products."""

    products: int
    value: Array
    """Estimates of the trace and of the part of it that each group has, in this order."""
    standard_error: Array
    half_width: Array
    reason: StopReason
    diagonal: Array
    """The estimate of every entry of the diagonal; empty if it is not wanted, as are the next two."""
    diagonal_error: Array
    diagonal_half_width: Array
    sketch: int = 0
    """Dimensions that are known exactly and not by chance."""
    state: State | None = None
    """What the estimator goes on with from here; None if it takes all products so far."""


@dataclass(frozen=True)
class Operator:
    """What is known of the matrix beforehand."""

    size: int
    groups: Mapping[str, slice | Array]
    """The entries of each group, by name."""
    epsilon: float
    """The spacing at 1 of the numbers that products are computed with."""
    diagonal: bool = False
    """Whether the diagonal is wanted entry by entry."""
    capacity: int = 1 << 20
    """The most rows that may be held at once."""
    section: int = 256
    """The most probes that are asked for at once, after which it is told how far the work is."""
    pass_price: float = math.inf
    """What the trace itself takes in one pass, in products; infinite if there is none."""

    @property
    def one_pass(self) -> bool:
        """Whether the trace itself takes less in one pass than by the products with all columns."""
        return self.pass_price < self.size

    @property
    def exact_price(self) -> float:
        """What the trace without chance takes, in products."""
        return min(self.size, self.pass_price)


Ask: TypeAlias = Probes | Columns | Basis
Dialogue: TypeAlias = Generator[Ask | Whole | Known, Any, None]
Method: TypeAlias = Callable[[Operator, Target], Dialogue]
"""An estimator: the dialogue about an operator that comes to an answer as good as the target says."""
