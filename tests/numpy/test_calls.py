"""Every supported NumPy function, traced and evaluated, gives what NumPy gives: numbers, shapes and element types."""

import itertools

import numpy as np
import pytest
import scipy.special

from gradserve.ir.errors import Untraceable
from gradserve.ir.types import ElementType
from gradserve.numpy import supported_names
from gradserve.numpy.mirrored import OF_CLIENT
from gradserve.numpy.table import PACKAGE, SCIPY, SPECIAL, UFUNCS
from tests.clients.evaluation import assert_same, assert_traces, traced_result
from tests.numpy.calls import flat_calls
from tests.rows import each, in_one

FEW_TYPES = {
    f"scipy.special.{name}"
    for name in (
        *("bdtr", "bdtrc", "bdtri", "fdtri", "gdtria", "log_wright_bessel"),
        *("nbdtr", "nbdtrc", "nbdtri", "nrdtrisd", "wright_bessel"),
    )
}
"""Functions of three operands, whose types others have told: three of each will do."""
MATRIX_UFUNCS = {"matmul", "vecdot", "matvec", "vecmat"}
OF_ORDER = {
    *("expn", "iv", "ive", "jn", "jv", "jve", "kn", "kv", "kve", "yn", "yv", "yve", "lpmv", "struve", "modstruve"),
    *("hankel1", "hankel1e", "hankel2", "hankel2e", "pbdv", "pbvv", "pbwa", "hyp0f1", "hyp1f1", "hyp2f1", "hyperu"),
    *("chndtr", "chndtrix", "chndtrinc", "ncfdtr", "ncfdtri", "nctdtr", "nctdtrit", "besselpoly"),
    *("bdtrik", "bdtrin", "gdtrib", "nbdtrik", "nbdtrin", "modfresnelm", "modfresnelp", "pdtrik"),
    *(name for name in SPECIAL if name.startswith(("mathieu_", "pro_", "obl_"))),
    *("smirnov", "smirnovi", "elliprd", "elliprf", "elliprg", "elliprj"),
    *(name for name in SPECIAL if name.startswith("eval_")),
}
"""Functions whose first operand cannot be traced or moved, or that take long: they have tests of their own."""
ELEMENTWISE = {ufunc.__name__: ufunc for ufunc in UFUNCS if ufunc.__name__ not in MATRIX_UFUNCS} | {
    f"scipy.special.{name}": getattr(scipy.special, name) for name in SPECIAL if name not in OF_ORDER
}
OPERANDS = [
    np.array([[0.3, 0.9, 1.0], [0.5, 0.7, 0.1]]),
    np.array([[0.2, 0.4, 1.0], [0.6, 0.7, 0.8]]),
    np.array([[0.1, 0.8, 0.5], [0.9, 0.3, 1.0]]),
]
SIGNED = [
    np.array([0.0, -0.0, 1.5, -2.5, 7.0, -7.0, np.inf, -np.inf, np.nan, 3.0]),
    np.array([0.0, 2.0, -0.5, 2.5, 2.0, 2.0, 3.0, 4.0, 1.0, np.nan]),
    np.array([0.0, 0.5, 0.25, 1.0, 0.5, -1.0, 2.0, 1.0, 0.5, 0.5]),
]
TYPES = [np.bool_, np.int32, np.int64, np.float32, np.float64]
# Where NumPy's and our order of operations differ at infinity, without a derivative anywhere near.
NOT_AT_INFINITY = {"modf", "floor_divide", "divmod", "cbrt", "logaddexp2", "scipy.special.rgamma"}


@in_one
@pytest.mark.parametrize(("name", "function", "arguments"), flat_calls())
def test_traced_function_gives_what_numpy_gives(name, function, arguments):
    assert_traces(function, *arguments)


def test_every_supported_name_is_called():
    ufuncs = {f"np.{name}" for name, member in vars(np).items() if isinstance(member, np.ufunc)}
    special = {f"scipy.special.{name}" for name in SPECIAL}
    # See their own tests.
    own = {name for name in supported_names() if name in OF_CLIENT or name.startswith(PACKAGE)}
    assert set(supported_names()) - ufuncs - special - own - SCIPY.keys() == {name for name, _, _ in flat_calls()}


def test_surface_is_wide():
    assert len(supported_names()) > 340


def operand(name, position, kind):
    """What is given in this place, of this type; Python's own numbers are captured."""
    if kind in (int, float):
        return kind(2)
    if np.dtype(kind).kind not in "if":
        return OPERANDS[position] > 0.5
    greater = 1.0 if name == "arccosh" else 0.0
    return (OPERANDS[position] * (1 if np.dtype(kind).kind == "f" else 3) + greater).astype(kind)


def label(position, kind):
    return f"x{position}_{kind.__name__}"


def together(name, combinations):
    """A function of arrays by label, which gives the results of a ufunc for all combinations of types."""
    ufunc = ELEMENTWISE[name]

    def results(given):
        return [
            ufunc(*(given.get(label(k, kind), operand(name, k, kind)) for k, kind in enumerate(types)))
            for types in combinations
        ]

    return results


def arrays_of(name, combinations):
    places = {place for types in combinations for place in enumerate(types)}
    return {label(k, kind): operand(name, k, kind) for k, kind in places if kind not in (int, float)}


