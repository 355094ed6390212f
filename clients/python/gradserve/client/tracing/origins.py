"""Where traced code stands in its author's source, and refusals that say so."""

from __future__ import annotations

import ast
import dis
import functools
import itertools
import linecache
import sys
from collections.abc import Callable
from pathlib import PurePath
from types import FrameType, FunctionType
from typing import Any

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
    """What the author's nearest line calls: a function of NumPy or SciPy if that can be seen, else NumPy itself.

    A method of a distribution is `scipy.stats.norm.fit`, whichever module it stands in.
    """
    frame = _called_frame()
    name = frame.f_code.co_name
    if name in ("__call__", "__init__"):
        name = type(frame.f_locals["self"]).__name__
    if name == "__ua_function__":  # by which scipy.fft calls all of its functions
        name = frame.f_locals["method"].__name__
    module = str(frame.f_globals.get("__name__", ""))
    if "<locals>" in frame.f_code.co_qualname and module.startswith("scipy."):
        module, name = _decorated(frame) or (module, name)
    package, *modules = module.split(".")
    if package == "scipy":
        law = _law(frame.f_locals.get("self")) if modules[:1] == ["stats"] else None
        return ".".join([package, *(part for part in modules if not part.startswith("_")), *filter(None, [law]), name])
    return f"np.{name}" if package == "numpy" and hasattr(np, name) else "NumPy"


def _called_frame() -> FrameType:
    """The outermost frame of NumPy or SciPy that the author's nearest line leads to, or one of ours."""
    frame = sys._getframe(2)
    found = frame
    while frame.f_back is not None and stands_inside(str(frame.f_back.f_globals.get("__name__", ""))):
        frame = frame.f_back
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] in ("numpy", "scipy"):
            found = frame
    return found


def _decorated(frame: FrameType) -> tuple[str, str] | None:
    """The module and the name of the function of SciPy that a decorator of its own calls, or has called it."""
    for known in frame.f_locals.values():
        module, name = str(getattr(known, "__module__", "")), getattr(known, "__name__", "_")
        own = module.startswith("scipy.") and not module.startswith("scipy._lib")
        if own and isinstance(known, FunctionType) and name.isidentifier() and not name.startswith("_"):
            return module, name
    return None


def _law(owner: Any) -> str | None:
    """The name of SciPy's distribution whose method is called, or that of a frozen one; None for those of others."""
    law: Any = getattr(owner, "dist", getattr(owner, "_dist", owner))
    known = vars(sys.modules["scipy.stats"])
    if not isinstance(law, known["_distn_infrastructure"].rv_generic | known["_multivariate"].multi_rv_generic):
        return None
    names = (str(getattr(law, "name", "")), *known)
    return next((name for name in names if type(known.get(name)) is type(law) and _same(known[name], law)), None)


def _same(known: Any, law: Any) -> bool:
    """Whether two distributions of one class have one support, as far as they have any."""
    return all(getattr(known, end, None) == getattr(law, end, None) for end in ("a", "b"))


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


def is_calling(frame: FrameType, call: Callable[..., Any], name: str) -> bool:
    """Whether the instruction that a frame is at calls this by a name: compiled code that it calls has no frame.

    Such code reads what it gets as memory of an array, and traced ones have none: the process would end.
    """
    positions = next(itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
    first, last, start, end = positions
    if first is None or last is None or start is None or end is None:
        return False
    lines = [linecache.getline(frame.f_code.co_filename, k, frame.f_globals).encode() for k in range(first, last + 1)]
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    try:
        expression = ast.parse(b"(" + b"".join(lines) + b")", mode="eval").body
    except SyntaxError:
        return False
    if not isinstance(expression, ast.Call):
        return False
    called = expression.func
    if isinstance(called, ast.Name):
        return {**frame.f_globals, **frame.f_locals}.get(called.id) is call
    return isinstance(called, ast.Attribute) and called.attr == name
