"""The two pictures: times in one process, and times over the wire."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.timing import Timing

_COLOURS = {
    "gradserve": "#1f5fa8",
    "client": "#7fb0e0",
    "autograd": "#b0b0b0",
    "jax": "#e0a030",
    "bare": "#e0a030",
    "echo": "#d8d8d8",
}
_NAMES = {
    "gradserve": "gradserve",
    "client": "gradserve, Client()",
    "autograd": "HIPS autograd",
    "jax": "jax.jit, one core",
    "bare": "bare gRPC + JAX",
    "echo": "bare gRPC echo",
}


def draw(local: dict[str, dict[str, Timing]], remote: dict[int, dict[str, Timing]], path: Path) -> None:
    """Writes the medians as bars, with the best turns as ticks, on logarithmic scales."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "gradserve"
    import matplotlib.pyplot as plt

    groups = [
        (local, "Value and gradient in one process"),
        ({f"d = {d}": t for d, t in remote.items()}, "A remote call"),
    ]
    shown = [(timings, title) for timings, title in groups if timings]
    widths = [len(timings) for timings, _ in shown]
    figure, axes = plt.subplots(
        1, len(shown), figsize=(2.0 + sum(widths) * 0.95, 4.2), width_ratios=widths, layout="constrained", squeeze=False
    )
    for axis, (timings, title) in zip(axes[0], shown, strict=True):
        _bars(axis, timings, title)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _bars(axis: Any, timings: dict[str, dict[str, Timing]], title: str) -> None:
    names = list(next(iter(timings.values())))
    width = 0.8 / len(names)
    for k, name in enumerate(names):
        where = np.arange(len(timings)) + (k - (len(names) - 1) / 2) * width
        medians = [1e3 * times[name].median for times in timings.values()]
        best = [1e3 * times[name].best for times in timings.values()]
        axis.bar(where, medians, width, color=_COLOURS[name], label=_NAMES[name])
        axis.scatter(where, best, s=30 * width, marker="_", color="black", linewidths=0.8)
    axis.set_yscale("log")
    axis.set_ylabel("ms per call")
    axis.set_title(title, loc="left", fontsize=10)
    axis.set_xticks(np.arange(len(timings)), timings, rotation=30, ha="right", fontsize=8)
    axis.legend(fontsize=7, frameon=False, loc="upper left")
    axis.spines[["top", "right"]].set_visible(False)
