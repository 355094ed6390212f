"""float64 that travels as float32: the answer at the rounded point, rounded, in process and by a service."""

import numpy as np
import pytest

from gradserve.client import Client, InvalidRequest, NumericalFailure
from gradserve.questions import transport
from gradserve.questions.call import Transport
from gradserve.v1 import tensor_pb2
from gradserve.wire import Source, fill_narrow, narrowed
from tests.clients.bits import same_bits
from tests.clients.test_shared_memory import sent

RNG = np.random.default_rng(5)
N = 6
W, V = RNG.standard_normal(N), RNG.standard_normal(N)
B = RNG.standard_normal(3)
LARGE = RNG.standard_normal(3 << 20)
"""More than one request takes inline."""


def loss(w, b):
    return np.sum(np.sin(w)) * np.sum(b * b) + np.sum(w**3)


def round_(tree):
    """What float32 has nearest."""
    if isinstance(tree, tuple | list):
        return type(tree)(map(round_, tree))
    return np.asarray(tree).astype(np.float32).astype(np.float64)


QUESTIONS = {
    "value": lambda f, r: f(r(W), r(B)),
    "value_and_grad": lambda f, r: f.value_and_grad(r(W), r(B)),
    "jvp": lambda f, r: f.jvp(r(W), r(B), tangent={"w": r(V), "b": r(B)}),
    "hvp": lambda f, r: f.hvp(r(W), r(B), tangent={"w": r(V), "b": r(B)}),
    "jacobian": lambda f, r: f.jacobian(r(W), r(B)),
    "hessian": lambda f, r: f.hessian(r(W), r(B)),
    "a batch": lambda f, r: f.value_and_grad(r(np.stack([W, V])), r(np.stack([B, B])), batch=True),
    "a mean": lambda f, r: f.grad(r(np.stack([W, V])), r(np.stack([B, B])), batch=True, reduction="mean"),
    "one input": lambda f, r: f.grad(r(W), r(B), wrt="w"),
    "a stream": lambda f, r: [*f.stream_gradient([(r(W), r(B)), (r(V), r(B))])],
}


def flat(tree):
    if isinstance(tree, dict):
        return flat([*tree.values()])
    if isinstance(tree, tuple | list):
        return [leaf for each in tree for leaf in flat(each)]
    return [np.asarray(tree)]


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
def test_the_answer_is_that_at_the_rounded_point_rounded_back(client, ask):
    f, exact = client.function(loss), client.function(loss)
    f.transport = "float32"
    expected = [round_(leaf) for leaf in flat(ask(exact, round_))]
    for _ in range(3):  # calls like ones before take other ways
        found = flat(ask(f, lambda array: array))
        assert same_bits(found, expected)
        assert {leaf.dtype for leaf in found} == {np.dtype(np.float64)}
        assert f.last_report.transport is Transport.FLOAT32
    assert exact.last_report.transport is Transport.EXACT


def test_it_makes_a_difference(client):
    """The planted fault of the law above: that nothing is rounded at all."""
    f = client.function(loss)
    assert not same_bits(flat(f.grad(W, B)), [*map(round_, flat(f.grad(W, B)))])
    assert not same_bits(flat(f.grad(W, B)), flat(f.grad(round_(W), round_(B))))


@pytest.mark.parametrize("length", [1000, 100_000, LARGE.size])
def test_half_is_sent(server, address, length):
    sizes: dict[str, float] = {}
    w, counted = LARGE[:length], ("DerivativeService/Gradient", "BlobService/WriteBlob")
    counter = server.metrics.registry.get_sample_value
    with Client(address, share_memory=False) as client:
        for word in ("exact", "float32"):
            f = client.function(lambda w: np.sum(w * w))
            f.transport = word
            f.grad(w[:5])
            for _ in range(2):
                before = [counter("gradserve_received_bytes_total", {"method": m}) or 0.0 for m in counted]
                grad = f.grad(w)
                after = [counter("gradserve_received_bytes_total", {"method": m}) or 0.0 for m in counted]
                sizes.setdefault(word, sum(after) - sum(before))
            assert same_bits(grad, 2 * (w if word == "exact" else round_(w)))
    assert 0.49 < sizes["float32"] / sizes["exact"] < 0.56
    assert sent(server, "Gradient") > 0


def test_shared_memory_and_transport_go_together(address, embedded):
    w = LARGE[:100_000]
    with Client(address) as client:
        found = []
        for each in (client, embedded):
            f = each.function(lambda w: np.sum(np.sin(w)))
            f.transport = "float32"
            found.append(f.value_and_grad(w))
    assert same_bits(*found)


