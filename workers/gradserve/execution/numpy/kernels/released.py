"""LAPACK's routines called without the interpreter's lock, so that whatever they take, other threads run on.

SciPy's own wrappers of these hold the lock all the time: a service that inverts a large matrix would be dead to health
checks. They cost less for small matrices, and are left to those.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.ir.types import Array, ElementType

_FLOATS = (ElementType.FLOAT32, ElementType.FLOAT64, ElementType.COMPLEX64, ElementType.COMPLEX128)
WORTH = 2e6
"""Floating-point operations, some hundred microseconds, from which it matters."""
_PRECISIONS = {t.dtype: letter for t, letter in zip(_FLOATS, "sdcz", strict=True)}


def trtrs(a: Array, b: Array, lower: bool, transposed: bool) -> Array:
    """The X with A X = B, or A^T X = B, for a row-major triangular matrix.

    Raises:
        LinAlgError: a diagonal element is zero.
    """
    x = np.array(b, order="F", copy=True)
    n, count = len(a), b.shape[1]
    # What is A in rows is A^T in LAPACK's columns.
    info = _call("trtrs", a.dtype, b"U" if lower else b"L", b"N" if transposed else b"T", b"N", n, count, a, n, x, n)
    if info:
        raise np.linalg.LinAlgError("Singular matrix")
    return x


def getri(factors: Array, exchanges: Array) -> Array:
    """The inverse, from LU factors in column-major order and exchanges counted from 0, none of them out of range."""
    inverse = np.array(factors, order="F", copy=True)
    n = len(factors)
    room = 64 * n
    _call("getri", factors.dtype, n, inverse, n, exchanges + np.int32(1), np.empty(room, factors.dtype), room)
    return inverse


def gees(a: Array) -> tuple[Array, Array]:
    """T and Z with A = Z T Z^T, of a finite matrix.

    Raises:
        LinAlgError: the iteration does not converge.
    """
    n, dtype = len(a), a.dtype
    t, z = np.array(a, order="F", copy=True), np.empty((n, n), dtype, order="F")
    room = 64 * n
    parts = [np.empty(n, dtype) for _ in range(2)]
    select, bwork = None, np.empty(n, np.int32)
    info = _call("gees", dtype, b"V", b"N", select, n, t, n, 0, *parts, z, n, np.empty(room, dtype), room, bwork)
    if info:
        raise np.linalg.LinAlgError("Schur form not found")
    return t, z


def trsyl(r: Array, s: Array, c: Array) -> tuple[Array, float, int]:
    """Y, scale and info with R Y + Y S^T = scale C, for the quasi-triangular factors of Schur forms."""
    y, scale = np.array(c, order="F", copy=True), np.ones(1, c.dtype)
    m, n = c.shape
    factors = [np.asarray(x, order="F") for x in (r, s)]
    info = _call("trsyl", c.dtype, b"N", b"T", 1, m, n, factors[0], m, factors[1], n, y, m, scale)
    return y, float(scale[0]), info


def _call(name: str, dtype: np.dtype[Any], *arguments: bytes | int | Array | None) -> int:
    """Calls a routine, of which all arguments are addresses and the last is `info`, which it answers."""
    info = ctypes.c_int(0)
    kept: list[Any] = []
    addresses: list[int | None] = []
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            addresses.append(argument.ctypes.data)
        elif argument is None:
            addresses.append(None)
        else:
            boxed = ctypes.c_char(argument) if isinstance(argument, bytes) else ctypes.c_int(argument)
            kept.append(boxed)
            addresses.append(ctypes.addressof(boxed))
    _routine(_PRECISIONS[dtype] + name, len(addresses) + 1)(*addresses, ctypes.addressof(info))
    del kept
    return info.value


@functools.cache
def _routine(name: str, count: int) -> Callable[..., None]:
    """The routine of SciPy's LAPACK; ctypes gives up the lock while it calls."""
    from scipy.linalg import cython_lapack  # an executor has SciPy; a client that only traces need not

    capsule = vars(cython_lapack)["__pyx_capi__"][name]
    name_of, pointer_of = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    prototype = ctypes.CFUNCTYPE(None, *(ctypes.c_void_p,) * count)
    return prototype(pointer_of(capsule, name_of(capsule)))
