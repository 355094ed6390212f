"""Samples of a diagonal: their sums by group are samples of traces, and their spread is known entry by entry."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gradserve.estimation.asking import Known, Operator
from gradserve.estimation.looks import FEWEST
from gradserve.estimation.running import ROUNDING, few, widening
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.estimates import StopReason
from gradserve.questions.resuming import Standing, State, refuse_token

_EMPTY = np.zeros(0)
SMALLEST = 1e-138
"""Numbers below this have squares that are lost, and with them what is known of their spread."""
EPSILON = float(np.finfo(float).eps)
INDEPENDENT = (0.0, 0.0)
"""What samples share that are independent."""


@dataclass(frozen=True)
class Sampled:
    """Rows of shares v_i (B v)_i, summed up; beside them, for each row, how much of a known diagonal it stands for."""

    count: int
    forms: Array
    """The samples of the trace and of its groups, (samples, 1 + groups)."""
    first: Array
    total: Array
    """Sums over the rows of distances from the first."""
    squares: Array
    """Sums of squared distances, entry by entry."""
    shift: float
    """The sum of the multiples of the known diagonal."""
    beside: Array
    """The sizes of what each entry is added up from that is known beside the samples,"""
    sizes: Array
    """and the largest ones of what its share in a sample is: sums may cancel, and their roundings do not."""
    shared: tuple[float, float] = INDEPENDENT
    """What is left of the variance of a sample in the mean of however many: of the trace, and of its parts."""

    @classmethod
    def none(cls, operator: Operator, beside: Array) -> Sampled:
        """Nothing has been sampled, beside what is added up from numbers of these sizes."""
        forms, zero = np.zeros((0, 1 + len(operator.groups))), np.zeros(operator.size)
        return cls(0, forms, zero, zero, zero, 0.0, beside, zero)

    def state(self) -> State:
        """What `stood` takes."""
        arrays = {"forms": self.forms, "first": self.first, "total": self.total, "squares": self.squares}
        sizes = {"beside": self.beside, "sizes": self.sizes}
        return {**arrays, **sizes, "shifts": np.asarray(self.shift), "shared": np.asarray(self.shared)}

    @classmethod
    def stood(cls, operator: Operator, at: Standing) -> Sampled:
        """The sums where they stood."""
        forms = at.numbers("forms", None, 1 + len(operator.groups))
        first, total, squares, beside, sizes = (
            at.numbers(name, operator.size) for name in ("first", "total", "squares", "beside", "sizes")
        )
        return cls(len(forms), forms, first, total, squares, at.number("shifts"), beside, sizes, _shared(at))

    def with_rows(self, operator: Operator, shares: Array, shifts: Array, outside: Array, sizes: Array) -> Sampled:
        """More rows; `shifts` are the multiples of the diagonal `outside` that they stand for besides.

        `sizes` are those of what the shares are added up from, the largest of all rows.
        """
        if not len(shares):
            return self
        first = self.first if self.count else shares[0]
        distances = shares - first
        forms = by_group(operator, shares) + shifts[:, None] * by_group(operator, outside[None])
        return Sampled(
            self.count + len(shares),
            np.concatenate([self.forms, forms]),
            first,
            self.total + distances.sum(axis=0),
            self.squares + np.einsum("ji,ji->i", distances, distances),
            self.shift + float(shifts.sum()),
            self.beside,
            np.maximum(self.sizes, sizes),
            self.shared,
        )

    def of_mean(self, more: int = 0) -> float:
        """The standard error of the trace, after so many more samples, in standard deviations of one."""
        return float(np.sqrt(1 / max(1, self.count + more) + self.shared[0]))

    def of_parts(self) -> float:
        """The standard error of a part of it, in standard deviations of a sample."""
        return float(np.sqrt(1 / max(1, self.count) + self.shared[1]))

    def variances(self) -> Array:
        """The unbiased variance of every share."""
        if self.count < 2:
            return np.full_like(self.first, np.inf)
        spread = np.maximum(self.squares - self.total**2 / self.count, 0.0)
        return np.asarray(spread / (self.count - 1))

    def deviations(self, operator: Operator, alpha: float) -> Array:
        """The standard deviations of a sample of the trace and of its groups.

        The larger of two estimates: of the samples' own, and of twice the variances of the shares in them. Those bound
        a group's from above, and are the variance of the whole (see `gradserve.estimation.shares`).
        """
        if self.count < 2:
            return np.full(1 + len(operator.groups), np.inf)
        variances = self.variances()
        if few(alpha, self.count):
            variances = variances * (self.count - 1) / self.count + (self.first + self.total / self.count) ** 2
        shares = np.sqrt(2 * by_group(operator, variances[None])[0])
        return np.asarray(np.maximum(self.forms.std(axis=0, ddof=1), shares))

    def rounding(self, operator: Operator) -> Array:
        """The rounding error of the estimates: that of sums, all told, and that of products, independent by entry."""
        sizes = self.beside + self.sizes
        sums, squares = (by_group(operator, each[None])[0] for each in (sizes, sizes**2))
        return np.asarray(ROUNDING * (EPSILON * sums + operator.epsilon * np.sqrt(squares)))

    def known(
        self, operator: Operator, base: Array, outside: Array, alpha: float, products: int, reason: StopReason
    ) -> Known:
        """The answer, beside a diagonal that is known; reason NONE if it is not the last."""
        value = by_group(operator, base[None])[0] + self.forms.sum(0) / max(self.count, 1)
        deviations, rounding = self.deviations(operator, alpha), self.rounding(operator)
        wide = widening(alpha, self.count) if self.count > 1 else np.inf
        errors = deviations * np.where(np.arange(len(deviations)) == 0, self.of_mean(), self.of_parts())
        half = wide * errors + rounding
        half = np.where((self.count < proving(alpha)) & (deviations <= rounding), np.inf, half)
        sizes = np.abs(base).sum() + np.abs(self.forms).max(initial=0.0)
        half = np.where((sizes > 0) & (sizes < SMALLEST), np.inf, half)
        entries = (_EMPTY,) * 3
        if operator.diagonal:
            entries = self._entries(operator, base, outside, alpha, wide)
        return Known(products, value, errors, half, reason, *entries)

    def _entries(
        self, operator: Operator, base: Array, outside: Array, alpha: float, wide: float
    ) -> tuple[Array, Array, Array]:
        count = max(self.count, 1)
        mean = self.first + self.total / count
        error = np.sqrt(self.variances()) * self.of_parts()
        values = base + self.shift / count * outside + mean
        rounding = ROUNDING * operator.epsilon * (self.beside + self.sizes)
        spread = np.hypot(error, mean / np.sqrt(count)) if few(alpha, count) else error
        half = wide * spread + rounding
        unproven = self.count < proving(alpha)
        return values, error, np.where(unproven & (spread * np.sqrt(count) <= rounding), np.inf, half)


def _shared(at: Standing) -> tuple[float, float]:
    of_trace, of_parts = at.numbers("shared", 2)
    if not min(of_trace, of_parts) >= 0:
        refuse_token("shared")
    return float(of_trace), float(of_parts)


def by_group(operator: Operator, rows: Array) -> Array:
    """The sums of rows over all entries, and over those of each group."""
    parts: Iterable[Array] = (rows[:, part].sum(axis=1) for part in operator.groups.values())
    return np.stack([rows.sum(axis=1), *parts], axis=1)


def proving(alpha: float) -> int:
    """The samples that prove something if they are equal; see `gradserve.estimation.looks.first_look`."""
    return max(FEWEST, int(np.ceil(1 + np.log(alpha) / np.log(0.75))))
