"""The NumPy executor: right numbers, failures that say where, stops between steps, and no client's text in code."""

import ast
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.client import Client
from gradserve.execution.numpy import source
from gradserve.execution.numpy.executor import NumpyExecutor
from gradserve.ir.errors import Cancelled, NumericalFailure
from gradserve.ir.graph import Graph, Origin
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder
from tests import compiled
from tests.execution.graphs import random_arguments, random_graph
from tests.execution.support import WORKLOADS, arguments, scheduled, scheduled_workload, workload
from tests.rows import in_one
from tests.running import prepared, schedule_of

jax.config.update("jax_enable_x64", True)

F64 = ElementType.FLOAT64
CLOSE = 1e-10


def prepare(graph):
    return prepared(graph)


def run_of(name, kind, given):
    return NumpyExecutor().prepare(scheduled_workload(name, kind).schedule)(given)


def run(graph, **given):
    return prepare(graph)({name: np.asarray(array) for name, array in given.items()})


def close(found, expected):
    scale = np.max(np.abs(expected), initial=1e-300)
    return found.shape == np.shape(expected) and np.max(np.abs(found - expected), initial=0.0) <= CLOSE * scale


@pytest.mark.parametrize("name", WORKLOADS)
def test_value_and_gradient_are_those_of_jax(name):
    loss, point = workload(name).using(jnp), [jnp.asarray(p) for p in workload(name).point]
    outputs = run_of(name, "gradient", arguments(scheduled_workload(name, "gradient"), workload(name).parameters))
    value, gradients = compiled.value_and_grad(loss, tuple(range(len(point))))(*point)
    (found,) = (array for key, array in outputs.items() if key.startswith("value:"))
    assert close(found, value)
    for parameter, expected in zip(workload(name).parameters, gradients, strict=True):
        assert close(outputs[f"gradient:{parameter}"], expected)


@pytest.mark.parametrize("name", WORKLOADS)
def test_hessian_products_are_those_of_jax(name):
    loss, point = workload(name).using(jnp), tuple(jnp.asarray(p) for p in workload(name).point)
    given = arguments(scheduled_workload(name, "hvp"), workload(name).parameters)
    outputs = run_of(name, "hvp", given)
    tangents = tuple(jnp.asarray(given[f"tangent:{parameter}"]) for parameter in workload(name).parameters)
    gradient = jax.grad(loss, tuple(range(len(point))))
    products = compiled.jvp(gradient, point, tangents)[1]
    for parameter, expected in zip(workload(name).parameters, products, strict=True):
        assert close(outputs[f"product:{parameter}"], expected)


@in_one
@pytest.mark.parametrize("seed", range(60))
def test_outputs_have_the_types_that_the_graph_says(seed):
    graph = random_graph(seed)
    outputs = run(graph, **random_arguments(graph, seed))
    assert {k: (a.dtype, a.shape) for k, a in outputs.items()} == {
        k: (t.element_type.dtype, t.shape) for k, t in graph.output_types.items()
    }


def test_arguments_and_constants_are_never_written_to():
    n = 1 << 12  # large enough for results to take the place of operands
    g = builder()
    x = g.input("x", TensorType(F64, (n,)))
    y = g.tanh(g.add(g.mul(x, g.constant(np.linspace(0.0, 1.0, n))), 1.0))
    graph = g.build({"y": y, "z": g.mul(y, y)})
    assert any(step.reuses is not None for step in scheduled(graph).schedule.steps)
    program = prepare(graph)
    given = np.linspace(-1.0, 1.0, n)
    given.flags.writeable = False
    first, second = program({"x": given}), program({"x": given})
    assert all(np.array_equal(first[k], second[k]) for k in first)


def test_an_output_keeps_its_memory():
    n = 1 << 12
    g = builder()
    x = g.input("x", TensorType(F64, (n,)))
    y = g.exp(x)
    outputs = run(g.build({"y": y, "z": g.tanh(y), "again": y}), x=np.ones(n))
    assert np.array_equal(outputs["y"], np.full(n, np.e))
    assert np.array_equal(outputs["again"], outputs["y"])


