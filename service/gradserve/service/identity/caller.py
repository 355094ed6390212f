"""Who makes a call."""

from __future__ import annotations

from dataclasses import fields
from typing import Literal, TypeAlias

from gradserve.ir.records import dataclass
from gradserve.jobs.sweeps.limits import Limits

Kind: TypeAlias = Literal["anonymous", "certificate", "token", "oidc"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call, and how he showed it.

    Names of different kinds never meet: those of tokens hold no colon, the others begin with their kind and one.
    """

    name: str
    """Empty where the service asks nobody."""
    kind: Kind
    limits: Limits | None = None
    """The most that one of his calls may cost, where that is less than for others."""


ANONYMOUS = Caller("", "anonymous")
"""Everybody, where the service asks nobody."""


OTHERS = "other"
"""What all callers are called together whom metrics do not tell apart; nobody has this name."""
_MOST_NAME = 256


def named(kind: Kind, name: object) -> Caller:
    """The caller whom an authority has given a name.

    Raises:
        Refused: it is none that can be written down, in one line of a log.
    """
    if not isinstance(name, str) or not 0 < len(name) <= _MOST_NAME or not name.isprintable():
        raise Refused(f"its {kind} names nobody")
    return Caller(f"{kind}:{name}", kind)


class Refused(Exception):
    """Why a caller is not believed: for the log alone, as it could help who guesses."""


class Undecided(Exception):
    """Whether a caller is to be believed is not known without waiting."""


def lower(one: Limits, other: Limits) -> Limits:
    """The lower of two in every limit."""
    return Limits(**{each.name: min(getattr(one, each.name), getattr(other, each.name)) for each in fields(Limits)})
