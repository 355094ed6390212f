"""Who makes a call: found out in one place, for every method alike."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TypeAlias

import grpc

from gradserve.ir.errors import PermissionDenied, Unauthenticated
from gradserve.service.configuration.settings import Settings
from gradserve.service.identity.caller import ANONYMOUS, Caller, Refused, Undecided, named
from gradserve.service.identity.tokens import Tokens, read_tokens
from gradserve.service.identity.watched import Watched

Identify: TypeAlias = Callable[[grpc.ServicerContext, Callable[[], str]], Caller]
"""Who makes a call, of which the second tells the name if it is refused; raises Unauthenticated or PermissionDenied."""

Metadata: TypeAlias = Iterable[tuple[str, str | bytes]]
Recognise: TypeAlias = Callable[[Metadata], Caller | None]
"""Who makes a call with such metadata, if that can be told by them alone and at once; never waits."""

REFUSED = (
    "the service knows its callers, and this call has no credentials that it takes: they are missing, unknown, expired "
    "or for another service. Give a token, Client(..., token=...) or GRADSERVE_CLIENT_TOKEN, or a client certificate"
)
"""One text for all that can be wrong: the log says which it was."""
TELL_SECONDS = 0.1
"""The least time between two lines of the log about calls that are refused."""
_HEADER, _SCHEME = "authorization", "bearer "

_logger = logging.getLogger(__name__)


def anonymous(_context: grpc.ServicerContext, _request_id: Callable[[], str]) -> Caller:
    """Whoever it is."""
    return ANONYMOUS


def anybody(_metadata: Metadata) -> Caller:
    """Whoever it is."""
    return ANONYMOUS


class Authenticator:
    """Finds out who makes a call: whose token it bears, or else whose certificate the connection has."""

    def __init__(self, settings: Settings) -> None:
        """Reads what the settings name.

        Raises:
            InvalidRequest: it cannot be read.
        """
        self._tokens: Watched[Tokens] | None = None
        if (file := settings.token_file) is not None:
            self._tokens = Watched((file,), lambda: read_tokens(file))
        self._issuer = None
        if settings.oidc is not None:
            from gradserve.service.identity.oidc import Issuer  # imports cryptography, which few need

            self._issuer = Issuer(settings.oidc)
        self._telling, self._told, self._untold = threading.Lock(), -TELL_SECONDS, 0
        self._knows = settings.knows_callers
        self._certificates = settings.tls is not None and settings.tls.client_ca is not None

    @property
    def identify(self) -> Identify:
        """Finds out who makes a call."""
        return self._identify if self._knows else anonymous

    @property
    def recognise(self) -> Recognise:
        """Finds out who makes a call as far as that needs no waiting."""
        return self._recognise if self._knows else anybody

    def may_know(self, metadata: Metadata) -> bool:
        """Whether a call with this metadata may be of somebody known; never waits."""
        try:
            secret = _bearer(metadata)
            if secret is None:
                return self._certificates  # which the connection has shown
            self._of_token(secret, waits=False)
        except Undecided:
            return True
        except (Refused, PermissionDenied):
            return False
        return True

    def close(self) -> None:
        """Ends what goes on beside calls."""
        if self._issuer is not None:
            self._issuer.close()

    def _recognise(self, metadata: Metadata) -> Caller | None:
        try:
            secret = _bearer(metadata)
            return None if secret is None else self._of_token(secret, waits=False)
        except (Undecided, Refused, PermissionDenied):
            return None

    def _identify(self, context: grpc.ServicerContext, request_id: Callable[[], str]) -> Caller:
        try:
            secret = _bearer(context.invocation_metadata())
            found = self._of_certificate(context) if secret is None else self._of_token(secret)
        except Refused as refused:
            self._tell(context.peer(), refused, request_id())
            raise Unauthenticated(REFUSED) from None
        return found

    def _tell(self, peer: str, refused: Refused, request_id: str) -> None:
        """Logs a refusal, unless there are too many: strangers must not fill a disk."""
        now = time.monotonic()
        with self._telling:
            self._untold += 1
            if now - self._told < TELL_SECONDS:
                return
            before, self._untold, self._told = self._untold - 1, 0, now
        more = f", and {before} more since the last line like this" if before else ""
        text, named = "a call from %s is refused: %s, request %s%s", {"request_id": request_id}
        _logger.info(text, peer, refused, request_id, more, extra=named)

    def _of_token(self, secret: str, waits: bool = True) -> Caller:
        token = self._tokens.value.find(secret) if self._tokens else None
        if token is not None:
            if not token.holds(datetime.now(UTC)):
                raise Refused(f"the token of {token.caller.name} has expired")
            return token.caller
        if self._issuer is not None and secret.count(".") == 2:
            return self._issuer.caller(secret, waits)
        raise Refused("its token is unknown")

    def _of_certificate(self, context: grpc.ServicerContext) -> Caller:
        """The caller whom gRPC has seen the certificate of: by its first alternative name, or its common name."""
        if self._certificates:
            found: Mapping[str, Iterable[bytes]] = context.auth_context()  # type: ignore[assignment]  # stubs are wrong
            for field in ("x509_subject_alternative_name", "x509_common_name"):
                for name in found.get(field, ()):
                    return named("certificate", name.decode(errors="replace"))
        raise Refused("it has no credentials")


def _bearer(metadata: Metadata) -> str | None:
    """The token that a call bears."""
    found = [str(value) for key, value in metadata if key == _HEADER]
    if not found:
        return None
    if len(found) > 1 or not found[0][: len(_SCHEME)].lower() == _SCHEME:
        raise Refused("what it bears is not one token")
    return found[0][len(_SCHEME) :].strip()
