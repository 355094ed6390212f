"""Elementary functions of four reals at once, from the C library's libmvec, as inner loops that NumPy's stand for.

NumPy computes most of them one by one on processors without AVX-512, which takes 4 to 20 times as long. The C library
promises 4 units in the last place; over the whole range they are off by 3.5 at most, and by none at signed zeros,
infinities, NaN and where the result is an integer of the function's own making, such as exp(0). Where there is no
libmvec, or the processor lacks AVX2, NumPy's own loops serve.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from gradserve.execution.fused.compiler import object_of
from gradserve.execution.fused.linking import Library, linked
from gradserve.ir.types import ElementType

_NAMES: Mapping[np.ufunc, str] = {
    np.exp: "exp",
    np.expm1: "expm1",
    np.exp2: "exp2",
    np.log: "log",
    np.log1p: "log1p",
    np.log2: "log2",
    np.sin: "sin",
    np.cos: "cos",
    np.tan: "tan",
    np.arcsin: "asin",
    np.arccos: "acos",
    np.arctan: "atan",
    np.sinh: "sinh",
    np.cosh: "cosh",
    np.tanh: "tanh",
    np.arcsinh: "asinh",
    np.arctanh: "atanh",
    np.power: "pow",
    np.arctan2: "atan2",
    np.hypot: "hypot",
}
"""Left out are those that are slower, or less exact where people expect integers: acosh, cbrt, log10."""
_LANES = 4


def vector_loop(ufunc: np.ufunc, operands: Sequence[ElementType]) -> tuple[tuple[int, int, int], Any] | None:
    """The three pointers of an inner loop that calls the library's function, and the code behind them; None if none.

    Threads that ask at the same moment may get code of their own each, which lives no longer than it is kept.
    """
    name = _NAMES.get(ufunc)
    if name is None or any(t is not ElementType.FLOAT64 for t in operands):
        return None
    function = _function(f"_ZGVdN{_LANES}{'v' * len(operands)}_{name}")
    if function is None:
        return None
    code = _loop(len(operands))
    return (code.address, function, 0), code


@functools.cache
def _library() -> ctypes.CDLL | None:
    features = llvm.get_host_cpu_features()
    if not (features.get("avx2") and features.get("fma")):
        return None
    with contextlib.suppress(OSError):
        return ctypes.CDLL("libmvec.so.1")
    return None


def _function(symbol: str) -> int | None:
    """The address of a function of the library."""
    try:
        return ctypes.cast(getattr(_library(), symbol), ctypes.c_void_p).value
    except AttributeError:
        return None


@functools.cache
def _loop(operands: int) -> Library:
    """Code of a loop over vectors of so many operands, with the signature of NumPy's inner loops."""
    return linked(object_of(_text(operands)), "loop")


def _text(operands: int) -> str:
    """Four elements at a time: as they lie if they lie side by side; otherwise, and at the end, gathered one by one.

    The last elements are filled up with the last one, so that an element's result depends on nothing but itself.
    """
    places, given = range(operands + 1), range(operands)
    lines = ["define i32 @loop(ptr %function, ptr %data, ptr %counts, ptr %strides, ptr %auxdata) {", "start:"]
    lines += ["%count = load i64, ptr %counts", "%last = sub i64 %count, 1", "%dense0 = add i1 true, false"]
    for k in places:
        lines += [f"%data{k} = getelementptr ptr, ptr %data, i64 {k}", f"%at{k} = load ptr, ptr %data{k}"]
        lines += [f"%strides{k} = getelementptr i64, ptr %strides, i64 {k}", f"%step{k} = load i64, ptr %strides{k}"]
        lines += [f"%is{k} = icmp eq i64 %step{k}, 8", f"%dense{k + 1} = and i1 %dense{k}, %is{k}"]
    lines += ["%none = icmp sle i64 %count, 0", "br i1 %none, label %end, label %head", "head:"]
    lines += ["%i = phi i64 [ 0, %start ], [ %next, %latch ]", f"%next = add i64 %i, {_LANES}"]
    lines += ["%whole = icmp sle i64 %next, %count", f"%dense = and i1 %whole, %dense{operands + 1}"]
    lines += ["br i1 %dense, label %side, label %apart", "side:", "%bytes = shl i64 %i, 3"]
    for k in given:
        lines += [f"%p{k} = getelementptr i8, ptr %at{k}, i64 %bytes", f"%x{k} = load <4 x double>, ptr %p{k}, align 8"]
    lines += [_call("%y", [f"%x{k}" for k in given]), f"%q = getelementptr i8, ptr %at{operands}, i64 %bytes"]
    lines += ["store <4 x double> %y, ptr %q, align 8", "br label %latch", "apart:"]
    for lane in range(_LANES):
        lines += [f"%j{lane} = add i64 %i, {lane}", f"%in{lane} = icmp slt i64 %j{lane}, %count"]
        lines += [f"%k{lane} = select i1 %in{lane}, i64 %j{lane}, i64 %last"]
        for k in given:
            before = f"%v{k}.{lane - 1}" if lane else "poison"
            lines += [f"%o{k}.{lane} = mul i64 %k{lane}, %step{k}"]
            lines += [f"%r{k}.{lane} = getelementptr i8, ptr %at{k}, i64 %o{k}.{lane}"]
            lines += [f"%e{k}.{lane} = load double, ptr %r{k}.{lane}"]
            lines += [f"%v{k}.{lane} = insertelement <4 x double> {before}, double %e{k}.{lane}, i32 {lane}"]
    lines += [_call("%w", [f"%v{k}.{_LANES - 1}" for k in given])]
    for lane in range(_LANES):
        lines += [
            f"%o.{lane} = mul i64 %k{lane}, %step{operands}",
            f"%r.{lane} = getelementptr i8, ptr %at{operands}, i64 %o.{lane}",
        ]
        lines += [f"%e.{lane} = extractelement <4 x double> %w, i32 {lane}", f"store double %e.{lane}, ptr %r.{lane}"]
    lines += ["br label %latch", "latch:", "%more = icmp slt i64 %next, %count"]
    return "\n".join([*lines, "br i1 %more, label %head, label %end", "end:", "ret i32 0", "}", ""])


def _call(result: str, operands: Sequence[str]) -> str:
    return f"{result} = call <4 x double> %function({', '.join(f'<4 x double> {x}' for x in operands)})"
