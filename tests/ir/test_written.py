"""Parts of rules of the operands alone: written once of the same operands, and anew of others and in another graph."""

import inspect

import pytest

from gradserve.autodiff.derivation import Curvature
from gradserve.ir.types import ElementType, TensorType
from gradserve.ir.written import written_once
from gradserve.jobs.sweeps.programs import Programs
from gradserve.ops import builder
from gradserve.ops.special import students
from gradserve.ops.special.gammas import digamma_rise

VECTOR = TensorType(ElementType.FLOAT64, (3,))


def test_it_is_found_again_of_the_same_operands_only():
    written = []

    @written_once
    def part(g, x, y):
        written.append((x, y))
        return g.sub(x, y)

    g, other = builder(), builder()
    x, y = g.input("x", VECTOR), g.input("y", VECTOR)
    assert part(g, x, y) is part(g, x, y)
    assert part(g, y, x) is not part(g, x, y)
    part(other, other.input("x", VECTOR), other.input("y", VECTOR))
    assert len(written) == 3


@pytest.mark.parametrize(("kept", "once"), [(written_once, True), (lambda part: part, False)], ids=["kept", "not kept"])
def test_what_is_derived_again_is_not_written_again(monkeypatch, kept, once):
    written = []

    def rise(g, *operands):
        written.append((g, *operands))
        return inspect.unwrap(digamma_rise)(g, *operands)

    monkeypatch.setattr(students, "digamma_rise", kept(rise))
    g = builder()
    df, p = g.input("df", VECTOR), g.input("p", VECTOR)
    for _ in range(4):
        p = g.add(g.mul(g.stdtrit(df, p), 1e-3), 0.5)
    Programs().derived(g.build({"loss": g.reduce_sum(p, axes=(0,))}), Curvature(("df", "p")))
    assert (len(written) == len(set(written))) == once
