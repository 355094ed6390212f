"""What a function captures is watched: replaced or changed in place, it is traced anew at the next call."""

from __future__ import annotations

import dataclasses
import functools
import time
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradserve.client import Client
from gradserve.client.functions import cond, scan
from gradserve.client.tracing.contents import Content
from gradserve.client.tracing.reached import reached
from gradserve.client.tracing.watching import Watched
from tests.rows import in_one

W = np.array([1.0, 2.0, 3.0])
LAM = 0.1
TABLE = {"scale": 2.0, "shift": np.zeros(3)}
STEPS = [0.5, 0.25]


def helper(w):
    return LAM * np.sum(w**2)


def outer_helper(w):
    return 3.0 * helper(w)


@dataclasses.dataclass
class Config:
    lam: float = 1.0
    weights: Any = None
    unread: int = 0


class Model:
    power = 2

    def __init__(self):
        self.data = np.ones(3)
        self.inner = Config(2.0, [np.ones(3)])
        self.calls = 0

    @property
    def scale(self):
        return self.inner.lam

    def residual(self, w):
        return self.scale * w - self.data * self.inner.weights[0]

    def loss(self, w):
        return np.sum(self.residual(w) ** self.power)

    def __call__(self, w):
        return self.loss(w)

    def __matmul__(self, w):
        return self.data @ w


class Slotted:
    __slots__ = ("lam",)

    def __init__(self, lam):
        self.lam = lam


