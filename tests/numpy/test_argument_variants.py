"""Every supported name on unusual arguments: what comes out is NumPy's, or a typed refusal; never another value.

The calls are those of the tables beside this file, with all arguments in another layout, type or size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from gradserve.ir.errors import GradserveError
from gradserve.ir.types import Array
from tests.clients.evaluation import assert_same, traced_result
from tests.numpy.calls import flat_calls
from tests.numpy.keyword_calls import KEYWORD_CALLS

Change = Callable[[Array], Array]


def backwards(x: Array) -> Array:
    """The same numbers in memory that goes backwards and leaves gaps, the last axis outermost."""
    room = np.zeros(tuple(2 * n for n in x.shape), x.dtype, order="F")
    backwards_by_two: Any = (..., *(slice(None, None, -2),) * x.ndim)
    view: Array = room[backwards_by_two]
    view[...] = x
    return view


def of_type(dtype: Any) -> Change:
    def converted(x: Array) -> Array:
        whole = x.dtype.kind == "f" and np.dtype(dtype).kind in "ib"
        return (np.nan_to_num(3 * x, posinf=9, neginf=-9) if whole else x).astype(dtype)

    return converted


VARIANTS: dict[str, Change] = {
    "single precision, backwards": lambda x: backwards(of_type(np.float32)(x)),
    "short integers": of_type(np.int32),
    "truth values": of_type(np.bool_),
    "single numbers": lambda x: x.reshape(-1)[:1].reshape(()) if x.size else x,
    "nothing": lambda x: x[:0] if x.ndim else x,
}
DIFFERS = {
    "np.argsort": "NumPy's order of equal integers is not defined; ours is theirs with stable=True",
    "np.polymul": "NumPy leaves out leading zeros, by the numbers",
    "np.gradient": "where two places are equal, the slope is infinite or NaN, by the order of operations",
    "np.linalg.lstsq": "NumPy gives no residuals where the rank is not full, by the numbers",
    "np.ix_": "NumPy takes the positions of what is true, so that the shape is by the numbers",
    "np.geomspace": "NumPy refuses zeros, by the numbers",
    "np.fft.irfft": "of no numbers NumPy gives whatever lies in memory; ours are zeros",
    "np.empty_like": "NumPy promises nothing of its elements",
}
"""Why a value cannot be NumPy's, or need not: shapes are known before numbers."""


def changed(change: Change, argument: Any) -> Any:
    if isinstance(argument, list | tuple):
        return type(argument)(changed(change, part) for part in argument)
    if isinstance(argument, bool) or not isinstance(argument, np.ndarray | np.generic | int | float):
        return argument
    return change(np.asarray(argument))


def outcome(function: Callable[..., Any], arguments: list[Any]) -> str:
    """How a call differs from NumPy's; nothing where it does not, is refused with a reason, or is NumPy's to refuse."""
    try:
        with np.errstate(all="ignore"):
            expected = function(*arguments)
    except Exception:  # whatever NumPy raises, it gives no value
        return ""
    try:
        found = traced_result(function, *arguments)
    except GradserveError as error:
        return "" if str(error) else "no reason"
    except Exception as error:
        return f"untyped: {error!r}"
    single = any(getattr(x, "dtype", None) == np.float32 for x in arguments)
    try:
        assert_same(*(rounded(x, single) for x in (found, expected)))
    except AssertionError as error:
        return f"differs: {error}"
    return ""


def rounded(x: Any, single: bool) -> Any:
    """Results with the digits that single precision has where an argument has no more; of whatever type they are."""
    if isinstance(x, tuple | list):
        return [rounded(part, single) for part in x]
    array = np.asarray(x)
    if not single or array.dtype != np.float64:
        return array
    size = np.maximum(1.0, np.max(np.abs(array[np.isfinite(array)]), initial=0.0))
    return np.where(np.isfinite(array), np.round(array / size, 4) * size, array)


def differences(calls: Any, change: Change) -> Iterator[str]:
    for name, function, arguments in calls:
        found = outcome(function, [changed(change, argument) for argument in arguments])
        if found and name not in DIFFERS:
            yield f"{name}: {found}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("variant", VARIANTS)
def test_values_are_numpys_or_refused(variant):
    assert list(differences(flat_calls(), VARIANTS[variant])) == []


@pytest.mark.filterwarnings("ignore")
def test_keywords():
    assert list(differences(KEYWORD_CALLS, np.asarray)) == []


@pytest.mark.filterwarnings("ignore")
def test_another_value_is_found():
    calls = [("np.sum", lambda x: np.sum(x) if x.__class__ is np.ndarray else np.sum(x) * (1 + 1e-9), (np.ones(3),))]
    assert len(list(differences(calls, np.asarray))) == 1


@pytest.mark.parametrize("dtype", [np.uint64, np.longdouble])
def test_types_that_no_graph_has_are_refused(dtype):
    with pytest.raises(GradserveError, match="convert to one of"):
        traced_result(np.sum, np.ones(3, dtype))
