"""The rules of messages beyond those of graphs and arrays, and what is raised where one is broken."""

from __future__ import annotations

from collections.abc import Mapping

from gradserve.ir.check import DIGEST
from gradserve.ir.errors import InvalidRequest, Violation, shown

CONSTRAINTS: Mapping[str, str] = {
    "M1": "a graph is there, inline or by digest",
    "M2": "an enum has one of its named values",
    "M3": "a digest is a SHA-256 in lower-case hexadecimal",
    "M4": "a number of bytes is not negative",
    "M5": "at least one vector is given",
    "M6": "a question to explain is there",
    "M7": "a token of a stream is one that a service of this release made",
    "M8": "a token of a stream is one of the same question",
}


def broken(field: str, rule: str, text: str, message: str = "the request does not fit") -> InvalidRequest:
    """The error of a message in which a field breaks a rule."""
    return InvalidRequest(message, [Violation(field, rule, text)])


def require_digest(digest: str, field: str) -> None:
    """Refuses what is no digest."""
    if not DIGEST.fullmatch(digest):
        raise broken(field, "M3", f"{shown(digest)} is not a SHA-256 in lower-case hexadecimal")


def require_count(count: int, field: str) -> None:
    """Refuses a negative number."""
    if count < 0:
        raise broken(field, "M4", f"{count} is negative")
