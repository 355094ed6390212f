"""The documentation of all that can be traced, made from the table and its implementations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from gradserve.client import functions
from gradserve.client.numpy_surface.table import FUNCTIONS, OWN, SPECIAL, UFUNC_METHODS, UFUNCS, supported_names
from gradserve.ir.op import Op
from gradserve.ops import OP_SET

_HEAD = """# What can be traced

Made by `python -m gradserve.client.numpy_surface`; do not edit.

Functions of NumPy and ufuncs of SciPy are called by their own names and arguments. An argument that is missing here is
refused while tracing, with the line and what to write instead. The [last section](#kinks) says which number is taken
where a function has no derivative.
"""
_KINKS = """
## Kinks

Where an op has no derivative, as |x| at 0, its derivative follows one convention, given here by op; functions made of
ops inherit theirs. `f.last_report.kinks` tells of every derivative how many nodes sit on a kink at the points
asked for, and `f.inspect(w).kinks` names them. They count where an op has no derivative even if the function has one,
as `np.where(x > 0, x**2, 0)` has at 0.

| op | has no derivative |
| --- | --- |"""
_SECTIONS = {
    "np": "NumPy",
    "np.linalg": "Linear algebra",
    "np.fft": "Fourier transforms",
    "np.lib.stride_tricks": "Windows as views",
    "scipy.special": "Ufuncs of SciPy",
    "gradserve.client.functions": "Functions that NumPy lacks",
}


def documentation() -> str:
    """The documentation as Markdown."""
    names: dict[str, list[str]] = {section: [] for section in _SECTIONS}
    for name in supported_names():
        names[name.rpartition(".")[0]].append(name)
    parts = [_HEAD]
    for section, title in _SECTIONS.items():
        parts += [f"\n## {title}\n", *_table((name, _implementation(name)) for name in names[section])]
    parts += ["\n## Methods of ufuncs\n", *_table(sorted(_methods()))]
    parts += [_KINKS, *(f"| {', '.join(ops)} | {convention} |" for convention, ops in kink_conventions().items())]
    return "\n".join(parts) + "\n"


def kink_conventions() -> dict[str, list[str]]:
    """Ops with kinks by where these are and what is taken there, as their rules say."""
    conventions: dict[str, list[str]] = {}
    for op in sorted(OP_SET, key=lambda op: op.name):
        if op.kink is not Op.kink:
            conventions.setdefault(_summary(op.kink), []).append(f"`{op.name}`")
    return conventions


def _methods() -> Iterator[tuple[str, Callable[..., Any]]]:
    for (ufunc, method), entry in UFUNC_METHODS.items():
        yield f"np.{ufunc.__name__}.{method}", entry.call


def _table(rows: Iterable[tuple[str, Callable[..., Any]]]) -> Iterator[str]:
    yield "| name | gives |"
    yield "| --- | --- |"
    for name, implementation in rows:
        yield f"| `{name}{_arguments(name, implementation)}` | {_summary(implementation)} |"


def _arguments(name: str, implementation: Callable[..., Any]) -> str:
    """The arguments that can be given; those of ufuncs are their operands."""
    if name not in OWN and _member(name) not in FUNCTIONS:
        return ""
    named = [p for p in inspect.signature(implementation).parameters.values() if p.name != "g"]
    return f"({', '.join(_shown(p, with_default=name in OWN) for p in named)})"


def _shown(parameter: inspect.Parameter, with_default: bool) -> str:
    star = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
    default = f"={parameter.default!r}" if with_default and parameter.default is not parameter.empty else ""
    return f"{star}{parameter.name}{default}"


def _member(name: str) -> Any:
    """What stands behind the name of a function of NumPy; None for those of others."""
    found: Any = np
    package, *path = name.split(".")
    for part in path if package == "np" else ():
        found = getattr(found, part)
    return found if package == "np" else None


def _implementation(name: str) -> Callable[..., Any]:
    own = name.rpartition(".")[2]
    if name in OWN:
        function = getattr(functions, own)
        return FUNCTIONS[function].call if function in FUNCTIONS else function
    if name.startswith("scipy."):
        return SPECIAL[own]
    member = _member(name)
    return FUNCTIONS[member].call if member in FUNCTIONS else UFUNCS[member]


def _summary(implementation: Callable[..., Any]) -> str:
    """The first paragraph of the documentation, on one line."""
    return " ".join((inspect.getdoc(implementation) or "").split("\n\n")[0].split()).replace("|", "\\|")
