"""Figures of answers, by Matplotlib where it is installed: a light client needs none."""

from __future__ import annotations

from typing import Any


def axes(given: Any = None) -> Any:
    """The axes to draw on: those that are given, or new ones.

    Raises:
        ImportError: Matplotlib is not installed.
    """
    if given is not None:
        return given
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError("drawing needs matplotlib: pip install matplotlib") from None
    return pyplot.subplots()[1]
