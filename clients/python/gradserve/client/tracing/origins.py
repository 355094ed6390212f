"""Where traced code stands in its author's source, and refusals that say so."""

from __future__ import annotations

import dis
import functools
import linecache
import sys
from pathlib import PurePath
from types import FrameType, FunctionType

import numpy as np

from gradserve.ir.errors import Untraceable
from gradserve.ir.graph import Origin

_TRACING = "gradserve.client"
_INNER = {"numpy", "scipy", "gradserve.ir", "gradserve.numpy", "gradserve.ops"} | {
    f"{_TRACING}.{module}"
    for module in (
        *("asker", "client", "function", "functions", "importers.loaded", "scipy", "spectral", "taylor", "traces"),
        *("tracing", "verifications", "within"),
    )
}
"""Packages that stand between the author's code and its nodes."""
_EXCERPT = 160
"""Characters of a source line that are shown."""


def origin() -> Origin | None:
    """The author's nearest source line; the file without its folder, as graphs travel."""
    frame = _author_frame()
    return None if frame is None else _origin(frame.f_code.co_filename, frame.f_lineno)


def untraceable(problem: str, instead: str) -> Untraceable:
    """The refusal of what the author's nearest line does, with what to write instead."""
    frame = _author_frame()
    if frame is None:
        return Untraceable(f"{problem}; {instead}")
    code = linecache.getline(frame.f_code.co_filename, frame.f_lineno, frame.f_globals).strip()
    shown = f"\n    {code[:_EXCERPT]}" if code else ""
    return Untraceable(f"{origin()}: {problem}; {instead}{shown}")


def called_function() -> str:
    """What the author's nearest line calls: a function of NumPy or SciPy if that can be seen, else NumPy itself."""
    frame = sys._getframe(1)
    while frame.f_back is not None and stands_inside(str(frame.f_back.f_globals.get("__name__", ""))):
        frame = frame.f_back
    if str(frame.f_globals.get("__name__", "")).startswith("scipy._lib"):
        decorated = _decorated(frame)
        if decorated is not None:
            return decorated
    name = frame.f_code.co_name
    if name in ("__call__", "__init__"):
        name = type(frame.f_locals["self"]).__name__
    if name == "__ua_function__":  # by which scipy.fft calls all of its functions
        name = frame.f_locals["method"].__name__
    package, *modules = frame.f_globals.get("__name__", "").split(".")
    if package == "scipy":
        return ".".join([package, *(module for module in modules if not module.startswith("_")), name])
    return f"np.{name}" if package == "numpy" and hasattr(np, name) else "NumPy"


def _decorated(frame: FrameType) -> str | None:
    """The function of SciPy that a decorator of its own calls, or has called it."""
    for known in frame.f_locals.values():
        module = str(getattr(known, "__module__", ""))
        if isinstance(known, FunctionType) and module.startswith("scipy.") and not module.startswith("scipy._lib"):
            return ".".join([*(part for part in module.split(".") if not part.startswith("_")), known.__name__])
    return None


def is_assigning() -> bool:
    """Whether the author's nearest line assigns to an element, or to a slice, by what is called now."""
    frame = _author_frame()
    return frame is not None and dis.opname[frame.f_code.co_code[frame.f_lasti]] in ("STORE_SUBSCR", "STORE_SLICE")


@functools.lru_cache(maxsize=4096)
def _origin(path: str, line: int) -> Origin:
    return Origin(PurePath(path).name, line)


def _author_frame() -> FrameType | None:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and stands_inside(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    return frame


@functools.cache
def stands_inside(module: str) -> bool:
    """Whether a module stands between the author's code and its nodes."""
    parts = module.split(".")
    return not _INNER.isdisjoint(".".join(parts[:k]) for k in range(1, len(parts) + 1))
