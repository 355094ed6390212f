"""Who calls: tokens, certificates, and every method without them."""

import datetime
import hashlib
import logging
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from gradserve import wire
from gradserve.ir.errors import InvalidRequest
from gradserve.service.calls.standard import REFLECTION_V1
from gradserve.service.configuration.identity import Oidc, Tls
from gradserve.service.configuration.settings import Settings
from gradserve.service.identity import certificates
from gradserve.service.identity.authenticator import REFUSED, TELL_SECONDS
from gradserve.service.identity.tokens import digest_of, new_token, read_tokens
from gradserve.service.identity.watched import LOOK_SECONDS
from gradserve.v1 import derivative_service_pb2 as pb
from tests.certificates import Authority
from tests.service.support import Stubs, call_of, read, refusal

NOW = datetime.datetime.now(datetime.UTC)


def until(holds):
    """Waits until something holds, which it must within ten seconds."""
    last = time.monotonic() + 10 * LOOK_SECONDS
    while not holds():
        assert time.monotonic() < last
        time.sleep(0.05)


def bearing(secret):
    return [("authorization", f"Bearer {secret}")]


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    """A file of tokens and the secrets of those in it."""
    file = tmp_path_factory.mktemp("tokens") / "tokens.yaml"
    secrets = {}
    hour = datetime.timedelta(hours=1)
    for name, expires in {"alice": NOW + hour, "bob": None, "late": NOW - hour}.items():
        secrets[name], entry = new_token(name, expires)
        with file.open("a") as end:
            end.write(entry)
    limited, entry = new_token("small", None)
    (fields,) = yaml.safe_load(entry)
    with file.open("a") as end:
        end.write(yaml.safe_dump([{**fields, "limits": {"points": 3, "peak_bytes": "1MiB"}}]))
    return file, {**secrets, "small": limited}


@pytest.fixture(scope="module")
def server(begun, tokens):
    return begun(token_file=tokens[0])


@pytest.fixture(scope="module")
def begun():
    """Starts services that live as long as this module's tests."""
    from gradserve.service.server import Server

    running = []

    def begin(**more):
        given = {"address": "127.0.0.1:0", "metrics_port": 0, "workers": 1, **more}
        running.append(Server(Settings(**given)).start())
        return running[-1]

    yield begin
    for each in running:
        each.stop(0)


@pytest.fixture(scope="module")
def stubs(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Stubs(channel)


def gradient(stubs, **more):
    return stubs.derivatives.Gradient(pb.GradientRequest(call=call_of()), timeout=10, **more)


# ---- tokens


def test_a_token_is_who_calls(stubs, tokens):
    for name in ("alice", "bob"):
        assert wire.decode_tensor(gradient(stubs, metadata=bearing(tokens[1][name])).value) == 14.0


WRONG = {
    "none": [],
    "unknown": bearing("gs_" + "A" * 43),
    "empty": bearing(""),
    "the hash of one": "hash",
    "expired": "late",
    "another scheme": [("authorization", "Basic YWxpY2U6eA==")],
    "two": "two",
    "like a JWT": bearing("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9."),
    "long": bearing("gs_" + "A" * 4000),
}


def metadata_of(wrong, secrets):
    special = {
        "hash": lambda: bearing(digest_of(secrets["alice"])),
        "late": lambda: bearing(secrets["late"]),
        "two": lambda: bearing(secrets["alice"]) + bearing(secrets["bob"]),
    }
    return special[wrong]() if isinstance(wrong, str) else wrong


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_tokens_are_all_told_the_same(stubs, tokens, kind):
    refused = refusal(lambda: gradient(stubs, metadata=metadata_of(WRONG[kind], tokens[1])))
    assert (refused.code, refused.message) == (grpc.StatusCode.UNAUTHENTICATED, REFUSED)
    assert refused.info.reason == "UNAUTHENTICATED"
    assert refused.details == 2  # no more than the reason, and what names the call


def methods_of(channel, metadata=()):
    """Every method that reflection knows, with whether requests and replies are streams."""
    from google.protobuf import descriptor_pb2

    stub = reflection_pb2_grpc.ServerReflectionStub(channel)

    def ask(**question):
        request = reflection_pb2.ServerReflectionRequest(**question)
        (reply,) = stub.ServerReflectionInfo(iter([request]), metadata=metadata, timeout=10)
        return reply

    found = {}
    for service in ask(list_services="").list_services_response.service:
        if service.name == REFLECTION_V1:  # whose descriptor is the other's under another name
            found[f"/{service.name}/ServerReflectionInfo"] = (True, True)
        for data in ask(file_containing_symbol=service.name).file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(data)
            for each in file.service:
                if f"{file.package}.{each.name}" == service.name:
                    for method in each.method:
                        streams = (method.client_streaming, method.server_streaming)
                        found[f"/{service.name}/{method.name}"] = streams
    return found


def ended(channel, method, streams, metadata=()):
    """The code that a call with an empty request ends by."""
    kind = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
        (True, True): channel.stream_stream,
    }[streams]
    try:
        reply = kind(method)(iter([b""]) if streams[0] else b"", timeout=10, metadata=metadata)
        if streams[1]:
            next(iter(reply), None)
            reply.cancel()
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


