"""Streams that are gone on with: every answer carries a token, with which the same question goes on from there.

A token is bytes that a client keeps as they are. It holds where the work stands, and the digest of its question: so any
front end goes on with it, and none keeps anything for it. The stream then begins with the answer that the token came
with, and goes on to the bit as it would have done. Nothing that led to that answer is computed again, but the rest of a
chunk that it had used a part of. A token takes up to `MOST_BYTES`; an answer whose work stands in more has none.
"""

from __future__ import annotations

import enum
import hashlib
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, NoReturn, TypeAlias, TypeVar

import numpy as np

from gradserve.ir.errors import InvalidRequest, Violation
from gradserve.ir.graph import Graph
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.call import EXECUTORS
from gradserve.questions.report import Report

Q = TypeVar("Q")
State: TypeAlias = Mapping[str, Array]
"""Where work stands: arrays of float64 and int64 by name; single numbers are arrays without axes."""

MOST_BYTES = 32 << 20
"""The longest token: with the arrays of an answer it fits into one message."""
FIELD = "resume"
"""The field of a request that a token comes in."""
_ASIDE = frozenset({FIELD, "placement", "inline_limit"})
"""Fields that change nothing in what the answers are."""


def without_token(question: Q) -> Q:
    """The question from its beginning on."""
    return replace(question, resume=b"") if getattr(question, FIELD, b"") else question  # type: ignore[type-var]


def digest_of(question: Any) -> bytes:
    """The SHA-256 of a question: of all that its answers depend on, the elements of arrays among it."""
    return _digest(question)


def _digest(value: Any) -> bytes:
    found = hashlib.sha256(type(value).__name__.encode())
    for part in _parts(value):
        found.update(part)
    return found.digest()


def _parts(value: Any) -> list[Any]:
    """What the digest is of: of things inside, each by its own, which is as long as any other."""
    match value:
        case Graph():
            return [value.digest.encode()]
        case np.ndarray():
            return [f"{value.dtype.str}{value.shape}".encode(), np.ascontiguousarray(value).tobytes()]
        case Mapping():
            return [_digest(each) for name in sorted(value) for each in (name, value[name])]
        case tuple():
            return [_digest(each) for each in value]
        case enum.Enum():
            return [str(value.value).encode()]
    if is_dataclass(value):
        named = [(each.name, getattr(value, each.name)) for each in fields(value) if each.name not in _ASIDE]
        return [_digest(each) for pair in named for each in pair]
    return [repr(value).encode()]


@dataclass(frozen=True)
class Standing:
    """Where work stood, looked at name by name: it comes from a client. All raise InvalidRequest for what cannot be."""

    state: State
    report: Report
    """What it had cost."""

    def __post_init__(self) -> None:
        """Sees that there are such executors and costs."""
        if self.report.executor not in ("", *EXECUTORS) or not 0 <= self.report.flops < math.inf:
            refuse_token("the report")

    def __contains__(self, name: str) -> bool:
        return name in self.state

    def array(self, name: str, *lengths: int | None) -> Array:
        """The finite numbers of that name, of this shape; None stands for any length."""
        found = self.numbers(name, *lengths)
        if not np.isfinite(found).all():
            refuse_token(name)
        return found

    def numbers(self, name: str, *lengths: int | None) -> Array:
        """The same, which need not be finite."""
        found = self.state.get(name)
        if found is None or found.dtype != np.float64 or found.ndim != len(lengths):
            refuse_token(name)
        if any(wanted not in (None, length) for wanted, length in zip(lengths, found.shape, strict=True)):
            refuse_token(name)
        return found

    def number(self, name: str, least: float = -math.inf) -> float:
        """The number of that name, finite or not; none below `least`."""
        found = float(self.numbers(name))
        if found < least:
            refuse_token(name)
        return found

    def count(self, name: str, least: int = 0, most: int = 1 << 32) -> int:
        """The whole number of that name, in these bounds."""
        return int(self._whole(name, 0, least, most))

    def counts(self, name: str, least: int, most: int) -> list[int]:
        """The whole numbers of that name, each in these bounds."""
        found: list[int] = self._whole(name, 1, least, most).tolist()
        return found

    def _whole(self, name: str, rank: int, least: int, most: int) -> Array:
        found = self.state.get(name)
        if found is None or found.dtype != np.int64 or found.ndim != rank:
            refuse_token(name)
        if not ((found >= least) & (found <= most)).all():
            refuse_token(name)
        return found


def refuse_token(name: str) -> NoReturn:
    """Raises InvalidRequest: what a token says of something does not fit its question."""
    raise broken_token("M7", f"what it says of {name} does not fit the question")


def broken_token(constraint: str, reason: str) -> InvalidRequest:
    """The error of a token that is none of its question."""
    text = f"{reason}; leave it out to begin at the beginning"
    return InvalidRequest("the token is not one of this question", [Violation(FIELD, constraint, text)])
