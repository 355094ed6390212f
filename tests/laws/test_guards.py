"""Every guard has samples that it refuses, on every executor alike; none refuses a sample of the laws."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.execution.numpy.kernels.table import entry
from gradserve.ir.errors import NotDifferentiable, NumericalFailure
from gradserve.ir.guards import Guard, refusal
from gradserve.ir.op import Op, Sample
from gradserve.ir.types import Array
from gradserve.ops.indexing.gather import Gather
from gradserve.ops.linalg.cholesky import Cholesky
from gradserve.ops.linalg.solve import TriangularSolve
from gradserve.ops.spectral.matrix_functions import Spectral
from gradserve.ops.spectral.rotation import Rotation
from gradserve.ops.spectral.spectra import SpectrumCotangent, SpectrumTangent
from tests.laws.support import OPS, arguments, graph_of
from tests.running import prepared

PACKAGES = ("indexing", "linalg", "spectral")
OF_PACKAGES = [op for op in OPS if op.__module__.split(".")[2] in PACKAGES]
REFUSING = [op for op in OPS if any(True for _ in op.refused_samples())]


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True), np.errstate(all="ignore"):
        yield


def refused_by_their_guards(op: type[Op]) -> None:
    """Each refused sample is refused by its guard and no earlier one, in the executor and in JAX's compiler."""
    for constraint, sample in op.refused_samples():
        guards = [guard.constraint for guard in sample.op.guards]
        assert constraint in guards
        (guard,) = (guard for guard in sample.op.guards if guard.constraint == constraint)
        flags = compiled(sample)[1]
        tripped = [name for name, flag in zip(guards, flags, strict=True) if np.any(flag)]
        assert tripped[:1] == [constraint]
        check_refusal(sample, guard, flags[guards.index(constraint)])


def check_refusal(sample: Sample, guard: Guard, flags: Array) -> None:
    with pytest.raises((NotDifferentiable, NumericalFailure)) as caught:
        prepared(graph_of(sample))(arguments(sample))
    (violation,) = caught.value.violations
    assert type(caught.value) is guard.error
    assert violation.constraint == (guard.of or sample.op.name)
    assert violation.field == "derived.nodes[0]"
    if guard.constraint not in entry(type(sample.op)).covers or guard.detail:
        (told,) = refusal(sample.op, guard, flags, sample.operands).violations
        assert violation.description.startswith(told.description)
    (short,) = refusal(sample.op, guard, flags).violations
    assert "{" not in short.description


def compiled(sample: Sample) -> tuple[list[Array], list[Array]]:
    """The results and the flags of the guards, from one compiled program."""

    @jax.jit
    def run(*operands: Any) -> Any:
        results = sample.op.results(jnp, *operands)
        return results, [guard.test(sample.op, jnp, operands, results) for guard in sample.op.guards]

    results, flags = run(*map(jnp.asarray, sample.operands))
    return [np.asarray(result) for result in results], [np.asarray(flag) for flag in flags]


def own_flags(sample: Sample, results: Sequence[Array]) -> list[Array]:
    return [guard.test(sample.op, np, sample.operands, results) for guard in sample.op.guards]


@pytest.mark.parametrize("op", REFUSING, ids=lambda op: op.name)
def test_what_is_refused(op):
    refused_by_their_guards(op)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_guard_has_a_sample_that_it_refuses(op):
    samples = [*op.samples(), *(sample for _, sample in op.refused_samples())]
    guards = {guard.constraint for sample in samples for guard in sample.op.guards}
    assert guards == {constraint for constraint, _ in op.refused_samples()}


@pytest.mark.parametrize("op", OF_PACKAGES, ids=lambda op: op.name)
def test_compiled_results_and_flags_are_those_of_numpy(op):
    for sample in op.samples():
        results, flags = compiled(sample)
        expected = sample.op.results(np, *sample.operands)
        single = any(x.dtype == np.float32 for x in (*expected, *sample.operands))
        for found, wanted in zip(results, expected, strict=True):
            assert found.shape == wanted.shape
            assert found.dtype == wanted.dtype
            np.testing.assert_allclose(found, wanted, rtol=1e-4 if single else 1e-9, atol=1e-5 if single else 1e-10)
        for found, wanted in zip(flags, own_flags(sample, expected), strict=True):
            np.testing.assert_array_equal(found, wanted)
            assert not np.any(found)


@pytest.mark.parametrize("op", [op for op in REFUSING if op is not Cholesky], ids=lambda op: op.name)
def test_compiled_flags_of_what_is_refused_are_those_of_numpy(op):
    for _, sample in op.refused_samples():
        results, flags = compiled(sample)
        for found, wanted in zip(flags, own_flags(sample, results), strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("op", REFUSING, ids=lambda op: op.name)
def test_a_cheaper_test_never_hides_a_flag(op):
    for constraint, sample in op.refused_samples():
        (guard,) = (guard for guard in sample.op.guards if guard.constraint == constraint)
        if guard.suspect is not None:
            assert np.any(guard.suspect(sample.op, np, sample.operands, ()))


@pytest.mark.parametrize("op", [Rotation, SpectrumTangent, SpectrumCotangent], ids=lambda op: op.name)
def test_the_law_fails_without_a_guard(op, monkeypatch):
    own = op.guards.fget
    monkeypatch.setattr(op, "guards", property(lambda self: own(self)[1:]))
    with pytest.raises(AssertionError):
        refused_by_their_guards(op)


@pytest.mark.parametrize("op", [Gather, Spectral, TriangularSolve], ids=lambda op: op.name)
def test_the_law_fails_with_a_guard_that_lets_pass(op, monkeypatch):
    def passing(guard: Guard) -> Guard:
        return replace(guard, test=lambda op, xp, operands, results: xp.zeros((), dtype=xp.bool))

    own = op.guards.fget
    monkeypatch.setattr(op, "guards", property(lambda self: tuple(map(passing, own(self)))))
    with pytest.raises(AssertionError):
        refused_by_their_guards(op)
