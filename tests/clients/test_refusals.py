"""What no graph can say is refused while tracing, with the author's line and what to write instead."""

import copy
import inspect
import math
from typing import Any

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import scipy.special
from scipy.special import logsumexp

from gradserve.client.tracing.trace import trace
from gradserve.ir.errors import InvalidGraph, Untraceable
from tests.clients.evaluation import assert_traces

OUTSIDE = np.zeros((2, 3))
X = np.array([[0.5, -1.5, 2.0], [3.0, 0.25, -0.75]])


def and_(x):
    return np.where(x > 0 and x < 1, x, 0)


def math_(x):
    return math.sin(x)


def in_(x):
    return 1.0 in x


def len_of_scalar(x):
    return len(x[0, 0])


def int_(x):
    return int(x[0, 0])


def round_(x):
    return round(x[0, 0])


def range_(x):
    return range(x.argmax())


def multiply_at(x):
    np.multiply.at(x, [0], 2.0)
    return x


def piecewise_(x):
    return np.piecewise(x, [x > 0], [1.0, np.sin])


def as_half(x):
    return x.astype(np.float16)


def fft_(x, unseen=scipy.fft.fft):
    return unseen(x)


def out_(x):
    return np.add(x, 1, out=OUTSIDE)


def where_(x):
    return np.sqrt(x, where=x > 0)


def sum_where(x):
    return np.var(x, where=x > 0)


def assign_to_captured(x):
    OUTSIDE[0] = x[0]
    return OUTSIDE


def assign_to_view(x):
    y = x.copy()
    row = y.T[0]
    row[:] = 1.0
    return np.sum(y)


def assign_complex(x):
    (x * 1)[0] = 1j * x[1]
    return x


def assign_by_mask(x):
    (x * 1)[x > 0] = x[0]
    return x


def copy_(x):
    return np.nan_to_num(x, copy=False)


def initial_(x):
    return np.nanmax(x, initial=0.0)


def unique_(x):
    return np.unique(x)


def svd_(x):
    return np.linalg.svd(x)


def qr_(x):
    return np.linalg.qr(x, mode="raw")


def schur_(x):
    return scipy.linalg.schur(x @ x.T)


def unknown_ufunc(x):
    return np.spacing(x)


def fdtridfd_(x):
    return scipy.special.fdtridfd(1.0, x, 2.0)


def itairy_(x):
    return scipy.special.itairy(x)


def order_(x):
    return scipy.special.jv(x, x)


def logsumexp_(x, unseen=logsumexp):
    return unseen(x)


def scipy_(x):
    return scipy.special.factorial2(x)


def nonzero_(x):
    return np.nonzero(x)


def where_alone(x):
    return np.where(x > 0)


def reduceat_(x):
    return np.subtract.reduceat(x, [0, 1])


def traced_segments(x):
    return np.add.reduceat(x, np.argsort(x[0])[:2])


def masked_(x):
    return x * np.ma.masked_greater(X, 1.0)


def of_masks(x):
    return np.ma.masked_where(X > 1.0, x).sum()


def matrix_(x):
    return np.matrix(np.eye(2)) * x


def matrix_of_traced(x):
    return np.asmatrix(x) * x.T


def strided(x):
    return np.lib.stride_tricks.as_strided(x, (2, 2), x.strides)


def as_strided(x):
    return np.lib.stride_tricks.as_strided(x, (2, 2), (8, 8))


def nditer_(x):
    return sum(v * 2 for v in np.nditer(x))


def poly1d_(x):
    return np.poly1d(x[0])(2.0)


def poly1d_of_a_list(x):
    return np.poly1d([x[0, 0], 1.0])(2.0)


def drawn(x):
    return np.random.default_rng(0).normal(x[0, 0], 1.0, 3)


def traced_shape(x):
    return np.zeros_like(x, shape=x.argmax())


def fortran(x):
    return x.reshape(-1, order="A")


def long_(x):
    return x * np.longdouble(1)


def half(x):
    return np.exp(x > 0)


