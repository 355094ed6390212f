"""Callers with tokens of an OIDC issuer, which is a real one on this machine."""

import base64
import hashlib
import hmac
import json
import re
import time
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from gradserve.ir.errors import InvalidRequest
from gradserve.service.configuration.identity import Oidc
from gradserve.service.identity import oidc
from gradserve.service.identity.authenticator import REFUSED
from gradserve.service.identity.caller import Caller, Refused
from gradserve.v1 import derivative_service_pb2 as pb
from tests.service.issuer import AUDIENCE, Issuer, Key
from tests.service.support import call_of, refusal
from tests.service.test_identity import until


@pytest.fixture(scope="module")
def issuer():
    found = Issuer(Key("one"), Key("two", "RS256"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def checked(issuer):
    """What checks tokens of the issuer."""
    found = oidc.Issuer(Oidc(issuer.url, AUDIENCE))
    until = time.monotonic() + 10
    while found._keys.current() is None and time.monotonic() < until:
        time.sleep(0.01)
    yield found
    found.close()


def test_a_token_of_the_issuer_names_its_caller(issuer, checked):
    for key in issuer.keys:
        for _ in range(2):  # checked, and remembered
            assert checked.caller(issuer.token(key)) == Caller("oidc:alice", "oidc")
    assert checked.caller(issuer.token(aud=["others", AUDIENCE], sub="bob")).name == "oidc:bob"


NOW = int(time.time())
WRONG: dict[str, dict[str, Any]] = {
    "expired": {"exp": NOW - 60},
    "not yet valid": {"nbf": NOW + 86_400},
    "issued in the future": {"iat": NOW + 86_400},
    "without an end": {"exp": None},
    "for another service": {"aud": "another"},
    "for nobody": {"aud": None},
    "of another issuer": {"iss": "http://127.0.0.1:1"},
    "of no issuer": {"iss": None},
    "of nobody": {"sub": None},
    "of a number": {"sub": 7},
    "with an endless name": {"sub": "a" * 300},
    "with a name of two lines": {"sub": "alice\nand a line of the log"},
    "with no name": {"sub": ""},
}


@pytest.mark.parametrize("kind", WRONG)
def test_tokens_that_are_not_valid_here(issuer, checked, kind):
    with pytest.raises(Refused):
        checked.caller(issuer.token(**WRONG[kind]))


def test_clocks_may_be_a_little_apart(issuer, checked):
    assert checked.caller(issuer.token(exp=int(time.time()) - 10, iat=NOW - 60, nbf=int(time.time()) + 10))


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def forged(issuer, header, sign):
    """A token whose header and signature are an attacker's."""
    claims = {"iss": issuer.url, "aud": AUDIENCE, "sub": "mallory", "exp": NOW + 3600}
    signed = part(header) + b"." + part(claims)
    return (signed + b"." + base64.urlsafe_b64encode(sign(signed)).rstrip(b"=")).decode()


def public_pem(key):
    return key.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def hmac_by(secret):
    return lambda data: hmac.new(secret, data, hashlib.sha256).digest()


FORGED = {
    "no signature": lambda issuer: forged(issuer, {"alg": "none", "kid": "one"}, lambda data: b""),
    "no signature, written otherwise": lambda issuer: forged(issuer, {"alg": "nOnE", "kid": "one"}, lambda data: b""),
    "a public key as a shared secret": lambda issuer: forged(
        issuer, {"alg": "HS256", "kid": "two"}, hmac_by(public_pem(issuer.keys[1]))
    ),
    "an empty shared secret": lambda issuer: forged(issuer, {"alg": "HS256", "kid": "one"}, hmac_by(b"")),
    "a key of its own": lambda issuer: issuer.token(Key("one")),
    "a key in its header": lambda issuer: (
        lambda key: issuer.token(key, headers={"kid": "mine", "jwk": key.public, "jku": "http://127.0.0.1:1/keys"})
    )(Key("mine")),
    "another key's name": lambda issuer: issuer.token(issuer.keys[0], headers={"kid": "two"}),
    "a key's name that is no text": lambda issuer: forged(issuer, {"alg": "ES256", "kid": ["one"]}, lambda data: b"x"),
    "claims that were changed": lambda issuer: (
        lambda words: ".".join((words[0], part({"sub": "mallory"}).decode(), words[2]))
    )(issuer.token().split(".")),
    "an algorithm that is not allowed": lambda issuer: jwt.encode(
        {"iss": issuer.url, "aud": AUDIENCE, "sub": "alice", "exp": NOW + 3600},
        issuer.keys[1].private,
        "RS512",
        {"kid": "two"},
    ),
    "no token": lambda issuer: "a.b.c",
    "nothing": lambda issuer: "..",
    "no text": lambda issuer: "\x00.\x00.\x00",
}


@pytest.mark.parametrize("kind", FORGED)
def test_forged_tokens_are_refused(issuer, checked, kind):
    token = FORGED[kind](issuer)
    with pytest.raises(Refused) as refused:
        checked.caller(token)
    assert "mallory" not in str(refused.value)


def test_planted_forgery_by_the_right_key_is_believed(issuer, checked):
    """What the forgeries lack is the key alone."""
    assert checked.caller(issuer.token(sub="mallory")).name == "oidc:mallory"


def test_shared_secrets_are_no_setting():
    from gradserve.service.configuration.command_line import settings_of

    words = ["--oidc-issuer", "https://i", "--oidc-audience", "a", "--oidc-algorithms"]
    for word in ("HS256", "none", "RS256,HS256"):
        with pytest.raises(SystemExit):
            settings_of([*words, word])
    found = settings_of([*words, "ES256,EdDSA"]).oidc
    assert found
    assert found.algorithms == ("ES256", "EdDSA")


def test_new_keys_are_fetched_and_old_ones_forgotten(monkeypatch):
    monkeypatch.setattr(oidc, "FETCH_SECONDS", 0.05)
    monkeypatch.setattr(oidc, "WAIT_SECONDS", 5.0)
    issuer = Issuer(Key("old"))
    found = oidc.Issuer(Oidc(issuer.url, AUDIENCE))
    old = issuer.token()
    assert found.caller(old)  # waits for the first keys
    issuer.keys = [Key("new")]
    time.sleep(0.1)
    assert found.caller(issuer.token(sub="bob")).name == "oidc:bob"
    with pytest.raises(Refused):  # though it was believed before
        found.caller(old)
    found.close()
    issuer.close()


def test_tokens_with_made_up_keys_do_not_have_keys_fetched_each_time(issuer, checked):
    before = issuer.fetched
    for number in range(50):
        with pytest.raises(Refused):
            checked.caller(issuer.token(Key(f"made up {number}")))
    assert issuer.fetched <= before + 1


def test_an_issuer_that_does_not_answer_stops_nobody(start, caplog):
    _, stubs = start(oidc=Oidc("http://127.0.0.1:1", AUDIENCE))
    alone = Key("one")
    token = jwt.encode({"sub": "a"}, alone.private, alone.algorithm, {"kid": "one"})
    assert refused_of(stubs, token).code is grpc.StatusCode.UNAUTHENTICATED
    until = time.monotonic() + 10.0  # they are fetched beside the calls
    while not caplog.records and time.monotonic() < until:
        time.sleep(0.01)
    assert "the keys of http://127.0.0.1:1 cannot be fetched" in caplog.text


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (Oidc("", AUDIENCE), "oidc_issuer, '', is no address of the web"),
        (Oidc("login.example.com", AUDIENCE), "oidc_issuer, 'login.example.com', is no address of the web"),
        (
            Oidc("https://login.example.com", AUDIENCE, jwks="file:///keys.json"),
            "oidc_jwks, 'file:///keys.json'",
        ),
        (Oidc("https://login.example.com", ""), "oidc_audience is empty"),
    ],
)
def test_issuers_whose_tokens_nobody_could_ever_bear_are_refused(settings, told):
    with pytest.raises(InvalidRequest, match=re.escape(told)):
        oidc.Issuer(settings)


