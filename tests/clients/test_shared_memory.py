"""Large arrays that client and service share instead of sending them: the same answers, and nobody else's memory."""

import gc
import os
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_status import rpc_status

from gradserve import wire
from gradserve.client import Client, DeadlineExceeded, InvalidRequest
from gradserve.client.transport.memory import KEPT, Memories
from gradserve.ir.errors import MemoryNotShared
from gradserve.ops import OP_SET
from gradserve.questions import call, derivations, derivatives
from gradserve.questions.memory import SharedMemory
from gradserve.runtime.shared import PAGE, Segment
from gradserve.service.storage import content
from gradserve.text.parsing import parse
from gradserve.v1 import derivative_service_pb2
from gradserve.wire.errors import decode_error
from tests.clients.bits import same_bits
from tests.service.support import Stubs

LENGTH = wire.SHARED_BYTES // 8 + 13
GRAPH = parse('graph (%0 "w": f64[n]) {\n  %1: f64[n] = mul %0, %0\n  return "y" %1\n}', OP_SET)
RNG = np.random.default_rng(3)
W, V = RNG.standard_normal(LENGTH), RNG.standard_normal(LENGTH)


def loss(w):
    return np.mean(np.sin(w) * np.arange(float(LENGTH)) ** 0.5)


def inline(address):
    return Client(address, share_memory=False)


def memories_of(client: Any) -> Memories:
    found: Memories = client._backend._memories
    return found


def sent(server, method):
    """Bytes of requests that a method has got."""
    labels = {"method": f"DerivativeService/{method}"}
    return server.metrics.registry.get_sample_value("gradserve_received_bytes_total", labels) or 0.0


QUESTIONS = {
    "value_and_grad": lambda f: f.value_and_grad(W),
    "value": lambda f: f(W),
    "hvp": lambda f: f.hvp(W, tangent=V),
    "jvp": lambda f: f.jvp(W, tangent=V),
    "a batch": lambda f: f.value_and_grad(np.stack([W, V, W + V]), batch=True),
    "columns first": lambda f: f.grad(np.asfortranarray(np.stack([W, V])), batch=True),
    "an explanation": lambda f: f.explain(W).flops,
}


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
def test_answers_are_the_same_bits(address, embedded, ask):
    with Client(address) as sharing, inline(address) as sending:
        functions = [client.function(loss, w=W) for client in (sharing, sending, embedded)]
        for _ in range(3):  # calls like ones before take other ways
            there, also, here = map(ask, functions)
            assert same_bits(there, here)
            assert same_bits(also, here)


def test_what_is_shared_is_not_sent(server, address):
    for client, least, most in ((Client(address), 0, 2000), (inline(address), W.nbytes, 2 * W.nbytes)):
        with client:
            f = client.function(loss, w=W)
            f.grad(W)
            before = sent(server, "Gradient")
            f.grad(W)
            assert least <= sent(server, "Gradient") - before <= most


def test_small_arrays_and_those_that_code_goes_by_are_sent(address, embedded):
    def picked(w, k, s):
        return np.sum(w[k] * s)

    k = RNG.integers(0, LENGTH, LENGTH)
    with Client(address) as client:
        there, here = (c.function(picked).grad(W, k, 2.0) for c in (client, embedded))
        assert same_bits(there, here)
    assert wire.may_share(W)
    assert not wire.may_share(k)
    assert not wire.may_share(W[:100])


def test_float32_is_shared_as_it_is(address, embedded):
    w = W.astype(np.float32).repeat(2)
    found = [c.function(lambda w: np.sum(w * w)).grad(w) for c in (Client(address), embedded)]
    assert found[0].dtype == np.float32
    assert same_bits(*found)


def test_answers_are_the_callers_own(address):
    with Client(address) as client:
        f = client.function(loss, w=W)
        first = f.grad(W)
        kept = first.copy()
        second = f.grad(V)
        assert same_bits(first, kept)
        assert not np.shares_memory(first, second)
        first[:] = 0.0
        assert same_bits(f.grad(V), second)


def test_a_service_that_cannot_open_the_memory_is_sent_all(address, embedded, monkeypatch):
    expected = embedded.function(loss, w=W).grad(W)
    with Client(address) as client:
        f = client.function(loss, w=W)
        assert same_bits(f.grad(W), expected)
        assert memories_of(client).shared
        monkeypatch.setattr(content, "opened", lambda name: None)  # as after a restart as another user
        assert same_bits(f.grad(W), expected)
        assert not memories_of(client).shared


@pytest.mark.parametrize(
    "where", ["10.0.0.1:50051", "grads.example.org:443", "dns:///localhost:1", "127.evil.org:1", ""]
)
def test_nothing_is_offered_to_who_is_elsewhere(where):
    with Memories(where).offer() as name:
        assert name is None


@pytest.mark.parametrize("where", ["localhost:1", "127.0.0.1:50051", "[::1]:1", "unix:/run/grads.sock"])
def test_memory_is_offered_to_who_is_here(where):
    memories = Memories(where)
    with memories.offer() as name:
        assert isinstance(name, SharedMemory)
    assert memories.size_of(question_of(W)) == 0  # nobody has said that it can be opened


