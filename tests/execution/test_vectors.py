"""Elementary functions of four reals at once: within 4 units in the last place, wherever an element lies."""

from __future__ import annotations

import ctypes
import gc
import weakref
from itertools import product

import mpmath as mp
import numpy as np
import pytest

from gradserve.execution.fused import ufuncs, vectors
from gradserve.ir.types import ElementType

ULPS = 4
SPECIAL = [0.0, np.inf, np.nan, 1.0, 2.0, 0.5, 3.0, 1e308, 5e-324, 1e-310]
SPECIAL += [-x for x in SPECIAL]
EXACT = {"exp": mp.exp, "expm1": mp.expm1, "exp2": lambda x: mp.mpf(2) ** x, "log": mp.log, "log1p": mp.log1p}
EXACT |= {"log2": lambda x: mp.log(x, 2), "sin": mp.sin, "cos": mp.cos, "tan": mp.tan, "arcsin": mp.asin}
EXACT |= {"arccos": mp.acos, "arctan": mp.atan, "sinh": mp.sinh, "cosh": mp.cosh, "tanh": mp.tanh}
EXACT |= {"arcsinh": mp.asinh, "arctanh": mp.atanh, "power": mp.power, "arctan2": mp.atan2, "hypot": mp.hypot}

pytestmark = pytest.mark.skipif(vectors._library() is None, reason="there is no libmvec, or no AVX2")


def called(ufunc: np.ufunc, *operands: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """What the loop over vectors makes of arrays of one length."""
    result = np.empty(len(operands[0])) if out is None else out
    made = vectors.vector_loop(ufunc, [ElementType.FLOAT64] * len(operands))
    assert made is not None
    pointers, code = made
    assert code.address == pointers[0]
    arrays = [*operands, result]
    data = np.array([array.ctypes.data for array in arrays])
    strides = np.array([array.strides[0] for array in arrays])
    count = np.array([len(result)])
    loop = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_void_p] * 5)(pointers[0])
    loop(pointers[1], data.ctypes.data, count.ctypes.data, strides.ctypes.data, pointers[2])
    return result


def test_code_lives_as_long_as_whoever_calls_it():
    """Of two threads that make the same loop at the same moment, the cache forgets what one of them made."""
    loop = ufuncs.inner_loop.__wrapped__(np.exp, (ElementType.FLOAT64,))
    assert loop is not None
    code = weakref.ref(vectors._loop(1))
    vectors._loop.cache_clear()
    ufuncs.inner_loop.cache_clear()
    gc.collect()
    assert loop.keeps.address == loop.pointers[0]
    assert code() is loop.keeps


def points(ufunc: np.ufunc) -> list[np.ndarray]:
    """Numbers of all sizes and near 1, as many sets as there are operands, where the function is normal."""
    rng = np.random.default_rng(0)
    sizes = np.exp2(np.concatenate([rng.uniform(-60, 9, 300), rng.uniform(-2, 2, 300), rng.uniform(-900, 900, 200)]))
    signed = sizes * rng.choice([-1.0, 1.0], len(sizes))
    if ufunc is np.power:
        return [sizes, rng.permutation(np.clip(signed, -5, 5))]
    if ufunc.nin == 2:
        return [signed, rng.permutation(signed)]
    inside = np.where(np.abs(signed) < 1, signed, 1 / signed)
    return [
        {"log": sizes, "log2": sizes, "arcsin": inside, "arccos": inside, "arctanh": inside}.get(ufunc.__name__, signed)
    ]


def errors(ufunc: np.ufunc, found: np.ndarray, operands: list[np.ndarray]) -> np.ndarray:
    """In units of the last place, where the result is a normal number."""
    exact, seen = EXACT[ufunc.__name__], []
    with mp.workdps(400 if ufunc in (np.sin, np.cos, np.tan) else 50):
        for y, *x in zip(found, *operands, strict=True):
            wanted = exact(*(mp.mpf(float(v)) for v in x))
            if isinstance(wanted, mp.mpf) and 1e-300 < abs(wanted) < 1e300:
                seen.append(float(abs(mp.mpf(float(y)) - wanted) / mp.mpf(float(np.spacing(abs(float(wanted)))))))
    return np.array(seen)


@pytest.mark.parametrize("ufunc", vectors._NAMES, ids=lambda ufunc: ufunc.__name__)
def test_digits(ufunc):
    operands = points(ufunc)
    found = errors(ufunc, called(ufunc, *operands), operands)
    assert len(found) > 100
    assert found.max() <= ULPS


@pytest.mark.parametrize("ufunc", vectors._NAMES, ids=lambda ufunc: ufunc.__name__)
def test_special_values_are_those_of_numpy(ufunc):
    operands = [np.array(column) for column in zip(*product(SPECIAL, repeat=ufunc.nin), strict=True)]
    with np.errstate(all="ignore"):
        wanted = ufunc(*operands)
    found = called(ufunc, *operands)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    numbers = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(found[numbers]), np.signbit(wanted[numbers]))
    np.testing.assert_allclose(found[numbers], wanted[numbers], rtol=1e-15, atol=0)


@pytest.mark.parametrize("ufunc", [np.exp, np.arctan2], ids=lambda ufunc: ufunc.__name__)
@pytest.mark.parametrize("count", range(10))
@pytest.mark.parametrize("step", [1, 3])
def test_an_element_depends_on_nothing_but_itself(ufunc, count, step):
    operands = [column[:count] for column in points(ufunc)]
    spread = [np.repeat(column, step)[::step] for column in operands]
    out = np.full(step * count + 1, 7.0)
    called(ufunc, *spread, out=out[: step * count : step])
    alone = [called(ufunc, *(column[k : k + 1] for column in operands))[0] for k in range(count)]
    np.testing.assert_array_equal(out[: step * count : step], alone)
    assert out[-1] == 7.0
    assert np.all(out[: step * count].reshape(count, step)[:, 1:] == 7.0)


def test_without_the_library_numpy_serves(monkeypatch):
    monkeypatch.setattr(vectors, "_library", lambda: None)
    ufuncs.inner_loop.cache_clear()
    try:
        loop = ufuncs.inner_loop(np.exp, (ElementType.FLOAT64,))
        assert loop is not None
        assert loop.keeps is not None
    finally:
        ufuncs.inner_loop.cache_clear()


def test_another_function_is_seen(monkeypatch):
    """The planted fault: a name in the table is another function's."""
    monkeypatch.setitem(vectors._NAMES, np.exp, "exp2")
    assert errors(np.exp, called(np.exp, *points(np.exp)), points(np.exp)).max() > ULPS