@pytest.mark.parametrize("wrong", [1e39, -1e300])
def test_numbers_beyond_float32_are_refused_by_name(client, wrong):
    f = client.function(loss)
    f.transport = "float32"
    w = W.copy()
    w[2] = wrong
    with pytest.raises(InvalidRequest, match=r'arguments\["w"\].*largest of float32 is 3\.4e\+38') as caught:
        f.grad(w, B)
    assert [violation.field for violation in caught.value.violations] == ['arguments["w"]']
    with pytest.raises(InvalidRequest, match=r'tangents\["w"\]'):
        f.hvp(W, B, tangent={"w": w, "b": B})
    f.transport = "exact"
    f.grad(w, B)


def test_results_beyond_float32_are_refused_by_name(client):
    f = client.function(lambda w: 1e25 * np.sin(1e20 * np.sum(w)))
    f.transport = "float32"
    with pytest.raises(NumericalFailure, match="gradient 'w': its largest number is 1e\\+45"):
        f.grad(np.zeros(2))


def test_infinities_and_nan_are_data(client):
    f = client.function(lambda w: w * 2.0)
    f.transport = "float32"
    np.testing.assert_array_equal(f(np.array([np.inf, -np.inf, np.nan, 1e-60, -0.0])), [np.inf, -np.inf, np.nan, 0, 0])
    assert np.signbit(f(np.array([-0.0])))[0]


def test_other_types_travel_as_they_are(client):
    f = client.function(lambda w, k: np.sum(w[k]))
    f.transport = "float32"
    big = np.array([2**53 + 1, 1])
    g = client.function(lambda k, w: (k + 0, np.sum(w)))
    g.transport = "float32"
    assert same_bits(g(big, np.ones(2, np.float32))[0], big)
    assert same_bits(f.grad(np.arange(4, dtype=np.float32), np.array([1, 2])), np.array([0, 1, 1, 0], np.float32))


def test_a_point_of_a_stream_that_cannot_travel_does_not_end_it(client):
    f = client.function(lambda w: np.sum(w * w))
    f.transport = "float32"
    points = [np.array([1.0, 2.0]), np.array([1e300, 0.0]), np.array([0.1, 2.0])]
    first, second, third = f.stream_gradient(points, errors="yield")
    assert isinstance(second, InvalidRequest)
    assert same_bits(first[1], 2 * points[0])
    assert same_bits(third[1], round_(2 * round_(points[2])))


def test_estimates_are_at_the_rounded_point_and_keep_their_bounds(client):
    f, exact = client.function(loss), client.function(loss)
    f.transport = "float32"
    found, expected = f.hessian_trace(W, B, seed=1), exact.hessian_trace(round_(W), round_(B), seed=1)
    assert (found.value, found.interval) == (expected.value, expected.interval)
    assert f.last_report.transport is Transport.FLOAT32


def test_an_unknown_transport_is_refused(client):
    f = client.function(loss)
    with pytest.raises(InvalidRequest, match="there is no transport 'f16'; there are exact, float32"):
        f.transport = "f16"


def test_commands_take_it(folder, run, place):
    status, out, err = run("gradient", "loss.pb", "point.npz", "--transport", "float32", *place)
    assert (status, err) == (0, "")
    assert "float64 travelled as float32" in out
    assert "travelled" not in run("gradient", "loss.pb", "point.npz", *place)[1]


# ---- the wire


def test_only_what_float32_has_is_narrowed():
    assert narrowed(W) is None
    assert narrowed(np.array([1e300])) is None
    assert narrowed(W.astype(np.float32)) is None
    assert narrowed(np.arange(3)) is None
    assert same_bits(narrowed(round_(W)), W.astype(np.float32))


@pytest.mark.parametrize("array", [round_(W), W, np.float64(0.5), np.zeros((2, 0)), np.array([-0.0, np.inf])])
def test_what_is_written_narrow_is_read_as_it_was(array):
    message = tensor_pb2.Tensor()
    fill_narrow(message, np.asarray(array))
    assert same_bits(Source().one(message, "w"), np.asarray(array))


def test_a_tensor_that_cannot_be_narrow_is_refused():
    message = tensor_pb2.Tensor(element_type=tensor_pb2.ELEMENT_TYPE_INT64, shape=[1], inline=bytes(4), narrow=True)
    with pytest.raises(InvalidRequest, match="is not float64, which alone is narrowed"):
        Source().one(message, "w")


def test_a_planted_fault_is_seen(embedded, monkeypatch):
    """Results that are not rounded."""
    f, exact = embedded.function(loss), embedded.function(loss)
    f.transport = "float32"
    monkeypatch.setattr(transport, "_results", lambda arrays, what: dict(arrays))
    assert not same_bits(flat(f.grad(W, B)), [*map(round_, flat(exact.grad(round_(W), round_(B))))])