OPEN = {
    "/grpc.health.v1.Health/Check": grpc.StatusCode.OK,
    "/grpc.health.v1.Health/Watch": grpc.StatusCode.OK,
    "/grpc.health.v1.Health/List": grpc.StatusCode.UNIMPLEMENTED,
}
"""What strangers may ask, and how that ends."""


def test_every_method_asks_who_calls(server, stubs, tokens):
    methods = methods_of(stubs.channel, bearing(tokens[1]["alice"]))
    assert len({method.rpartition("/")[0] for method in methods}) >= 8
    assert len(methods) >= 28
    strange = bearing("gs_" + "B" * 43)
    for method, streams in methods.items():
        found = {ended(stubs.channel, method, streams, metadata) for metadata in ((), strange)}
        assert found == {OPEN.get(method, grpc.StatusCode.UNAUTHENTICATED)}, method


def begun_without_a_request(channel, method, metadata):
    """How a call ends that begins and sends nothing."""
    never = threading.Event()
    requests = (b"" for _ in range(1) if never.wait(20))
    try:
        next(channel.stream_stream(method)(requests, timeout=1, metadata=metadata))
    except grpc.RpcError as error:
        return error.code()
    finally:
        never.set()


def test_strangers_are_turned_away_before_they_have_sent_a_request(stubs, tokens):
    method = "/gradserve.v1.DerivativeService/Gradient"
    for metadata in ((), bearing("gs_x"), bearing(tokens[1]["late"])):
        assert begun_without_a_request(stubs.channel, method, metadata) is grpc.StatusCode.UNAUTHENTICATED
    known = begun_without_a_request(stubs.channel, method, bearing(tokens[1]["bob"]))
    assert known is grpc.StatusCode.DEADLINE_EXCEEDED  # the planted case: his request is waited for


def test_planted_open_method_would_be_seen(start):
    """Without tokens the same calls end otherwise."""
    _, stubs = start()
    codes = {ended(stubs.channel, method, streams) for method, streams in methods_of(stubs.channel).items()}
    assert grpc.StatusCode.UNAUTHENTICATED not in codes


def test_health_may_ask_too(start, tokens):
    _, stubs = start(token_file=tokens[0], open_health=False)
    check = health_pb2_grpc.HealthStub(stubs.channel).Check
    refused = refusal(lambda: check(health_pb2.HealthCheckRequest(), timeout=10))
    assert refused.code is grpc.StatusCode.UNAUTHENTICATED
    assert check(health_pb2.HealthCheckRequest(), timeout=10, metadata=bearing(tokens[1]["bob"])).status == 1


def test_tokens_change_while_the_service_runs(start, tokens, tmp_path, caplog):
    file, (carol, entry) = tmp_path / "tokens.yaml", new_token("carol", None)
    file.write_text("")
    _, stubs = start(token_file=file)

    def code():
        return ended(stubs.channel, "/gradserve.v1.GraphService/GetGraph", (False, False), bearing(carol))

    assert code() is grpc.StatusCode.UNAUTHENTICATED
    file.write_text(entry)
    until(lambda: code() is grpc.StatusCode.INVALID_ARGUMENT)
    file.write_text("- name: carol\n")  # half written: what it said before holds on
    until(lambda: "cannot be read; what it said before holds on" in caplog.text)
    assert code() is grpc.StatusCode.INVALID_ARGUMENT
    file.write_text("[]")
    until(lambda: code() is grpc.StatusCode.UNAUTHENTICATED)


