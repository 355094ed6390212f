"""Lines of the text form as tokens, and a cursor over them."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r]+)
    | (?P<comment>\#.*)
    | (?P<value>%[0-9]{1,18}(?![0-9A-Za-z_]))
    | (?P<function>@[0-9]{1,9}(?![0-9A-Za-z_]))
    | (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<blob>blob[ ]+[0-9a-f]{64}(?![0-9A-Za-z_]))
    | (?P<nan>nan\(0x[0-9a-f]{1,16}\))
    | (?P<number>(?:-inf|-?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)(?![0-9A-Za-z_]))
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<mark>[()\[\]{},:=])""",
    re.VERBOSE,
)


_WANTED = {
    "value": "a value such as %3",
    "function": "a function such as @0",
    "string": "a name in quotes",
    "end": "the end of the line",
}


class SyntaxFault(Exception):
    """A line does not read as the text form."""


class Token(NamedTuple):
    """A word of the text form."""

    kind: str
    text: str
    column: int


class Line:
    """One line, read from left to right."""

    def __init__(self, text: str) -> None:
        """Cuts the line into tokens.

        Raises:
            SyntaxFault: somewhere no token begins.
        """
        self.tokens: list[Token] = []
        self.comment = ""
        self.position = 0
        column = 0
        while column < len(text):
            match = _TOKEN.match(text, column)
            if match is None:
                raise SyntaxFault(f"{text[column]!r} at column {column + 1} begins no word of the text form")
            kind = str(match.lastgroup)
            if kind == "comment":
                self.comment = match.group()[1:].removeprefix(" ").rstrip()
            elif kind != "space":
                self.tokens.append(Token(kind, match.group(), column + 1))
            column = match.end()
        self.end = Token("end", "the end of the line", len(text) + 1)

    @property
    def token(self) -> Token:
        """The next token."""
        return self.tokens[self.position] if self.position < len(self.tokens) else self.end

    def at(self, kind: str, text: str | None = None) -> bool:
        """Whether the next token is of a kind, and if given, has a text."""
        return self.token.kind == kind and text in (None, self.token.text)

    def take(self, kind: str, text: str | None = None) -> str:
        """The text of the next token, which must be of a kind and may have to have a text.

        Raises:
            SyntaxFault: it is not.
        """
        token = self.token
        if not self.at(kind, text):
            wanted = repr(text) if text else _WANTED.get(kind, kind)
            raise SyntaxFault(f"expected {wanted}, not {token.text[:64]!r}, at column {token.column}")
        self.position += 1
        return token.text

    def accept(self, kind: str, text: str) -> bool:
        """Whether the next token is this one; takes it if so."""
        found = self.at(kind, text)
        self.position += found
        return found

    def value(self) -> int:
        """The number of a value.

        Raises:
            SyntaxFault: something else is next.
        """
        return int(self.take("value")[1:])

    def function(self) -> int:
        """The number of a function.

        Raises:
            SyntaxFault: something else is next.
        """
        return int(self.take("function")[1:])

    def string(self) -> str:
        """The text between quotes, unescaped.

        Raises:
            SyntaxFault: something else is next.
        """
        column = self.token.column
        try:
            return str(json.loads(self.take("string"), strict=False))
        except json.JSONDecodeError:
            raise SyntaxFault(f"the string at column {column} has a wrong escape") from None

    def finish(self) -> None:
        """Sees that nothing is left.

        Raises:
            SyntaxFault: something is.
        """
        self.take("end")
