"""How a client and a service know each other: TLS, certificates and tokens."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from gradserve.client.transport.address import is_local
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.records import dataclass

if TYPE_CHECKING:
    import grpc

Token: TypeAlias = str | Path | Callable[[], str]
"""A token; a file that holds it, read for every call; or what gives it, called for every call."""
Metadata: TypeAlias = tuple[tuple[str, str], ...] | None

VARIABLES = "GRADSERVE_CLIENT_"
"""What variables of the environment begin with that say what a client is not told."""
_TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Tls:
    """What a connection by TLS trusts, and what it shows of the client: files in PEM."""

    ca: str | Path | None = None
    """The authorities that the service's certificate may be signed by; None trusts those of this machine."""
    certificate: str | Path | None = None
    """The client's own certificate, where the service asks for one (mutual TLS)."""
    key: str | Path | None = field(default=None, repr=False)
    """Its private key."""
    server_name: str = ""
    """The name in the service's certificate, where that is not the host of the address."""

    def credentials(self) -> grpc.ChannelCredentials:
        """What gRPC makes a connection by.

        Raises:
            InvalidRequest: certificate or key is there without the other.
            OSError: a file cannot be read.
        """
        import grpc  # which nobody is to wait for who asks for the client alone

        if (self.certificate is None) != (self.key is None):
            raise InvalidRequest("tls: certificate and key of the client go together")
        ca, key, certificate = (each and Path(each).read_bytes() for each in (self.ca, self.key, self.certificate))
        return grpc.ssl_channel_credentials(ca or None, key or None, certificate or None)


class Identity:
    """How one client connects to one service, and what it shows with every call."""

    def __init__(
        self,
        address: str,
        tls: bool | str | Path | Tls | None = None,
        token: Token | None = None,
        allow_plain_token: bool = False,
        credentials: grpc.ChannelCredentials | None = None,
        server_name: str = "",
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """What is None is as the environment says. `credentials` are TLS in ways of gRPC's own, in place of `tls`.

        Raises:
            InvalidRequest: something has no such value, or a token would travel unencrypted to another machine.
            OSError: a certificate cannot be read.
        """
        if credentials is not None and tls is not None:
            raise InvalidRequest("tls and credentials say the same: give one of them")
        told = _told(environment) if tls is None and credentials is None else _tls(tls)
        self.credentials = credentials if told is None else told.credentials()
        """What a connection is made by; None for a plain one."""
        self.server_name = server_name or ("" if told is None else told.server_name)
        self._token = _token_of(environment) if token is None else _checked(token)
        plain = allow_plain_token or environment.get(f"{VARIABLES}ALLOW_PLAIN_TOKEN", "") not in ("", "0")
        if self._token is not None and self.credentials is None and not (plain or is_local(address)):
            raise InvalidRequest(
                f"the token would travel unencrypted to {address}: give tls=True, or tls='ca.pem' with the authority "
                "of the service; allow_plain_token=True only where a proxy beside this process has TLS"
            )

    def metadata(self) -> Metadata:
        """What goes with a call.

        Raises:
            InvalidRequest: the token cannot be had now.
        """
        if self._token is None:
            return None
        return (("authorization", f"Bearer {_text(self._token)}"),)


def _tls(tls: Any) -> Tls | None:
    if tls is None or isinstance(tls, bool):
        return Tls() if tls else None
    if isinstance(tls, Tls):
        return tls
    if isinstance(tls, str | Path):
        return Tls(ca=tls)
    raise InvalidRequest(f"tls is a {type(tls).__name__}; write True, the file of an authority, or Tls(...)")


def _told(environment: Mapping[str, str]) -> Tls | None:
    """TLS as the environment has it."""
    names = ("CA", "CERTIFICATE", "KEY", "SERVER_NAME")
    ca, certificate, key, name = (environment.get(VARIABLES + each) or None for each in names)
    if ca or certificate or key or name or environment.get(f"{VARIABLES}TLS", "") not in ("", "0"):
        return Tls(ca, certificate, key, name or "")
    return None


def _token_of(environment: Mapping[str, str]) -> Token | None:
    if file := environment.get(f"{VARIABLES}TOKEN_FILE"):
        return Path(file)
    return environment.get(f"{VARIABLES}TOKEN") or None


def _checked(token: Any) -> Token:
    if isinstance(token, str):
        _require_token(token)
    elif not (isinstance(token, Path) or callable(token)):
        raise InvalidRequest(f"token is a {type(token).__name__}; write a text, the Path of a file, or a function")
    given: Token = token
    return given


def _text(token: Token) -> str:
    if isinstance(token, Path):
        try:
            text = token.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise InvalidRequest(f"the token of {token} cannot be read: {reason}") from None
    else:
        text = token if isinstance(token, str) else token()
    return _require_token(text)


def _require_token(text: Any) -> str:
    """The token itself; the refusal does not show it."""
    if not isinstance(text, str) or not _TOKEN.fullmatch(text):
        raise InvalidRequest("the token is no text of printable characters without blanks")
    return text
