"""A client that a service knows: by TLS, by a token, and what it says to those that it does not know."""

import os
import subprocess
import sys

import numpy as np
import pytest

from gradserve.client import Client, InvalidRequest, Tls, Unauthenticated, Unavailable
from gradserve.client.transport.address import is_local
from gradserve.client.transport.identity import Identity
from gradserve.service.configuration.identity import Tls as ServerTls
from gradserve.service.configuration.settings import Settings
from gradserve.service.identity.tokens import new_token
from gradserve.service.server import Server
from tests.certificates import Authority

W = np.array([1.0, -2.0, 3.0])


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    """A caller's token, and the file of the service."""
    secret, entry = new_token("alice", None)
    file = tmp_path_factory.mktemp("tokens") / "tokens.yaml"
    file.write_text(entry)
    return secret, file


@pytest.fixture(scope="module")
def service(authority, token):
    """A service that asks for TLS and a token."""
    own = authority.signed("service.test")
    tls = ServerTls(own.certificate, own.key)
    settings = Settings(address="127.0.0.1:0", metrics_port=None, workers=1, tls=tls, token_file=token[1])
    server = Server(settings).start()
    yield server
    server.stop(0)


@pytest.fixture(scope="module")
def address(service):
    return f"127.0.0.1:{service.port}"


@pytest.fixture(scope="module")
def plain(token):
    """A service of this machine alone, that asks for a token."""
    settings = Settings(address="127.0.0.1:0", metrics_port=None, workers=1, token_file=token[1])
    server = Server(settings).start()
    yield f"127.0.0.1:{server.port}"
    server.stop(0)


def gradient(client):
    return client.function(lambda w: np.sum(w * w)).grad(W)


def test_with_a_token_by_tls(address, authority, token):
    with Client(address, tls=authority.certificate, token=token[0]) as client:
        f = client.function(lambda w: np.sum(w * w))
        for _ in range(4):  # the ways of first and of later calls
            np.testing.assert_array_equal(f.grad(W), 2 * W)
        np.testing.assert_array_equal(np.stack([part[1] for part in f.stream_gradient(np.stack([W, W]))]), [2 * W] * 2)
        assert f.hessian_trace(W).value == 6.0


def turned_away(server):
    server.metrics.catch_up()
    labels = {"method": "GraphService/RegisterGraph", "code": "UNAUTHENTICATED", "executor": ""}
    return server.metrics.registry.get_sample_value("gradserve_calls_total", labels)


@pytest.mark.parametrize("given", [None, "gs_" + "A" * 43])
def test_without_one_the_error_says_what_to_do(service, address, authority, given):
    with Client(address, tls=authority.certificate, token=given) as client:
        before = turned_away(service)
        with pytest.raises(Unauthenticated, match=r"Client\(\.\.\., token=\.\.\.\) or GRADSERVE_CLIENT_") as refused:
            gradient(client)
        assert given is None or given not in str(refused.value) + repr(client)
        assert turned_away(service) == before + 1  # nothing is tried again


def test_a_token_that_is_renewed(plain, token, tmp_path):
    file = tmp_path / "token"
    file.write_text("gs_old\n")
    with Client(plain, token=file) as client, Client(plain, token=lambda: token[0]) as other:
        with pytest.raises(Unauthenticated):
            gradient(client)
        file.write_text(token[0] + "\n")
        np.testing.assert_array_equal(gradient(client), 2 * W)
        np.testing.assert_array_equal(gradient(other), 2 * W)
        file.unlink()
        with pytest.raises(InvalidRequest, match="cannot be read: No such file"):
            gradient(client)


def test_mutual_tls(authority, tmp_path):
    own = authority.signed("service.test")
    tls = ServerTls(own.certificate, own.key, client_ca=authority.certificate)
    server = Server(Settings(address="127.0.0.1:0", metrics_port=None, workers=1, tls=tls)).start()
    target, mine = f"127.0.0.1:{server.port}", authority.signed("alice")
    shown = Tls(authority.certificate, mine.certificate, mine.key, server_name="service.test")
    assert str(mine.key) not in repr(shown)
    with Client(target, tls=shown) as client:
        np.testing.assert_array_equal(gradient(client), 2 * W)
    with Client(target, tls=authority.certificate, timeout=1) as client, pytest.raises(Unavailable):
        gradient(client)
    server.stop(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"token": "a b"}, "no text of printable characters"),
        ({"token": ""}, "no text of printable characters"),
        ({"token": "a\nb"}, "no text of printable characters"),
        ({"token": 7}, "token is a int; write a text, the Path of a file, or a function"),
        ({"tls": 7}, r"tls is a int; write True, the file of an authority, or Tls\(...\)"),
        ({"tls": Tls(certificate="c.pem")}, "certificate and key of the client go together"),
        ({"token": "secret"}, "the token would travel unencrypted to there:1: give tls=True"),
    ],
)
def test_what_cannot_be(options, message):
    with pytest.raises(InvalidRequest, match=message) as refused:
        Client("there:1", **options)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    ["localhost:1", "127.0.0.1:1", "[::1]:1", "unix:/x", "ipv4:127.0.0.1:5", "dns:///localhost:1", "127.1.2.3:1"],
)
def test_addresses_of_this_machine(address):
    assert is_local(address)
    Identity(address, token="t", environment={})


@pytest.mark.parametrize(
    "address", ["there:1", "10.0.0.1:1", "[::2]:1", "localhost.example:1", "dns:///there:1", "dns://localhost/there:1"]
)
def test_addresses_of_others(address):
    assert not is_local(address)
    with pytest.raises(InvalidRequest, match="unencrypted"):
        Identity(address, token="t", environment={})
    for environment in ({"GRADSERVE_CLIENT_TLS": "1"}, {"GRADSERVE_CLIENT_ALLOW_PLAIN_TOKEN": "1"}):
        assert Identity(address, token="t", environment=environment).metadata() == (("authorization", "Bearer t"),)


def test_the_environment_says_what_a_client_is_not_told(address, authority, token, tmp_path):
    file = tmp_path / "token"
    file.write_text(token[0])
    code = (
        "import sys, numpy as np; from gradserve.client import Client\n"
        "with Client(sys.argv[1]) as client: print(client.function(lambda w: np.sum(w * w)).grad(np.ones(2)))"
    )
    told = {"GRADSERVE_CLIENT_CA": str(authority.certificate), "GRADSERVE_CLIENT_TOKEN_FILE": str(file)}
    made = subprocess.run(
        [sys.executable, "-c", code, address], env={**os.environ, **told}, capture_output=True, text=True, timeout=60
    )
    assert (made.stdout, made.returncode) == ("[2. 2.]\n", 0)


def test_commands_bear_tokens(address, authority, token, tmp_path):
    file = tmp_path / "token"
    file.write_text(token[0])
    command = [sys.executable, "-c", "from gradserve.client.cli import main; raise SystemExit(main())", "ping"]
    connection = ["--address", address, "--ca", str(authority.certificate), "--token-file", str(file)]
    assert subprocess.run([*command, *connection], capture_output=True, timeout=60).returncode == 0
