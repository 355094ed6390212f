"""Numbers of settings as their types say them: what one counts, its bounds, its units, and how it is written."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Annotated, TypeAlias

from gradserve.ir.errors import shown
from gradserve.ir.records import dataclass

_MOST = (1 << 63) - 1
"""What any number of a setting fits into, wherever it is handed on to."""
_EXACT_DIGITS = len(str(_MOST))
_MOST_SECONDS = 1e9
"""Thirty years: waits of much more than that overflow."""
_MOST_NUMBER = 1e30
_WRITTEN = re.compile(r"([+-]?[0-9][0-9_]*(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)\s*([a-zA-Z]*)")
_SIZES = {
    "b": 1,
    **{f"{letter}{tail}": 1000**power for power, letter in enumerate("kmgt", 1) for tail in ("b",)},
    **{f"{letter}i{tail}": 1024**power for power, letter in enumerate("kmgt", 1) for tail in ("", "b")},
}
_DURATIONS = {"ms": 1e-3, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Quantity:
    """What a number of a setting may be."""

    noun: str
    """What the number is one of, for messages."""
    least: float = 0
    most: float = _MOST
    whole: bool = True
    units: Mapping[str, float] = field(default_factory=dict, hash=False)
    """What a number may be followed by, in small letters, and how many ones of it there are in that."""
    shown: tuple[str, ...] = ()
    """Units that it is written in, the largest that divides it; one must be 1."""
    metavar: str = "N"
    """What stands for it in a command line."""

    def read(self, raw: object) -> float:
        """The number that a text or a number says.

        Raises:
            ValueError: it is none, or out of bounds; says what may be written.
        """
        number = self._number(raw)
        if not self.least <= number <= self.most:
            is_low = number < self.least
            bounds = f"at least {self.least:g}" if is_low else f"from {self.least:g} to {self.most:g}"
            raise ValueError(f"{shown(raw)} is out of bounds: a {self.noun} is {bounds}")
        if self.whole and number != math.floor(number):
            raise ValueError(f"{shown(raw)} is not a whole {self.noun}")
        return int(number) if self.whole else float(number)

    def require(self, number: object) -> None:
        """Raises ValueError, as `read` does, of what is no such number, and TypeError of a text."""
        if isinstance(number, str):
            raise TypeError(f"{shown(number)} is a text and no {self.noun}")
        self.read(number)

    def show(self, number: float) -> int | float | str:
        """The number as `read` takes it."""
        for unit in self.shown if number else ():
            times = number / self.units[unit.lower()]
            if times == math.floor(times):
                return f"{math.floor(times)}{unit}"
        if self.whole or not self.shown:
            return number
        short = f"{number:g}" if float(f"{number:g}") == number else repr(number)
        return short + self.shown[-1]

    def _number(self, raw: object) -> float:
        if (isinstance(raw, int) and not isinstance(raw, bool)) or (isinstance(raw, float) and math.isfinite(raw)):
            return raw
        match = _WRITTEN.fullmatch(raw.strip()) if isinstance(raw, str) else None
        if match is None or (match[2] and match[2].lower() not in self.units):
            example = f", such as 30{self.shown[-1]}" if self.shown else ""
            raise ValueError(f"{shown(raw)} is no {self.noun}{example}")
        digits = match[1].replace("_", "")
        is_exact = digits.lstrip("+-").isdigit() and len(digits) <= _EXACT_DIGITS
        number = int(digits) if is_exact else float(digits)
        return number * self.units[match[2].lower()] if match[2] else number


_COUNT = Quantity("number from 1", least=1)
Count: TypeAlias = Annotated[int, _COUNT]
"""How many there are, at least one."""
Workers: TypeAlias = Annotated[int, replace(_COUNT, most=1024)]
"""How many threads, or processes anywhere in a cluster, compute for one process: each takes memory of its own."""
Processes: TypeAlias = Annotated[int, replace(_COUNT, most=256)]
"""How many processes share a machine: more than any has processors for that also compute."""
MOST_THREADS = 1 << 15
Threads: TypeAlias = Annotated[int, replace(_COUNT, most=MOST_THREADS)]
"""How many threads there are in a process: Linux gives no more of them to a whole machine unless told."""
Amount: TypeAlias = Annotated[int, Quantity("number from 0")]
"""How many there are, perhaps none."""
_BYTES = Quantity("number of bytes", units=_SIZES, shown=("TiB", "GiB", "MiB", "KiB"), metavar="SIZE")
Bytes: TypeAlias = Annotated[int, _BYTES]
"""A size, such as 64MiB or 1GB."""
MessageBytes: TypeAlias = Annotated[int, replace(_BYTES, most=(1 << 31) - 1)]
"""The size of a message of gRPC, which has no larger ones."""
_SECONDS = Quantity(
    "number of seconds", most=_MOST_SECONDS, whole=False, units=_DURATIONS, shown=("s",), metavar="TIME"
)
Seconds: TypeAlias = Annotated[float, _SECONDS]
"""A time, such as 30s or 1.5h."""
Age: TypeAlias = Annotated[float, replace(_SECONDS, least=1e-3)]
"""A time after which something ends that must have begun before."""
Number: TypeAlias = Annotated[float, Quantity("number from 0", most=_MOST_NUMBER, whole=False)]
"""A number that need not be whole."""
Rate: TypeAlias = Annotated[float, Quantity("number from 1", least=1, most=_MOST_NUMBER, whole=False)]
"""How many there are in a second: of less than one, calls would wait for years."""
Share: TypeAlias = Annotated[float, Quantity("share", most=1, whole=False)]
"""A part of a whole."""
Port: TypeAlias = Annotated[int, Quantity("port", most=(1 << 16) - 1, metavar="PORT")]
"""A port, where 0 means any that is free."""
