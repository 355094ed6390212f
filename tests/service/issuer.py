"""An OIDC issuer of a test's own: a real HTTP server on this machine, with real keys."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

AUDIENCE = "gradserve"
_ALGORITHMS: dict[str, Any] = {"RS256": jwt.algorithms.RSAAlgorithm, "ES256": jwt.algorithms.ECAlgorithm}


class Key:
    """A key of an issuer, by its name."""

    def __init__(self, kid: str, algorithm: str = "ES256") -> None:
        self.kid, self.algorithm = kid, algorithm
        self.private: Any = (
            ec.generate_private_key(ec.SECP256R1())
            if algorithm == "ES256"
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )

    @property
    def public(self) -> dict[str, Any]:
        """As the issuer publishes it."""
        found: dict[str, Any] = _ALGORITHMS[self.algorithm].to_jwk(self.private.public_key(), as_dict=True)
        return {**found, "kid": self.kid, "use": "sig"}


class Issuer:
    """Publishes its keys by HTTP, and signs tokens."""

    def __init__(self, *keys: Key) -> None:
        self.keys = list(keys)
        self.fetched = 0
        self.sends: Callable[[bytes], Iterable[bytes]] = lambda body: (body,)
        """What is sent in the place of an answer, piece by piece."""
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = {"/.well-known/openid-configuration": {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"}}
                if self.path == "/keys":
                    issuer.fetched += 1
                    found["/keys"] = issuer.jwks()
                self.send_response(200 if self.path in found else 404)
                self.end_headers()
                for piece in issuer.sends(json.dumps(found.get(self.path)).encode()):
                    self.wfile.write(piece)

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def jwks(self) -> dict[str, Any]:
        """The keys as they are published."""
        return {"keys": [key.public for key in self.keys]}

    def token(self, key: Key | None = None, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token of alice for an hour, or with other claims; one that is None is left out."""
        key = key or self.keys[0]
        now = int(time.time())
        told = {"iss": self.url, "aud": AUDIENCE, "sub": "alice", "iat": now, "nbf": now, "exp": now + 3600, **claims}
        told = {name: value for name, value in told.items() if value is not None}
        return jwt.encode(told, key.private, key.algorithm, {"kid": key.kid, **(headers or {})})