def test_secrets_are_nowhere_but_with_their_owner(stubs, tokens, server, caplog):
    file, secrets = tokens
    caplog.set_level(logging.DEBUG)
    for secret in secrets.values():
        time.sleep(TELL_SECONDS)
        ended(stubs.channel, "/gradserve.v1.GraphService/GetGraph", (False, False), bearing(secret))
    told = caplog.text + file.read_text() + repr(read_tokens(file).find(secrets["alice"])) + repr(server.settings)
    assert [name for name, secret in secrets.items() if secret in told or secret[3:] in told] == []
    assert "the token of late has expired" in caplog.text
    assert digest_of(secrets["alice"]) not in caplog.text + repr(read_tokens(file).find(secrets["alice"]))


@pytest.mark.parametrize("method", ["gradserve.v1.GraphService/GetGraph", f"{REFLECTION_V1}/ServerReflectionInfo"])
def test_a_refused_call_has_the_same_name_in_its_error_and_in_the_log(stubs, caplog, method):
    caplog.set_level(logging.INFO)
    time.sleep(TELL_SECONDS)
    refused = refusal(lambda: list(stubs.channel.stream_stream(f"/{method}")(iter([b""]), timeout=10)))
    (line,) = (record for record in caplog.records if "is refused" in record.getMessage())
    assert refused.request_id
    assert f"request {refused.request_id}" in line.getMessage()
    assert vars(line)["request_id"] == refused.request_id


def test_strangers_do_not_fill_the_log(stubs, caplog):
    caplog.set_level(logging.INFO)
    time.sleep(TELL_SECONDS)
    for _ in range(200):
        ended(stubs.channel, "/gradserve.v1.GraphService/GetGraph", (False, False))
    time.sleep(TELL_SECONDS)
    ended(stubs.channel, "/gradserve.v1.GraphService/GetGraph", (False, False))
    lines = [record.getMessage() for record in caplog.records if "is refused" in record.getMessage()]
    assert 2 <= len(lines) < 100
    counts = [int(word) for line in lines for word in re.findall(r"and (\d+) more", line)]
    assert len(lines) + sum(counts) == 201


def test_callers_have_limits_of_their_own(stubs, tokens):
    points = np.ones((4, 3))
    request = pb.GradientRequest(call=call_of(arguments={"w": points}))
    request.call.batch.inputs.append("w")
    refused = refusal(lambda: stubs.derivatives.Gradient(request, timeout=10, metadata=bearing(tokens[1]["small"])))
    assert (refused.code, refused.limit) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "points")
    reply = stubs.derivatives.Gradient(request, timeout=10, metadata=bearing(tokens[1]["bob"]))
    assert wire.decode_tensor(reply.gradients["w"]).shape == (4, 3)
    # And again, now that another's call has taught the service how it is answered.
    refused = refusal(lambda: stubs.derivatives.Gradient(request, timeout=10, metadata=bearing(tokens[1]["small"])))
    assert refused.limit == "points"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1", "is no list of tokens"),
        ("- name: a", "token 1 has no name and sha256"),
        (f"- {{name: 'a:b', sha256: {'0' * 64}}}", "token 1: a name has up to 64 letters"),
        (f"- {{name: other, sha256: '{'0' * 64}'}}", "token 1: a name has up to 64 letters"),
        ("- {name: a, sha256: gs_secret}", "token 1: sha256 is not 64 hexadecimal digits"),
        (f"- {{name: a, sha256: '{'0' * 64}', expire: 1}}", "'expire' is none of name, sha256, expires, limits"),
        (f"- {{name: a, sha256: '{'0' * 64}', expires: soon}}", "expires is no time such as"),
        (
            f"- {{name: a, sha256: '{'0' * 64}', limits: {{flop: 1}}}}",
            "'flop' is no limit of a caller; the nearest is flops",
        ),
        (f"- {{name: a, sha256: '{'0' * 64}', limits: {{flops: x}}}}", "flops: 'x' is no number"),
        (f"- {{name: a, sha256: '{'0' * 64}', limits: {{flops: '1e400'}}}}", "flops: '1e400' is out of bounds"),
        (
            f"- {{name: a, sha256: '{'0' * 64}'}}\n- {{name: b, sha256: '{'0' * 64}'}}",
            "token 2 has the sha256 of token 1; make a new one",
        ),
        ("{", "is no YAML"),
        ("- " + "9" * 5000, "is no YAML"),
        (
            f"- {{name: a, sha256: '{'0' * 64}', limits: {{flops: [&l0 [1, 1], "
            + ", ".join(f"&l{k + 1} [*l{k}, *l{k}]" for k in range(40))
            + "]}}",
            "flops is no number",
        ),
    ],
)
def test_a_file_of_tokens_that_makes_no_sense(text, told, tmp_path):
    file = tmp_path / "tokens.yaml"
    file.write_text(text)
    with pytest.raises(InvalidRequest, match=told) as refused:
        read_tokens(file)
    assert "secret" not in refused.value.message