def test_inputs_and_constants_can_be_outputs():
    g = builder()
    x = g.input("x", TensorType(F64, (3,)))
    outputs = run(g.build({"x": x, "c": g.constant(2.5), "w": g.full(x.type, 1.0)}), x=np.arange(3.0))
    assert outputs["x"].tolist() == [0.0, 1.0, 2.0]
    assert (outputs["c"].shape, float(outputs["c"])) == ((), 2.5)
    assert outputs["w"].tolist() == [1.0, 1.0, 1.0]


def test_a_graph_without_outputs_has_none():
    assert run(Graph((), (), (), ())) == {}


def test_arguments_may_lie_anyhow():
    g = builder()
    x = g.input("x", TensorType(F64, (4, 3)))
    graph = g.build({"y": g.reshape(x, (12,)), "z": g.reduce_sum(x, axes=(0,))})
    given = np.arange(24.0).reshape(3, 8)[:, ::2].T
    assert run(graph, x=given)["y"].tolist() == given.reshape(12).tolist()
    assert run(graph, x=given)["z"].tolist() == given.sum(0).tolist()


def test_nan_and_infinity_are_data():
    g = builder()
    x = g.input("x", TensorType(F64, (3,)))
    with np.errstate(all="raise"):
        outputs = run(g.build({"y": g.log(x), "z": g.div(1.0, x)}), x=np.array([0.0, -1.0, 4.0]))
    assert np.array_equal(outputs["y"], [-np.inf, np.nan, np.log(4.0)], equal_nan=True)
    assert outputs["z"].tolist() == [np.inf, -1.0, 0.25]


def test_zero_times_infinity_is_not_zero_in_a_contraction_either():
    g = builder()
    x, y = g.input("x", TensorType(F64, (1, 1))), g.input("y", TensorType(F64, (1, 3)))
    z = g.contract(x, y, lhs_contract=(1,), rhs_contract=(0,), lhs_batch=(), rhs_batch=())
    assert np.isnan(run(g.build({"z": z}), x=np.zeros((1, 1)), y=np.array([[np.inf, 1.0, np.nan]]))["z"])[
        0, [0, 2]
    ].all()


def failing(name, type_, **attributes):
    """A few steps of which the second fails at some numbers, traced at line 7 of loss.py."""
    g = builder()
    x = g.input("x", type_)
    y = g.mul(x, 2.0)
    g.origin = Origin("loss.py", 7)
    y = g.emit(name, y, **attributes)
    g.origin = Origin("loss.py", 8)
    return g.build({"y": g.exp(y)})


@pytest.mark.parametrize(
    ("name", "matrix"), [("cholesky", -np.eye(3)), ("inv", np.zeros((3, 3)))], ids=["cholesky", "inv"]
)
def test_a_failure_names_the_node_its_operands_and_the_source_line(name, matrix):
    graph = failing(name, TensorType(F64, (3, 3)))
    with pytest.raises(NumericalFailure) as caught:
        run(graph, x=matrix)
    (violation,) = caught.value.violations
    position = next(k for k, node in enumerate(graph.nodes) if node.op.name == name)
    assert violation.field == f"derived.nodes[{position}]"
    assert violation.constraint == name
    assert "f64[3,3]" in violation.description
    assert violation.source == "loss.py:7"


def test_programs_of_one_form_share_their_code_and_fail_each_for_itself():
    graphs = [failing("cholesky", TensorType(F64, (n, n))) for n in (2, 3)]
    first = NumpyExecutor().prepare(schedule_of(graphs[0]))
    compiled = source._code.cache_info().misses
    second = NumpyExecutor().prepare(schedule_of(graphs[1]))
    assert source._code.cache_info().misses == compiled
    assert first.source == second.source
    for n, each in ((2, first), (3, second), (2, first)):
        with pytest.raises(NumericalFailure) as caught:
            each({"x": -np.eye(n), "c:0": np.asarray(2.0)})
        assert f"f64[{n},{n}]" in caught.value.violations[0].description


