"""NumPy functions along every axis, and ufuncs on operands that broadcast, of many shapes: empty ones and scalars too.

What NumPy gives is given, in both float widths, with pullbacks in the types and shapes of the operands.
"""

import inspect
import itertools
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gradserve.autodiff import derive
from gradserve.client.tracing.trace import bind, trace
from gradserve.ir.errors import GradserveError
from gradserve.numpy import supported_names
from gradserve.numpy.table import FUNCTIONS
from gradserve.ops.movement.shapes import BroadcastTo
from gradserve.questions.derivations import Vjp
from tests.clients.evaluation import assert_same, evaluate
from tests.numpy.test_calls import ELEMENTWISE
from tests.numpy.test_derivatives import MOVED_ELSEWHERE, PARAMETERS
from tests.running import prepared

SHAPES = [(), (1,), (4,), (0,), (2, 3), (2, 0), (2, 3, 4)]
AXES = [None, 0, 1, 5, -1, -2, -6, (0,), (-1, 0), ()]
WIDTHS = [np.float32, np.float64]
PLACES = [
    *itertools.product(SHAPES, AXES, [np.float64]),
    *itertools.product([(), (4,), (2, 3)], [None, 0, -1, (0,)], [np.float32]),  # types do not depend on where
]
BROADCAST = [((), (3,)), ((2, 1), (3,)), ((1, 3), (2, 3)), ((0,), (1,)), ((2, 1), (0,)), ((1, 1), ()), ((), ())]
IN_DOUBLE = {"scipy.special.fdtri"}
"""Functions of which SciPy loses more digits in single precision."""
OTHERS = {
    "append": lambda x: (x[:1] if x.ndim else x,),
    "argpartition": lambda x: (0,),
    "array_split": lambda x: (2,),
    "delete": lambda x: (0,),
    "insert": lambda x: (0, 1.5),
    "linalg.vecdot": lambda x: (x,),
    "nanpercentile": lambda x: (30.0,),
    "nanquantile": lambda x: (0.3,),
    "partition": lambda x: (0,),
    "percentile": lambda x: (30.0,),
    "quantile": lambda x: (0.3,),
    "repeat": lambda x: (2,),
    "roll": lambda x: (1,),
    "split": lambda x: (1,),
    "take": lambda x: (np.array([0, -1]),),
    "take_along_axis": lambda x: (np.zeros(x.shape, int),),
}
"""What a function is given besides its operand and the axis."""
OTHERWISE = {"compress", "cross", "geomspace", "lib.stride_tricks.sliding_window_view", "linalg.cross"} | {
    "linspace",
    "logspace",
}
"""Functions with an axis that are called in tests/numpy/calls_on_axes.py and beside it: they need more."""


def functions_with_axis():
    for name in supported_names():
        package, _, own = name.partition(".")
        function: Any = np
        for part in own.split(".") if package == "np" else ():
            function = getattr(function, part)
        if function in FUNCTIONS and "axis" in inspect.signature(FUNCTIONS[function].call).parameters:
            yield own, function


WITH_AXIS = dict(functions_with_axis())


def numbers(shape, width):
    """Numbers in (0, 1) that differ all, none near another one."""
    size = int(np.prod(shape))
    return ((np.random.default_rng(size).permutation(size) + 0.5) / max(1, size)).reshape(shape).astype(width)


@pytest.mark.parametrize("own", sorted(set(WITH_AXIS) - OTHERWISE))
def test_along_every_axis(own):
    given = 0
    for shape, axis, width in PLACES:
        x = numbers(shape, width)
        others = OTHERS.get(own, lambda x: ())(x)

        def call(x, axis=axis, others=others):
            return WITH_AXIS[own](x, *others, axis=axis)

        # NumPy sometimes takes scalars for vectors of one element and a tuple of one axis for that axis.
        plain = bool(x.size and x.ndim) and not (isinstance(axis, tuple) and len(axis) < 2)
        given += agree(call, [x], must=plain)
    assert given >= 8, "NumPy refuses nearly all of these"


@pytest.mark.parametrize("name", sorted(ELEMENTWISE))
def test_operands_that_broadcast(name):
    ufunc = ELEMENTWISE[name]
    shift = 1.0 if name == "arccosh" else 0.0
    widths: list[Any] = [np.float64] if name in IN_DOUBLE else [*WIDTHS]
    scale = 1
    if isinstance(ufunc, np.ufunc) and not any("d" in types.lower() for types in ufunc.types):  # of whole numbers alone
        widths, scale = [np.int32, np.int64], 50
    given = 0
    for shapes, width in zip(BROADCAST, itertools.cycle(widths), strict=False):
        for chosen in (shapes, shapes[::-1]):
            operands = [
                (numbers(shape, np.float64) * scale).astype(width) + width(shift)
                for shape in (*chosen, chosen[0])[: ufunc.nin]
            ]
            moved = ufunc.nin - PARAMETERS.get(name, 0)
            given += agree(ufunc, operands, moved=0 if name.rpartition(".")[2] in MOVED_ELSEWHERE else moved)
    assert given >= len(BROADCAST), "nearly all of these are refused"


def agree(call, operands, must=False, moved=None):
    """Whether both give a result; then it is the same, and pullbacks have the types and shapes of the operands."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = call(*operands)
    except Exception:
        return False
    try:
        traced = trace(call, *operands)
        found = evaluate(traced, bind(call, operands, {}))
    except (GradserveError, ValueError, IndexError):
        if must:
            raise
        return False
    assert_same(found, expected)
    assert_pullbacks_fit(traced.graph, operands, moved)
    return True


def assert_pullbacks_fit(graph, operands, moved):
    """The pullbacks of cotangents of all real results, where there are such, to all operands or the first `moved`."""
    names = tuple(graph.input_types)[:moved]
    types = {f"cotangent:{name}": t for name, t in graph.output_types.items() if t.is_float}
    if not types or not names:
        return
    cotangents = {name: np.ones(t.lengths, t.element_type.dtype) for name, t in types.items()}
    program = prepared(derive(graph, Vjp(names)))
    found = program(dict(zip(graph.input_types, operands, strict=True)) | cotangents)
    for name, operand in zip(names, operands[:moved], strict=True):
        assert found[f"cotangent:{name}"].shape == operand.shape
        assert found[f"cotangent:{name}"].dtype == operand.dtype


def test_functions_left_out_have_an_axis():
    assert set(WITH_AXIS) >= OTHERWISE


def test_a_wrong_axis_would_be_seen(monkeypatch):
    """The planted fault: cumulative sums always go along the first axis."""
    entry = FUNCTIONS[np.cumsum]
    along_first = replace(entry, call=lambda g, a, axis=None, dtype=None: entry.call(g, a, axis and 0, dtype))
    monkeypatch.setitem(FUNCTIONS, np.cumsum, along_first)
    with pytest.raises(AssertionError):
        test_along_every_axis("cumsum")


def test_a_sum_that_is_forgotten_would_be_seen(monkeypatch):
    """The planted fault: what a broadcast repeats is not added up again."""
    monkeypatch.setattr(BroadcastTo, "pullback", lambda self, g, cotangent, operand: cotangent)
    with pytest.raises(AssertionError):
        test_operands_that_broadcast("add")