def test_command_makes_tokens(tmp_path):
    command = [sys.executable, "-m", "gradserve.service.identity.new", "new", "--name", "dora", "--expires", "30d"]
    made = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    file, secret = tmp_path / "tokens.yaml", made.stderr.splitlines()[-1]
    file.write_text(made.stdout)
    token = read_tokens(file).find(secret)
    assert token is not None
    assert token.caller.name == "dora"
    assert token.holds(NOW + datetime.timedelta(days=29.9))
    assert not token.holds(NOW + datetime.timedelta(days=30.1))
    assert len(secret) >= 43
    assert hashlib.sha256(secret.encode()).hexdigest() in made.stdout
    wrong = subprocess.run([*command[:-1], "eventually"], capture_output=True, text=True, check=False, timeout=60)
    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (2, 1)


@pytest.mark.parametrize("more", [{"token_file": Path("t")}, {"oidc": Oidc("https://issuer", "us")}])
@pytest.mark.parametrize(
    "address", ["0.0.0.0:0", "[::]:0", "host.example:1", "10.1.2.3:1", "ipv4:0.0.0.0:1", "dns:h:1"]
)
def test_tokens_do_not_travel_unencrypted(address, more):
    with pytest.raises(InvalidRequest, match="tokens would travel unencrypted"):
        Settings(address=address, **more)
    assert Settings(address=address, allow_plain_tokens=True, **more)
    assert Settings(address=address, tls=Tls(Path("c"), Path("k")), **more)


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "localhost:1", "unix:/tmp/x", "127.9.9.9:1"])
def test_tokens_may_stay_on_this_machine(address):
    assert Settings(address=address, token_file=Path("t")).is_local


def test_metrics_name_callers(start, tokens):
    file, secrets = tokens
    server, stubs = start(token_file=file, max_caller_labels=1)
    for name in ("bob", "alice", "small", "bob"):
        gradient(stubs, metadata=bearing(secrets[name]))
    ended(stubs.channel, "/gradserve.v1.GraphService/GetGraph", (False, False))
    value = server.metrics.registry.get_sample_value
    server.metrics.catch_up()
    name = "gradserve_caller_calls_total"
    assert value(name, {"caller": "bob", "code": "OK"}) == 2
    assert value(name, {"caller": "other", "code": "OK"}) == 2
    assert value(name, {"caller": "alice", "code": "OK"}) is None
    assert value("gradserve_caller_seconds_total", {"caller": "bob"}) > 0
    assert (
        value("gradserve_calls_total", {"method": "GraphService/GetGraph", "code": "UNAUTHENTICATED", "executor": ""})
        == 1
    )


# ---- certificates


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def mutual(begun, authority):
    own = authority.signed("server")
    return begun(tls=Tls(own.certificate, own.key, client_ca=authority.certificate))


def secure(server, authority, own=None):
    pair = (None, None) if own is None else (own.key.read_bytes(), own.certificate.read_bytes())
    credentials = grpc.ssl_channel_credentials(authority.certificate.read_bytes(), *pair)
    return grpc.secure_channel(f"127.0.0.1:{server.port}", credentials)