@pytest.mark.parametrize("name", sorted(ELEMENTWISE))
def test_ufunc_has_the_types_and_numbers_of_numpy(name):
    nin = ELEMENTWISE[name].nin
    kinds = [*TYPES, int, float] if nin > 1 else TYPES
    if name in FEW_TYPES:
        kinds = [np.int64, np.float32, np.float64]
    given = {}
    for types in itertools.product(kinds, repeat=nin):
        if all(kind in (int, float) for kind in types):
            continue
        function, arrays = together(name, [types]), arrays_of(name, [types])
        try:
            with np.errstate(all="ignore"):
                (expected,) = function(arrays)
        except TypeError:
            with pytest.raises(TypeError):
                traced_result(function, arrays)
            continue
        if any(result.dtype not in [t.dtype for t in ElementType] for result in np.atleast_1d(expected)):
            with pytest.raises(Untraceable, match="no graph has such elements"):
                traced_result(function, arrays)
            continue
        if name == "signbit" and types == (np.bool_,):
            with pytest.raises(Untraceable, match="float16"):
                traced_result(function, arrays)
            continue
        given[types] = expected
    found = traced_result(together(name, list(given)), arrays_of(name, list(given)))
    each(
        ((str(types), pair) for types, pair in zip(given, zip(found, given.values(), strict=True), strict=True)),
        lambda pair: assert_same(*pair),
    )


@in_one
@pytest.mark.parametrize("name", sorted(ELEMENTWISE))
def test_ufunc_at_zero_infinity_and_nan(name):
    ufunc = ELEMENTWISE[name]
    finite = np.isfinite(SIGNED[:2]).all(axis=0) if name in NOT_AT_INFINITY else slice(None)
    operands = [x[finite] for x in SIGNED[: ufunc.nin]]
    try:
        with np.errstate(all="ignore"):
            expected = ufunc(*operands)
    except TypeError:
        return
    assert_same(traced_result(ufunc, *operands), expected)


@pytest.mark.parametrize("name", sorted(MATRIX_UFUNCS & set(vars(np))))
def test_matrix_ufuncs(name):
    random = np.random.default_rng(3)
    shapes = {"matmul": ((3, 4), (4, 2)), "vecdot": ((3, 4), (4,)), "matvec": ((3, 4), (4,)), "vecmat": ((4,), (4, 2))}
    first, second = shapes[name]
    for size in (first, (2, *first)):
        assert_traces(getattr(np, name), random.normal(size=size), random.normal(size=second))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.add.reduce(x),
        lambda x: np.add.reduce(x, axis=None),
        lambda x: np.multiply.reduce(x, 1, keepdims=True),
        lambda x: np.maximum.reduce(x, axis=(0, 1)),
        lambda x: np.minimum.reduce(x),
        lambda x: np.logaddexp.reduce(x, axis=1, keepdims=True),
        lambda x: np.logaddexp.reduce(x, axis=None),
        lambda x: np.logaddexp.reduce(x.astype(np.float32)),
        lambda x: np.hypot.reduce(x, axis=1, keepdims=True),
        lambda x: np.hypot.reduce(-1e200 * x, axis=(0, 1)),
        lambda x: np.hypot.reduce(x[:0]),
        lambda x: np.logaddexp2.reduce(x.astype(np.float32)),
        lambda x: [np.fmax.reduce(x, axis=None), np.fmin.reduce(x, axis=1)],
        lambda x: np.logical_and.reduce(x > 0),
        lambda x: np.logical_or.reduce(x > 0, axis=1),
        lambda x: np.add.reduceat(x, [0, 1, 1]),
        lambda x: np.add.reduceat(x, np.array([1, 0, 2]), axis=1),
        lambda x: np.add.reduceat(x > 0, [0, 1], 1),
        lambda x: np.add.reduceat(x.astype(np.float32), [0], dtype=np.float64),
        lambda x: np.multiply.reduceat(x, [0, 2], axis=-1),
        lambda x: np.multiply.reduceat(x > 0, [1]),
        lambda x: np.maximum.reduceat(x, [0, 0, 2], axis=1),
        lambda x: np.maximum.reduceat(np.round(4 * x).astype(np.int64), [0, 1], axis=1),
        lambda x: np.minimum.reduceat(x, [0, 2, 1], axis=1),
        lambda x: np.minimum.reduceat(x > 0, [0, 1], axis=1),
        lambda x: np.logaddexp.reduceat(x, [2, 0, 1], axis=1),
        lambda x: np.add.accumulate(x),
        lambda x: np.add.accumulate(x, axis=1),
        lambda x: np.multiply.accumulate(x, axis=1),
        lambda x: np.maximum.accumulate(x),
        lambda x: np.minimum.accumulate(x, axis=-1),
        lambda x: np.logaddexp.accumulate(x, axis=1),
        lambda x: np.multiply.outer(x, x[0]),
        lambda x: np.subtract.outer([1.0, 2.0], x),
    ],
)
def test_methods_of_ufuncs(function):
    assert_traces(function, OPERANDS[0] - 0.5)


def test_median_of_nothing_is_nan():
    assert np.isnan(traced_result(lambda x: np.median(x, axis=0), np.zeros((0, 3)))).all()


def test_floor_divide_is_exact_for_large_integers():
    x = np.array([2**62 + 1, -(2**62) - 3, 2**53 + 1, 7])
    y = np.array([3, 7, -1, 0])
    with np.errstate(all="ignore"):
        expected = x // y
    np.testing.assert_array_equal(traced_result(np.floor_divide, x, y), expected)


def test_remainders_of_small_negative_numbers_keep_their_digits():
    x = np.array([-1e-20, 1e-20, -0.75, -np.inf, -1.5])
    y = np.array([1.0, 1.0, 0.5, 1.0, np.inf])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(traced_result(np.fmod, x, y), np.fmod(x, y))
