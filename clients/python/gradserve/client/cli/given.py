"""What commands are given, and where their arrays go."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gradserve.client.cli import show
from gradserve.client.function import Function
from gradserve.client.importers.files import load_arrays, save_arrays
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.types import Array, TensorType
from gradserve.questions.claimed import Claimed
from gradserve.questions.options import options_of

GRADIENT = "gradient:"
"""What stands before the name of an input in files of gradients."""
_ROLES = {
    Claimed.GRADIENT: GRADIENT,
    Claimed.HVP: "product:",
    Claimed.JACOBIAN: "jacobian:",
    Claimed.DIAGONAL: "values:",
}
"""The same of what may be claimed by input."""


def chosen(kind: Any, options: argparse.Namespace) -> dict[str, Any]:
    """The options of a question, by keyword."""
    return {option.keyword: getattr(options, option.keyword) for option in options_of(kind)}


def batch(options: argparse.Namespace) -> dict[str, Any]:
    """Which arrays have a leading axis, and what becomes of it, as methods take it."""
    return {"batch": tuple(options.batched) or options.batch, "reduction": options.reduction}


def about(found: Any) -> Iterator[tuple[str, Any]]:
    """The answers about one matrix or several, each with what it is about: a point, a group; nothing of one alone."""
    rows = found if isinstance(found, list) else [found]
    for row in rows:
        for group, answer in row.items() if isinstance(row, dict) else [("", row)]:
            point = f"point{answer.point}" if isinstance(found, list) else ""
            yield "-".join(filter(None, (point, group))), answer


def require_folder(out: Path | None) -> None:
    """Sees that a file that is to be written has a folder.

    Raises:
        InvalidRequest: it has none.
    """
    if out is not None and not out.parent.is_dir():
        raise InvalidRequest(f"{out}: there is no such folder to write into")


def resumable(options: argparse.Namespace, progress: Callable[[Any], object]) -> dict[str, Any]:
    """What a method is given so that it goes on where the file of `--resume` says, and keeps that up to date."""
    path: Path | None = options.resume
    if path is None:
        return {"progress": progress}
    require_folder(path)
    stood = path.read_bytes() if path.exists() else b""

    def told(answer: Any) -> None:
        if answer.token:
            new = path.with_name(f"{path.name}.new")
            new.write_bytes(answer.token)
            new.replace(path)  # in one go: whoever is interrupted here finds the token before
        progress(answer)

    return {"progress": told, "resume": stood or None}


def write(out: Path | None, arrays: Mapping[str, Array]) -> None:
    """Writes the arrays into a file, if there is one to be written."""
    if out is not None:
        save_arrays(out, arrays)
        show.line(f"written to {out}")


def point(function: Function, path: Path) -> list[Array]:
    """The arrays of a file in the order of the graph's inputs, so that none of them is taken for an option."""
    arrays, types = load_arrays(path), function.graph.input_types
    missing = [f"{name}: {type_}" for name, type_ in types.items() if name not in arrays]
    unknown = [name for name in arrays if name not in types]
    if missing or unknown:
        faults = [f"{what} {', '.join(names)}" for what, names in (("lacks", missing), ("has", unknown)) if names]
        raise InvalidRequest(f"{path} {' and '.join(faults)}; the graph takes {', '.join(types)}")
    return [arrays[name] for name in types]


def named(function: Function, options: argparse.Namespace, path: Path, role: str) -> Any:
    """What belongs to the inputs to differentiate, in a file, as methods take it; names may begin with a role.

    Raises:
        InvalidRequest: the file lacks an input.
    """
    arrays, wrt = load_arrays(path), differentiated(function, options)
    names = {name: next((n for n in (f"{role}{name}", name) if n in arrays), None) for name in wrt}
    missing = [name for name, found in names.items() if found is None]
    if missing:
        raise InvalidRequest(f"{path} lacks {', '.join(missing)}; name the arrays NAME or {role}NAME")
    trees = {name: arrays[found] for name, found in names.items() if found is not None}
    return trees if len(trees) > 1 else next(iter(trees.values()), None)


def claimed(function: Function, options: argparse.Namespace) -> Any:
    """What is claimed, as `verify` takes it: of a product J v the one array of the file, named as the output.

    Raises:
        InvalidRequest: the file lacks it.
    """
    if options.of in _ROLES:
        return named(function, options, options.claimed, _ROLES[options.of])
    arrays, output = load_arrays(options.claimed), function.graph.outputs[0].name
    found = [arrays[name] for name in (f"tangent:{output}", output) if name in arrays]
    if not found:
        raise InvalidRequest(f"{options.claimed} lacks {output}; name the array {output} or tangent:{output}")
    return found[0]


def differentiated(function: Function, options: argparse.Namespace) -> list[str]:
    """The inputs that the options ask to differentiate."""
    types = function.graph.input_types
    return [name for name, type_ in types.items() if is_differentiated(name, type_, options)]


def is_differentiated(name: str, type_: TensorType, options: argparse.Namespace) -> bool:
    """Whether the options ask to differentiate an input."""
    return name in options.wrt if options.wrt else type_.is_float
