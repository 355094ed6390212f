"""Settings as their dataclasses describe them: names, kinds, defaults and help, said there and nowhere else.

A setting is a field with a type and a docstring. The fields of a nested dataclass are settings as well, under their
own names after the prefix that the nesting field's metadata gives.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import textwrap
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from gradserve.ir.errors import InvalidRequest
from gradserve.ir.records import dataclass
from gradserve.service.configuration.kinds import Kind, Perhaps, Switch, Text, Words

PREFIX = "prefix"
"""The key of a nesting field's metadata."""


@dataclass(frozen=True)
class Setting:
    """One setting."""

    name: str
    """As files have it, and errors that name a limit."""
    path: tuple[str, ...]
    """The attributes that lead to it."""
    kind: Kind
    default: Any
    """MISSING for a part that its whole cannot be without."""
    help: str
    group: str

    @property
    def flag(self) -> str:
        """As command lines have it."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """As the environment has it."""
        return f"GRADSERVE_{self.name.upper()}"


@cache
def settings_of(cls: type, groups: tuple[tuple[str, str], ...]) -> Mapping[str, Setting]:
    """The settings of a dataclass by name; `groups` names each group with the field that it begins at."""
    return types.MappingProxyType({setting.name: setting for setting in _described(cls, "", (), dict(groups), "")})


def built(cls: type, values: Mapping[tuple[str, ...], Any], path: tuple[str, ...] = ()) -> Any:
    """The object of a dataclass with these values of settings by path, and defaults where there are none."""
    given = {name[len(path)] for name in values if name[: len(path)] == path}
    hints = _hints(cls)
    return cls(**{name: _value(values, hints[name], (*path, name)) for name in given})


def value_of(settings: Any, setting: Setting) -> Any:
    """What a setting is; None if what it is a part of is not there."""
    for name in setting.path:
        settings = None if settings is None else getattr(settings, name)
    return settings


def require_described(settings: Any, prefix: str = "") -> None:
    """Sees that settings that a program has made itself are such as can be read.

    Raises:
        InvalidRequest: one is not; names it.
    """
    for each in fields(settings):
        hint, value = _hints(settings.__class__)[each.name], getattr(settings, each.name)
        nested = _nested(hint)
        if nested is not None and isinstance(value, nested):
            require_described(value, prefix + each.metadata[PREFIX])
        elif nested is None or value is not None or not isinstance(None, hint):
            try:
                (Text(made=nested) if nested else kind_of(hint)).require(value)
            except (TypeError, ValueError) as error:
                raise InvalidRequest(f"{prefix}{each.name}: {error}") from None


def nearest(name: str, names: Iterable[str]) -> str:
    """Words that name the most similar of some names, if there is one."""
    found = difflib.get_close_matches(name, list(names), 1, 0.5)
    return f"; the nearest is {found[0]}" if found else ""


def _described(
    cls: type, prefix: str, path: tuple[str, ...], groups: Mapping[str, str], group: str
) -> Iterator[Setting]:
    hints, told = _hints(cls), _docstrings(cls)
    for each in fields(cls):
        group = groups.get(each.name, group) if not path else group
        hint, where = hints[each.name], (*path, each.name)
        nested = _nested(hint)
        if nested is not None:
            yield from _described(nested, prefix + each.metadata[PREFIX], where, {}, group)
            continue
        default = each.default_factory() if each.default_factory is not MISSING else each.default
        yield Setting(prefix + each.name, where, kind_of(hint), default, told.get(each.name, ""), group)


def _value(values: Mapping[tuple[str, ...], Any], hint: Any, path: tuple[str, ...]) -> Any:
    nested = _nested(hint)
    return values[path] if nested is None else built(nested, values, path)


def kind_of(hint: Any) -> Kind:
    """What a field of this type may be.

    Raises:
        TypeError: a setting cannot be of it.
    """
    arguments = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        (one,) = (each for each in arguments if each is not type(None))
        return Perhaps(kind_of(one))
    if get_origin(hint) is Annotated:
        kind: Kind = arguments[1]
        return kind
    if get_origin(hint) is Literal:
        return Text(arguments, metavar="|".join(arguments))
    if get_origin(hint) is tuple:
        of = kind_of(arguments[0])
        if isinstance(of, Text):
            return Words(of)
    plain: Mapping[Any, Kind] = {bool: Switch(), str: Text(), Path: Text(made=Path, metavar="FILE")}
    if hint in plain:
        return plain[hint]
    raise TypeError(f"a setting cannot be {hint}")


def _nested(hint: Any) -> type | None:
    """The dataclass that a field holds, perhaps; None if it is a setting itself."""
    candidates: Sequence[Any] = get_args(hint) or (hint,)
    return next((each for each in candidates if isinstance(each, type) and is_dataclass(each)), None)


@cache
def _hints(cls: type) -> Mapping[str, Any]:
    return get_type_hints(cls, include_extras=True)


def _docstrings(cls: type) -> Mapping[str, str]:
    """The texts that follow a class's fields."""
    (found,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    body = found.body if isinstance(found, ast.ClassDef) else []
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