def test_keys_of_a_file(tmp_path):
    issuer, file = Issuer(Key("one")), tmp_path / "keys.json"
    issuer.close()
    file.write_text(json.dumps(issuer.jwks()))
    found = oidc.Issuer(Oidc(issuer.url, AUDIENCE, jwks=str(file)))
    old = issuer.token()
    assert found.caller(old)
    issuer.keys = [Key("two")]
    file.write_text(json.dumps(issuer.jwks()))
    until(lambda: found._keys.current().keys[0].key_id == "two")
    assert found.caller(issuer.token())
    with pytest.raises(Refused):
        found.caller(old)
    file.write_text("{")
    with pytest.raises(InvalidRequest, match="cannot be read"):
        oidc.Issuer(Oidc(issuer.url, AUDIENCE, jwks=str(file)))


def gradient(stubs, token):
    metadata = [("authorization", f"bearer {token}")]
    return stubs.derivatives.Gradient(pb.GradientRequest(call=call_of()), timeout=10, metadata=metadata)


def refused_of(stubs, token):
    return refusal(lambda: gradient(stubs, token))


def test_a_service_and_its_issuer(start, issuer, tmp_path, caplog):
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(issuer.jwks()))
    server, stubs = start(oidc=Oidc(issuer.url, AUDIENCE, jwks=str(file), role="gradients"))
    assert gradient(stubs, issuer.token(roles=["others", "gradients"]))
    assert gradient(stubs, issuer.token(roles="others gradients"))
    for claims in ({}, {"roles": ["gradient"]}, {"roles": "gradients2"}, {"roles": 7}):
        refused = refused_of(stubs, issuer.token(**claims))
        assert (refused.code, refused.info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
        assert "have the role 'gradients'" in refused.message
    token = issuer.token(exp=1, roles=["gradients"])
    refused = refused_of(stubs, token)
    assert (refused.code, refused.message) == (grpc.StatusCode.UNAUTHENTICATED, REFUSED)
    assert token not in caplog.text
    server.metrics.catch_up()
    labels = {"caller": "oidc:alice", "code": "OK"}
    assert server.metrics.registry.get_sample_value("gradserve_caller_calls_total", labels) == 2
