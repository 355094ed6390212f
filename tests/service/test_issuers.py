"""Whatever an issuer answers: its last keys hold on, and it is read no longer than keys take."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from http.client import HTTPMessage
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request

import jwt
import pytest

from gradserve.ir.errors import InvalidRequest
from gradserve.service.configuration.identity import Oidc
from gradserve.service.identity import oidc
from gradserve.service.identity.caller import Refused
from gradserve.service.identity.published import _Redirects, published
from tests.service.issuer import AUDIENCE, Issuer, Key
from tests.service.test_identity import until


def slowly(body):
    """An answer that goes on and on."""
    for letter in body:
        yield bytes([letter])
        time.sleep(0.05)


BROKEN = {
    "garbage": lambda body: (b"\xff{" * 100,),
    "nothing": lambda body: (),
    "another kind": lambda body: (b"[7]",),
    "nested": lambda body: (b"[" * 100_000,),
    "long": lambda body: (body[:-1], b" " * (10 << 20), b"}"),
    "slow": slowly,
}


class Raw:
    """Answers whoever connects with the same bytes, piece by piece, and counts who comes."""

    def __init__(self, *pieces, pause=0.0):
        self.asked = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._run, args=(pieces, pause), daemon=True).start()

    def _run(self, pieces, pause):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.asked += 1
                with connection, contextlib.suppress(OSError):
                    connection.recv(1 << 16)
                    for piece in pieces:
                        connection.sendall(piece)
                        time.sleep(pause)

    def close(self):
        self._listener.close()


LETTERS = [bytes([letter]) for letter in b"HTTP/1.1 200 OK\r\n" + b"x" * 400]
CHUNK = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *[b"0"] * 400]


@pytest.mark.parametrize("pieces", [LETTERS, CHUNK], ids=["headers", "a chunk's length"])
def test_who_sends_a_letter_now_and_then_is_cut_off(pieces):
    slow = Raw(*pieces, pause=0.02)
    began = time.monotonic()
    with pytest.raises((OSError, ValueError, http.client.HTTPException)):
        published(slow.url, 0.2)
    assert time.monotonic() - began < 1.0
    slow.close()


@pytest.mark.parametrize("where", ["ftp://127.0.0.1/keys", "file:///etc/passwd"])
def test_answers_lead_nowhere_but_to_the_web(where):
    leads = Raw(f"HTTP/1.1 302 Found\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode())
    with pytest.raises((InvalidRequest, HTTPError), match=r"no address of the web|not allowed"):
        published(leads.url, 1.0)
    leads.close()


def test_answers_do_not_lead_from_tls_to_plain():
    request = Request("https://login.example.com/keys")
    follow: Any = _Redirects().redirect_request
    assert follow(request, None, 302, "", HTTPMessage(), "https://keys.example.com/").full_url
    with pytest.raises(InvalidRequest, match=r"leads to 'http://keys.example.com/', which anybody on the way"):
        follow(request, None, 302, "", HTTPMessage(), "http://keys.example.com/")


def test_a_token_that_was_checked_by_keys_before_is_checked_again(monkeypatch):
    """The keys may change while one of its calls is looked at."""
    issuer = Issuer(Key("one"))
    found = oidc.Issuer(Oidc(issuer.url, AUDIENCE))
    until(lambda: found._keys.current() is not None)
    checked, token, keys = found._claims, issuer.token(), found._keys
    assert isinstance(keys, oidc.FetchedKeys)

    def meanwhile(token, waits):
        claims = checked(token, waits)
        keys._keys = jwt.PyJWKSet.from_dict({"keys": [Key("two").public]})
        return claims

    monkeypatch.setattr(found, "_claims", meanwhile)
    assert found.caller(token).name == "oidc:alice"
    monkeypatch.setattr(found, "_claims", checked)
    with pytest.raises(Refused, match="a key that its issuer does not have"):
        found.caller(token, waits=False)
    found.close()
    issuer.close()


@pytest.mark.parametrize("kind", BROKEN)
def test_whatever_an_issuer_answers_its_last_keys_hold_on(monkeypatch, kind, caplog):
    monkeypatch.setattr(oidc, "FETCH_SECONDS", 0.05)
    monkeypatch.setattr(oidc, "_TIMEOUT", 0.5)
    issuer = Issuer(Key("old"))
    found = oidc.Issuer(Oidc(issuer.url, AUDIENCE))
    until(lambda: found._keys.current() is not None)
    issuer.sends = BROKEN[kind]
    strange = issuer.token(Key("new"))  # has keys be fetched, if that was not a moment ago
    until(lambda: not _believes(found, strange) and "cannot be fetched" in caplog.text)
    assert found.caller(issuer.token()).name == "oidc:alice"
    issuer.sends = lambda body: (body,)
    issuer.keys = [Key("new")]
    monkeypatch.setattr(oidc, "WAIT_SECONDS", 5.0)
    until(lambda: _believes(found, issuer.token()))
    found.close()
    issuer.close()


def _believes(found, token):
    try:
        return found.caller(token).name == "oidc:alice"
    except Refused:
        return False