def closures():
    """Functions and changes of what they read, by what is changed."""
    data, flat, big = np.ones(3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.ones((300, 200))
    lam, several, nested = 0.5, [1.0, np.ones(3)], {"a": {"b": (np.ones(3), 2.0)}}
    config, model, slotted, space = (
        Config(),
        Model(),
        Slotted(2.0),
        types.SimpleNamespace(inner=types.SimpleNamespace(x=1.0)),
    )
    strided = np.arange(20.0)[::7]
    whole = np.arange(3)
    scale = np.array(2.0)

    def set_lam():
        nonlocal lam
        lam = 0.75

    def set_data():
        nonlocal whole
        whole = np.arange(1, 4)

    def product(w, by=data):
        return np.sum(w * by)

    def put(array, key, value):
        array[key] = value

    class Local:
        lam = 1.5

    def with_scan(w):
        return scan(lambda c, _: (c * data, None), w, length=2).carry[0]

    bound = functools.partial(product, by=several[1])
    return {
        "an array in place": (lambda w: np.sum(w * data), lambda: put(data, 1, 5.0)),
        "an array by columns": (lambda w: np.sum(flat @ w), lambda: put(flat, (0, 2), 9.0)),
        "a strided array": (lambda w: np.sum(strided * w), lambda: put(strided, 0, 9.0)),
        "a scalar array": (lambda w: np.sum(w * scale), lambda: put(scale, (), 9.0)),
        "a large array": (lambda w: np.sum(big) * np.sum(w), lambda: big.__imul__(2.0)),
        "an array replaced": (lambda w: np.sum(w * whole), set_data),
        "a captured number": (lambda w: lam * np.sum(w), set_lam),
        "a list": (lambda w: several[0] * np.sum(w), lambda: put(several, 0, 2.0)),
        "an array in a list": (lambda w: np.sum(several[1] * w), lambda: put(several[1], 0, 7.0)),
        "a longer list": (lambda w: sum(s * w[0] for s in STEPS), lambda: STEPS.append(1.0)),
        "a dict": (lambda w: TABLE["scale"] * np.sum(w), lambda: put(TABLE, "scale", 3.0)),
        "an array in a dict": (lambda w: np.sum((w - TABLE["shift"]) ** 2), lambda: put(TABLE["shift"], 0, 1.0)),
        "a nested tree": (lambda w: np.sum(nested["a"]["b"][0] * w), lambda: put(nested["a"]["b"][0], 2, 4.0)),
        "a dataclass": (lambda w: config.lam * np.sum(w), lambda: setattr(config, "lam", 5.0)),
        "an attribute behind a property": (model.loss, lambda: setattr(model.inner, "lam", 5.0)),
        "an array of an object": (lambda w: model(w), lambda: put(model.data, 0, 6.0)),
        "an attribute of a class": (model, lambda: setattr(Model, "power", 4)),
        "what an operator reads": (lambda w: model @ w, lambda: setattr(model, "data", 3.0 * np.ones(3))),
        "a slot": (lambda w: slotted.lam * np.sum(w), lambda: setattr(slotted, "lam", 8.0)),
        "a namespace": (lambda w: space.inner.x * np.sum(w), lambda: setattr(space.inner, "x", 8.0)),
        "an attribute of a local class": (lambda w: Local.lam * np.sum(w), lambda: setattr(Local, "lam", 2.5)),
        "a default": (product, lambda: put(data, 2, -5.0)),
        "a partial": (bound, lambda: put(several[1], 2, -5.0)),
        "within a scan": (with_scan, lambda: put(data, 0, 5.0)),
        "within a branch": (
            lambda w: cond(w[0] > 0, lambda: np.sum(w * data), lambda: w[0]),
            lambda: put(data, 0, 5.5),
        ),
    }


def fresh(function, w):
    """The right gradient: of the function as it is now."""
    with Client() as client:
        return client.function(function).grad(w)


@pytest.mark.parametrize("what", closures())
def test_a_change_of_what_is_captured_is_seen(embedded, what):
    function, change = closures()[what]
    power = Model.power
    try:
        f = embedded.function(function)
        before = f.grad(W)
        graph = f.graph
        np.testing.assert_array_equal(f.grad(W), before)
        assert f.graph is graph  # nothing has changed, and nothing is traced again
        change()
        after = f.grad(W)
        np.testing.assert_array_equal(after, fresh(function, W))
        assert f.graph is not graph
        assert not np.array_equal(after, before)
    finally:
        Model.power = power
        TABLE.update(scale=2.0, shift=np.zeros(3))
        STEPS[:] = [0.5, 0.25]


def test_globals_are_seen_through_functions_that_are_called(client, monkeypatch):
    f = client.function(outer_helper)
    np.testing.assert_allclose(f.grad(W), 0.6 * W)
    monkeypatch.setitem(globals(), "LAM", 0.2)
    np.testing.assert_allclose(f.grad(W), 1.2 * W)
    monkeypatch.setitem(globals(), "helper", lambda w: np.sum(w))
    np.testing.assert_allclose(f.grad(W), [3.0, 3.0, 3.0])


def test_every_kind_of_question_looks(client):
    data = np.ones(3)
    f = client.function(lambda w: np.sum(data * w**2), w=W)
    asked: list[Callable[[], Any]] = [
        lambda: f(W) / 14,
        lambda: f.grad(W)[0] / 2,
        lambda: f.hvp(W, tangent=W)[0] / 2,
        lambda: f.hessian(W)[0, 0] / 2,
        lambda: f.hessian_trace(W, max_probes=16).value / 6,
        lambda: f.value_and_grad(np.stack([W, W]), batch=True)[0][1] / 14,
        lambda: f.jacobian(W)[2] / 6,
    ]
    for k, ask in enumerate(asked, start=2):
        data[:] = k
        assert ask() == pytest.approx(k)


def test_equal_numbers_in_new_objects_are_no_change(embedded):
    data, lam = np.ones(3), 0.5

    def renew():
        nonlocal data, lam
        data, lam = data.copy(), float("0.5")

    f = embedded.function(lambda w: lam * np.sum(data * w), w=W)
    graph = f.graph
    for _ in range(3):
        renew()
        f.grad(W)
        assert f.graph is graph
    data[0] = 3.0  # of the array that has come into the place
    np.testing.assert_array_equal(f.grad(W), [1.5, 0.5, 0.5])


def test_zeros_of_other_signs_and_numbers_of_other_types_are_changes(embedded):
    numbers = [0.0, 1]
    f = embedded.function(lambda w: np.copysign(1.0, numbers[0] + 0.0 * w[0]) + np.sum(w.astype(type(numbers[1]))), w=W)
    graph = f.graph
    numbers[0] = -0.0
    f(W)
    assert f.graph is not graph
    nan = [float("nan")]
    g = embedded.function(lambda w: np.sum(w) + nan[0], w=W)
    graph = g.graph
    nan[0] = float("nan")
    g(W)
    assert g.graph is graph


def test_what_the_code_does_not_read_is_not_watched(embedded):
    config, model, history = Config(), Model(), []
    f = embedded.function(lambda w: config.lam * model.loss(w), w=W)
    graph = f.graph
    config.unread, model.calls = 7, 8
    history.append(1)
    f.grad(W)
    assert f.graph is graph


def test_a_function_that_writes_what_it_keeps_is_traced_once(embedded):
    seen = []

    def loss(w):
        seen.append(w.shape)
        return np.sum(w**2)

    f = embedded.function(loss, w=W)
    for _ in range(3):
        f.grad(W)
    assert len(seen) == 1


def test_watching_can_be_switched_off(embedded):
    data = np.ones(3)
    with Client(watch=False) as client:
        f = client.function(lambda w: np.sum(data * w), w=W)
        assert not f.watch
        data[:] = 2.0
        np.testing.assert_array_equal(f.grad(W), np.ones(3))
        f.watch = True
        np.testing.assert_array_equal(f.grad(W), 2 * np.ones(3))


def test_a_read_only_view_is_copied_when_it_is_traced(embedded):
    base = np.ones(3)
    view = base[:]
    view.flags.writeable = False
    f = embedded.function(lambda w: np.sum(view * w), w=W)
    f.watch = False
    base[:] = 9.0
    np.testing.assert_array_equal(f.grad(W), np.ones(3))
    f.watch = True
    np.testing.assert_array_equal(f.grad(W), 9.0 * np.ones(3))


def test_shapes_and_all_graphs_follow_a_change(embedded):
    data = np.ones(1)

    def replace(array):
        nonlocal data
        data = array

    f = embedded.function(lambda w: np.sum(data) * np.sum(w))
    for n in (1, 2, 3):
        assert f(np.ones(n)) == n
    replace(np.ones(4))
    for n in (3, 2, 1):
        assert f(np.ones(n)) == 4 * n


def test_a_cycle_ends_and_a_deep_tree_is_bounded():
    loop: list[Any] = [1.0]
    loop.append(loop)
    deep: Any = []
    for k in range(5000):
        deep = [k, deep]
    watched = Watched(lambda w: w * loop[0] * len(deep))
    assert len(watched._reads) <= 2100
    assert len(reached(np.linalg.norm).places) == 0


@in_one
@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "bool", "c16", "U3", ">f8"])
@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 5), (40, 300), (2, 0, 3), (9000,)])
@pytest.mark.parametrize("layout", ["C", "F", "strided"])
def test_contents_tell_a_change_of_any_element(dtype, shape, layout):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2, (*shape, 2) if layout == "strided" else shape).astype(dtype)
    array = np.asarray(values, order="F") if layout == "F" else values[..., 0] if layout == "strided" else values
    content = Content(array)
    assert content.unchanged()
    assert content.entirely_unchanged()
    assert content.holds(array.copy())
    if array.size:
        place = tuple(rng.integers(0, n) for n in shape)
        array[place] = np.array(1 - int(float(array[place].real if dtype == "c16" else array[place]))).astype(dtype)
        assert not content.entirely_unchanged()
        assert not content.holds(array.copy())
        assert not content.unchanged()


