"""What a traced array refuses to do, and what to write instead."""

from __future__ import annotations

import sys
from pathlib import PurePath
from types import FrameType
from typing import Any, NoReturn

import numpy as np

from gradserve.client.tracing.choices import answered
from gradserve.client.tracing.origins import called_function, is_assigning, origin, untraceable
from gradserve.ir.errors import Untraceable
from gradserve.numpy.mirrored import INSTEAD, OF_CLIENT
from gradserve.numpy.table import SCIPY

_NUMBER = "a traced array stands for any array of its shape and has no numbers yet"
_UNMASKED = "np.where(mask, x, 0) and sums of it instead of masked arrays of np.ma"
REFUSED = {
    "nonzero": "write np.where(condition, x, y)",
    "itemset": "gradserve.client.functions.set_at(x, key, values) gives the new array",
    "partition": "it sorts in place; write y = np.partition(x, kth)",
    "strides": "write np.lib.stride_tricks.sliding_window_view(x, shape), or x[positions]",
    "view": f"write x.astype(...); {_UNMASKED}",
    "resize": "write x.reshape(...)",
}
"""What to write instead of some of NumPy's attributes."""
_PASSES_ON = frozenset(
    f"scipy.sparse.{name}" for name in ("__matmul__", "__mul__", "__rmatmul__", "__rmul__", "__truediv__", "dot")
)
"""Functions that leave what has no elements to its own operators."""
_OF_LISTS = frozenset({"np.diag", "np.diagflat"})
"""Functions that take lists of numbers and only lay these out."""
_FOREIGN = "write it with functions of NumPy; ufuncs of scipy.special can be traced as well"
_ELEMENTS = (
    "call functions of NumPy by their names, np.searchsorted(a, x) instead of a.searchsorted(x); write "
    "mu + sigma * rng.standard_normal(n) instead of rng.normal(mu, sigma, n), and np.stack or np.where instead of "
    "assigning elements"
)
_MATRIX = "write np.array(...), and @ for products of matrices"
_POLYNOMIAL = "write np.polyval(c, x), np.polymul, np.polyder and np.polyint of coefficients c instead of np.poly1d"
_OF_NUMPY = {
    "np.poly1d": _POLYNOMIAL,
    "np.__new__": _MATRIX,
    "np.asmatrix": _MATRIX,
    "np.bmat": _MATRIX.replace("array", "block"),
}
_TAKE = "write np.take(x, indices, axis=0) if it is an index"


class ElementsAsked(Untraceable):
    """Somebody asked a traced array for its elements, by a name that could lead to it, or as an index."""


class Assigned(ElementsAsked):
    """Traced numbers were to be written into an array that holds none."""


def unassignable(problem: str, instead: str) -> Assigned:
    """The refusal of an author's line that writes traced numbers into an array that holds none."""
    return Assigned(str(untraceable(problem, instead)))


INTO_OWN = "make it within the function, by np.zeros, np.full, np.array or the like, or use the result: y = y + x"
"""What to write instead, where what a function makes by itself takes assignments."""
_OUTSIDE = ("traced numbers are assigned to elements of an array of plain ones", INTO_OWN)


