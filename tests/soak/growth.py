"""Whether processes grow: memory, descriptors and threads over time, and the slopes that they have.

What fills once, a cache or the allocator's arenas, grows fast at first and then no more; what leaks goes on. So the
verdict is on the second half of a life: there a figure grows that rises beyond doubt, and whose last quarter of that
half reaches a height that it had never had before.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import psutil
from scipy.stats import theilslopes

PAUSE_SECONDS = 2.0
_LEAST_SAMPLES = 15
_TOLERATED = {"MiB": 0.25, "descriptors": 0.2, "threads": 0.2}
"""Growth in a minute below which it is told, but is no fault: the least that can be told from noise in some minutes."""


@dataclass(frozen=True)
class Slope:
    """How fast a figure of a process grows in a minute, with a 95 % interval."""

    a_minute: float
    low: float
    high: float


@dataclass(frozen=True)
class Growth:
    """What became of one figure of a process after its warm-up."""

    process: str
    figure: str
    minutes: float
    first: float
    """The median of the first quarter."""
    last: float
    """That of the last quarter."""
    early: Slope
    """In the first half."""
    late: Slope
    """In the second half."""
    rise: float
    """How far the last eighth's peak lies above all peaks before."""

    @property
    def grows(self) -> bool:
        """Whether it still grows in the second half, beyond doubt."""
        tolerated = _TOLERATED[self.figure]
        return self.late.low > tolerated and self.rise > tolerated * self.minutes / 8

    @property
    def verdict(self) -> str:
        """In a word: it grows, it was filled and stands still, or it always stood still."""
        if self.grows:
            return "grows"
        return "filled" if self.early.low > _TOLERATED[self.figure] else "still"


@dataclass
class _Life:
    """The samples of one process."""

    name: str
    process: psutil.Process
    moments: list[float] = field(default_factory=list)
    figures: list[tuple[float, float, float]] = field(default_factory=list)

    def sample(self) -> None:
        with self.process.oneshot():
            memory = self.process.memory_full_info().uss / (1 << 20)
            self.figures.append((memory, self.process.num_fds(), self.process.num_threads()))
        self.moments.append(time.monotonic())

    def growth(self, warm_up: float) -> list[Growth]:
        """What became of its figures; nothing of a life that was short."""
        if not self.moments:
            return []
        moments = np.array(self.moments)
        kept = moments > moments[0] + warm_up
        if kept.sum() < 2 * _LEAST_SAMPLES:
            return []
        minutes, figures = moments[kept] / 60, np.array(self.figures)[kept]
        name = f"{self.name} {self.process.pid}"
        return [growth_of(name, figure, minutes, figures[:, k]) for k, figure in enumerate(_TOLERATED)]


def growth_of(process: str, figure: str, minutes: np.ndarray, values: np.ndarray) -> Growth:
    """What became of a figure, from its values at some minutes."""
    half, quarter, eighth = len(values) // 2, len(values) // 4, len(values) // 8
    return Growth(
        process,
        figure,
        float(minutes[-1] - minutes[0]),
        float(np.median(values[:quarter])),
        float(np.median(values[-quarter:])),
        _slope(minutes[:half], values[:half]),
        _slope(minutes[half:], values[half:]),
        float(values[-eighth:].max() - values[:-eighth].max()),
    )


def _slope(minutes: np.ndarray, values: np.ndarray) -> Slope:
    """Theil and Sen's estimate (Sen 1968)."""
    slope, _, low, high = theilslopes(values, minutes)
    return Slope(float(slope), float(low), float(high))


class Watch(threading.Thread):
    """Samples our own process and those that it is told of, until left."""

    def __init__(self, parts: Mapping[str, Callable[[], list[psutil.Process]]]) -> None:
        """`parts` tell which processes they are now, by what those are called."""
        super().__init__(daemon=True)
        self._parts = parts
        self._lives = {os.getpid(): _Life("clients", psutil.Process())}
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(PAUSE_SECONDS):
            for name, process in self._now():
                try:
                    self._lives.setdefault(process.pid, _Life(name, process)).sample()
                except psutil.Error:  # it has ended meanwhile
                    continue

    def _now(self) -> list[tuple[str, psutil.Process]]:
        found = [("clients", psutil.Process())]
        for name, processes in self._parts.items():
            with contextlib.suppress(psutil.NoSuchProcess):  # it is being restarted
                found += [(name, each) for each in processes()]
        return found

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def growth(self, warm_up: float) -> list[Growth]:
        """That of every process that lived for long enough, from so many seconds after its first sample on."""
        return [growth for life in self._lives.values() for growth in life.growth(warm_up)]
