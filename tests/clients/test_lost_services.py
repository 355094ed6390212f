"""Services that forget, restart or are not there."""

from __future__ import annotations

import socket
import time

import numpy as np
import pytest

from gradserve.client import Client, DeadlineExceeded, InvalidRequest, Unavailable
from gradserve.client.transport import session
from gradserve.service.storage.store import BlobStore, GraphStore
from tests.clients.bits import same_bits
from tests.clients.examples import DATA, PAIR, much_data


def empty(server):
    """Lets a running service forget all graphs and blobs."""
    settings = server.settings
    GraphStore.__init__(server.graphs, settings.graph_store_bytes, settings.graph_store_count)
    BlobStore.__init__(server.blobs, settings.blob_store_bytes, settings.max_blob_bytes)


@pytest.fixture
def service(start):
    return start()


@pytest.fixture
def own(service):
    with Client(f"127.0.0.1:{service.port}", timeout=20, share_memory=False) as client:
        yield client


# ---- a service that forgets


@pytest.mark.parametrize("method", ["grad", "verify", "hessian_trace", "explain"])
def test_a_forgetful_service_is_told_again(own, service, method):
    f = own.function(much_data)
    ask = {
        "grad": lambda: f.grad(PAIR),
        "verify": lambda: f.verify(PAIR, directions=2, seed=1),
        "hessian_trace": lambda: f.hessian_trace(PAIR, max_probes=4).value,
        "explain": lambda: f.explain(PAIR).flops,
    }[method]
    first = ask()
    empty(service)
    assert same_bits(ask(), first)


def test_a_forgetful_service_is_told_again_for_a_stream(own, service):
    f = own.function(much_data)
    first = f.value_and_grad(PAIR)
    empty(service)
    assert same_bits(list(f.stream_gradient(iter([PAIR, PAIR]))), [first, first])


def test_large_arguments_are_sent_again(own, service):
    w = np.ones(3 << 20)
    f = own.function(lambda w: np.sum(w * w))
    assert f(w) == 3 << 20
    empty(service)
    assert f(w) == 3 << 20


def test_a_result_forgotten_before_it_was_read_is_computed_again(start, monkeypatch):
    service = start(inline_limit=1000)
    real = service.blobs.read
    lost: list[str] = []

    def read(digest):
        if not lost:
            lost.append(digest)
            empty(service)
        return real(digest)

    monkeypatch.setattr(service.blobs, "read", read)
    with Client(f"127.0.0.1:{service.port}", share_memory=False) as client:
        assert same_bits(client.function(lambda w: 2 * w)(DATA), 2 * DATA)
    assert lost


def test_a_write_that_breaks_off_goes_on_where_it_was(own, service, monkeypatch):
    real = service.blobs.append
    failed: list[int] = []

    def append(digest, offset, data, caller):
        if offset > 5 << 20 and not failed:
            failed.append(offset)
            raise Unavailable("just now")
        return real(digest, offset, data, caller)

    monkeypatch.setattr(service.blobs, "append", append)
    w = np.random.default_rng(1).standard_normal(20 << 17)
    assert own.function(lambda w: np.sum(w))(w) == pytest.approx(w.sum())
    assert failed
    total = service.metrics.registry.get_sample_value(
        "gradserve_received_bytes_total", {"method": "BlobService/WriteBlob"}
    )
    assert total < w.nbytes + (3 << 20)


def test_a_read_that_breaks_off_goes_on_where_it_was(start, monkeypatch):
    service = start(inline_limit=1000)
    read = service.blobs.read
    broken: list[int] = []

    class Torn(bytes):
        def __getitem__(self, key):
            if isinstance(key, slice) and key.start >= 2 << 20 and not broken:
                broken.append(key.start)
                raise Unavailable("just now")
            return bytes.__getitem__(self, key)

    monkeypatch.setattr(service.blobs, "read", lambda digest: Torn(read(digest)))
    with Client(f"127.0.0.1:{service.port}", share_memory=False) as client:
        w = np.random.default_rng(1).standard_normal(5 << 17)
        assert same_bits(client.function(lambda w: 2 * w)(w), 2 * w)
    assert broken


# ---- a service that restarts


def test_another_service_at_the_same_place_is_told_everything(start):
    first = start()
    with Client(f"127.0.0.1:{first.port}", timeout=20) as client:
        f = client.function(much_data)
        expected = f.grad(PAIR)
        assert first.stop(5)
        f.timeout = 0.5
        with pytest.raises(Unavailable, match="no gradserve service answers"):
            f.grad(PAIR)
        f.timeout = 20
        start(address=f"127.0.0.1:{first.port}")
        assert same_bits(f.grad(PAIR), expected)


def test_a_stream_goes_on_with_the_service_that_comes_back(start):
    """The one that comes back knows neither graph nor data; the caller sees every estimate once."""
    services, seen = [start()], []
    address = f"127.0.0.1:{services[0].port}"

    def progress(estimate):
        seen.append(estimate.probes)
        if len(seen) == 5:
            services[0].stop(0)
            services.append(start(address=address))

    data = DATA[:20_000]
    with Client(address, timeout=60) as client:
        f = client.function(lambda w: np.sum(np.tanh(data * w[0] + w[1]) ** 2))
        expected = f.hessian_trace(PAIR, max_probes=2048, estimator="hutchinson", seed=2)
        found = f.hessian_trace(PAIR, max_probes=2048, estimator="hutchinson", seed=2, progress=progress)
    assert (found.value, found.interval, found.probes) == (expected.value, expected.interval, expected.probes)
    assert seen == sorted(set(seen))
    assert len(services[1].graphs)


def test_a_stream_without_its_service_ends(start, monkeypatch):
    monkeypatch.setattr(session, "ENDLESS_SECONDS", 0.5)
    service = start()
    with (
        Client(f"127.0.0.1:{service.port}", timeout=None) as client,
        pytest.raises(Unavailable, match="no gradserve service answers"),
    ):
        client.function(much_data).hessian_trace(
            PAIR, max_probes=100_000, estimator="hutchinson", progress=lambda _: service.stop(0)
        )


# ---- no service at all


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_no_service_is_told_soon_and_clearly():
    address = f"127.0.0.1:{free_port()}"
    with Client(address) as client:
        started = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            client.function(much_data).grad(PAIR)
        assert time.monotonic() - started < 10
    assert str(caught.value) == (
        f"no gradserve service answers at {address} (Connection refused); is it running there? "
        "`gradserve serve` starts one"
    )


def test_a_name_that_does_not_resolve():
    with Client("nowhere.invalid:50051") as client, pytest.raises(Unavailable, match=r"nowhere\.invalid:50051 \("):
        client.function(much_data).grad(PAIR)


def test_something_else_that_listens(start):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with Client(address, timeout=1.0) as client, pytest.raises((DeadlineExceeded, Unavailable)):
            client.function(much_data).grad(PAIR)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost",
        "http://localhost:50051",
        "localhost:50051/",
        "localhost:port",
        "localhost:99999",
        ":50051",
        "a b",
    ],
)
def test_what_is_no_address_is_refused_at_once(address):
    with pytest.raises(InvalidRequest, match="write host:port, such as localhost:50051"):
        Client(address)


@pytest.mark.parametrize(
    "address", ["localhost:1", "[::1]:50051", "dns:///host:50051", "unix:/tmp/x", "10.0.0.1:50051"]
)
def test_addresses(address):
    Client(address).close()
