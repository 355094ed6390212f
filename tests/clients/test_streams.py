"""Streams of gradients: the same answers as calls of their own, by a real service and in this process."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from gradserve.client import Client, streaming
from gradserve.ir.errors import GradserveError, InvalidRequest, LimitExceeded, NumericalFailure, Unavailable

A = 1.0 + np.arange(5) % 3.0
POINTS = np.random.default_rng(0).standard_normal((300, 5))


def loss(w):
    return 0.5 * np.mean(A * (w - 1.0) ** 2)


def fit(w, b):
    return np.sum(w["slope"] ** 2) * b


def entry(w, k):
    return np.sum(w**2) + w[k]


@pytest.fixture
def f(client):
    return client.function(loss, POINTS[0])


def same(left, right):
    return np.float64(left[0]).tobytes() == np.float64(right[0]).tobytes() and left[1].tobytes() == right[1].tobytes()


def test_answers_are_those_of_calls_to_the_bit_and_in_order(f):
    found = list(f.stream_gradient(POINTS))
    assert len(found) == len(POINTS)
    assert all(same(each, f.value_and_grad(point)) for each, point in zip(found, POINTS, strict=True))


def test_arrays_are_the_callers_own(f):
    found = [gradient for _, gradient in f.stream_gradient(POINTS[:5])]
    assert all(each.flags.writeable and each.flags.owndata for each in found)


def test_blocks_are_batches(f):
    for values, gradients in f.stream_gradient(POINTS.reshape(3, 100, 5), batch=True):
        assert values.shape == (100,)
        assert gradients.shape == (100, 5)
    (total,) = f.stream_gradient([POINTS], batch=True, reduction="sum")
    assert same(total, f.value_and_grad(POINTS, batch=True, reduction="sum"))


def test_points_are_tuples_of_parameters_which_may_be_trees(client):
    g = client.function(fit, {"slope": POINTS[0]}, 1.0)
    points = [({"slope": point}, float(k)) for k, point in enumerate(POINTS[:10])]
    for (value, gradient), point in zip(g.stream_gradient(points), points, strict=True):
        expected = g.value_and_grad(*point)
        assert value == expected[0]
        np.testing.assert_array_equal(gradient["w"]["slope"], expected[1]["w"]["slope"])
        assert gradient["b"] == expected[1]["b"]
    (_, gradient) = next(iter(g.stream_gradient(points, wrt="b")))
    assert gradient == np.sum(POINTS[0] ** 2)


def test_points_of_other_shapes_go_on_in_the_same_order(client):
    g = client.function(lambda w: np.sum(w**3))
    points = [POINTS[k, : 1 + k % 4] for k in range(20)]
    for (value, gradient), point in zip(g.stream_gradient(points), points, strict=True):
        assert same((value, gradient), g.value_and_grad(point))


def test_an_error_is_in_its_place_and_the_stream_goes_on(client):
    g = client.function(entry, POINTS[0], 1)
    points = [(point, 99 if k == 70 else k % 5) for k, point in enumerate(POINTS[:150])]
    found = list(g.stream_gradient(points, wrt="w", errors="yield"))
    assert len(found) == 150
    assert [k for k, each in enumerate(found) if isinstance(each, GradserveError)] == [70]
    assert isinstance(found[70], NumericalFailure | InvalidRequest)
    assert same(found[71], g.value_and_grad(*points[71], wrt="w"))
    stream = g.stream_gradient(points, wrt="w")
    assert len(list(itertools.islice(stream, 70))) == 70
    with pytest.raises(type(found[70])):
        next(stream)


def test_more_than_fits_into_memory_flows_both_ways(f):
    drawn = itertools.count()

    def endless():
        for k in drawn:
            yield POINTS[k % 300]

    assert sum(1 for _ in itertools.islice(f.stream_gradient(endless()), 2000)) == 2000
    assert next(drawn) < 2000 + 2000  # few are drawn ahead


def test_an_error_of_the_points_themselves_is_the_callers(f):
    def broken():
        yield POINTS[0]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(f.stream_gradient(broken()))


def test_few_points_do_not_wait_for_many(f):
    def slow():
        for point in POINTS[:3]:
            yield point
            time.sleep(0.05)

    began = time.monotonic()
    assert len(list(f.stream_gradient(slow()))) == 3
    assert time.monotonic() - began < 5.0


def test_no_points_have_no_answers(f):
    assert list(f.stream_gradient([])) == []


def test_the_report_is_about_the_points_of_a_message(f, monkeypatch):
    monkeypatch.setattr(streaming, "PATIENCE", 60.0)  # a busy machine may take longer than that to draw them
    list(f.stream_gradient(POINTS[:64]))
    assert f.last_report.batch_size == 64
    assert f.last_report.chunks == 64


def test_what_makes_no_sense_is_refused(f):
    with pytest.raises(InvalidRequest, match="errors"):
        f.stream_gradient(POINTS, errors="ignore")
    with pytest.raises(LimitExceeded, match="smaller blocks"):
        list(f.stream_gradient([np.ones((1 << 19, 5))], batch=True))


def test_a_stream_goes_on_when_its_calls_end(start):
    server = start(max_seconds=0.3)

    def slow():
        for point in POINTS[:40]:
            yield point
            time.sleep(0.03)

    with Client(f"127.0.0.1:{server.port}") as client:
        f = client.function(loss, POINTS[0])
        found = list(f.stream_gradient(slow()))
        assert all(same(each, f.value_and_grad(point)) for each, point in zip(found, POINTS[:40], strict=True))


def test_a_forgotten_graph_is_sent_again(start):
    server = start()
    with Client(f"127.0.0.1:{server.port}") as client:
        f = client.function(loss, POINTS[0])
        f.value_and_grad(POINTS[0])
        server.graphs._graphs._entries.clear()
        assert len(list(f.stream_gradient(POINTS[:3]))) == 3


def test_a_closed_client_says_so(server):
    client = Client(f"127.0.0.1:{server.port}")
    f = client.function(loss, POINTS[0])
    stream = f.stream_gradient(itertools.cycle(POINTS))
    next(stream)
    client.close()
    with pytest.raises(Unavailable, match="closed"):
        list(itertools.islice(stream, 10_000))
