"""Every function of NumPy in the table is found under its name, and records what tracing NumPy's own records."""

import numpy as np
import pytest

from gradserve import numpy as gnp
from gradserve.client.tracing.trace import trace
from gradserve.ir.types import type_of
from gradserve.numpy import ufuncs
from gradserve.numpy.recorder import Recorder
from gradserve.numpy.table import FUNCTIONS, OWN, SPECIAL, UFUNCS, numpy_names
from tests.rows import in_one

SQUARE = np.array([[2.0, 0.5, 0.25], [0.5, 3.0, 0.75], [0.25, 0.75, 4.0]])


def recorded(function, *arguments):
    """What a function of values records."""
    g = Recorder()
    results = function(*(g.input(f"x{k}", type_of(x)) for k, x in enumerate(arguments)))
    results = results if isinstance(results, tuple | list) else [results]
    return contents(g.build({f"y{k}": result for k, result in enumerate(results)}))


def contents(graph):
    """All of a graph but its names and source lines."""
    nodes = [(node.op, node.operands, node.types) for node in graph.nodes]
    return graph.constants, nodes, [output.value for output in graph.outputs]


def calls():
    """The names that stand for one function alone, with as many operands as it takes; those that give values."""
    shown = [name.rpartition(".")[2] for name, _ in numpy_names()]
    for name, member in numpy_names():
        own = name.rpartition(".")[2]
        operands = [SQUARE] * (member.nin if isinstance(member, np.ufunc) else 1)
        try:
            traced = trace(member, *operands).graph
        except Exception:
            continue  # it takes more than one operand, or others
        if shown.count(own) == 1 and traced.nodes:
            yield own, operands, contents(traced)


CALLS = list(calls())


@in_one
@pytest.mark.parametrize(("name", "operands", "expected"), CALLS, ids=[name for name, _, _ in CALLS])
def test_values_and_traced_arrays_record_the_same(name, operands, expected):
    assert recorded(getattr(gnp, name), *operands) == expected


def test_most_functions_are_compared():
    assert len(CALLS) > 160


def test_every_name_is_found():
    for name in (*(name.rpartition(".")[2] for name, _ in numpy_names()), *SPECIAL, *OWN):
        assert callable(getattr(gnp, name))
    with pytest.raises(AttributeError, match="has no attribute 'loadtxt'"):
        gnp.loadtxt  # noqa: B018


def test_ufuncs_convert_operands_as_numpys_loops_do():
    g = Recorder()
    k = g.input("k", type_of(np.arange(3)))
    assert gnp.sqrt(k).type == gnp.arctan2(k, np.float64(2)).type == type_of(np.zeros(3))
    assert gnp.add(k, 1.5).type == type_of(np.zeros(3))
    with pytest.raises(TypeError, match="at least one operand must be a value"):
        gnp.add(1.0, 2.0)


def test_each_function_has_one_implementation():
    """No two entries are different functions of one name and module."""
    implementations = {*UFUNCS.values(), *SPECIAL.values(), *(e.call for e in (*FUNCTIONS.values(), *OWN.values()))}
    named = [
        f"{call.__module__}.{call.__qualname__}" for call in implementations if "<locals>" not in call.__qualname__
    ]
    assert len(set(named)) == len(named)


def test_another_implementation_would_be_seen(monkeypatch):
    """The planted fault: values and traced arrays go different ways."""
    monkeypatch.setitem(UFUNCS, np.log2, UFUNCS[np.exp2])
    with pytest.raises(AssertionError):
        assert recorded(ufuncs.log2, SQUARE) == contents(trace(np.log2, SQUARE).graph)
