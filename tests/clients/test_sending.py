"""What travels, and how often: constants, large arguments, large results."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from gradserve.client import Client, LimitExceeded
from tests.clients.bits import same_bits

MEGABYTE = 1 << 17
"""Numbers in double precision that take 1 MiB."""
LIMITED = {"inline_limit": 1 << 20}


@pytest.fixture
def service(start):
    return start(**LIMITED)


@pytest.fixture
def own(service):
    with Client(f"127.0.0.1:{service.port}", share_memory=False) as client:
        yield client


class Traffic:
    """What a service has counted since the last look."""

    def __init__(self, server):
        self._server = server
        self._seen = {}

    def __call__(self, name, method):
        total = sum(
            sample.value
            for family in self._server.metrics.registry.collect()
            for sample in family.samples
            if sample.name == f"gradserve_{name}_total"
            and sample.labels["method"] == method
            and sample.labels.get("code", "OK") == "OK"
        )
        new = total - self._seen.get((name, method), 0)
        self._seen[name, method] = total
        return int(new)


@pytest.fixture
def traffic(service):
    return Traffic(service)


def test_captured_arrays_are_sent_once(own, traffic):
    data = np.random.default_rng(0).standard_normal((MEGABYTE // 4, 4))
    labels = np.arange(float(len(data)))

    def loss(w):
        return np.mean((data @ w - labels) ** 2)

    f, g = own.function(loss), own.function(lambda w: np.sum(data @ w))
    for w in np.eye(4):
        f.grad(w)
        f.hvp(w, tangent=w)
        g.grad(w)
        f.verify(w, directions=2)
        f.explain(w)
    assert traffic("calls", "BlobService/WriteBlob") == 2
    assert traffic("calls", "BlobService/FindMissingBlobs") == 1
    assert data.nbytes + labels.nbytes < traffic("received_bytes", "BlobService/WriteBlob") < 1.001 * 1.25 * data.nbytes
    assert traffic("calls", "GraphService/RegisterGraph") == 2
    assert traffic("received_bytes", "GraphService/RegisterGraph") < 5000
    assert traffic("received_bytes", "DerivativeService/Gradient") < 8 * 300


def test_small_constants_travel_with_their_graph(own, traffic):
    data = np.ones(1000)
    own.function(lambda w: np.sum(data * w)).grad(np.ones(1000))
    assert traffic("calls", "BlobService/WriteBlob") == 0
    assert traffic("received_bytes", "GraphService/RegisterGraph") > data.nbytes


def test_many_small_constants_do_not_make_a_large_message(own, traffic):
    data = [np.full(8000, float(k)) for k in range(300)]  # 19 MB in pieces below the limit of one
    value = own.function(lambda w: sum(np.sum(d * w) for d in data))(1.0)
    assert value == 8000 * sum(range(300))
    assert traffic("received_bytes", "GraphService/RegisterGraph") < 17 << 20
    assert traffic("received_bytes", "BlobService/WriteBlob") > 300 * 64000


def test_large_arguments_are_blobs_sent_once(own, traffic):
    w = np.random.default_rng(1).standard_normal(20 * MEGABYTE)
    f = own.function(lambda w: np.sum(w * w))
    for _ in range(3):
        value, gradient = f.value_and_grad(w)
        assert same_bits(gradient, 2 * w)
        np.testing.assert_allclose(value, w @ w)
    assert traffic("calls", "BlobService/WriteBlob") == 1
    assert w.nbytes < traffic("received_bytes", "BlobService/WriteBlob") < 1.001 * w.nbytes
    assert traffic("received_bytes", "DerivativeService/Gradient") < 2000
    w[0] += 1.0
    assert same_bits(f.grad(w), 2 * w)
    assert traffic("calls", "BlobService/WriteBlob") == 1


def test_arguments_too_large_together_travel_in_part_as_blobs(own, traffic):
    """Each of these would fit into a message, all of them would not."""
    tree = [np.full(14 * MEGABYTE, float(k)) for k in range(6)]
    assert own.function(lambda p: sum(np.sum(x) for x in p))(tree) == 14 * MEGABYTE * 15
    assert traffic("calls", "BlobService/WriteBlob") == 4


def test_large_vectors_and_claims_are_blobs(own, traffic):
    w, v = np.ones(20 * MEGABYTE), np.arange(20.0 * MEGABYTE)
    f = own.function(lambda w: np.sum(w * w))
    assert same_bits(f.hvp(w, tangent=v), 2 * v)
    assert traffic("calls", "BlobService/WriteBlob") == 2


@pytest.mark.parametrize("size", [0.5, 3])
def test_large_results_come_back_as_blobs(own, traffic, size):
    w = np.random.default_rng(2).standard_normal(int(size * MEGABYTE))
    value = own.function(lambda w: {"twice": w + w, "sum": np.sum(w)})(w)
    assert same_bits(value["twice"], 2 * w)
    assert traffic("calls", "BlobService/ReadBlob") == (1 if size > 1 else 0)
    value["twice"][0] = 0.0  # one's own, as ever


def test_a_call_over_a_limit_of_the_transport_is_told(start):
    server = start(max_message_bytes=1 << 20)
    with (
        Client(f"127.0.0.1:{server.port}", share_memory=False) as client,
        pytest.raises(LimitExceeded, match="too large for gRPC") as caught,
    ):
        client.function(lambda w: np.sum(w)).grad(np.ones(2 * MEGABYTE))
    assert caught.value.limit == "message_bytes"


def test_threads_that_begin_together_send_the_data_once(own, traffic):
    data = np.random.default_rng(3).standard_normal(4 * MEGABYTE)
    f = own.function(lambda w: np.sum(data * w), 1.0)
    ready, found = threading.Barrier(8), []

    def ask(k):
        ready.wait()
        found.append((k, f.grad(float(k))))

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({gradient for _, gradient in found}) == 1
    assert traffic("calls", "BlobService/WriteBlob") == 1
    assert traffic("calls", "GraphService/RegisterGraph") == 1


def test_threads_trace_a_function_once(client):
    traced, ready, pause = [], threading.Barrier(8), threading.Event()

    def loss(w):
        traced.append(w.shape)
        pause.wait(0.05)  # for the others to come
        return np.sum(w**2)

    f = client.function(loss)
    results = []

    def ask(k):
        ready.wait()
        for _ in range(20):
            results.append(np.array_equal(f.grad(np.full(3, float(k))), np.full(3, 2.0 * k)))

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 160
    assert traced == [(3,)]
