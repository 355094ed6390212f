"""Parameter trees: dicts, lists, tuples and dataclasses of arrays, flattened to named arrays and put together again."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from gradserve.ir.errors import InvalidRequest
from gradserve.ir.records import dataclass
from gradserve.ir.types import TensorType

SEPARATOR = "."
RESERVED = ":"
"""Derived graphs put their role before a colon: `gradient:layers.0.weight`."""


@dataclass(frozen=True)
class Leaf:
    """The structure of a single array or number."""

    def __repr__(self) -> str:
        return "*"


@dataclass(frozen=True)
class Branch:
    """The structure of a container: what it is, and the structures under its keys. None is a container of nothing."""

    container: type[Any]
    keys: tuple[Any, ...]
    children: tuple[Structure, ...]

    def __repr__(self) -> str:
        parts = ", ".join(f"{key}: {child}" for key, child in zip(self.keys, self.children, strict=True))
        return f"{self.container.__name__}({parts})"


Structure: TypeAlias = Leaf | Branch


def flatten(tree: Any, name: str = "") -> tuple[list[tuple[str, Any]], Structure]:
    """The leaves of a tree with their paths, such as `layers.0.weight`, and its structure.

    Args:
        tree: dicts, lists, tuples, named tuples and dataclasses, of arrays and numbers; None holds no leaf.
        name: stands before every path; the path of a tree that is a single leaf is `name` alone.

    Raises:
        InvalidRequest: a key cannot be part of a path, or something is neither a container nor a leaf.
    """
    leaves: list[tuple[str, Any]] = []
    return leaves, _flatten(tree, name, leaves)


def unflatten(structure: Structure, leaves: Sequence[Any]) -> Any:
    """The tree of this structure with these leaves, in the order in which `flatten` gives them."""
    expected = count(structure)
    if len(leaves) != expected:
        raise InvalidRequest(f"a tree with {expected} leaves cannot be made of {len(leaves)}")
    return _unflatten(structure, iter(leaves))


def paths(structure: Structure, name: str = "") -> list[str]:
    """The paths of all leaves, in the order of `flatten`."""
    if isinstance(structure, Leaf):
        return [name]
    return [path for key, child in _items(structure) for path in paths(child, _join(name, key))]


def leaves_like(tree: Any, structure: Structure, name: str) -> list[tuple[str, Any]]:
    """The leaves of a tree whose structure is known, with their paths.

    Where the structure has a leaf, whatever the tree has there is one: a list of numbers stands for an array, and None
    for nothing.

    Raises:
        InvalidRequest: the tree has another structure; names the first place.
    """
    if isinstance(structure, Leaf):
        return [(name, tree)]
    if type(tree) is not structure.container:
        raise InvalidRequest(f"{name} is a {kind_of(tree)} where a {structure.container.__name__} belongs")
    parts = _parts(tree, name)
    missing = [str(key) for key in structure.keys if key not in parts]
    unknown = [str(key) for key in parts if key not in structure.keys]
    if missing or unknown:
        faults = [f"{what} {', '.join(keys)}" for what, keys in (("lacks", missing), ("has too much", unknown)) if keys]
        raise InvalidRequest(f"{name} {' and '.join(faults)}")
    return [leaf for key, child in _items(structure) for leaf in leaves_like(parts[key], child, _join(name, key))]


def number_lists(tree: Structure, name: str) -> list[str]:
    """The paths of all lists and tuples that hold numbers or arrays only."""
    if isinstance(tree, Leaf):
        return []
    if tree.container in (list, tuple) and tree.children and all(isinstance(child, Leaf) for child in tree.children):
        return [name]
    return [path for key, child in _items(tree) for path in number_lists(child, _join(name, key))]


def count(structure: Structure) -> int:
    """The number of leaves."""
    return 1 if isinstance(structure, Leaf) else sum(count(child) for child in structure.children)


def kept_beside(structure: Structure) -> bool:
    """Whether it is that of a pair: one array, and a dict of what is kept beside it."""
    if isinstance(structure, Leaf) or structure.container is not tuple or len(structure.children) != 2:
        return False
    first, second = structure.children
    return isinstance(first, Leaf) and isinstance(second, Branch) and second.container in (dict, OrderedDict)


def kind_of(tree: Any) -> str:
    """What a tree is at its root, in a word."""
    return "number or array" if _is_leaf(tree) else type(tree).__name__


def _items(branch: Branch) -> Iterator[tuple[Any, Structure]]:
    return zip(branch.keys, branch.children, strict=True)


def _join(name: str, key: Any) -> str:
    return f"{name}{SEPARATOR}{key}" if name else str(key)


def _flatten(tree: Any, name: str, leaves: list[tuple[str, Any]]) -> Structure:
    if _is_leaf(tree):
        leaves.append((name, tree))
        return Leaf()
    parts = _parts(tree, name)
    require_keys(tuple(parts), name)
    children = tuple(_flatten(child, _join(name, key), leaves) for key, child in parts.items())
    return Branch(type(tree), tuple(parts), children)


def _is_leaf(tree: Any) -> bool:
    number = isinstance(tree, bool | int | float | complex | np.generic | TensorType)
    return number or (hasattr(tree, "shape") and hasattr(tree, "dtype"))


def _parts(tree: Any, name: str) -> dict[Any, Any]:
    """What a container holds, by key."""
    if tree is None:
        return {}
    if type(tree) in (dict, OrderedDict):
        return dict(tree)
    if type(tree) in (list, tuple):
        return dict(enumerate(tree))
    if _is_named_tuple(type(tree)):
        return dict(zip(tree._fields, tree, strict=True))
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        return {field.name: getattr(tree, field.name) for field in _given_fields(type(tree))}
    raise InvalidRequest(
        f"{name or 'the tree'} is a {type(tree).__name__}; a tree holds arrays and numbers in dicts, lists, tuples and "
        "dataclasses. Bind anything else beforehand, with functools.partial or in a closure"
    )


def _is_named_tuple(kind: type[Any]) -> bool:
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


def _given_fields(kind: type[Any]) -> list[dataclasses.Field[Any]]:
    """The fields that the constructor takes; it computes the others."""
    return [field for field in dataclasses.fields(kind) if field.init]


def require_keys(keys: tuple[Any, ...], name: str = "") -> None:
    """Refuses keys of a container that cannot be parts of paths."""
    where = f" in {name}" if name else ""
    texts = [str(key) for key in keys]
    for key, text in zip(keys, texts, strict=True):
        if not isinstance(key, str | int):
            raise InvalidRequest(f"key {key!r}{where} is a {type(key).__name__}; use strings, which become path names")
        if not text or SEPARATOR in text or RESERVED in text:
            advice = "paths are joined by '.' and roles are marked by ':'. Rename it"
            raise InvalidRequest(f"key {key!r}{where} is empty or holds '.' or ':'; {advice}")
    if len(set(texts)) < len(texts):
        twice = next(text for text in texts if texts.count(text) > 1)
        raise InvalidRequest(f"two keys{where} are both written {twice!r}; rename one")


def _unflatten(structure: Structure, leaves: Iterator[Any]) -> Any:
    if isinstance(structure, Leaf):
        return next(leaves)
    children = [_unflatten(child, leaves) for child in structure.children]
    return _built(structure.container, structure.keys, children)


def _built(container: type[Any], keys: tuple[Any, ...], children: list[Any]) -> Any:
    if container is type(None):
        return None
    if container in (list, tuple):
        return container(children)
    if container in (dict, OrderedDict):
        return container(zip(keys, children, strict=True))
    if _is_named_tuple(container):
        return container(*children)
    return container(**dict(zip(keys, children, strict=True)))
