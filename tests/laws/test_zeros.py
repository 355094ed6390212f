"""A pullback takes an exact zero to an exact zero, and a pushforward as well, whatever the partials are."""

from dataclasses import replace

import numpy as np
import pytest

from gradserve.autodiff import derive
from gradserve.autodiff.derivation import Careful
from gradserve.ir.errors import NotDifferentiable, NumericalFailure
from gradserve.ir.op import Absorbed, Op, Sample
from gradserve.ir.types import Array
from gradserve.ops.contraction.contract import Contract
from gradserve.ops.elementwise.arithmetic import Div, Mul
from gradserve.ops.elementwise.powers import Sqrt
from gradserve.ops.family import Discrete, Elementwise
from gradserve.ops.linalg.solve import Solve, System
from gradserve.ops.linalg.stacked import Beside
from gradserve.optimize import optimize
from gradserve.questions.derivations import Jvp, Vjp
from tests.laws.support import OPS, arguments, graph_of, prefixed
from tests.rows import in_one
from tests.running import prepared

STRANGE = (np.nan, np.inf, -np.inf, 0.0, 1.0, -1.0)
"""What makes partials infinite or NaN: these themselves, poles, and ends of domains."""


def sample_of(op: type[Op]) -> Sample | None:
    """The first application of an op to real numbers that are there."""
    real = (s for s in op.samples() if s.differentiable and any(x.dtype.kind == "f" and x.size for x in s.operands))
    return next(real, None)


SMOOTH = [
    op for op in OPS if not issubclass(op, Discrete) and op.name not in ("iota", "lu", "lu_inverse") and sample_of(op)
]


class DerivativeOf:
    """The derivative of a sample's op along vectors, at any operands of the sample's types."""

    def __init__(self, sample: Sample, derivation: type[Vjp] | type[Jvp], vectors, executor: str = "numpy") -> None:
        given = [(name, x) for k, (name, x) in enumerate(arguments(sample).items()) if k not in sample.op.refuses]
        own = derivation(tuple(name for name, x in given if x.dtype.kind == "f"))
        graph = graph_of(sample)
        self.role = own.takes.removesuffix("s")
        types = own.vector_types(graph)
        self.vectors = prefixed(self.role, {n: vectors(t.lengths, t.element_type.dtype) for n, t in types.items()})
        self.run = prepared(optimize(derive(graph, Careful(own.wrt, own))), executor)

    def at(self, sample: Sample) -> dict[str, Array]:
        """By the names of what they belong to; nothing where the op refuses its operands."""
        try:
            with np.errstate(all="ignore"):
                outputs = self.run(arguments(sample) | self.vectors)
        except (NotDifferentiable, NumericalFailure):
            return {}
        return {name.partition(":")[2]: np.asarray(x) for name, x in outputs.items() if name.startswith(self.role)}


def filled(sample: Sample, number: float) -> Sample:
    """The sample with this number in the place of all its real elements."""
    operands = (np.full_like(x, number) if x.dtype.kind == "f" else x for x in sample.operands)
    return replace(sample, operands=tuple(operands))


def violations(op: type[Op], derivation: type[Vjp] | type[Jvp], executor: str = "numpy") -> list[str]:
    """Where the derivative of an op along zeros is not zero, at points where it has no value."""
    sample = sample_of(op)
    if sample is None:
        return []
    derivative = DerivativeOf(sample, derivation, np.zeros, executor)
    return [
        f"{sample.op} at {number}, {name}: {array.tolist()}"
        for number in STRANGE
        for name, array in derivative.at(filled(sample, number)).items()
        if np.any(array != 0)  # true of NaN as well
    ]


@in_one
@pytest.mark.parametrize("derivation", [Vjp, Jvp])
@pytest.mark.parametrize("op", SMOOTH, ids=lambda op: op.name)
def test_zeros_stay_zeros(op, derivation):
    assert violations(op, derivation) == []


@pytest.mark.parametrize("op", [Sqrt, Contract, Solve], ids=lambda op: op.name)
def test_zeros_stay_zeros_in_xla(op):
    assert violations(op, Vjp, "xla") == []


def strangers(op: type[Op], derivation: type[Vjp] | type[Jvp]) -> list[str]:
    """Where an element that is not asked for changes those that are."""
    sample = sample_of(op)
    assert sample is not None

    def counting_from_0(shape, dtype):
        return np.arange(np.prod(shape, dtype=int), dtype=dtype).reshape(shape)

    derivative = DerivativeOf(sample, derivation, counting_from_0)
    expected, found = derivative.at(sample), []
    for number in STRANGE:
        operands = [x.copy() for x in sample.operands]
        for x in operands:
            if x.dtype.kind == "f":
                x[0] = number
        for name, array in derivative.at(replace(sample, operands=tuple(operands))).items():
            if array[0] != 0 or not np.allclose(array[1:], expected[name][1:], rtol=1e-13):
                found.append(f"{sample.op} at {number}, {name}: {array} and not {expected[name]}")
    return found


ELEMENTWISE = [op for op in SMOOTH if issubclass(op, Elementwise)]


@in_one
@pytest.mark.parametrize("derivation", [Vjp, Jvp])
@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.name)
def test_an_element_that_is_not_asked_for_changes_no_other(op, derivation):
    assert strangers(op, derivation) == []


@pytest.mark.parametrize("family", [Mul, Div, Contract, System, Beside])
def test_a_product_that_does_not_absorb_is_seen(family, monkeypatch):
    def as_it_is(self, g, operands, reach):
        absorbed = Op.absorbing(self, g, operands, reach)
        return Absorbed(absorbed.results, absorbed.reach)

    monkeypatch.setattr(family, "absorbing", as_it_is)
    ops = [op for op in SMOOTH if issubclass(op, family) or op.name in ("sqrt", "log")]
    assert any(violations(op, derivation) for op in ops for derivation in (Vjp, Jvp))
