"""Tokens of an OIDC issuer: JWTs, checked by the issuer's keys.

Which algorithms may have signed is said by the settings, never by the token, and all of them are asymmetric: a token
cannot ask for none, nor take a public key for a shared secret.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

import jwt

from gradserve.ir.errors import InvalidRequest, PermissionDenied
from gradserve.runtime.caches import Lru
from gradserve.service.configuration.files import contents
from gradserve.service.configuration.identity import Oidc
from gradserve.service.identity.caller import Caller, Refused, Undecided, named
from gradserve.service.identity.published import published, require_web
from gradserve.service.identity.watched import Watched

WAIT_SECONDS = 0.08
"""How long a call waits for keys that are being fetched: one whose key is new may need them."""
FETCH_SECONDS = 10.0
"""The pause between fetches of keys, however many tokens name unknown ones."""
_TIMEOUT = 5.0
_DISCOVERY = "/.well-known/openid-configuration"
_REMEMBERED = 4096

_logger = logging.getLogger(__name__)


class Issuer:
    """Checks the tokens of one issuer. Safe for threads."""

    def __init__(self, settings: Oidc) -> None:
        """Begins to fetch the issuer's keys; until they are there its tokens are refused.

        Raises:
            InvalidRequest: the keys are a file that cannot be read, or where they are is no address of the web.
        """
        self._settings = settings
        jwks = settings.jwks
        if not settings.audience:
            raise InvalidRequest("oidc_audience is empty; say what this service is called in the tokens of its callers")
        if jwks is None:
            require_web(settings.issuer, "oidc_issuer")
        elif "://" in jwks:
            require_web(jwks, "oidc_jwks")
        self._keys: FileKeys | FetchedKeys = (
            FileKeys(Path(jwks))
            if jwks and "://" not in jwks
            else FetchedKeys(settings.issuer, jwks, settings.keys_age)
        )
        self._known: Lru[bytes, tuple[int, Any, Caller]] = Lru(_REMEMBERED)

    def close(self) -> None:
        """Fetches no more keys."""
        self._keys.close()

    def caller(self, token: str, waits: bool = True) -> Caller:
        """Whose token it is.

        Raises:
            Undecided: keys are to be fetched first; only if it must not wait for that.
            Refused: it is none of this issuer, for others, not valid now, or not signed as it must be.
            PermissionDenied: it is valid, and its owner lacks the role.
        """
        name = hashlib.sha256(token.encode()).digest()
        found, keys = self._known.get(name), self._keys.current()
        if found is not None and found[1] is keys and time.time() < found[0]:
            return found[2]
        claims = self._claims(token, waits)
        caller = named("oidc", claims.get(self._settings.caller_claim))
        self._require_role(claims)
        # By the keys from before: those that are there now may have come since, without the one that has signed it.
        self._known.put(name, (int(claims["exp"]), keys, caller))
        return caller

    def _claims(self, token: str, waits: bool) -> dict[str, Any]:
        settings = self._settings
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in settings.algorithms:
                raise Refused("a token is signed by an algorithm that is not allowed")
            claims: dict[str, Any] = jwt.decode(
                token,
                self._keys.find(header.get("kid"), waits).key,
                algorithms=list(settings.algorithms),
                audience=settings.audience,
                issuer=settings.issuer,
                leeway=settings.leeway,
                options={"require": ["exp", "iss", "aud"]},
            )
            return claims
        except (jwt.PyJWTError, TypeError, ValueError) as error:  # what they say may show parts of the token
            raise Refused(f"a token is not one of {settings.issuer} for us now: {type(error).__name__}") from None

    def _require_role(self, claims: dict[str, Any]) -> None:
        role, roles = self._settings.role, claims.get(self._settings.roles_claim, ())
        listed = roles.split() if isinstance(roles, str) else roles if isinstance(roles, list) else ()
        if role is not None and role not in listed:
            raise PermissionDenied(f"callers of this service have the role {role!r}; ask who gives them")


class FileKeys:
    """The keys of a file, read again when it changes."""

    def __init__(self, file: Path) -> None:
        """Raises InvalidRequest if it cannot be read."""

        def read() -> jwt.PyJWKSet:
            try:
                return jwt.PyJWKSet.from_dict(json.loads(contents(file)))
            except (OSError, ValueError, jwt.PyJWTError) as error:
                raise InvalidRequest(f"the keys of {file} cannot be read: {error}") from None

        self._watched = Watched((file,), read)

    def current(self) -> Any:
        """All of them."""
        return self._watched.value

    def find(self, kid: Any, _waits: bool) -> jwt.PyJWK:
        """The key of that name; raises Refused."""
        return _found(self.current(), kid)

    def close(self) -> None:
        """Nothing is to be done."""


class FetchedKeys:
    """The keys that an issuer publishes, fetched now and then, and when a token names one that is new."""

    def __init__(self, issuer: str, jwks: str | None, age: float) -> None:
        """Fetches them on a thread of its own, so that calls never wait long and no outage of the issuer stops us.

        They are fetched again after `age` seconds. Without the address of `jwks`, the issuer tells it.
        """
        self._issuer, self._jwks, self._age = issuer, jwks, age
        self._keys: jwt.PyJWKSet | None = None
        self._fetched = threading.Condition()
        self._times = 0
        """How often they have been fetched, or could not be."""
        self._last = 0.0
        self._wanted, self._closed = threading.Event(), threading.Event()
        threading.Thread(target=self._run, name="oidc keys", daemon=True).start()

    def current(self) -> Any:
        """All of them."""
        return self._keys

    def find(self, kid: Any, waits: bool) -> jwt.PyJWK:
        """The key of that name; raises Refused, or Undecided where it would wait and must not."""
        try:
            return _found(self._keys, kid)
        except Refused:
            if not self._again(waits):
                raise
        return _found(self._keys, kid)

    def close(self) -> None:
        """Fetches no more."""
        self._closed.set()
        self._wanted.set()

    def _again(self, waits: bool) -> bool:
        """Has them fetched and waits a moment for that; not soon after the last time."""
        with self._fetched:
            times = self._times
            if times and time.monotonic() - self._last < FETCH_SECONDS:
                return False
            if not waits:
                raise Undecided
            self._wanted.set()
            return self._fetched.wait_for(lambda: self._times > times, WAIT_SECONDS)

    def _run(self) -> None:
        while not self._closed.is_set():
            fetched = self._fetch()
            with self._fetched:
                self._times += 1
                self._last = time.monotonic()
                self._fetched.notify_all()
            self._closed.wait(FETCH_SECONDS)
            if fetched:
                self._wanted.wait(self._age)
            self._wanted.clear()

    def _fetch(self) -> bool:
        try:
            url = self._jwks or str(published(self._issuer.rstrip("/") + _DISCOVERY, _TIMEOUT)["jwks_uri"])
            self._keys = jwt.PyJWKSet.from_dict(published(url, _TIMEOUT))
        except Exception as error:  # whatever the issuer answers, its old keys hold on
            _logger.warning("the keys of %s cannot be fetched: %s", self._issuer, error)
            return False
        return True


def _found(keys: jwt.PyJWKSet | None, kid: Any) -> jwt.PyJWK:
    published = keys.keys if keys else ()
    found = [key for key in published if key.public_key_use != "enc" and kid in (None, key.key_id)]
    if len(found) != 1:
        raise Refused("a token names a key that its issuer does not have")
    return found[0]
