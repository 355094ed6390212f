"""Every guard has samples that it refuses, on every executor alike; none refuses a sample of the laws."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.execution.numpy.kernels.table import entry
from gradserve.execution.xla.lowerings import lowered
from gradserve.execution.xla.programs import NOWHERE, Lowering
from gradserve.ir.errors import NotDifferentiable, NumericalFailure
from gradserve.ir.guards import Guard, refusal
from gradserve.ir.op import Op, Sample
from gradserve.ir.types import Array
from gradserve.ops.control.calling import Calling
from gradserve.ops.control.scan import Scan
from gradserve.ops.indexing.gather import Gather
from gradserve.ops.linalg.solve import TriangularSolve
from gradserve.ops.spectral.matrix_functions import Spectral
from gradserve.ops.spectral.rotation import Rotation
from gradserve.ops.spectral.spectra import SpectrumCotangent, SpectrumTangent
from tests.laws.support import OPS, arguments, graph_of
from tests.rows import in_one
from tests.running import prepared

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
        flags = compiled_flags(sample)
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
        results = sample.op.results(np, *sample.operands) if isinstance(sample.op, Calling) else ()
        (told,) = refusal(sample.op, guard, flags, sample.operands, results).violations
        assert violation.description.startswith(told.description)
    (short,) = refusal(sample.op, guard, flags).violations
    assert "{" not in short.description


def compiled_flags(sample: Sample) -> list[Array]:
    """The flags of the guards, from one compiled program."""
    graph = graph_of(sample)

    @jax.jit
    def run(*operands: Any) -> Any:
        if isinstance(sample.op, Calling):  # whose loops are compiled as such
            _, positions = Lowering().run(graph_of(sample), operands)
            return [position != NOWHERE for position in positions[: len(sample.op.guards)]]
        results = lowered(sample.op, graph.nodes[0], operands, list(graph.input_types.values()))
        return [guard.test(sample.op, jnp, operands, results) for guard in sample.op.guards]

    return [np.asarray(flag) for flag in run(*map(jnp.asarray, sample.operands))]


@pytest.mark.parametrize("op", REFUSING, ids=lambda op: op.name)
def test_what_is_refused(op):
    refused_by_their_guards(op)


@in_one
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_guard_has_a_sample_that_it_refuses(op):
    samples = [*op.samples(), *(sample for _, sample in op.refused_samples())]
    guards = {guard.constraint for sample in samples for guard in sample.op.guards}
    assert guards == {constraint for constraint, _ in op.refused_samples()}


@in_one
@pytest.mark.parametrize("op", REFUSING, ids=lambda op: op.name)
def test_a_cheaper_test_never_hides_a_flag(op):
    for constraint, sample in op.refused_samples():
        (guard,) = (guard for guard in sample.op.guards if guard.constraint == constraint)
        if guard.suspect is not None:
            assert np.any(guard.suspect(sample.op, np, sample.operands, ()))


@pytest.mark.parametrize("op", [Rotation, Scan, SpectrumTangent, SpectrumCotangent], ids=lambda op: op.name)
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
