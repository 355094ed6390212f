"""The text of a program as tokens with their lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradserve.client.importers.imported import Malformed
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.limits import DEFAULT_LIMITS
from gradserve.ir.records import dataclass

MOST_CHARACTERS = 1 << 28
_LONGEST_NUMBER = 1000
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+|//[^\n]*)
    |(?P<string>"(?:[^"\\\n]|\\.)*+")
    |(?P<type>tensor<(?:[^<>"]|<[^<>"]*>)*+>)
    |(?P<dense>dense(?:_resource)?<(?:[^<>"]|"[^"\n]*")*+>)
    |(?P<value>%[\w$.-]+(?:\#\d+)?)
    |(?P<symbol>@(?:[\w$.-]+|"[^"\n]*"))
    |(?P<block>\^[\w$.-]+)
    |(?P<alias>[\#!][A-Za-z_][\w$.]*)
    |(?P<number>-?(?:0x[0-9A-Fa-f]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?))
    |(?P<word>[A-Za-z_][\w$.]*)
    |(?P<mark>->|::|[-(){}\[\]<>,:=*?/+|])
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text."""

    kind: str
    text: str
    line: int


def invalid(line: int, problem: str) -> Malformed:
    """The refusal of what stands in a line."""
    return Malformed(f"line {line} of the program: {problem}")


def too_long() -> LimitExceeded:
    """The refusal of more operations than a graph may have nodes."""
    return LimitExceeded("graph_nodes", f"the program has more than {DEFAULT_LIMITS.nodes} operations, with calls")


def tokens(text: str) -> Iterator[Token]:
    """All tokens, and one of the kind `end`.

    Raises:
        InvalidGraph: a character begins none.
        LimitExceeded: the text is too long.
    """
    if len(text) > MOST_CHARACTERS:
        raise LimitExceeded(
            "program_characters", f"a program of {len(text)} characters; the limit is {MOST_CHARACTERS}"
        )
    position, line = 0, 1
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise invalid(line, f"{text[position : position + 20]!r} is no StableHLO")
        kind, piece = str(found.lastgroup), found.group()
        if kind == "number" and len(piece) > _LONGEST_NUMBER:
            raise invalid(line, f"a number of {len(piece)} characters is too long")
        if kind != "space":
            yield Token(kind, piece, line)
        line += piece.count("\n")
        position = found.end()
    yield Token("end", "the end", line)