class Numberless:
    """An array without numbers: whatever needs one is refused, with the author's line and what to write there."""

    __slots__ = ()

    def __bool__(self: Any) -> bool:
        instead = _of_called()
        refusal = _asked(
            f"whether a traced array is true is not known: {_NUMBER}",
            instead
            or "write np.where(condition, x, y) instead of if, or cond and while_loop of gradserve.client.functions; "
            "&, | and ~ instead of and, or and not; np.maximum, np.minimum and np.sort instead of max, min and sorted",
        )
        if instead is not None:
            raise refusal
        return answered(self.value, origin(), refusal)

    def __float__(self) -> float:
        if is_assigning():
            raise unassignable(*_OUTSIDE)
        # An array of one element is a number to functions of math, wherever these were imported from.
        raise _asked(
            f"float() needs a number: {_NUMBER}",
            _of_called() or "use np.sin instead of math.sin, and the traced array itself instead of float(x)",
        )

    def __int__(self) -> int:
        _refuse_number("int()", "write x.astype(np.int64), np.floor(x) or np.round(x)")

    def __round__(self, digits: int | None = None) -> Any:
        if digits is None:
            _refuse_number("round()", "write np.round(x)")
        return np.round(self, digits)

    def __index__(self) -> int:
        _refuse_number("an index or a count", "use plain numbers; an array with traced indices must be an argument")

    def __format__(self, spec: str) -> str:
        del spec
        return repr(self)  # what a function prints is for its reader, who sees that there are no numbers yet

    def __complex__(self) -> complex:
        if is_assigning():
            raise unassignable(*_OUTSIDE)
        raise _asked(
            f"complex() needs a number: {_NUMBER}",
            "use the traced array itself, and x + 1j * y instead of complex(x, y)",
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        asking = called_function()
        if is_assigning() or asking == "np.fill_diagonal":
            raise unassignable(*_OUTSIDE)
        if asking in _OF_LISTS and getattr(self, "ndim", None) == 0:
            # An element of a list, which NumPy hands on as it is: the array of objects is stacked where it is used.
            return holder_of(self)
        if asking in _PASSES_ON:
            return holder_of(self)
        instead = instead_of_scipys(asking) if asking.startswith("scipy.") else _OF_NUMPY.get(asking, _ELEMENTS)
        if asking == "NumPy" and np.dtype(getattr(self, "dtype", float)).kind in "biu":
            instead = f"{_TAKE}; {instead}"
        problem = f"{asking} asks for the elements of a traced array: {_NUMBER}"
        raise _asked(problem, instead)


def _asked(problem: str, instead: str) -> ElementsAsked:
    """The refusal of an author's line that asks for what other names could lead to."""
    return ElementsAsked(str(untraceable(problem, instead)))


def _refuse_number(what: str, instead: str) -> NoReturn:
    _refuse(f"{what} needs a number: {_NUMBER}", instead)


def _refuse(problem: str, instead: str) -> NoReturn:
    """Refuses what the author's line does, or what a function of SciPy does that it calls, whose name may lead on."""
    of_called = _of_called()
    if of_called is not None:
        raise _asked(problem, of_called)
    raise untraceable(problem, instead)


def holder_of(element: Any) -> Any:
    """An array of objects with this one alone in it."""
    holder = np.empty((), object)
    holder[()] = element
    return holder


_FACTORS = (
    "import splu or factorized from gradserve.client.scipy.sparse.linalg, or make the factors outside of the function"
)


def of_compiled(error: TypeError, frame: FrameType) -> Untraceable | None:
    """The refusal of what compiled code refuses in the author's line: it takes arrays of numbers alone."""
    if "Tracer" not in str(error):
        return None
    where = f"{PurePath(frame.f_code.co_filename).name}:{frame.f_lineno}"
    text = f"{where}: compiled code asks for the elements of a traced array ({error})"
    if "numpy.ndarray, not Tracer" in str(error):
        return ElementsAsked(f"{text}; {_FACTORS}")
    return Untraceable(f"{text}; write {_UNMASKED}" if "descriptor 'view'" in str(error) else f"{text}; {_FOREIGN}")


def instead_of_scipys(asking: str) -> str:
    """The line to write instead of what calls a function of SciPy."""
    module, _, name = asking.rpartition(".")
    if module.startswith("scipy.stats.") and module not in sys.modules:
        return _of_law(module, name)
    instead = _of_public(asking)
    if instead is not None:
        return instead
    own = module.replace("scipy", "gradserve.client.scipy", 1)
    if asking in SCIPY or any(known.startswith(f"{asking}.") for known in SCIPY):
        return f"write `from {own} import {name}`, which takes the same arguments"
    public = next((known.rpartition(".")[0] for known in SCIPY if _is_inside(asking, known)), None)
    if public is not None:
        return f"write `from gradserve.client.{public} import {name}`, which takes the same arguments"
    return f"{_FOREIGN}; so can what gradserve.client.scipy has"


def _of_law(law: str, method: str) -> str:
    """The line to write instead of a method of a distribution."""
    if f"{law}.{method}" in SCIPY:
        name = law.rpartition(".")[2]
        return f"write `from gradserve.client.scipy.stats import {name}`, whose {method} takes the same arguments"
    have = [known.rpartition(".")[2] for known in SCIPY if known.startswith(f"{law}.")]
    if "cdf" in have and f"scipy.stats.{method}" in INSTEAD:
        return INSTEAD[f"scipy.stats.{method}"]
    return f"of {law}, {', '.join(sorted(have))} can be traced; {_FOREIGN}" if have else _FOREIGN


def _of_called() -> str | None:
    """What to write instead of the function of SciPy that the author's line calls with one of its own, if any."""
    return _of_public(called_function())


def _of_public(asking: str) -> str | None:
    """What to write instead of a function that nothing on values stands for, by its name in its package."""
    package, name = (asking.split(".")[k] if asking.count(".") > 1 else "" for k in (1, -1))
    for full in (asking, f"scipy.{package}.{name}"):
        if full in INSTEAD:
            return INSTEAD[full]
        if full in OF_CLIENT:
            module, _, short = full.rpartition(".")
            return f"write `from gradserve.client.{module} import {short}`, which takes the same arguments"
    return None


def _is_inside(asking: str, known: str) -> bool:
    """Whether a function stands in a module within that in which SciPy publishes one of its name."""
    module, _, name = known.rpartition(".")
    return asking.endswith(f".{name}") and asking.startswith(f"{module}.")
