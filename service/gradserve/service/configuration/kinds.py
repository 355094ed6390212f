"""What settings may be: how each kind is read, written and looked at."""

from __future__ import annotations

import re
from typing import Any, Protocol

from gradserve.ir.errors import shown
from gradserve.ir.quantities import Quantity
from gradserve.ir.records import dataclass

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


class Kind(Protocol):
    """What a setting may be."""

    @property
    def metavar(self) -> str:
        """What stands for it in a command line."""
        ...

    def read(self, raw: Any) -> Any:
        """The value that a text, or a value of YAML, says; raises ValueError."""
        ...

    def require(self, value: Any) -> None:
        """Raises TypeError or ValueError of what no setting of the kind can be."""
        ...

    def show(self, value: Any) -> Any:
        """The value as YAML writes and `read` takes it."""
        ...


@dataclass(frozen=True)
class Switch:
    """Yes or no."""

    metavar = "BOOL"

    def read(self, raw: Any) -> bool:
        """What the word says."""
        words = {
            "true": True,
            "yes": True,
            "on": True,
            "1": True,
            "false": False,
            "no": False,
            "off": False,
            "0": False,
        }
        found = raw if isinstance(raw, bool) else words.get(str(raw).lower())
        if found is None:
            raise ValueError(f"{shown(raw)} is neither true nor false")
        return found

    def require(self, value: Any) -> None:
        """Of what is no truth value."""
        if not isinstance(value, bool):
            raise TypeError(f"{shown(value)} is neither True nor False")

    def show(self, value: bool) -> bool:
        """As YAML has it."""
        return value


@dataclass(frozen=True)
class Text:
    """A text; one of some if there are `choices`."""

    choices: tuple[str, ...] = ()
    made: type = str
    metavar: str = "TEXT"

    def read(self, raw: Any) -> Any:
        """The text, or the path that it is."""
        if isinstance(raw, str) and _CONTROLS.search(raw):
            raise ValueError(f"{shown(raw)} holds a control character")
        if isinstance(raw, str) and (not self.choices or raw in self.choices):
            return self.made(raw)
        raise ValueError(f"{shown(raw)} is " + (f"none of {', '.join(self.choices)}" if self.choices else "no text"))

    def require(self, value: Any) -> None:
        """Of another type, or none of the choices."""
        if not isinstance(value, self.made):
            raise TypeError(f"{shown(value)} is no {self.made.__name__}")
        self.read(str(value))

    def show(self, value: Any) -> str:
        """The text."""
        return str(value)


@dataclass(frozen=True)
class Words:
    """Several texts: a list in YAML, elsewhere with commas between them."""

    of: Text
    metavar = "A,B"

    def read(self, raw: Any) -> tuple[str, ...]:
        """The texts."""
        words = [word.strip() for word in raw.split(",") if word.strip()] if isinstance(raw, str) else raw
        if isinstance(words, list):
            return tuple(map(self.of.read, words))
        raise ValueError(f"{shown(raw)} is no list of texts")

    def require(self, value: Any) -> None:
        """Of what is no tuple of such texts."""
        if not isinstance(value, tuple):
            raise TypeError(f"{shown(value)} is no tuple of texts")
        for each in value:
            self.of.require(each)

    def show(self, value: tuple[str, ...]) -> list[str]:
        """As YAML has it."""
        return list(value)


@dataclass(frozen=True)
class Perhaps:
    """Something or nothing: `none`, null in YAML; -1 for numbers."""

    of: Kind

    @property
    def metavar(self) -> str:
        """What stands for it in a command line."""
        return self.of.metavar

    def read(self, raw: Any) -> Any:
        """The value, or None."""
        nothing = raw.lower() in ("none", "null") if isinstance(raw, str) else raw is None
        if raw == "":
            raise ValueError("it is empty; write none for nothing")
        if isinstance(self.of, Quantity):
            nothing = nothing or str(raw) == "-1"
        return None if nothing else self.of.read(raw)

    def require(self, value: Any) -> None:
        """Of what is neither."""
        if value == "":
            raise ValueError("it is empty; None is nothing")
        if value is not None:
            self.of.require(value)

    def show(self, value: Any) -> Any:
        """The value, or null."""
        return None if value is None else self.of.show(value)