def question_of(w):
    return derivatives.Differentiate(call.Call(GRAPH, {"w": w}), derivations.Gradient(("w",)))


@pytest.fixture
def memories():
    found = Memories("localhost:1")
    found.shared = True
    yield found
    found.close()


def test_the_memory_of_an_answered_call_is_used_again(memories):
    segments = []
    for _ in range(3):
        with memories.lease(question_of(W)) as lease:
            segments.append(lease.segment)
    assert segments[0] is segments[1] is segments[2]
    with memories.lease(question_of(W)) as one, memories.lease(question_of(W)) as other:
        assert one.segment is not other.segment


def test_that_of_a_call_without_an_answer_is_not(memories):
    with pytest.raises(DeadlineExceeded), memories.lease(question_of(W)) as lease:
        raise DeadlineExceeded("late")
    with memories.lease(question_of(W)) as another:
        assert another.segment is not lease.segment
    assert len(memories._free) == 1


def test_memory_is_not_shared_with_the_child_of_a_fork(memories, monkeypatch):
    with memories.lease(question_of(W)) as lease:
        pass
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with memories.lease(question_of(W)) as another:
        assert another.segment is not lease.segment


def test_few_segments_wait(memories):
    questions = [question_of(np.repeat(W, 2 << k)) for k in range(KEPT + 3)]
    for question in questions:
        with memories.lease(question):
            pass
    assert len(memories._free) == KEPT


def is_open(descriptor):
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_nothing_stays_of_a_client_that_is_closed(address):
    def held():
        gc.collect()
        files = [os.fstat(each).st_nlink == 0 for each in range(1000) if is_open(each)]
        return sum(files), Path("/proc/self/maps").read_text().count("/memfd:gradserve")

    before = held()
    with Client(address) as client:
        f = client.function(loss, w=W)
        for _ in range(3):
            f.value_and_grad(W)
        assert held() > before
    assert held() == before


# ---- requests of others


@pytest.fixture
def stubs(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Stubs(channel)


@pytest.fixture
def request_of(address):
    """A request for the gradient at numbers that lie at an offset of a segment."""
    with Client(address) as client:
        f = client.function(loss, w=W)
        f.grad(W)
    segment = Segment(4 * W.nbytes)
    segment.at(PAGE, W.nbytes)[:] = W.data.cast("B")

    def make(offset=PAGE, type_=5, **name):
        request = derivative_service_pb2.GradientRequest()
        request.call.graph.digest = f.graph.digest
        tensor = request.call.arguments["w"]
        tensor.element_type, tensor.shape[:], tensor.shared = type_, [LENGTH], offset
        given = segment.name(PAGE * (1 + -(-W.nbytes // PAGE)))
        wire.write_memory(request.call.memory, given)
        for field, value in name.items():
            setattr(request.call.memory, field, value)
        return request

    yield make
    segment.close()


def error_of(method, request):
    with pytest.raises(grpc.RpcError) as caught:
        method(request)
    refused: Any = caught.value
    return decode_error(rpc_status.from_call(refused))


def test_a_request_by_hand(stubs, request_of, embedded):
    reply = stubs.derivatives.Gradient(request_of())
    assert reply.gradients["w"].WhichOneof("payload") == "shared"
    reply = stubs.derivatives.Gradient(request_of(room=0))  # nowhere to write to
    found = np.frombuffer(reply.gradients["w"].inline)
    assert same_bits(found, embedded.function(loss, w=W).grad(W))


def test_a_client_cannot_have_memory_made_that_it_has_not_itself(stubs, request_of):
    """A segment of a tebibyte costs nothing until it is looked at: services made it, and went with the machine's."""
    segment = Segment(1 << 40)
    request = request_of()
    wire.write_memory(request.call.memory, segment.name())
    request.call.arguments["w"].shape[:] = [1 << 36]
    error = error_of(stubs.derivatives.Gradient, request)
    assert isinstance(error, InvalidRequest)
    assert "send them inline" in str(error)
    assert os.fstat(segment.name().descriptor).st_blocks <= PAGE // 512
    segment.close()


@pytest.mark.parametrize("name", [{"secret": b"\0" * 32}, {"secret": b""}, {"process": 1}, {"descriptor": 0}])
def test_memory_that_is_not_the_callers_is_refused(stubs, request_of, name):
    error = error_of(stubs.derivatives.Gradient, request_of(**name))
    assert isinstance(error, MemoryNotShared)
    assert "send arrays inline" in error.message


@pytest.mark.parametrize(
    ("offset", "type_"), [(0, 5), (64, 5), (PAGE + 8, 5), (1 << 40, 5), (1 << 63, 5), (PAGE, 3), (PAGE, 1)]
)
def test_places_that_are_not_there_and_numbers_that_code_goes_by_are_refused(stubs, request_of, offset, type_):
    error = error_of(stubs.derivatives.Gradient, request_of(offset, type_))
    assert isinstance(error, InvalidRequest)
    assert 'arguments["w"].shared' in str(error)


def test_a_call_that_shares_no_memory_has_no_places_in_it(stubs, request_of):
    request = request_of()
    request.call.ClearField("memory")
    error = error_of(stubs.derivatives.Gradient, request)
    assert "in memory that the call shares; send them inline" in str(error)
