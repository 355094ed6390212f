"""Programs hold no data: one digest for all data of the same shapes, and constants that are arguments."""

from itertools import pairwise

import numpy as np
import pytest

from gradserve.autodiff import derive
from gradserve.execution import Instance, Program, executor, instance_of
from gradserve.execution.program import CONSTANT
from gradserve.ir.graph import Graph, Literal
from gradserve.ir.types import ElementType, TensorType
from gradserve.jobs.sweeps.programs import Axis, Programs
from gradserve.ops import builder
from gradserve.ops.control.calling import interpret
from gradserve.optimize import optimize
from gradserve.questions.derivations import Derivation, Evaluate, Gradient, Hvp
from tests.execution.functions import random_calls

F64 = ElementType.FLOAT64
SEEDS = range(25)
WRT = ("x", "y")


def loss(matrix, labels):
    """The sum of squares of tanh(matrix w) - labels."""
    g = builder()
    w = g.input("w", TensorType(F64, (matrix.shape[1],)))
    rest = g.tanh(g.contract(g.constant(matrix), w, lhs_contract=(1,), rhs_contract=(0,), lhs_batch=(), rhs_batch=()))
    rest = rest - g.constant(labels)
    return g.build({"loss": g.reduce_sum(rest * rest, axes=(0,))})


def data(seed, rows=7):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, 4)), rng.standard_normal(rows)


@pytest.mark.parametrize("axis", [None, Axis(frozenset({"w"}), 5), Axis(frozenset({"w"}), 5, summed=True)])
@pytest.mark.parametrize("derivation", [Evaluate(), Gradient(("w",)), Hvp(("w",))])
def test_two_data_sets_of_one_shape_have_one_program(derivation, axis):
    programs = Programs()
    first, second = (programs.instance(loss(*data(seed)), derivation, axis)[0] for seed in range(2))
    assert first.program.digest == second.program.digest
    assert first.program.graph == second.program.graph
    assert not [c for c in first.program.graph.constants if c.type.shape]
    assert all(not np.array_equal(first.arrays[name], second.arrays[name]) for name in first.arrays)
    other = programs.instance(loss(*data(0, rows=8)), derivation, axis)[0]
    assert other.program.digest != first.program.digest


def run(instance: Instance, arguments):
    numpy = executor("numpy")
    return numpy.prepare(numpy.schedule(instance.program))({**arguments, **instance.arrays})


def at(graph: Graph, seed: int):
    rng = np.random.default_rng(seed)
    return {given.name: rng.standard_normal(given.type.lengths) for given in graph.inputs}


def same(found, expected):
    return found.keys() == expected.keys() and all(found[k].tobytes() == expected[k].tobytes() for k in found)


@pytest.mark.parametrize("derivation", [None, Gradient(WRT), Hvp(WRT)])
def test_constants_of_functions_are_arguments_and_bits_stay(derivation: Derivation | None):
    """The same bits as of the graph with its constants inside, by the executor and node by node."""
    depths = set()
    for seed in SEEDS:
        graph = random_calls(seed)
        if derivation is not None:
            graph = optimize(derive(summed(graph), derivation))
        instance, arguments = instance_of(graph), at(graph, seed)
        found = run(instance, arguments)
        assert same(found, run(Instance(Program(graph)), arguments))
        if derivation is None:
            plain = interpret(np, graph, lambda op, *x: op.results(np, *x), *arguments.values())
            assert same(found, dict(zip(graph.output_types, map(np.asarray, plain), strict=True)))
        assert not [f for f in (instance.program.graph, *instance.program.graph.functions) if arrays_in(f)]
        depths.add(depth(graph))
    assert max(depths) >= 3


def summed(graph: Graph) -> Graph:
    """The sum of all outputs."""
    g = builder()
    values = [g.input(given.name, given.type) for given in graph.inputs] + [g.constant(c) for c in graph.constants]
    for node in graph.nodes:
        values += g.apply(node.op, [values[k] for k in node.operands])
    a, *others = (values[output.value] for output in graph.outputs)
    for other in others:
        a = a + other
    return g.build({"loss": g.reduce_sum(a, axes=(0,))})


def arrays_in(graph: Graph):
    return [constant for constant in graph.constants if constant.type.shape]


def depth(graph: Graph) -> int:
    called = (f for node in graph.nodes for f in node.op.functions.values())
    return 1 + max(map(depth, called), default=0)


def test_two_data_sets_inside_functions_have_one_program_too():
    graph = random_calls(0)
    first, second = instance_of(graph), instance_of(with_other_data(graph))
    assert first.program.digest == second.program.digest
    assert not any(np.array_equal(first.arrays[name], second.arrays[name]) for name in first.arrays)


def with_other_data(graph: Graph) -> Graph:
    """The same graph with every array constant, those of its functions included, one larger."""
    g = builder()
    values = [g.input(given.name, given.type) for given in graph.inputs]
    for constant in graph.constants:
        assert isinstance(constant, Literal)
        values.append(g.constant(constant.array + 1.0 if constant.type.shape else constant))
    for node in graph.nodes:
        values += g.apply(node.op.with_functions(with_other_data), [values[k] for k in node.operands])
    return g.build({output.name: values[output.value] for output in graph.outputs})


def test_the_planted_fault_of_two_constants_exchanged_is_found():
    """Any two of them: each is where it belongs."""
    caught = exchanged = 0
    for seed in range(10):
        graph = random_calls(seed)
        instance, arguments = instance_of(graph), at(graph, seed)
        right = run(instance, arguments)
        names = list(instance.constants)
        assert names == [f"{CONSTANT}{k}" for k in range(len(names))]
        for one, other in pairwise(names):
            swapped = {**instance.constants, one: instance.constants[other], other: instance.constants[one]}
            exchanged += 1
            caught += not same(run(Instance(instance.program, swapped), arguments), right)
    assert exchanged > 50
    assert caught > exchanged / 3, "only those in branches that are not taken may go unnoticed"
