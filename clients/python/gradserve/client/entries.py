"""Entries of parameters, as users name them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gradserve.ir.errors import InvalidRequest
from gradserve.questions.symmetry import EntryPair
from gradserve.questions.verification import Entry

_ENTRY = re.compile(r"(?P<input>[^\[\]\s]+)(\[(?P<index>\d+(,\s*\d+)*)\])?")


def parse_pairs(pairs: Sequence[tuple[str, str]]) -> tuple[EntryPair, ...]:
    """The entries that a user names, two by two: `[("w[0]", "w[3]"), ("w[0]", "b")]`.

    Raises:
        InvalidRequest: one is no pair, or no entry.
    """
    if isinstance(pairs, str) or not isinstance(pairs, Sequence):
        raise InvalidRequest(f'pairs is {pairs!r}; write a list of pairs of entries, such as [("w[0]", "w[3]")]')
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2 or not all(isinstance(entry, str) for entry in pair):
            raise InvalidRequest(f'{pair!r} is no pair of entries, such as ("w[0]", "w[3]")')
    return tuple(EntryPair(parse_entry(u), parse_entry(v)) for u, v in pairs)


def parse_entry(text: str) -> Entry:
    """The entry that a user names, such as `w[3,1]`.

    Raises:
        InvalidRequest: it is none.
    """
    found = _ENTRY.fullmatch(text)
    if found is None:
        raise InvalidRequest(f"{text!r} is no entry of a parameter, such as w[3] or W[0,2], or b for a single number")
    return Entry(found["input"], tuple(int(k) for k in (found["index"] or "").split(",") if k))