REFUSED = [
    (and_, 1, "&, | and ~ instead of and, or and not"),
    (math_, 1, "np.sin instead of math.sin"),
    (in_, 1, "np.where(condition, x, y) instead of if"),
    (len_of_scalar, 1, "ask for x.size"),
    (int_, 1, "x.astype(np.int64)"),
    (round_, 1, "np.round(x)"),
    (range_, 1, "use plain numbers"),
    (multiply_at, 1, "write it with np.multiply and other functions on whole arrays"),
    (piecewise_, 1, "write np.select([condition, ...], [value, ...], default)"),
    (as_half, 1, "convert to one of bool, int32, int64, float32, float64, complex64, complex128"),
    (fft_, 1, "from gradserve.client.scipy.fft import fft`"),
    (assign_to_captured, 1, "result = np.array(x), which takes assignments"),
    (assign_to_view, 4, "changed in place at test_refusals.py"),
    (assign_to_view, 4, "write y = y + x there, not y += x"),
    (assign_complex, 1, "does not take complex numbers"),
    (assign_by_mask, 1, "each is assigned its own; write np.where(mask, values, x)"),
    (out_, 1, "np.add writes traced numbers into an array of plain ones; make it within the function"),
    (where_, 1, "np.where(condition, ..., ...)"),
    (sum_where, 1, "np.var with where= cannot be traced"),
    (copy_, 1, "use the result: y = np.nan_to_num(x)"),
    (initial_, 1, "np.nanmax with initial= cannot be traced; combine"),
    (unique_, 1, "call it on captured data"),
    (svd_, 1, "write np.linalg.svd(x, full_matrices=False)"),
    (qr_, 1, "np.linalg.qr with mode='raw' cannot be traced"),
    (schur_, 1, "scipy.linalg.schur"),
    (unknown_ufunc, 1, "np.spacing cannot be traced"),
    (fdtridfd_, 1, "scipy.special.fdtridfd cannot be traced"),
    (itairy_, 1, "near it are scipy.special.airy"),
    (order_, 1, "use orders known while tracing"),
    (logsumexp_, 1, "scipy.special.logsumexp asks for the elements of a traced array"),
    (logsumexp_, 1, "from gradserve.client.scipy.special import logsumexp`, which takes the same arguments"),
    (scipy_, 1, "ufuncs of scipy.special can be traced"),
    (nonzero_, 1, "np.where(condition, x, y)"),
    (where_alone, 1, "write np.where(condition, x, y)"),
    (reduceat_, 1, "np.subtract.reduceat cannot be traced"),
    (traced_segments, 1, "the positions of reduceat are traced"),
    (masked_, 1, "masked, and no graph knows masks; give m.filled(0)"),
    (of_masks, 1, "np.where(mask, x, 0) and sums of it instead of masked arrays"),
    (matrix_, 1, "a np.matrix, whose * and ** are of matrices; write np.asarray(M), and @"),
    (matrix_of_traced, 1, "write np.array(...), and @ for products of matrices"),
    (strided, 1, "sliding_window_view"),
    (as_strided, 1, "sliding_window_view"),
    (nditer_, 1, "for v in x.flat"),
    (poly1d_, 1, "write np.polyval(c, x)"),
    (poly1d_of_a_list, 1, "write np.polyval(c, x)"),
    (drawn, 1, "write mu + sigma * rng.standard_normal(n) instead of rng.normal(mu, sigma, n)"),
    (traced_shape, 1, "a shape depends on a traced array"),
    (fortran, 1, "order='A' cannot be traced"),
    (long_, 1, ", and no graph has such elements"),
    (half, 1, "in float16, and no graph has such elements"),
]


@pytest.mark.parametrize(("function", "offset", "advice"), REFUSED, ids=[case[0].__name__ for case in REFUSED])
def test_what_no_graph_can_say_is_refused_with_line_and_advice(function, offset, advice):
    with pytest.raises(Untraceable) as refusal:
        trace(function, X)
    message = str(refusal.value)
    line = function.__code__.co_firstlineno + offset
    assert message.startswith(f"test_refusals.py:{line}: ")
    assert advice in message
    assert message.endswith(inspect.getsource(function).splitlines()[offset].strip())


def test_what_is_written_instead_is_traced():
    def function(x):
        drawn = x[0, 0] + x[0, 1] * np.random.default_rng(0).standard_normal(3)
        return drawn + np.polyval([x[0, 0], 1.0], 2.0) + np.searchsorted(OUTSIDE[0], x[0])

    assert_traces(function, X)


def test_compiled_code_that_makes_arrays_gets_none_that_are_traced():
    """It reads them as memory: the process ended."""

    def function(x):
        noise = np.random.default_rng(0).standard_normal(3)
        s = np.empty(3)
        s[0] = x[0, 0]
        s[1:] = x[0, 1]
        return s * noise

    assert_traces(function, X)


def test_refusals_are_type_errors_and_hold_no_folder():
    with pytest.raises(TypeError) as refusal:
        trace(int_, X)
    assert "/" not in str(refusal.value)


def test_shapes_that_do_not_fit_are_refused_with_line():
    def function(x):
        return x + np.zeros(2)

    with pytest.raises(
        InvalidGraph,
        match=rf"np.add \(C1\).*\[2,3\] and \[2\].*test_refusals.py:{function.__code__.co_firstlineno + 1}",
    ):
        trace(function, X)


def test_a_result_that_is_no_array_is_refused():
    with pytest.raises(Untraceable, match="result is a str"):
        trace(lambda x: "text", X)


def test_a_traced_array_of_another_call_is_refused():
    kept: list[Any] = []

    def keeping(x):
        kept.append(x)
        return x

    trace(keeping, X)
    with pytest.raises(Untraceable, match="another call"):
        trace(lambda x: x + kept[0], X)
    with pytest.raises(Untraceable, match="another call"):
        trace(lambda x: kept[0], X)


def test_traced_arrays_have_no_attributes_that_arrays_do_not_have():
    def function(x):
        assert not hasattr(x, "todense")
        assert not hasattr(x, "__cuda_array_interface__")
        return copy.copy(x)

    assert_traces(function, X)
    with pytest.raises(TypeError, match="unhashable"):
        trace(lambda x: {x: 1}, X)


def test_errors_of_the_author_pass():
    def function(x):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        trace(function, X)


def test_a_ufunc_that_only_shares_its_name_is_refused(monkeypatch):
    same_name = scipy.special.erf
    monkeypatch.setattr(scipy.special, "erf", scipy.special.expit)
    with pytest.raises(Untraceable, match="cannot be traced"):
        trace(lambda x: same_name(x), X)
