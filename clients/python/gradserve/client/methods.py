"""Methods of functions that nobody wrote: one for every derivation and every estimate of the tables."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from gradserve.client.asking import KEYWORDS
from gradserve.questions.derivations import DERIVATIONS, Derivation
from gradserve.questions.estimated import ESTIMATES
from gradserve.questions.estimates import Estimate
from gradserve.questions.options import Option, options_of

_POSITIONAL, _KEYWORD = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
_EVERY = {"wrt": ()}
_OF_DERIVATIONS = {**_EVERY, "batch": False, "reduction": "none"}
_OF_ESTIMATES = {**_OF_DERIVATIONS, "progress": None, "resume": None}
NAMES = frozenset({*DERIVATIONS, *ESTIMATES})
"""What they are called."""

Ask = Callable[..., Any]


def method_of(name: str, derive: Ask, estimate: Ask) -> Callable[..., Any]:
    """The method of that name; it calls `derive` or `estimate` with the class of its question and what it is given."""
    if name in DERIVATIONS:
        return _method(name, derive, DERIVATIONS[name], _derivation_keywords(DERIVATIONS[name]), _OF_DERIVATIONS)
    return _method(name, estimate, ESTIMATES[name], {}, _OF_ESTIMATES)


def _derivation_keywords(kind: type[Derivation]) -> dict[str, Any]:
    return {KEYWORDS[kind.takes]: inspect.Parameter.empty} if kind.takes else {}


def _method(
    name: str, ask: Ask, kind: type[Derivation | Estimate], needed: dict[str, Any], common: dict[str, Any]
) -> Callable[..., Any]:
    options = options_of(kind)

    def method(*arguments: Any, **named: Any) -> Any:
        missing = [keyword for keyword in needed if keyword not in named]
        if missing:
            raise TypeError(f"{name}() needs the keyword {', '.join(missing)}")
        known = {*needed, *common, *(option.keyword for option in options)}
        given = {keyword: named.pop(keyword) for keyword in known & named.keys()}
        return ask(kind, arguments, named, **given)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = _documentation(kind, needed, options)
    keywords = {**needed, **{option.keyword: option.default for option in options}, **common}
    method.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter("arguments", inspect.Parameter.VAR_POSITIONAL),
            *(inspect.Parameter(keyword, _KEYWORD, default=default) for keyword, default in keywords.items()),
            inspect.Parameter("named", inspect.Parameter.VAR_KEYWORD),
        ]
    )
    return method


def _documentation(kind: type[Derivation | Estimate], needed: dict[str, Any], options: tuple[Option, ...]) -> str:
    text = inspect.getdoc(kind) or ""
    lines = [f"    {keyword}: the vectors, in the structure of what they belong to." for keyword in needed]
    lines += [f"    {option.keyword}: {option.help} (default {option.default!r})." for option in options]
    return "\n".join([text, "", "Args:", *lines]) if lines else text
