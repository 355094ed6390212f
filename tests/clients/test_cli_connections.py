"""Commands and a service with TLS, and where and on what they run."""

import argparse

import numpy as np
import pytest

from gradserve.client import Client, LimitExceeded
from gradserve.client.cli.arguments import parser
from gradserve.client.importers.files import load_arrays
from gradserve.service.configuration.settings import Settings
from gradserve.service.server import Server
from tests.certificates import self_signed
from tests.clients.bits import same_bits
from tests.clients.command_line import exits

LOCAL = {"import", "serve", "token"}
"""Commands that ask no service."""


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    return self_signed(tmp_path_factory.mktemp("tls"), "service.test")


@pytest.fixture(scope="module")
def secured(tls):
    """The options that reach a service with TLS."""
    server = Server(Settings(address="127.0.0.1:0", metrics_port=None, workers=1, tls=tls)).start()
    yield ["--address", f"127.0.0.1:{server.port}", "--ca", tls.certificate]
    server.stop(0)


def commands():
    (found,) = [action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return found.choices


@pytest.mark.parametrize("name", sorted(set(commands()) - LOCAL))
def test_every_command_that_asks_a_service_can_trust_it(name):
    assert {"--address", "--tls", "--ca", "--server-name"} <= set(commands()[name]._option_string_actions)


@pytest.mark.parametrize("arguments", ["describe", "inspect", "gradient", "verify", "trace --max-probes 8", "hessian"])
def test_commands_ask_by_tls(folder, run, secured, arguments):
    command, *options = arguments.split()
    point = ["point.npz"] if command != "describe" else []
    status, _, err = run(command, "loss.pb", *point, *options, *secured)
    assert (status, err) == (0, "")


def test_a_ping_by_tls_and_by_the_name_in_the_certificate(run, secured):
    assert run("ping", *secured)[0] == 0
    assert run("ping", *secured, "--server-name", "service.test")[0] == 0
    assert run("ping", *secured, "--server-name", "another.test", "--timeout", 1)[0] == 1


def test_a_name_that_is_not_in_the_certificate_is_not_trusted(folder, run, secured):
    gradient = ["gradient", "loss.pb", "point.npz", *secured]
    assert run(*gradient, "--server-name", "service.test")[0] == 0
    assert run(*gradient, "--server-name", "another.test", "--timeout", 1)[0] == 2
    assert run(*gradient[:-2], "--tls", "--timeout", 1)[0] == 2
    assert run(*gradient[:-2], "--timeout", 1)[0] == 2


def test_tls_without_a_service_makes_no_sense(folder, run, tls):
    message = "gradserve: TLS is for a service; give its --address\n"
    assert run("gradient", "loss.pb", "point.npz", "--ca", tls.certificate) == (2, "", message)


def test_a_certificate_that_is_not_there(folder, run, address):
    status, _, err = run("gradient", "loss.pb", "point.npz", "--address", address, "--ca", "no.pem")
    assert (status, err) == (2, "gradserve: no.pem: No such file or directory\n")


# ---- executors


def test_the_executor_can_be_pinned(folder, run, place):
    results = {}
    for executor in ("auto", "numpy", "xla"):
        out = f"{executor}.npz"
        status, _, err = run("gradient", "loss.pb", "point.npz", "--executor", executor, "--out", out, *place)
        assert (status, err) == (0, "")
        results[executor] = load_arrays(folder / out)
    assert same_bits(results["auto"], results["numpy"])
    np.testing.assert_allclose(results["xla"]["gradient:w"], results["numpy"]["gradient:w"], rtol=1e-12)


def test_unknown_executors_and_placements_are_refused_by_name(folder, run, capsys):
    for option, known in (("--executor", "fused"), ("--placement", "front-end")):
        assert exits(run, "gradient", "loss.pb", "point.npz", option, "moon") == 2
        assert f"argument {option}: invalid choice: 'moon' (choose from 'auto', '{known}'" in capsys.readouterr().err


# ---- what is too much


@pytest.mark.parametrize("method", ["grad", "hvp", "hessian"])
def test_a_batch_over_a_limit_is_refused_before_it_is_sent(server, address, method):
    points = np.broadcast_to(np.zeros(64), (50_000_000, 64))  # 24 GiB, of which there are 64 numbers
    with Client(address, timeout=60) as client:
        f = client.function(lambda w: np.sum(np.cos(w)), w=np.zeros(64))
        before, received = server.blobs.held_bytes, written(server)
        vectors = {"tangent": points} if method == "hvp" else {}
        with pytest.raises(LimitExceeded):
            getattr(f, method)(points, batch=True, **vectors)
    assert (server.blobs.held_bytes, written(server)) == (before, received)


def written(server):
    """Bytes of blobs that clients have sent."""
    labels = {"method": "BlobService/WriteBlob"}
    return server.metrics.registry.get_sample_value("gradserve_received_bytes_total", labels) or 0.0


# ---- files of narrow numbers


def test_files_of_narrow_numbers(folder, run, place):
    np.savez("ones.npz", w=np.ones(3, np.int8), b=np.float16(1))
    np.savez("wide.npz", w=np.ones(3), b=1.0)
    for name in ("ones", "wide"):
        hvp = ["hvp", "loss.pb", f"{name}.npz", "--tangents", f"{name}.npz", "--out", f"{name}-hv.npz"]
        assert run(*hvp, *place)[0] == 0
    assert same_bits(load_arrays(folder / "ones-hv.npz"), load_arrays(folder / "wide-hv.npz"))
