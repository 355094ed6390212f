"""The fused executor: the numbers of NumPy's executor, its refusals, its stops, and memory that comes back."""

import threading
import weakref

import numpy as np
import pytest

from gradserve.client import Client, functions
from gradserve.execution import Program, executor, instance_of
from gradserve.execution.fused import passes, store
from gradserve.execution.fused.memory import Memory, address_of
from gradserve.execution.fused.region import Region, fused
from gradserve.execution.fused.table import lowerable, weight
from gradserve.execution.fused.values import Arena
from gradserve.ir.errors import Cancelled, NumericalFailure
from gradserve.ir.graph import Graph
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder
from tests.execution import graphs
from tests.execution.functions import random_calls
from tests.execution.support import WORKLOADS, arguments, scheduled_workload, workload
from tests.running import prepared, program_of

F64 = ElementType.FLOAT64
CLOSE = 1e-12


def agree(graph: Graph, given: dict[str, np.ndarray]) -> None:
    """Machine code gives what NumPy gives, to rounding."""
    expected, found = prepared(graph, "numpy")(given), prepared(graph, "fused")(given)
    for name, wanted in expected.items():
        assert (found[name].shape, found[name].dtype) == (wanted.shape, wanted.dtype)
        scale = np.max(np.abs(wanted[np.isfinite(wanted)]), initial=1e-300)
        np.testing.assert_allclose(found[name], wanted, rtol=CLOSE, atol=CLOSE * scale)


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs(seed, monkeypatch):
    monkeypatch.setattr(graphs, "LENGTHS", ((1, 2, 3, 5), (1, 9, 17, 20))[seed % 2])
    graph = graphs.random_graph(seed)
    agree(graph, graphs.random_arguments(graph, seed))


@pytest.mark.parametrize("seed", range(30))
def test_random_calls(seed):
    graph = random_calls(seed)
    agree(graph, graphs.random_arguments(graph, seed))


@pytest.mark.parametrize("kind", ["gradient", "hvp"])
@pytest.mark.parametrize("name", WORKLOADS)
def test_workloads(name, kind):
    given = arguments(scheduled_workload(name, kind), workload(name).parameters)
    program = scheduled_workload(name, kind).schedule.program
    runs = [executor(each).prepare(executor(each).schedule(program))(given) for each in ("numpy", "fused")]
    for key, wanted in runs[0].items():
        np.testing.assert_allclose(runs[1][key], wanted, rtol=1e-9, atol=1e-11 * np.max(np.abs(wanted), initial=1e-300))


@pytest.mark.parametrize("length", [8, 9, 63, 64, 65, 1023, 1024, 1025, 5000])
def test_blocks_end_where_arrays_end(length):
    g = builder()
    x = g.input("x", TensorType(F64, (length,)))
    y = g.sin(g.exp(x) * 0.5) + x
    agree(g.build({"y": y, "sum": g.reduce_sum(y * g.cos(y), axes=(0,))}), {"x": np.linspace(-2.0, 2.0, length)})


@pytest.mark.parametrize("shape", [(3, 700), (700, 3), (5, 1, 300), (40, 41, 3)])
def test_elements_in_any_order(shape):
    g = builder()
    x, row = g.input("x", TensorType(F64, shape)), g.input("row", TensorType(F64, shape[-1:]))
    turned = g.emit("permute", x, order=tuple(reversed(range(len(shape)))))
    y = g.tanh(x + g.broadcast(row, shape)) * x
    outputs = {"y": g.exp(turned) * turned, "z": y, "back": g.emit("reverse", y, axes=(0,))}
    outputs |= {f"sum{axis}": g.reduce_sum(y, axes=(axis,)) for axis in range(len(shape))}
    outputs["most"] = g.emit("reduce_max", y, axes=(0,))
    agree(g.build(outputs), {"x": np.random.default_rng(1).standard_normal(shape), "row": np.ones(shape[-1])})


def test_regions_are_as_few_as_factorisations_allow():
    g = builder()
    x = g.input("x", TensorType(F64, (4, 4)))
    product = g.emit("contract", x, x, lhs_contract=(1,), rhs_contract=(1,), lhs_batch=(), rhs_batch=())
    spd = product + np.eye(4)
    factor = g.emit("cholesky", spd)
    graph = g.build({"y": g.reduce_sum(g.log(factor * factor + 1.0), axes=(0, 1)), "z": g.sin(x)})
    ops = [type(node.op) for node in fused(program_of(graph).graph, lowerable, weight).nodes]
    assert [op is Region for op in ops] == [True, False, True]
    agree(graph, {"x": np.random.default_rng(0).standard_normal((4, 4))})


def test_a_refusal_names_the_node_of_the_program():
    g = builder()
    x, k = g.input("x", TensorType(F64, (20,))), g.input("k", TensorType(ElementType.INT64, (2,)))
    graph = g.build({"y": g.emit("gather", g.sin(x), k, axis=0)})
    told = []
    for each in ("numpy", "fused"):
        with pytest.raises(NumericalFailure) as caught:
            prepared(graph, each)({"x": np.zeros(20), "k": np.array([3, 20])})
        told.append((str(caught.value), caught.value.violations))
    assert told[0] == told[1]


def test_what_may_fail_is_left_to_numpy():
    g = builder()
    x, k = (g.input(name, TensorType(ElementType.INT64, (20,))) for name in ("x", "k"))
    graph = g.build({"y": g.emit("pow", x, k) + 1})
    numbers = np.arange(20)
    agree(graph, {"x": numbers, "k": np.full(20, 2)})
    with pytest.raises(NumericalFailure, match="negative integer powers"):
        prepared(graph, "fused")({"x": numbers, "k": -numbers})


