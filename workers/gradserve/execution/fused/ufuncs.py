"""The inner loops of NumPy's and SciPy's ufuncs as C functions: what NumPy itself calls for every block of elements.

NumPy gives them away for compilers (`ufunc._resolve_dtypes_and_context` and `_get_strided_loop`, NEP 43). Called from
machine code they give NumPy's own bits, without the microsecond that a call from Python takes.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np

from gradserve.execution.fused.vectors import vector_loop
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType

_CAPSULE = b"numpy_1.24_ufunc_call_info"


class _CallInfo(ctypes.Structure):
    """The layout that NumPy documents."""

    _fields_ = (
        ("strided_loop", ctypes.c_void_p),
        ("context", ctypes.c_void_p),
        ("auxdata", ctypes.c_void_p),
        ("requires_pyapi", ctypes.c_bool),
        ("no_floatingpoint_errors", ctypes.c_bool),
    )


@dataclass(frozen=True, slots=True)
class InnerLoop:
    """A ufunc for certain elements."""

    pointers: tuple[int, int, int]
    """Of the loop, of its context and of its data; the second is its first argument, the third its last."""
    result: ElementType
    keeps: Any
    """What has to live as long as the pointers are used."""


@functools.cache
def inner_loop(ufunc: np.ufunc, operands: tuple[ElementType, ...]) -> InnerLoop | None:
    """The loop for operands of these elements, over vectors where there is one; None if it needs the interpreter."""
    wanted = tuple(t.dtype for t in operands)
    try:
        found, info = ufunc._resolve_dtypes_and_context((*wanted, *[None] * ufunc.nout))  # type: ignore[attr-defined]
        ufunc._get_strided_loop(info)  # type: ignore[attr-defined]
        result = ElementType.of(found[-1])
    except TypeError:
        return None
    if tuple(found[: len(wanted)]) != wanted or ufunc.nout != 1:
        return None
    vectors = vector_loop(ufunc, operands)
    if vectors is not None:
        pointers, code = vectors
        return InnerLoop(pointers, result, code)
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    call = _CallInfo.from_address(pointer_of(info, _CAPSULE))
    if call.requires_pyapi:
        return None
    return InnerLoop((call.strided_loop, call.context or 0, call.auxdata or 0), result, info)
