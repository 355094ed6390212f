"""Names of a model's arrays as names of parameters, and as keys of a tree."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gradserve.client.tracing.parameters import OPTIONS


def parameter_names(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """A Python name for each of these, as like it as can be, and none twice."""
    used, found = {*taken, *OPTIONS}, {}
    for name in names:
        plain = re.sub(r"\W", "_", name, flags=re.ASCII)
        plain = f"_{plain}" if not plain or plain[0].isdigit() else plain
        found[name] = _unused(plain, used)
        used.add(found[name])
    return found


def paths(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The keys that lead to each: a name is taken apart at its dots, unless two are then in each other's way."""
    every = list(names)
    found = {name: tuple(_key(part) for part in name.split(".")) for name in every}
    inner = {path[:k] for path in found.values() for k in range(1, len(path))}
    if len(set(found.values())) == len(every) and inner.isdisjoint(found.values()):
        return found
    used: set[str] = set()
    for name in every:
        key = _unused(_key(name), used)
        used.add(key)
        found[name] = (key,)
    return found


def tree(leaves: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """Nested dicts of what the keys lead to."""
    found: dict[str, Any] = {}
    for path, leaf in leaves.items():
        place = found
        for key in path[:-1]:
            place = place.setdefault(key, {})
        place[path[-1]] = leaf
    return found


def _key(text: str) -> str:
    return re.sub(r"[^\w/+-]", "_", text, flags=re.ASCII) or "_"


def _unused(name: str, used: Iterable[str]) -> str:
    taken = set(used)
    if name not in taken:
        return name
    return next(each for k in range(2, len(taken) + 3) if (each := f"{name}_{k}") not in taken)
