"""What is kept of a run: tables and floors as Markdown, and progress on the terminal."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.bench.timing import Ratio

PACKAGES = ("numpy", "scipy", "autograd", "jax", "jaxlib", "grpcio", "protobuf", "ray")


@dataclass(frozen=True)
class Floor:
    """A promise about a measured ratio: at most `limit`, or at least, if larger is better."""

    name: str
    measured: float
    limit: float
    at_least: bool = False
    interval: tuple[float, float] | None = None
    """Between what the measurement may lie, if it is one of time."""
    cause: str = ""
    """What keeps it from the promise, where that is known."""

    @property
    def margin(self) -> float:
        """How many times better than promised; below 1 the promise is broken."""
        return self.measured / self.limit if self.at_least else self.limit / self.measured

    @property
    def passed(self) -> bool:
        return self.margin >= 1.0

    @property
    def verdict(self) -> str:
        open_ = self.interval is not None and self.interval[0] <= self.limit <= self.interval[1]
        return f"{'pass' if self.passed else 'FAIL'}{', not resolved' if open_ else ''} (margin {self.margin:.2f}x)"

    @property
    def shown(self) -> str:
        between = f" ({self.interval[0]:.3g} to {self.interval[1]:.3g})" if self.interval else ""
        return f"{self.measured:.3g}x{between}"

    def __str__(self) -> str:
        bound = "at least" if self.at_least else "at most"
        return f"{self.name}: {self.shown}, {bound} {self.limit:g}x, {self.verdict}"


def time_floor(name: str, measured: Ratio, limit: float, cause: str = "") -> Floor:
    """A floor on a ratio of times."""
    return Floor(name, measured.median, limit, interval=(measured.low, measured.high), cause=cause)


@dataclass(frozen=True)
class Section:
    """A table with the floors that it is held against."""

    title: str
    text: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    floors: Sequence[Floor] = field(default_factory=tuple)


class Screen(Protocol):
    """Where progress is shown."""

    def heading(self, text: str) -> None:
        """A new section begins."""
        ...

    def line(self, text: str) -> None:
        """Something is done."""
        ...


class Lines:
    """Progress in plain lines."""

    def heading(self, text: str) -> None:
        print(f"\n== {text}", flush=True)

    def line(self, text: str) -> None:
        print(text, flush=True)


class RichLines:
    """Progress in colour: broken floors are red."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console()

    def heading(self, text: str) -> None:
        self._console.print()
        self._console.rule(f"[bold]{text}", align="left")

    def line(self, text: str) -> None:
        style = "bold red" if "FAIL" in text else ""
        self._console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


def screen() -> Screen:
    """Rich's terminal if it is installed, else plain lines."""
    try:
        return RichLines()
    except ImportError:
        return Lines()


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def machine() -> str:
    """The machine in words."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    busy = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, {platform.system()} {platform.release()}; load {busy}"


def versions() -> str:
    """Python and the packages that the numbers depend on."""
    known = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    shown = [f"{name} {known[name]}" for name in PACKAGES if name in known]
    return ", ".join([f"Python {platform.python_version()}", *shown])


def markdown(sections: Sequence[Section], notes: Sequence[str]) -> str:
    """The whole report."""
    return "\n".join(_lines(sections, notes)) + "\n"


def _lines(sections: Sequence[Section], notes: Sequence[str]) -> Iterator[str]:
    yield "# Benchmark results"
    yield ""
    yield f"Written by `make bench` on {datetime.datetime.now(datetime.UTC):%Y-%m-%d}."
    yield f"Machine at the end of the run: {machine()}. {versions()}."
    yield from notes
    floors = [floor for section in sections for floor in section.floors]
    broken = [floor for floor in floors if not floor.passed]
    if floors:
        yield ""
        yield f"**{len(floors) - len(broken)} of {len(floors)} floors are kept.**"
        yield from (f"- {floor}{f': {floor.cause}' if floor.cause else ''}" for floor in broken)
    for section in sections:
        yield from ("", f"## {section.title}", "", section.text, "")
        yield from _table(section.header, section.rows)
        if section.floors:
            yield ""
            yield from _table(
                ("floor", "measured", "promised", "verdict"),
                [(f.name, f.shown, f"{'>=' if f.at_least else '<='} {f.limit:g}x", f.verdict) for f in section.floors],
            )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |"
