"""What calls answer, as values that print well."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kinks:
    """How much of a function sits where it is not differentiable, and ops follow their conventions."""

    nodes: int
    """Nodes of the graph that do at one point or more; `Function.inspect` names them."""
    examples: int
    """Points at which a node does."""

    def __str__(self) -> str:
        return f"{self.nodes} node(s) on a kink at {self.examples} point(s)"


@dataclass(frozen=True, slots=True)
class Report:
    """What a call cost, as the server measured it; durations in seconds."""

    queue: float = 0.0
    decode: float = 0.0
    plan: float = 0.0
    execute: float = 0.0
    encode: float = 0.0
    plan_cache_hit: bool = False
    executor: str = ""
    placement: str = ""
    chunks: int = 0
    retries: int = 0
    batch_size: int = 1
    flops: float = 0.0
    peak_bytes: int = 0
    nonfinite_outputs: int = 0
    workers: tuple[str, ...] = ()
    kinks: Kinks | None = None
    """What sits on a kink, of derivatives, unless `Function.count_kinks` is False."""

    @property
    def phases(self) -> dict[str, float]:
        """Seconds by phase, in the order in which they pass."""
        return {name: getattr(self, name) for name in ("queue", "decode", "plan", "execute", "encode")}

    def __str__(self) -> str:
        spent = ", ".join(f"{name} {1e3 * seconds:.2f} ms" for name, seconds in self.phases.items())
        ran = f"{self.chunks} chunk(s) on {self.placement} by {self.executor}, {self.retries} retries"
        return f"{spent}; {ran}" + (f"; {self.kinks}" if self.kinks and self.kinks.nodes else "")


@dataclass(frozen=True, slots=True)
class TraceEstimate:
    """The current estimate of a trace: the mean of samples and its Student-t interval."""

    value: float
    standard_error: float
    lower: float
    upper: float
    probes: int
    confidence: float
    seed: int
    stop_reason: str
    """`tolerance`, `max_probes`, or empty while the estimate goes on."""
    report: Report

    @property
    def interval(self) -> tuple[float, float]:
        """The interval that covers the trace with probability `confidence`."""
        return self.lower, self.upper

    def __str__(self) -> str:
        half = 0.5 * (self.upper - self.lower)
        return f"{self.value:.6g} ± {half:.2g} ({self.confidence:.0%} interval, {self.probes} probes)"


@dataclass(frozen=True, slots=True)
class DirectionReport:
    """One direction: the derivative claimed along it and the one measured."""

    verdict: str
    claimed: float
    measured: float
    error_bound: float
    right: float
    left: float
    step: float

    def __str__(self) -> str:
        return f"a direction: {_comparison(self)}"


@dataclass(frozen=True, slots=True)
class InputReport:
    """The verification of one input, moved alone."""

    input: str
    verdict: str
    claimed: float
    measured: float
    error_bound: float

    @property
    def name(self) -> str:
        """The input's name."""
        return self.input

    def __str__(self) -> str:
        return f"{self.name}: {_comparison(self)}"


@dataclass(frozen=True, slots=True)
class EntryReport:
    """One entry found wrong or on a kink."""

    input: str
    index: tuple[int, ...]
    claimed: float
    measured: float
    error_bound: float
    verdict: str

    @property
    def name(self) -> str:
        """The entry as one would write it: `w[3,1]`."""
        return f"{self.input}[{','.join(map(str, self.index))}]" if self.index else self.input

    def __str__(self) -> str:
        return f"{self.name}: {_comparison(self)}"


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """A gradient compared with finite differences. Prints as a table."""

    verdict: str
    """`agrees`, `disagrees`, `kink`, `inconclusive` or `not_finite`."""
    directions: tuple[DirectionReport, ...]
    inputs: tuple[InputReport, ...]
    entries: tuple[EntryReport, ...]
    evaluations: int
    noise: float
    seed: int

    @property
    def passed(self) -> bool:
        """Whether the gradient agrees with the differences within their error bound, everywhere."""
        return self.verdict == "agrees"

    @property
    def worst(self) -> EntryReport | DirectionReport | None:
        """The worst wrong entry, or else the direction with the largest discrepancy."""
        if self.entries:
            return self.entries[0]
        return max(self.directions, key=_discrepancy, default=None)

    def __str__(self) -> str:
        head = f"verification: {self.verdict} ({self.evaluations} evaluations, noise {self.noise:.1e})"
        columns = ("verdict", "claimed", "measured", "bound")
        parts = [head, *table(("input", *columns), map(_row, self.inputs))]
        if self.entries:
            parts += ["", *table(("entry", *columns), map(_row, self.entries))]
        return "\n".join(parts)


@dataclass(frozen=True, slots=True)
class VerificationProgress:
    """How far a verification is."""

    stage: str
    evaluations: int
    execution: Report
    """What it cost so far."""
    report: VerificationReport | None
    """The report; only in the last one."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a call would cost and where it would run. Prints as a page."""

    inputs: dict[str, str]
    outputs: dict[str, str]
    text: str
    flops: float
    bytes: float
    peak_bytes: int
    seconds: float
    chunks: tuple[int, ...]
    placement: str
    executor: str
    reason: str
    loss_flops: float
    mode: str = ""
    """How a Jacobian or Hessian is accumulated: `forward`, by columns, or `reverse`, by rows."""

    def __str__(self) -> str:
        inputs = ", ".join(f"{n}: {t}" for n, t in self.inputs.items())
        outputs = ", ".join(f"{n}: {t}" for n, t in self.outputs.items())
        sizes = ", ".join(map(str, self.chunks[:8])) + (", ..." if len(self.chunks) > 8 else "")
        units = {"forward": "column(s), forward", "reverse": "row(s), reverse"}.get(self.mode, "point(s)")
        return "\n".join(
            [
                f"inputs     {inputs}",
                f"outputs    {outputs}",
                f"cost       {self.flops:.3g} flops, {self.bytes:.3g} bytes moved, predicted {self.seconds:.2g} s",
                f"loss       {self.loss_flops:.3g} flops for one example",
                f"memory     {self.peak_bytes:,} bytes at most in one chunk",
                f"chunks     {len(self.chunks)} of {sizes} {units}",
                f"placement  {self.placement} by {self.executor}: {self.reason}",
                "",
                self.text,
            ]
        )


def _comparison(row: DirectionReport | InputReport | EntryReport) -> str:
    return f"{row.verdict}; claimed {row.claimed:.9g}, measured {row.measured:.9g} within {row.error_bound:.1e}"


def _discrepancy(row: DirectionReport) -> float:
    """The difference in units of its bound; infinite where there is no number."""
    ratio = abs(row.claimed - row.measured) / (row.error_bound or sys.float_info.min)
    return math.inf if math.isnan(ratio) else ratio


def _row(row: InputReport | EntryReport) -> tuple[str, ...]:
    return row.name, row.verdict, f"{row.claimed:.9g}", f"{row.measured:.9g}", f"{row.error_bound:.1e}"


def table(header: Sequence[str], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Lines of a table with aligned columns."""
    lines = [tuple(header), *rows]
    widths = [max(len(line[k]) for line in lines) for k in range(len(header))]
    padded = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return [f"  {line}".rstrip() for line in padded]
