"""Services that answer what was not asked, or something on the way to them that changes what they say."""

from __future__ import annotations

import concurrent.futures
import itertools
import time

import grpc
import numpy as np
import pytest

from gradserve.client import Client, DeadlineExceeded, GradserveError, InvalidReply, Unavailable
from gradserve.v1 import tensor_pb2
from gradserve.wire.methods import reply_class
from tests.clients.bits import same_bits

W = np.array([1.0, -2.0, 3.0])
LARGE = np.arange(3.0e6)
POINTS = np.array([[1.0, -2.0, 3.0], [0.5, 1.0, 2.0], [2.0, 2.0, 1.0]])


def loss(w, b):
    return np.sum(w**3) * b


class Between(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs alone
    """Hands calls on to a service, and changes replies of one method."""

    port: int

    def __init__(self, address):
        self._channel = grpc.insecure_channel(address, [("grpc.max_receive_message_length", -1)])
        self.method, self.changes = "", lambda replies: replies

    def service(self, details):
        name = details.method.rpartition("/")[2]

        def handle(requests, context):
            replies = self._channel.stream_stream(details.method, None, None)(requests, timeout=20)
            if name != self.method:
                yield from replies
                return
            kind = reply_class(name)
            for reply in self.changes(kind.FromString(data) for data in replies):
                yield reply if isinstance(reply, bytes) else reply.SerializeToString()

        return grpc.stream_stream_rpc_method_handler(handle)

    def each(self, method, change):
        """Changes every reply of a method by a function that may return another, or None for the one it was given."""
        self.method = method
        self.changes = lambda replies: (change(reply) or reply for reply in replies)


@pytest.fixture
def between(address):
    handler = Between(address)
    threads = concurrent.futures.ThreadPoolExecutor(8)
    server = grpc.server(threads, handlers=[handler], options=[("grpc.max_receive_message_length", -1)])
    handler.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield handler
    server.stop(0)
    threads.shutdown()


@pytest.fixture
def wronged(between):
    with Client(f"127.0.0.1:{between.port}", timeout=10, share_memory=False) as client:
        yield client


def reshaped(tensor, *shape):
    array = np.zeros(shape)
    tensor.shape[:] = shape
    tensor.inline = array.tobytes()


def retyped(tensor):
    tensor.element_type = tensor_pb2.ELEMENT_TYPE_INT64


ASKED = {
    "value": ("Evaluate", lambda f: f(W, 2.0)),
    "grad": ("Gradient", lambda f: f.grad(W, 2.0)),
    "value_and_grad": ("Gradient", lambda f: f.value_and_grad(W, 2.0)),
    "batch": ("Gradient", lambda f: f.grad(np.ones((4, 3)), np.ones(4), batch=True)),
    "mean": ("Gradient", lambda f: f.grad(np.ones((4, 3)), np.ones(4), batch=True, reduction="mean")),
    "jvp": ("Jvp", lambda f: f.jvp(W, 2.0, tangent={"w": W, "b": 1.0})),
    "vjp": ("Vjp", lambda f: f.vjp(W, 2.0, cotangent=1.0)),
    "hvp": ("Hvp", lambda f: f.hvp(W, 2.0, tangent={"w": W, "b": 1.0})),
    "jacobian": ("Jacobian", lambda f: f.jacobian(W, 2.0)),
    "hessian": ("Hessian", lambda f: f.hessian(W, 2.0)),
    "taylor": ("TaylorModel", lambda f: f.taylor(W, 2.0)),
    "inspect": ("Inspect", lambda f: str(f.inspect(W, 2.0))),
    "stream": ("StreamGradient", lambda f: [*f.stream_gradient([(W, 2.0), (W, 3.0)])]),
    "trace": ("EstimateTrace", lambda f: f.hessian_trace(W, 2.0, max_probes=4)),
    "diagonal": ("EstimateDiagonal", lambda f: f.hessian_diagonal(W, 2.0, max_probes=4)),
    "solve": ("SolveHessian", lambda f: f.hessian_solve(W, 2.0, right={"w": W, "b": 1.0}, damping=30.0)),
    "eigenpairs": ("TopEigenpairs", lambda f: f.hessian_eigenpairs(W, 2.0)),
}

FAULTS = {
    "a value is missing": ("value", lambda r: r.outputs.clear(), r'outputs\["result"\]: A1: .*missing'),
    "a gradient is missing": ("grad", lambda r: r.gradients.pop("w"), r'gradients\["w"\]: A1: .*missing'),
    "the loss is missing": ("value_and_grad", lambda r: r.ClearField("value"), r'value\["result"\]: A1'),
    "a gradient of more axes": ("grad", lambda r: reshaped(r.gradients["w"], 3, 3), r'gradients\["w"\]: A2: .*axes'),
    "a gradient that is longer": ("grad", lambda r: reshaped(r.gradients["w"], 4), r'gradients\["w"\]: A2: .*length 4'),
    "a gradient of integers": ("grad", lambda r: retyped(r.gradients["w"]), r"int64 came, and float64 was asked for"),
    "bytes that do not fit": ("grad", lambda r: r.gradients["w"].shape.append(7), r'gradients\["w"\].inline: G11'),
    "a shape beyond memory": ("grad", lambda r: r.gradients["w"].shape.extend([1 << 40]), r'gradients\["w"\].*bytes'),
    "an unknown type": ("grad", lambda r: setattr(r.gradients["w"], "element_type", 99), r"element_type"),
    "points are missing": ("batch", lambda r: reshaped(r.gradients["w"], 3, 3), r'gradients\["w"\]: A2'),
    "points where there is a mean": ("mean", lambda r: reshaped(r.gradients["w"], 4, 3), r'gradients\["w"\]: A2'),
    "a tangent is missing": ("jvp", lambda r: r.tangents.clear(), r'tangents\["result"\]: A1'),
    "a pullback is missing": ("vjp", lambda r: r.cotangents.pop("b"), r'cotangents\["b"\]: A1'),
    "a product is missing": ("hvp", lambda r: r.products.pop("b"), r'products\["b"\]: A1'),
    "a row is missing": ("jacobian", lambda r: r.blocks.pop(0) and None, r'blocks\["result"\]\["w"\]: A1'),
    "a block of another shape": ("hessian", lambda r: reshaped(r.blocks[0].tensor, 9), r'blocks\["w"\]\["w"\]: A2'),
    "no coefficients": ("taylor", lambda r: r.coefficients.clear(), r'coefficients\["result"\]\[0\]: A1'),
    "too few coefficients": (
        "taylor",
        lambda r: r.coefficients["result"].powers.pop() and None,
        r'coefficients\["result"\]\[2\]: A1',
    ),
    "values out of order": ("inspect", lambda r: setattr(r.values[0], "number", 99), r"values\[1\]: A2"),
    "an operand to come": ("inspect", lambda r: r.values[-1].operands.append(10**6), r"values\[\d+\]: A2"),
    "a gradient of a stream": ("stream", lambda r: r.gradients.pop("b"), r'gradients\["b"\]: A1'),
    "a loss of a stream": ("stream", lambda r: reshaped(r.value, 3), r'value\["result"\]: A2'),
    "points of a stream": ("stream", lambda r: setattr(r, "points", 1 << 30), r"points 0 to 1073741824"),
    "no points": ("stream", lambda r: setattr(r, "points", 0), r"points 0 to 0 of block 1"),
    "another block": ("stream", lambda r: setattr(r, "id", 7), r"block 7 are answered, where block 1"),
    "rubbish in a stream": ("stream", lambda _: b"\xff\xff\xff", r"no reply of a stream"),
    "a diagonal": ("diagonal", lambda r: r.values.pop("w"), r'values\["w"\]: A1'),
    "a part": ("trace", lambda r: r.parts.pop("b"), r'parts\["b"\]: A1'),
    "a solution": ("solve", lambda r: reshaped(r.solution["w"], 2), r'solution\["w"\]: A2'),
    "eigenvectors": ("eigenpairs", lambda r: r.vectors.clear(), r'vectors\["w"\]: A1'),
    "nothing": ("grad", lambda r: type(r)(), r'value\["result"\]: A1'),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_was_not_asked_for_is_no_answer(between, wronged, fault):
    asked, change, told = FAULTS[fault]
    method, ask = ASKED[asked]
    f = wronged.function(loss, w=W, b=1.0)
    right = ask(f)
    for known in (False, True):  # calls like ones before take other ways
        between.each(method, lambda reply: _changed(change, reply))
        with pytest.raises(InvalidReply, match=told):
            ask(f)
        between.each("", lambda reply: reply)
        assert known or str(ask(f)) == str(right) or same_bits(ask(f), right)


def _changed(change, reply):
    found = change(reply)
    return found if isinstance(found, bytes | type(reply)) else reply


@pytest.mark.parametrize("asked", ASKED)
def test_answers_to_what_was_asked_are_taken(between, wronged, asked):
    """The planted fault of the law above: that nothing is changed on the way."""
    method, ask = ASKED[asked]
    f = wronged.function(loss, w=W, b=1.0)
    between.each(method, lambda reply: reply)
    ask(f)


@pytest.mark.parametrize("asked", ASKED)
def test_an_answer_with_nothing_in_it_is_none(between, wronged, asked):
    """Of a message every field has a default, and an estimate of 0 in an interval of no width looks like one."""
    method, ask = ASKED[asked]
    f = wronged.function(loss, w=W, b=1.0)
    f.hessian_trace(W, 2.0, max_probes=2)
    between.each(method, lambda reply: type(reply)())
    with pytest.raises(GradserveError):
        ask(f)


@pytest.mark.parametrize("asked", ["value", "grad"])
def test_no_answer_at_all(between, wronged, asked):
    method, ask = ASKED[asked]
    f = wronged.function(loss, w=W, b=1.0)
    ask(f)
    between.method, between.changes = method, lambda replies: iter(())
    with pytest.raises(InvalidReply, match="has not answered"):
        ask(f)


BLOBS = {
    "other bytes": (lambda r: setattr(r, "data", bytes(len(r.data))), "not those of"),
    "another place": (lambda r: setattr(r, "offset", r.offset + 1), "come at"),
    "more than all": (lambda r: setattr(r, "size", 5), "bytes of 5 come at 0"),
    "nothing of something": (lambda r: r.ClearField("data"), "0 bytes of"),
}


@pytest.mark.parametrize("fault", BLOBS)
def test_blobs_are_those_that_are_named(between, wronged, fault):
    change, told = BLOBS[fault]
    f = wronged.function(lambda w: w * 2.0)
    between.each("ReadBlob", lambda reply: _changed(change, reply))
    with pytest.raises(InvalidReply, match=told):
        f(np.arange(5.0e6))


def test_a_service_that_lacks_what_nobody_has(between, wronged):
    f = wronged.function(lambda w: np.sum(w * w))

    def lacks(reply):
        reply.missing.add(digest="0" * 64)

    between.each("FindMissingBlobs", lacks)
    with pytest.raises(InvalidReply, match="was not asked about"):
        f(LARGE)


def test_streams_without_an_end_end_at_the_deadline(between, wronged):
    f = wronged.function(loss, w=W, b=1.0)
    f.hessian_trace(W, 2.0, max_probes=4)
    f.timeout = 0.5
    between.method = "EstimateTrace"
    between.changes = lambda replies: _paced(itertools.cycle([*replies][:1]))
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        f.hessian_trace(W, 2.0, max_probes=4)
    assert time.monotonic() - began < 3.0


def _paced(replies):
    for reply in replies:
        time.sleep(0.01)
        yield reply


BETTERED = {
    "trace": ("EstimateTrace", lambda f: f.hessian_trace(W, 2.0, max_probes=64, estimator="hutchinson")),
    "trace at points": ("EstimateTrace", lambda f: f.hessian_trace(POINTS, np.ones(3), batch=True, max_probes=64)),
    "diagonal": ("EstimateDiagonal", lambda f: f.hessian_diagonal(W, 2.0, max_probes=64)),
    "gradient": ("EstimateGradient", lambda f: f.zero_order_gradient(W, 2.0, max_probes=64)),
    "spectrum": ("EstimateSpectrum", lambda f: f.hessian_spectrum(W, 2.0, probes=4, gradient=True, damping=30.0)),
    "spectra": (
        "EstimateSpectrum",
        lambda f: f.hessian_spectrum(POINTS, np.ones(3), batch=True, groups={"w": "w", "b": "b"}, probes=2),
    ),
    "eigenpairs": ("TopEigenpairs", lambda f: f.hessian_eigenpairs(W, 2.0)),
    "pairs of groups": ("TopEigenpairs", lambda f: f.hessian_eigenpairs(W, 2.0, groups={"b": "b", "w": "w"}, count=1)),
    "solve": ("SolveHessian", lambda f: f.hessian_solve(W, 2.0, right={"w": W, "b": 1.0}, damping=30.0)),
    "verify": ("VerifyGradient", lambda f: f.verify(W, 2.0)),
    "symmetry": ("VerifySymmetry", lambda f: f.verify_symmetry(W, 2.0)),
}
"""Questions whose answer becomes better until it is the last."""


class Cut:
    """Ends streams as if all were well, after so many replies each; the last of the numbers holds for all others."""

    def __init__(self, *most):
        self.most, self.begun, self.longest = most, 0, 0

    def __call__(self, replies):
        most = self.most[min(self.begun, len(self.most) - 1)]
        self.begun += 1
        found = [*replies]
        self.longest = max(self.longest, len(found))
        return iter(found if most is None else found[:most])


@pytest.mark.parametrize("asked", BETTERED)
def test_a_stream_that_ends_before_its_last_answer_is_gone_on_with(between, wronged, asked):
    method, ask = BETTERED[asked]
    f = wronged.function(loss, w=W, b=1.0)
    between.method, between.changes = method, (whole := Cut(None))
    right = ask(f)
    cuts = sorted({0, 1, whole.longest - 1} - {whole.longest})
    for most in cuts:
        between.changes = cut = Cut(most, None)
        found = ask(f)
        assert cut.begun == 2
        assert _said(found) == _said(right)


def _said(found):
    """What answers say, without what they cost."""
    if isinstance(found, dict):
        return {name: _said(each) for name, each in found.items()}
    if isinstance(found, list):
        return [_said(each) for each in found]
    return str(found)


@pytest.mark.parametrize("asked", BETTERED)
def test_a_stream_that_never_comes_to_its_last_answer_is_no_answer(between, wronged, asked):
    method, ask = BETTERED[asked]
    f = wronged.function(loss, w=W, b=1.0)
    f.timeout = 1.0
    between.method, between.changes = method, Cut(0)
    with pytest.raises((Unavailable, DeadlineExceeded), match=r"before its last answer|no answer within|deadline"):
        ask(f)


def test_a_blob_that_ends_before_its_end_is_gone_on_with(between, wronged):
    f = wronged.function(lambda w: w * 2.0)
    between.method, between.changes = "ReadBlob", (cut := Cut(0, 3, 1, None))
    np.testing.assert_array_equal(f(np.arange(5.0e6)), 2.0 * np.arange(5.0e6))
    assert cut.begun == 4  # what brought nothing is asked for anew, the result with it
