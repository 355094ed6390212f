"""Settings, the program's options, and TLS."""

import socket
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from gradserve import wire
from gradserve.ir.errors import InvalidRequest
from gradserve.service.__main__ import main, settings_of
from gradserve.service.settings import Settings, Tls
from gradserve.v1 import derivative_service_pb2 as pb
from tests.certificates import self_signed
from tests.service.support import Stubs, call_of, refusal


def test_defaults_serve_this_machine_alone():
    assert settings_of([]) == Settings(ray=True)
    assert Settings().host == "127.0.0.1"


@pytest.mark.parametrize(
    ("address", "host"),
    [("0.0.0.0:1", "0.0.0.0"), ("[::1]:50051", "::1"), ("localhost:0", "localhost"), ("unix:/tmp/x:y", "127.0.0.1")],
)
def test_metrics_are_on_the_same_host(address, host):
    assert Settings(address=address).host == host


def test_threads_are_enough_for_all_that_run_or_wait():
    assert Settings(max_in_flight=10, max_queued=5).handler_threads > 15
    assert Settings(threads=3).handler_threads == 3


def test_what_is_kept_fits_into_the_memory():
    small = Settings().within(1 << 30)
    kept = small.max_in_flight_bytes + small.graph_store_bytes + 2 * small.plan_bytes + small.blob_store_bytes
    assert kept <= 1 << 29
    assert Settings().within(1 << 40) == Settings()


def test_options():
    words = (
        "--address 0.0.0.0:1 --metrics-port -1 --workers 3 --no-ray --ray-address auto --max-in-flight 5 --grace 1.5 "
        "--max-seconds 60 --log-level ERROR --tls-certificate c.pem --tls-key k.pem"
    )
    assert settings_of(words.split()) == Settings(
        address="0.0.0.0:1",
        metrics_port=None,
        workers=3,
        ray=False,
        ray_address="auto",
        max_in_flight=5,
        grace=1.5,
        max_seconds=60.0,
        log_level="ERROR",
        tls=Tls(Path("c.pem"), Path("k.pem")),
    )


@pytest.mark.parametrize(
    "options",
    [
        ["--tls-key", "k.pem"],
        ["--workers", "many"],
        *map(
            str.split,
            ("--address 127.0.0.1:99999", "--address localhost", "--address :1", "--address http://h:1"),
        ),
        *map(str.split, ("--metrics-port 65536", "--max-in-flight 0", "--grace -1", "--max-seconds nan")),
        *map(
            str.split,
            ("--workers 0", "--workers 2 --max-workers 1", "--ray-address auto --ray-join h:1", "--frobnicate"),
        ),
    ],
)
def test_options_that_make_no_sense(options, capsys):
    with pytest.raises(SystemExit) as ended:
        settings_of(options)
    assert ended.value.code == 2
    assert "usage: gradserve serve" in capsys.readouterr().err


def test_a_taken_port_is_named(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--no-ray", "--address", "127.0.0.1:0", "--metrics-port", str(port)]) == 1
        assert f"the metrics page cannot be on 127.0.0.1:{port}: Address already in use" in capsys.readouterr().err
        assert main(["--no-ray", "--address", f"127.0.0.1:{port}", "--metrics-port", "-1"]) == 1
        assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "address", ["127.0.0.1:65536", "localhost", "50051", ":50051", "http://h:1", "h:1/", "", "[::]"]
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InvalidRequest, match="no address to listen on; write host:port"):
        Settings(address=address)


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::1]:65535", "unix:/tmp/x", "unix-abstract:x", "host.local:50051"])
def test_addresses(address):
    assert Settings(address=address).address == address


def test_certificate_that_cannot_be_read(capsys):
    missing = ["--tls-certificate", "/nowhere/c.pem", "--tls-key", "/nowhere/k.pem"]
    assert main(["--no-ray", "--address", "127.0.0.1:0", "--metrics-port", "-1", *missing]) == 1
    assert "/nowhere/" in capsys.readouterr().err


def test_help_names_every_option():
    command = [sys.executable, "-m", "gradserve.service", "--help"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    for option in ("--address", "--metrics-port", "--workers", "--no-ray", "--grace", "--tls-key"):
        assert option in text
    assert "(default: None)" not in text
    assert "(default: 127.0.0.1:50051)" in " ".join(text.split())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return self_signed(tmp_path_factory.mktemp("tls"))


def test_tls(start, certificate):
    server, plain = start(tls=certificate)
    request = pb.GradientRequest(call=call_of())
    trusted = grpc.ssl_channel_credentials(certificate.certificate.read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{server.port}", trusted) as channel:
        reply = Stubs(channel).derivatives.Gradient(request, timeout=10)
        assert wire.decode_tensor(reply.value) == 14.0
    assert refusal(lambda: plain.derivatives.Gradient(request, timeout=10)).code is grpc.StatusCode.UNAVAILABLE
    with grpc.secure_channel(f"127.0.0.1:{server.port}", grpc.ssl_channel_credentials()) as channel:
        refused = refusal(lambda: Stubs(channel).derivatives.Gradient(request, timeout=10))
        assert refused.code is grpc.StatusCode.UNAVAILABLE