def endless() -> Graph:
    """A loop of a hundred million steps."""
    with Client() as client:

        def loss(w):
            return functions.scan(lambda c, _: (np.sin(c) + w, None), w, None, length=100_000_000)[0]

        return client.function(loss, w=0.5).graph


def test_a_long_loop_stops_when_it_is_told_to():
    stop = threading.Event()
    timer = threading.Timer(0.2, stop.set)
    timer.start()
    with pytest.raises(Cancelled):
        prepared(endless(), "fused")({"w": np.array(0.5)}, stop.is_set)


def test_threads_do_not_share_what_a_run_needs():
    g = builder()
    x = g.input("x", TensorType(F64, (50_000,)))
    run = prepared(g.build({"y": g.exp(g.sin(x)) * x}), "fused")
    points = [np.full(50_000, float(k)) for k in range(8)]
    alone = [run({"x": x})["y"] for x in points]
    found: dict[int, list[np.ndarray]] = {}

    def work(k: int) -> None:
        found[k] = [run({"x": points[k]})["y"] for _ in range(20)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k, results in found.items():
        for result in results:
            np.testing.assert_array_equal(result, alone[k])
            np.testing.assert_allclose(result, np.exp(np.sin(points[k])) * points[k], rtol=1e-14)


def test_results_are_the_callers_own():
    g = builder()
    x = g.input("x", TensorType(F64, (3,)))
    run = prepared(g.build({"y": x * 2.0}), "fused")
    first = run({"x": np.ones(3)})["y"]
    run({"x": np.zeros(3)})
    np.testing.assert_array_equal(first, 2.0 * np.ones(3))


def test_a_program_is_compiled_once_as_long_as_somebody_keeps_it():
    g = builder()
    x = g.input("x", TensorType(F64, (3,)))
    program: Program = instance_of(g.build({"y": x * 3.25})).program
    fused_executor = executor("fused")
    kept = fused_executor.prepare(fused_executor.schedule(program))
    assert fused_executor.prepare(fused_executor.schedule(program)) is kept
    gone = weakref.ref(kept)
    del kept
    assert gone() is None


def test_memory_that_was_lent_is_lent_again_and_no_more_is_kept_than_allowed():
    memory = Memory(capacity=5000)
    first, second = memory.lend(3000), memory.lend(3000)
    assert first.address % 64 == second.address % 64 == 0
    memory.give_back(first)
    memory.give_back(second)
    assert memory.lend(2900) is first
    assert memory.lend(2900) is not second


def test_blocks_of_an_arena_do_not_overlap_while_they_live():
    arena = Arena()
    blocks: dict[int, tuple[int, int, int]] = {}
    rng = np.random.default_rng(2)
    for _ in range(300):
        if blocks and rng.random() < 0.5:
            arena.use(blocks.pop(rng.choice(list(blocks)))[0], -1)
            continue
        size = int(rng.integers(1, 500))
        block, start = arena.take(size)
        arena.use(block, 1)
        assert all(start + size <= s or s + n <= start for _, s, n in blocks.values())
        blocks[block] = (block, start, size)
    assert arena.nbytes <= 500 * 300


def test_a_value_that_dies_too_early_is_seen(monkeypatch):
    give_back = Arena.use
    monkeypatch.setattr(Arena, "use", lambda self, block, users: give_back(self, block, -1_000_000))
    monkeypatch.setattr(graphs, "LENGTHS", (17,))
    graph = graphs.random_graph(5, nodes=40)
    with pytest.raises(AssertionError):
        agree(graph, graphs.random_arguments(graph, 5))


def test_a_block_that_is_cut_short_is_seen(monkeypatch):
    monkeypatch.setattr(passes, "levels", lambda terms: dict.fromkeys(terms, 0))
    with pytest.raises((AssertionError, KeyError)):
        test_blocks_end_where_arrays_end(1025)


def test_machine_code_is_found_again_on_disk(tmp_path, monkeypatch):
    folder = tmp_path / "kernels"
    monkeypatch.setenv(store.FOLDER, str(folder))
    assert store.stored("a", lambda: b"code") == b"code"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert store.stored("a", lambda: pytest.fail("compiled again")) == b"code"
    assert store.stored("b", lambda: b"other") == b"other"
    assert len(list(folder.iterdir())) == 2
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert store.stored("a", lambda: b"anew") == b"anew"


def test_a_folder_that_others_may_enter_is_not_used(tmp_path, monkeypatch):
    tmp_path.chmod(0o755)
    monkeypatch.setenv(store.FOLDER, str(tmp_path))
    assert store.stored("a", lambda: b"code") == b"code"
    assert not list(tmp_path.iterdir())


def test_no_more_files_are_kept_than_allowed(tmp_path, monkeypatch):
    tmp_path.chmod(0o700)
    monkeypatch.setenv(store.FOLDER, str(tmp_path))
    monkeypatch.setattr(store, "_MOST_FILES", 3)
    for k in range(6):
        store.stored(str(k), lambda: b"code")
    assert len(list(tmp_path.iterdir())) == 3


def test_elements_begin_where_numpy_says():
    whole = np.arange(24.0).reshape(4, 6)
    constant = whole.copy()
    constant.flags.writeable = False
    for array in (whole, whole[1:, 2:], whole.T, whole[::-1], constant, np.empty((0, 3)), np.array(2), np.ones(1)):
        assert address_of(array) == array.ctypes.data
