"""Fields of questions that say how an answer is to be found, with what a person needs to know of each."""

from __future__ import annotations

from dataclasses import Field, field, fields
from typing import Any

from gradserve.ir.records import dataclass

_KEY = "option"


@dataclass(frozen=True, slots=True)
class Option:
    """One way in which a question can be asked otherwise."""

    name: str
    """The field of the question, and of its message."""
    keyword: str
    """What Python callers and the command line say."""
    default: Any
    help: str


def option(default: Any, help: str, keyword: str = "") -> Any:
    """A dataclass field with a default; callers say `keyword` if the field's own name is long."""
    return field(default=default, metadata={_KEY: (keyword, help)})


def options_of(question: Any) -> tuple[Option, ...]:
    """The options of a question, in the order of its fields."""
    return tuple(_option(each) for each in fields(question) if _KEY in each.metadata)


def _option(declared: Field[Any]) -> Option:
    keyword, text = declared.metadata[_KEY]
    return Option(declared.name, keyword or declared.name, declared.default, text)
