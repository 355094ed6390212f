"""Bearer tokens: 256 random bits each, of which the file of a service holds the SHA-256 alone.

A hash without salt or stretching is enough for what nobody can guess: there are no two alike and no dictionary of them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from gradserve.ir.errors import InvalidRequest, shown
from gradserve.ir.records import dataclass
from gradserve.jobs.sweeps.limits import Limits
from gradserve.service.configuration.described import nearest, settings_of
from gradserve.service.configuration.files import contents
from gradserve.service.identity.caller import OTHERS, Caller

PREFIX = "gs_"
"""What tokens begin with, so that tools that look for secrets find them."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""There may be many tokens, and the loader in Python takes ten times as long over them."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LIMITS = settings_of(Limits, ())
_PLANNING = ("plan_nodes", "plan_seconds")
"""Limits of what all callers share."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a service knows of a token."""

    caller: Caller
    digest: str = field(repr=False)
    expires: datetime | None

    def holds(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires is None or now < self.expires


class Tokens:
    """The tokens of a file, by the digests of their secrets."""

    def __init__(self, tokens: Mapping[str, Token]) -> None:
        """Knows these alone."""
        self._tokens = tokens

    def find(self, secret: str) -> Token | None:
        """The token with this secret, expired or not.

        Who sends guesses learns nothing from the time that this takes: where it looks depends on hashes, which nobody
        can steer, and they are compared as a whole.
        """
        digest = digest_of(secret)
        found = self._tokens.get(digest)
        return found if found is not None and hmac.compare_digest(found.digest, digest) else None

    def __len__(self) -> int:
        return len(self._tokens)


def digest_of(secret: str) -> str:
    """The SHA-256 of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_token(name: str, expires: datetime | None) -> tuple[str, str]:
    """A new secret, and its entry for the file of a service.

    Raises:
        InvalidRequest: that is no name of a caller.
    """
    _require_name(name, "--name")
    secret = PREFIX + secrets.token_urlsafe(32)
    entry: dict[str, Any] = {"name": name, "sha256": digest_of(secret)}
    if expires is not None:
        entry["expires"] = expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return secret, str(yaml.safe_dump([entry], sort_keys=False))


def read_tokens(file: Path) -> Tokens:
    """The tokens of a file.

    Raises:
        InvalidRequest: it cannot be read, or an entry makes no sense; names it.
    """
    try:
        found = yaml.load(contents(file), _Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the tokens of {file} cannot be read: {error}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise InvalidRequest(f"{file} is no YAML") from None  # what the parser says shows parts of the file
    if not isinstance(found, list | None):
        raise InvalidRequest(f"{file} is no list of tokens, such as `gradserve token new` writes")
    tokens = [_token(entry, f"{file}: token {number}") for number, entry in enumerate(found or [], 1)]
    first: dict[str, int] = {}
    for number, token in enumerate(tokens, 1):
        if first.setdefault(token.digest, number) != number:  # whose it is nobody could say
            raise InvalidRequest(
                f"{file}: token {number} has the sha256 of token {first[token.digest]}; make a new one"
            )
    return Tokens({token.digest: token for token in tokens})


def _token(entry: Any, where: str) -> Token:
    if not isinstance(entry, dict) or not {"name", "sha256"} <= set(entry):
        raise InvalidRequest(f"{where} has no name and sha256")
    if unknown := set(entry) - {"name", "sha256", "expires", "limits"}:
        raise InvalidRequest(f"{where}: {min(map(str, unknown))!r} is none of name, sha256, expires, limits")
    name, digest = entry["name"], entry["sha256"]
    _require_name(name, where)
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise InvalidRequest(f"{where}: sha256 is not 64 hexadecimal digits")
    limits = _limits(entry["limits"], where) if entry.get("limits") else None
    return Token(Caller(name, "token", limits), digest, _expires(entry.get("expires"), where))


def _require_name(name: Any, where: str) -> None:
    if not isinstance(name, str) or not NAME.fullmatch(name) or name == OTHERS:
        raise InvalidRequest(
            f"{where}: a name has up to 64 letters, digits and . _ @ -, and begins with one of the first"
        )


def _expires(raw: Any, where: str) -> datetime | None:
    if raw is None:
        return None
    try:
        found = raw if isinstance(raw, datetime) else datetime.fromisoformat(raw)
    except (TypeError, ValueError):
        raise InvalidRequest(f"{where}: expires is no time such as 2027-01-31T12:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _limits(raw: Any, where: str) -> Limits:
    """The limits that an entry lowers; infinite where it says nothing."""
    if not isinstance(raw, dict):
        raise InvalidRequest(f"{where}: limits are names with numbers")
    known = {name: setting for name, setting in _LIMITS.items() if name not in _PLANNING}
    values: dict[str, Any] = {each.name: float("inf") for each in fields(Limits)}
    for name, value in raw.items():
        if name not in known:
            raise InvalidRequest(f"{where}: {shown(name)} is no limit of a caller{nearest(str(name), known)}")
        if not isinstance(value, int | float | str):  # aliases can make a list that nobody could print
            raise InvalidRequest(f"{where}: {name} is no number")
        try:
            values[name] = known[name].kind.read(value)
        except ValueError as error:
            raise InvalidRequest(f"{where}: {name}: {error}") from None
    return Limits(**values)
