"""Whatever an issuer answers: its last keys hold on, and it is read no longer than keys take."""

from __future__ import annotations

import time

import pytest

from gradserve.service.identity import oidc
from gradserve.service.identity.caller import Refused
from gradserve.service.identity.settings import Oidc
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
