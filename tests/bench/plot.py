"""The pictures: times in one process and over the wire as bars, Jacobians by their number of outputs as lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.timing import Timing

_COLOURS = {
    "gradserve": "#1f5fa8",
    "numpy": "#4f8fd0",
    "client": "#9fc8f0",
    "autograd": "#b0b0b0",
    "jax": "#e0a030",
    "bare": "#e0a030",
    "echo": "#d8d8d8",
}
_NAMES = {
    "gradserve": "gradserve",
    "numpy": "gradserve on NumPy",
    "client": "gradserve, Client()",
    "autograd": "HIPS autograd",
    "jax": "jax.jit, one core",
    "bare": "bare gRPC + JAX",
    "echo": "bare gRPC echo",
}


def draw(local: dict[str, dict[str, Timing]], remote: dict[int, dict[str, Timing]], path: Path) -> None:
    """Writes the medians as bars, with the best turns as ticks, on logarithmic scales."""
    plt = _pyplot()
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


_LINES: dict[str, tuple[str, dict[str, Any]]] = {
    "auto": ("gradserve, the mode chosen", {"color": "#7fb0e0", "linewidth": 5.0}),
    "forward": ("gradserve, by columns", {"color": "#1f5fa8", "linestyle": "--"}),
    "reverse": ("gradserve, by rows", {"color": "#1f5fa8", "linestyle": ":"}),
    "jacfwd": ("jax.jit(jacfwd), one core", {"color": "#e0a030", "linestyle": "--"}),
    "jacrev": ("jax.jit(jacrev), one core", {"color": "#e0a030", "linestyle": ":"}),
}


def draw_jacobians(timings: dict[int, dict[str, Timing]], inputs: int, path: Path) -> None:
    """Writes the medians over outputs per input, as in the lecture's figure 27, on logarithmic scales."""
    plt = _pyplot()
    figure, axis = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    ratios = [outputs / inputs for outputs in timings]
    for name, (label, style) in _LINES.items():
        medians = [1e3 * times[name].median for times in timings.values()]
        axis.plot(ratios, medians, label=label, **{"linewidth": 1.4, **style})
    axis.axvline(1.0, color="#d8d8d8", linewidth=0.8, zorder=0)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("outputs per input")
    axis.set_ylabel("ms per Jacobian")
    axis.set_title(f"The whole Jacobian of {inputs} inputs", loc="left", fontsize=10)
    axis.legend(fontsize=7, frameon=False, loc="upper left")
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def draw_cluster(round_trips: dict[str, Timing], efficiency: dict[int, dict[float, float]], path: Path) -> None:
    """Writes round trips to a worker as bars, the best turns as ticks, and the share of work over chunks' lengths."""
    plt = _pyplot()
    figure, (trips, shares) = plt.subplots(1, 2, figsize=(9.0, 3.8), layout="constrained")
    trips.barh(list(round_trips), [1e3 * t.median for t in round_trips.values()], color=_COLOURS["gradserve"])
    trips.scatter([1e3 * t.best for t in round_trips.values()], list(round_trips), marker="|", color="black")
    trips.set_xscale("log")
    trips.set_xlabel("ms to a worker and back")
    for nodes, share in efficiency.items():
        shares.plot([1e3 * own for own in share], list(share.values()), marker="o", label=f"{nodes} node(s)")
    shares.set_xscale("log")
    shares.set_ylim(0.0, 1.0)
    shares.set_xlabel("ms of a chunk")
    shares.set_ylabel("work per processor second")
    shares.legend(fontsize=7, frameon=False, loc="lower right")
    for axis in (trips, shares):
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _pyplot() -> Any:
    """Matplotlib, drawing the same file from the same numbers."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "gradserve"
    import matplotlib.pyplot as plt

    return plt


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
