"""Whether processes grow: memory, descriptors and threads over time, and the slopes that they have."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import psutil
from scipy.stats import theilslopes

PAUSE_SECONDS = 2.0
_LEAST_SAMPLES = 15
_TOLERATED = {"MiB": 1.0, "descriptors": 1.0, "threads": 1.0}
"""Growth in a minute below which it is told, but is no fault: the least that can be told from noise in some minutes."""


@dataclass(frozen=True)
class Slope:
    """How fast a figure of a process grows: Theil and Sen's estimate, with its 95 % interval (Sen 1968)."""

    process: str
    figure: str
    level: float
    a_minute: float
    low: float
    high: float
    minutes: float

    @property
    def grows(self) -> bool:
        """Whether it grows beyond doubt."""
        return self.low > _TOLERATED[self.figure]


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

    def slopes(self, warm_up: float) -> list[Slope]:
        if not self.moments:
            return []
        moments = np.array(self.moments)
        kept = moments > moments[0] + warm_up
        if kept.sum() < _LEAST_SAMPLES:
            return []
        minutes, figures = moments[kept] / 60, np.array(self.figures)[kept]
        return [self._slope(name, minutes, figures[:, column]) for column, name in enumerate(_TOLERATED)]

    def _slope(self, figure: str, minutes: np.ndarray, values: np.ndarray) -> Slope:
        slope, _, low, high = theilslopes(values, minutes)
        name = f"{self.name} {self.process.pid}"
        length = float(minutes[-1] - minutes[0])
        return Slope(name, figure, float(np.median(values)), float(slope), float(low), float(high), length)


class Growth(threading.Thread):
    """Samples our own process and those that it is told of, until left."""

    def __init__(self, front_end: Callable[[], int], workers: Callable[[], list[psutil.Process]]) -> None:
        """`front_end` tells which process that is now, and `workers` which ones the workers are."""
        super().__init__(daemon=True)
        self._front_end, self._workers = front_end, workers
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
        try:
            front_end = psutil.Process(self._front_end())
            workers = self._workers()
        except psutil.NoSuchProcess:  # it is being restarted
            return []
        return [("clients", psutil.Process()), ("front end", front_end), *(("worker", each) for each in workers)]

    def __enter__(self) -> Growth:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def slopes(self, warm_up: float) -> list[Slope]:
        """Those of every process that lived for long enough, from so many seconds after its first sample on."""
        return [slope for life in self._lives.values() for slope in life.slopes(warm_up)]
