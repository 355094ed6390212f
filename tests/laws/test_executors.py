"""NumPy, machine code, XLA and a strict array API give the same results to rounding, and the same refusals."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import array_api_strict as strict
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.execution.fused import machine
from gradserve.execution.fused.text import Text
from gradserve.execution.numpy.kernels.table import entry
from gradserve.execution.xla import programs
from gradserve.ir.errors import GradserveError, NotDifferentiable, NumericalFailure
from gradserve.ir.op import Op, Sample
from gradserve.ir.types import Array, ElementType, type_of
from gradserve.ops import builder, routines
from gradserve.ops.elementwise.arithmetic import Add
from gradserve.ops.elementwise.trigonometry import Cos
from gradserve.ops.indexing.gather import Gather
from tests.laws.support import OPS, arguments, complexified, from_to, graph_of, some_at_a_time
from tests.rows import each, in_one
from tests.running import prepared

REFUSING = [op for op in OPS if any(True for _ in op.refused_samples())]
BEYOND_THE_STANDARD = {
    "abs", "add", "argmax", "argmin", "argsort", "ge", "gt", "is_finite", "largest_term", "le", "lt", "maximum",
    "minimum", "mul", "reduce_max", "reduce_min", "sort",
}  # fmt: skip
"""What the array API does not define on truth values."""


@pytest.fixture(autouse=True)
def conventions(monkeypatch):
    """The version of the standard that all ops keep to."""
    monkeypatch.setitem(routines.MODULES, strict.__name__, ("tests.laws.strict_routines",))
    with strict.ArrayAPIStrictFlags(api_version="2024.12"), np.errstate(all="ignore"):
        yield


def in_one_program(executor: str, samples: Sequence[Sample]) -> list[Array]:
    """The results of all samples, by one compiled program."""
    g = builder()
    given: dict[str, Array] = {}
    results: list[Any] = []
    for k, sample in enumerate(samples):
        given |= {f"s{k}_{name}": array for name, array in arguments(sample).items()}
        operands = [g.input(f"s{k}_{name}", type_of(array)) for name, array in arguments(sample).items()]
        results += g.apply(sample.op, operands)
    found = prepared(g.build({f"y{k}": value for k, value in enumerate(results)}), executor)(given)
    return list(found.values())


in_xla = functools.partial(in_one_program, "xla")
in_machine_code = functools.partial(in_one_program, "fused")


def in_strict(samples: Sequence[Sample]) -> list[Array]:
    """The results of all samples, by their ops' mathematics on arrays that allow nothing but the standard."""
    found: list[Any] = []
    for sample in samples:
        operands: list[Any] = [strict.asarray(x) for x in sample.operands]
        found += sample.op.results(strict, *operands)
    return [np.asarray(array) for array in found]


def agree(
    ops: Sequence[type[Op]], compute: Callable[[Sequence[Sample]], list[Array]], *, bool_operands: bool = True
) -> None:
    """The results are those of the reference."""
    given = [sample for op in ops for sample in [*op.samples(), *complexified(op)]]
    samples = [sample for sample in given if bool_operands or not of_truth_values(sample)]
    expected = [
        (sample.op.name, array)
        for sample in samples
        for array in prepared(graph_of(sample))(arguments(sample)).values()
    ]
    pairs = zip(compute(samples), expected, strict=True)
    each(((name, (found, wanted)) for found, (name, wanted) in pairs), lambda pair: close(*pair))


def close(found: Array, wanted: Array) -> None:
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    tolerance = 2e-4 if wanted.dtype in (np.float32, np.complex64) else 1e-10
    scale = np.max(np.abs(wanted[np.isfinite(wanted)]), initial=1.0) if wanted.dtype.kind in "fic" else 1.0
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * scale)


def of_truth_values(sample: Sample) -> bool:
    return any(type_of(x).element_type is ElementType.BOOL for x in sample.operands)


@pytest.mark.parametrize("ops", some_at_a_time(OPS), ids=from_to)
def test_xla_gives_the_results_of_numpy(ops):
    agree(ops, in_xla)


@in_one
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_machine_code_gives_the_results_of_numpy(op):
    agree([op], in_machine_code)


@in_one
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_mathematics_keep_to_the_array_api(op):
    agree([op], in_strict, bool_operands=op.name not in BEYOND_THE_STANDARD)


def refused(sample: Sample, executor: str) -> GradserveError:
    with pytest.raises((NotDifferentiable, NumericalFailure)) as caught:
        prepared(graph_of(sample), executor)(arguments(sample))
    return caught.value


@pytest.mark.parametrize("executor", ["fused", "xla"])
@pytest.mark.parametrize("op", REFUSING, ids=lambda op: op.name)
def test_all_refuse_what_numpy_refuses(op, executor):
    for _, sample in op.refused_samples():
        found, expected = refused(sample, executor), refused(sample, "numpy")
        assert type(found) is type(expected)
        assert [(v.field, v.constraint) for v in found.violations] == [
            (v.field, v.constraint) for v in expected.violations
        ]


@in_one
@pytest.mark.parametrize("op", REFUSING, ids=lambda op: op.name)
def test_guards_keep_to_the_array_api(op):
    for constraint, sample in op.refused_samples():
        try:
            assert tripped(sample)[:1] == [constraint]
        except (np.linalg.LinAlgError, IndexError):  # this namespace refuses by itself what others have a guard for
            assert constraint in entry(op).covers


def tripped(sample: Sample) -> list[str]:
    operands: list[Any] = [strict.asarray(x) for x in sample.operands]
    results = sample.op.results(strict, *operands)
    flags = ((guard, guard.test(sample.op, strict, operands, results)) for guard in sample.op.guards)
    return [guard.constraint for guard, flag in flags if np.any(np.asarray(flag))]


def test_another_result_is_seen(monkeypatch):
    monkeypatch.setattr(programs, "lowered", lambda op, node, operands, types: operands)
    with pytest.raises(BaseExceptionGroup, match="rows fail: cos"):
        agree([Cos], in_xla)


def test_another_instruction_is_seen(monkeypatch):
    monkeypatch.setattr(machine.Machine, "instruction", lambda self, term, operands: operands[0])
    with pytest.raises(BaseExceptionGroup, match="rows fail: add"):
        agree([Add], in_machine_code)


def test_an_index_that_is_not_looked_at_is_seen(monkeypatch):
    _, sample = next(iter(Gather.refused_samples()))
    monkeypatch.setattr(Text, "refuse_if", lambda self, truth, outcome="": None)
    with pytest.raises(pytest.fail.Exception):
        refused(sample, "fused")


def test_a_namespace_beyond_the_standard_is_seen(monkeypatch):
    monkeypatch.setattr(Cos, "impl", lambda self, xp, x: xp.cos(x).copy())
    with pytest.raises(AttributeError):
        agree([Cos], in_strict)


def test_a_missing_guard_is_seen(monkeypatch):
    _, sample = next(iter(Gather.refused_samples()))
    monkeypatch.setattr(programs, "_first", lambda test: jnp.asarray(programs.NOWHERE))
    with pytest.raises(pytest.fail.Exception):
        refused(sample, "xla")
