"""What a service is told about who may call it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from gradserve.ir.quantities import Seconds
from gradserve.ir.records import dataclass


@dataclass(frozen=True, slots=True)
class Tls:
    """The files of a server's certificate chain and private key, in PEM."""

    certificate: Path
    """The certificate chain of the server, in PEM; without it, connections are plain."""
    key: Path
    """Its private key, in PEM."""
    client_ca: Path | None = None
    """Authorities, in PEM, one of which must have signed the certificate of every client (mutual TLS); a call without a
    token is then by whom its certificate names. All three files are read again when they change."""


_Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


@dataclass(frozen=True, slots=True)
class Oidc:
    """Whose tokens are taken beside those of a file."""

    issuer: str
    """The issuer of tokens (JWTs), as their claim `iss` has it; its keys are found below it, unless told."""
    audience: str
    """What this service is called in their claim `aud`."""
    jwks: str | None = None
    """Where the issuer's keys are, a URL or a file; None asks the issuer (`.well-known/openid-configuration`)."""
    algorithms: tuple[_Algorithm, ...] = ("RS256", "ES256")
    """What may have signed them."""
    leeway: Seconds = 30.0
    """How far the clocks of issuer and service may be apart."""
    keys_age: Seconds = 300.0
    """After which the keys are fetched again; a token that names a new one has them fetched before."""
    caller_claim: str = "sub"
    """The claim that names the caller."""
    role: str | None = None
    """A role that callers must have; None for none."""
    roles_claim: str = "roles"
    """The claim that lists a caller's roles."""
