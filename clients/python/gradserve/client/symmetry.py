"""Whether the order of mixed partials matters: what is asked, and what it came to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gradserve.client.results import Report, table
from gradserve.ir.errors import InvalidRequest

_ENTRY = re.compile(r"(?P<input>[^\[\]\s]+)(\[(?P<index>\d+(,\s*\d+)*)\])?")
_ROWS = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a parameter."""

    input: str
    index: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.input}[{','.join(map(str, self.index))}]" if self.index else self.input


@dataclass(frozen=True, slots=True)
class PairReport:
    """The mixed partials along two directions u and v, in both orders."""

    verdict: str
    entries: tuple[Entry, Entry] | None
    """The entries that move along u and v; None for random signs over all of them."""
    uv: float
    """The derivative along u of the derivative along v, from values of the loss."""
    uv_bound: float
    vu: float
    """The derivative along v of the derivative along u."""
    vu_bound: float
    u_hv: float
    """<u, H v> with the derived Hessian, and for right rules equal to `v_hu`."""
    v_hu: float

    @property
    def name(self) -> str:
        """The pair as one would write it: `w[0], w[3]`."""
        return "random signs" if self.entries is None else ", ".join(map(str, self.entries))

    def __str__(self) -> str:
        both = f"{self.uv:.9g} within {self.uv_bound:.1e} and {self.vu:.9g} within {self.vu_bound:.1e}"
        return f"{self.name}: {self.verdict}; the two orders give {both}, derived {self.u_hv:.9g}"


@dataclass(frozen=True, slots=True)
class SymmetryReport:
    """Mixed partials in both orders, compared with each other and with the derived Hessian. Prints as a table."""

    verdict: str
    """The worst of its pairs: `agrees`, `inconclusive`, `kink`, `order_dependent`, `disagrees` or `not_finite`.

    `disagrees` says that both orders are the same and the derived Hessian is another, or not symmetric.
    """
    pairs: tuple[PairReport, ...]
    """Worst first."""
    evaluations: int
    noise: float
    seed: int

    @property
    def passed(self) -> bool:
        """Whether both orders and the derived Hessian agree within their error bounds, in every pair."""
        return self.verdict == "agrees"

    @property
    def worst(self) -> PairReport | None:
        """The worst pair; None where one parameter alone leaves no pairs."""
        return self.pairs[0] if self.pairs else None

    def __str__(self) -> str:
        head = f"symmetry: {self.verdict} ({len(self.pairs)} pairs, {self.evaluations} evaluations)"
        columns = ("u, v", "verdict", "d/du d/dv", "bound", "d/dv d/du", "bound", "derived")
        more = len(self.pairs) - _ROWS
        return "\n".join([head, *table(columns, map(cells, self.pairs[:_ROWS])), *[f"  and {more} more"] * (more > 0)])


@dataclass(frozen=True, slots=True)
class SymmetryProgress:
    """How far a verification of symmetry is."""

    stage: str
    evaluations: int
    execution: Report
    """What it cost so far."""
    report: SymmetryReport | None
    """The report; only in the last one."""


def cells(pair: PairReport) -> tuple[str, ...]:
    """The row of a pair in a table."""
    limits = (f"{pair.uv:.9g}", f"{pair.uv_bound:.1e}", f"{pair.vu:.9g}", f"{pair.vu_bound:.1e}")
    return (pair.name, pair.verdict, *limits, f"{pair.u_hv:.9g}")


def parse_pairs(pairs: Sequence[tuple[str, str]]) -> tuple[tuple[Entry, Entry], ...]:
    """The entries that a user names, two by two: `[("w[0]", "w[3]"), ("w[0]", "b")]`.

    Raises:
        InvalidRequest: one is no pair, or no entry.
    """
    for pair in pairs:
        if isinstance(pair, str) or len(pair) != 2:
            raise InvalidRequest(f'{pair!r} is no pair of entries, such as ("w[0]", "w[3]")')
    return tuple((_parse_entry(u), _parse_entry(v)) for u, v in pairs)


def _parse_entry(text: str) -> Entry:
    found = _ENTRY.fullmatch(text)
    if found is None:
        raise InvalidRequest(f"{text!r} is no entry of a parameter, such as w[3] or W[0,2], or b for a single number")
    return Entry(found["input"], tuple(int(k) for k in (found["index"] or "").split(",") if k))