@pytest.fixture
def clock(monkeypatch):
    """Time that stands still unless it is set."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def test_a_list_of_names_counts_for_what_it_holds_now():
    names = ["a"]
    with Client(threads=1) as client:
        f = client.function(lambda a, b: 2.0 * a + 3.0 * b)
        found = [f.grad(1.0, 1.0, wrt=names) for _ in range(2)]
        names[0] = "b"
        found += [f.grad(1.0, 1.0, wrt=names), f.grad(1.0, 1.0, wrt=("b",))]
    assert found == [2.0, 2.0, 3.0, 3.0]


@pytest.mark.parametrize("wrt", ["w", {"w"}])  # calls that are remembered, and such that are not
def test_every_call_looks_once(clock, wrt):
    data = np.zeros(100_000)
    with Client(threads=1) as client:
        f = client.function(lambda w: np.sum(w * data))
        f.grad(data + 1, wrt=wrt)
        clock[0] += 1.0
        f.grad(data + 1, wrt=wrt)
        f._signatures._watched._due = clock[0] + 1.0  # type: ignore[attr-defined]  # of what was traced
        data[12_345] = 1.0
        for _ in range(3):
            f.grad(np.ones(100_000), wrt=wrt)
        clock[0] += 1.0
        with pytest.warns(RuntimeWarning, match=r"last 3 call\(s\) may hold its old numbers"):
            np.testing.assert_array_equal(f.grad(np.ones(100_000), wrt=wrt), data)


def test_a_few_elements_of_a_large_array_are_seen_when_it_is_time_to(clock):
    data = np.zeros(100_000)

    def loss(w):
        return w * data

    watched = Watched(loss)
    assert watched.renewed(loss) is watched
    watched._due = 1.0
    data[12_345] = 1.0
    assert watched.renewed(loss) is watched  # what is told: too early for the whole, and not in the sample
    with pytest.warns(RuntimeWarning, match="last 1 call"):
        assert watched.renewed(loss, whole=True) is None
    data[12_345] = 0.0
    watched = Watched(loss)
    watched._due = 1.0
    for _ in range(2):
        watched.renewed(loss)
    clock[0] = 2.0
    data[12_345] = 1.0
    with pytest.warns(RuntimeWarning, match=r"last 2 call\(s\) may hold its old numbers"):
        assert watched.renewed(loss) is None
    again = watched.after_change(loss, [])
    again._due = 3.0
    data[54_321] = 1.0
    assert again.renewed(loss) is None  # who has written into it will do so again


def test_a_change_all_over_a_large_array_is_seen_at_once(clock):
    data = np.zeros((300, 400))

    def loss(w):
        return w * data

    watched = Watched(loss)
    watched._due = 1.0
    for change in (lambda: data.__iadd__(1.0), lambda: data.__setitem__(slice(100), 2.0), lambda: data.fill(3.0)):
        change()
        assert watched.renewed(loss) is None
        watched = Watched(loss)
        watched._due = 1.0


def test_all_elements_are_compared_where_it_is_asked_for(embedded):
    data = np.zeros(100_000)
    f = embedded.function(lambda w: np.sum(data) * np.sum(w), w=W)
    f.watch = "whole"
    for k in range(4):
        data[k] = 1.0
        assert f(W) == 6.0 * (k + 1)


def test_without_watching_old_numbers_come_back(embedded, monkeypatch):
    monkeypatch.setattr(Watched, "renewed", lambda self, *_: self)
    data = np.ones(3)
    f = embedded.function(lambda w: np.sum(data * w), w=W)
    data[:] = 2.0
    np.testing.assert_array_equal(f.grad(W), np.ones(3))
