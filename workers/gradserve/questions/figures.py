"""Figures of answers, by Matplotlib where it is installed: a light client needs none."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def axes(given: Any = None) -> Any:
    """The axes to draw on: those that are given, or new ones.

    Raises:
        ImportError: Matplotlib is not installed.
    """
    if given is not None:
        return given
    require()
    from matplotlib import pyplot

    return pyplot.subplots()[1]


def require() -> None:
    """Sees that one can draw.

    Raises:
        ImportError: Matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise ImportError("drawing needs matplotlib: pip install matplotlib") from None


def write(draw: Callable[[Any], object], file: Path | io.StringIO) -> None:
    """Writes what is drawn into a file, in the format of its name, or as SVG into a buffer; needs no screen.

    Raises:
        ImportError: Matplotlib is not installed.
    """
    require()
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    draw(figure.subplots())
    figure.savefig(file, format="svg" if isinstance(file, io.StringIO) else None)


def inline(draw: Callable[[Any], object]) -> str:
    """What is drawn as SVG within a page; nothing where Matplotlib is not installed."""
    written = io.StringIO()
    try:
        write(draw, written)
    except ImportError:
        return ""
    text = written.getvalue()
    return text[text.index("<svg") :]


def convergence(axes: Any, spent: Sequence[int], values: Sequence[float], halves: Sequence[float]) -> None:
    """A number as it became better, with its interval where there is one."""
    x, y, half = np.asarray(spent), np.asarray(values), np.asarray(halves)
    known = np.isfinite(half)
    axes.fill_between(x[known], (y - half)[known], (y + half)[known], alpha=0.3, linewidth=0)
    axes.plot(x, y, "o-")
    axes.set_xscale("log")


def bars(axes: Any, rows: Mapping[str, tuple[float, float]]) -> None:
    """A bar for each number, with half its interval on both sides."""
    values, halves = (np.array([row[k] for row in rows.values()]) for k in range(2))
    places = np.arange(len(rows))
    axes.barh(places, values, xerr=np.where(np.isfinite(halves), halves, 0.0), capsize=3)
    axes.set_yticks(places, list(rows))
    axes.invert_yaxis()