def test_a_certificate_is_who_calls(mutual, authority):
    with secure(mutual, authority, authority.signed("carol")) as channel:
        assert wire.decode_tensor(gradient(Stubs(channel)).value) == 14.0
    mutual.metrics.catch_up()
    labels = {"caller": "certificate:carol", "code": "OK"}
    assert mutual.metrics.registry.get_sample_value("gradserve_caller_calls_total", labels) == 1


@pytest.mark.parametrize("kind", ["none", "of another authority", "expired"])
def test_wrong_certificates_do_not_connect(mutual, authority, kind, tmp_path):
    own = {
        "none": lambda: None,
        "of another authority": lambda: Authority(tmp_path).signed("carol"),
        "expired": lambda: authority.signed("carol", until=NOW - datetime.timedelta(hours=1)),
    }[kind]()
    with secure(mutual, authority, own) as channel:
        refused = refusal(lambda: gradient(Stubs(channel)))
        assert refused.code is grpc.StatusCode.UNAVAILABLE  # before any of our code, and any request


def test_token_goes_before_certificate(begun, authority, tokens):
    own = authority.signed("server")
    server = begun(tls=Tls(own.certificate, own.key, client_ca=authority.certificate), token_file=tokens[0])
    with secure(server, authority, authority.signed("carol")) as channel:
        stubs = Stubs(channel)
        gradient(stubs)
        gradient(stubs, metadata=bearing(tokens[1]["alice"]))
        assert refusal(lambda: gradient(stubs, metadata=bearing("gs_no"))).code is grpc.StatusCode.UNAUTHENTICATED
    server.metrics.catch_up()
    value = server.metrics.registry.get_sample_value
    for name in ("alice", "certificate:carol"):
        assert value("gradserve_caller_calls_total", {"caller": name, "code": "OK"}) == 1


def serves(server, authority):
    """Whether the service has a certificate of the authority."""
    with secure(server, authority) as channel:
        method = "/gradserve.v1.GraphService/GetGraph"
        return ended(channel, method, (False, False)) is grpc.StatusCode.INVALID_ARGUMENT


def test_certificates_change_while_the_service_runs(start, authority, tmp_path, caplog):
    own, other = authority.signed("server"), Authority(tmp_path)
    files = Tls(tmp_path / "c.pem", tmp_path / "k.pem")

    def place(pair):
        files.certificate.write_bytes(pair.certificate.read_bytes())
        files.key.write_bytes(pair.key.read_bytes())

    place(own)
    server, _ = start(tls=files)
    with secure(server, authority) as before:
        gradient(Stubs(before))
        shutil.copy(other.signed("server").key, files.key)  # half of the renewal: what was there before holds on
        until(lambda: "are no certificate with its own key" in caplog.text)
        assert serves(server, authority)
        place(other.signed("server"))
        until(lambda: serves(server, other))
        with secure(server, authority) as channel:
            assert refusal(lambda: gradient(Stubs(channel))).code is grpc.StatusCode.UNAVAILABLE
        gradient(Stubs(before))  # a connection that is there goes on


def test_certificates_that_change_while_they_are_looked_at_are_not_taken(authority, tmp_path, monkeypatch):
    one, other = authority.signed("one"), authority.signed("other")
    files = Tls(tmp_path / "c.pem", tmp_path / "k.pem")

    def place(pair):
        files.certificate.write_bytes(pair.certificate.read_bytes())
        files.key.write_bytes(pair.key.read_bytes())

    place(one)
    looks = certificates._require_certificates

    def meanwhile(tls):
        place(other)
        looks(tls)

    monkeypatch.setattr(certificates, "_require_certificates", meanwhile)
    with pytest.raises(InvalidRequest, match="change while they are read"):
        certificates.server_credentials(files)
    assert certificates.server_credentials(files)


def test_errors_are_typed(stubs):
    assert read(refused_call(stubs)).info.domain == "gradserve"


def refused_call(stubs):
    with pytest.raises(grpc.RpcError) as caught:
        gradient(stubs)
    return caught.value
