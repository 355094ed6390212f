"""What a number in a request could ask for without an end: orders of functions, and constants as large as matrices."""

import numpy as np
import pytest

from gradserve.autodiff import derive
from gradserve.execution import costs
from gradserve.ir.errors import ConstraintError, InvalidGraph
from gradserve.ir.op import Op
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder
from gradserve.ops.linalg.banded import BandedSolve
from gradserve.ops.special.bessel import BesselY, SphericalI, SphericalJ, SphericalK, SphericalY
from gradserve.ops.special.inverses import Smirnovi
from gradserve.ops.special.mathieu import ModifiedMathieu
from gradserve.ops.special.noncentral import Noncentral
from gradserve.ops.special.spheroidal import SpheroidalRadial
from gradserve.ops.spectral.general import Eig
from gradserve.questions.derivations import Jvp, Vjp

MANY = 1 << 20


def seconds(op: Op) -> float:
    x = TensorType(ElementType.FLOAT64, (1000,))
    g = builder()
    return costs.of_graph(g.build({"y": g.apply(op, [g.input("x", x)])[0]}))


@pytest.mark.parametrize(
    "op",
    [
        *(kind(order) for kind in (SphericalI, SphericalJ, SphericalK, SphericalY) for order in (10_001, 2**62, -1)),
        *map(BesselY, (10_001.0, -10_001.0, 1e9, 1e300)),
        Smirnovi(10_001),
    ],
    ids=str,
)
def test_orders_are_bounded(op):
    g = builder()
    with pytest.raises((ConstraintError, InvalidGraph), match=r"order|points"):
        g.apply(op, [g.input("x", TensorType(ElementType.FLOAT64, (2,)))])


@pytest.mark.parametrize(
    "op",
    [
        *(
            SpheroidalRadial(0, m, n, c)
            for m, n, c in ((0, 31, 1.0), (5, 4, 1.0), (0, 3, 31.0), (-1, 3, 1.0), (0, 3, 0.0))
        ),
        *(ModifiedMathieu(0, order, q) for order, q in ((2**62, 1.0), (10, 0.1), (2, 1e9), (2, -1.0))),
    ],
    ids=str,
)
def test_where_scipys_tables_end_or_its_sums_cancel_is_refused(op):
    """Beyond their ends it writes into other memory."""
    g = builder()
    with pytest.raises((ConstraintError, InvalidGraph), match="the kind is 0"):
        g.apply(op, [g.input("x", TensorType(ElementType.FLOAT64, (2,)))])


@pytest.mark.parametrize("law", ["chi-squared", "F", "t"])
def test_noncentral_laws_end_soon(law):
    """SciPy takes seconds for an element that is far off the centre: that is no number."""
    far = np.array([1e5, 1e8, 1e300, -1e300])
    with np.errstate(all="ignore"):
        assert np.isnan(Noncentral(law, 0, 3.0, 2.0).impl(np, far, far)).all()
        assert np.isnan(Noncentral(law, 1, 3.0, 2.0).impl(np, far * 0.0 + 0.5, far)).all()
    g = builder()
    x = g.input("x", TensorType(ElementType.FLOAT64, (2,)))
    with pytest.raises((ConstraintError, InvalidGraph), match="degrees of freedom"):
        g.apply(Noncentral(law, 0, 1e9, 2.0), [x, x])


@pytest.mark.parametrize(
    ("low", "high"),
    [(SphericalY(1), SphericalY(10_000)), (BesselY(2.0), BesselY(10_000.0)), (Smirnovi(10), Smirnovi(10_000))],
    ids=str,
)
def test_high_orders_are_predicted_to_take_long(low, high):
    assert seconds(high) > 30 * seconds(low)


def test_orders_between_whole_ones_take_no_steps():
    assert seconds(BesselY(1e9 + 0.5)) == seconds(BesselY(1.5))


def system(op: Op, *shapes: tuple[int, ...]):
    """A graph of the op, of types alone."""
    g = builder()
    results = g.apply(op, [g.input(f"x{k}", TensorType(ElementType.FLOAT64, shape)) for k, shape in enumerate(shapes)])
    return g.build({f"y{k}": result for k, result in enumerate(results)})


@pytest.mark.parametrize("derivation", [Jvp(("x0",)), Vjp(("x0",))], ids=["jvp", "vjp"])
@pytest.mark.parametrize(
    "graph",
    [system(Eig(), (1000, 1000)), system(BandedSolve(499, 500), (1000, 1000), (1000, 2))],
    ids=["eig", "banded"],
)
def test_derivatives_hold_no_matrices(graph, derivation):
    derived = derive(graph, derivation)
    held = sum(constant.type.nbytes for each in (derived, *derived.functions) for constant in each.constants)
    assert held < MANY


def test_a_matrix_that_is_held_would_be_seen():
    g = builder()
    x = g.input("x0", TensorType(ElementType.FLOAT64, (1000, 1000)))
    graph = g.build({"y": x * g.constant(np.ones((1000, 1000)) * np.arange(1000.0))})
    assert sum(constant.type.nbytes for constant in graph.constants) > MANY