def test_a_failure_of_traced_code_names_its_own_line():
    def loss(x):
        shifted = x - 5.0 * np.eye(3)
        return np.sum(np.linalg.cholesky(shifted))

    with Client() as client, pytest.raises(NumericalFailure) as caught:
        client.function(loss, np.eye(3)).value_and_grad(np.eye(3))
    (violation,) = caught.value.violations
    file, line = violation.source.rsplit(":", 1)
    assert file.endswith("test_numpy_executor.py")
    assert int(line) == loss.__code__.co_firstlineno + 2


def test_an_index_outside_its_axis_is_a_failure():
    g = builder()
    x, k = g.input("x", TensorType(F64, (3,))), g.input("k", TensorType(ElementType.INT64, (1,)))
    with pytest.raises(NumericalFailure, match="gather"):
        run(g.build({"y": g.emit("gather", x, k, axis=0)}), x=np.ones(3), k=np.array([3]))


class Stop:
    """Asks to stop at the given look."""

    def __init__(self, at):
        self.looks = 0
        self._at = at

    def __call__(self):
        self.looks += 1
        return self.looks >= self._at


LENGTH = 1 << 18


def long_chain(steps):
    g = builder()
    x = g.input("x", TensorType(F64, (LENGTH,)))
    y = x
    for _ in range(steps):
        y = g.tanh(y)
    return prepare(g.build({"y": y}))


def test_work_is_stopped_between_two_steps():
    program = long_chain(400)
    x = {"x": np.ones(LENGTH)}
    never = Stop(at=1 << 30)
    program(x, never)
    assert never.looks > 5
    early = Stop(at=3)
    with pytest.raises(Cancelled):
        program(x, early)
    assert early.looks == 3


def test_nothing_looks_at_a_short_plan():
    never = Stop(at=1)
    assert long_chain(1)({"x": np.ones(LENGTH)}, never)["y"][0] == np.tanh(1.0)


NASTY = ['"); import os; os.system("true")  #', "v0\n raise SystemExit", "__import__('os')", "f4", "check", "{0}"]


def test_nothing_that_a_client_wrote_is_in_the_source():
    g = builder()
    g.origin = Origin(NASTY[0], 3)
    inputs = [g.input(name, TensorType(F64, (2,))) for name in NASTY]
    y = inputs[0]
    for x in inputs[1:]:
        y = g.sin(g.add(y, x))
    program = NumpyExecutor().prepare(schedule_of(g.build({f"out {name}": y for name in NASTY})))
    words = {node.id for node in ast.walk(ast.parse(program.source)) if isinstance(node, ast.Name)}
    assert all(re.fullmatch(r"[vft]\d+|check|row_major|array", word) for word in words)
    assert not [node for node in ast.walk(ast.parse(program.source)) if isinstance(node, ast.Attribute)]
    strings = [node for node in ast.walk(ast.parse(program.source)) if isinstance(node, ast.Constant)]
    assert {node.value for node in strings} <= {None}
    outputs = program({name: np.ones(2) for name in NASTY})
    assert set(outputs) == {f"out {name}" for name in NASTY}


def test_every_dead_value_is_forgotten_at_once():
    source = scheduled_workload("f_mlp", "gradient").schedule
    program = NumpyExecutor().prepare(source)
    held: dict[str, int] = {}
    alive: set[int] = set()
    steps = iter(source.steps)
    for line in program.source.splitlines()[1:]:
        target, _, expression = line.partition(" = ")
        if re.fullmatch(r" (v\d+ = )+None", line):
            for name in re.findall(r"v\d+", line):
                del held[name]
        elif target.startswith(" v") and not re.fullmatch(r"row_major\(v\d+\)|v\d+\[\(\)\]", expression):
            # What is alive after the step before is in variables; of what is dead, numbers at most.
            dead = set(held.values()) - alive
            assert alive <= set(held.values())
            assert not [value for value in dead if source.program.graph.value_types[value].shape]
            step = next(steps)
            held.update(zip(target.strip().split(", "), step.results, strict=True))
            alive = (alive | {*step.results}) - {*step.frees}
    assert next(steps, None) is None
    assert alive == {o.value for o in source.program.graph.outputs}
