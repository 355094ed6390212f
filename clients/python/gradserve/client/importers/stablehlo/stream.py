"""The tokens of a program one after the other, and what stands around the next one."""

from __future__ import annotations

from gradserve.client.importers.stablehlo.tokens import Token, invalid, tokens, too_long
from gradserve.ir.limits import DEFAULT_LIMITS

DEEPEST = 64
"""How deep regions, lists and dicts stand in each other."""
OPEN, _CLOSE = {"(": ")", "[": "]", "{": "}", "<": ">"}, frozenset(")]}>")


class Stream:
    """Tokens one after the other."""

    def __init__(self, text: str) -> None:
        """Of the whole text."""
        self._tokens = tokens(text)
        self.next = next(self._tokens)
        self._after: Token | None = None
        self.depth = 0
        self.known: list[set[str]] = []
        """The names of values that are defined in each of the regions around, the innermost last."""
        self._operations = 0

    def define(self, name: str, line: int) -> None:
        """Enters the name of a value, which is its own in this region and in those around it.

        Raises:
            InvalidGraph: there is such a value.
        """
        if any(name in names for names in self.known):
            raise invalid(line, f"{name} is defined a second time")
        self.known[-1].add(name)

    def count(self) -> None:
        """Counts an operation.

        Raises:
            LimitExceeded: there are more than a graph may have.
        """
        self._operations += 1
        if self._operations > DEFAULT_LIMITS.nodes:
            raise too_long()

    @property
    def after(self) -> Token:
        """The token that comes after the next one."""
        if self._after is None:
            self._after = next(self._tokens, self.next)
        return self._after

    def take(self) -> Token:
        """The token that comes, which is passed."""
        token = self.next
        if token.kind != "end":
            self.next, self._after = self.after, None
        return token

    def skip(self, text: str) -> bool:
        """Whether this token comes, which then is passed."""
        if self.next.text != text or self.next.kind in ("string", "end"):
            return False
        self.take()
        return True

    def expect(self, text: str) -> Token:
        """Passes this token.

        Raises:
            InvalidGraph: another one comes.
        """
        token = self.next
        if not self.skip(text):
            raise invalid(token.line, f"{text!r} is expected before {token.text[:40]!r}")
        return token

    def of_kind(self, kind: str) -> Token:
        """Passes a token of a kind.

        Raises:
            InvalidGraph: one of another kind comes.
        """
        token = self.take()
        if token.kind != kind:
            raise invalid(token.line, f"a {kind} is expected, not {token.text[:40]!r}")
        return token

    def deeper(self) -> None:
        """Goes down by one level.

        Raises:
            InvalidGraph: that is too deep.
        """
        self.depth += 1
        if self.depth > DEEPEST:
            raise invalid(self.next.line, f"more than {DEEPEST} levels stand in each other")

    def skip_group(self) -> None:
        """Passes a bracket with all that is in it."""
        first, open_ = self.take(), 1
        while open_:
            token = self.take()
            if token.kind == "end":
                raise invalid(first.line, f"{first.text!r} is not closed")
            open_ += (token.text in OPEN) - (token.text in _CLOSE)
