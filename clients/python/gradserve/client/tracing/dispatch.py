"""From a call of a NumPy function on traced arrays to its implementation on values."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder
from gradserve.numpy import mirrored, supported_names
from gradserve.numpy.arguments import Unsupported, lift
from gradserve.numpy.loops import apply_ufunc as apply_implementation
from gradserve.numpy.table import FUNCTIONS, UFUNC_METHODS, NumpyFunction, find_ufunc

HARMLESS = frozenset({"casting", "device", "optimize", "order", "subok", "writeable"})
"""Parameters that decide on memory and speed, not on numbers; implementations for which `order` matters take it."""
INSTEAD = {
    "np.nonzero": "the shape of its result depends on numbers; write np.where(condition, x, y)",
    "np.argwhere": "the shape of its result depends on numbers; write np.where(condition, x, y)",
    "np.flatnonzero": "the shape of its result depends on numbers; write np.where(condition, x, y)",
    "np.extract": "the shape of its result depends on numbers; write np.where(condition, x, 0)",
    "np.unique": "the shape of its result depends on numbers; call it on captured data, outside of the function",
    "np.apply_along_axis": "write the operation on whole arrays, or np.stack over a loop",
    "np.add.at": "gradserve.client.functions.add_at(x, key, values) gives the new array",
    "np.trim_zeros": "how many are left depends on numbers; write np.polyval(c, x), np.polymul, np.polyder and "
    "np.polyint of coefficients c instead of np.poly1d",
    "np.put": "gradserve.client.functions.put(x, positions, values) gives the new array",
    "np.put_along_axis": "gradserve.client.functions.put_along_axis(x, positions, values, axis) gives the new array",
    "np.copyto": "write np.where(mask, new, x); np.zeros(shape) + x instead of np.full(shape, x)",
    "np.place": "write the new array with np.where",
    "np.putmask": "write np.where(mask, values, x)",
    "np.fill_diagonal": "write np.where(np.eye(n, dtype=bool), values, x)",
    "np.piecewise": "write np.select([condition, ...], [value, ...], default)",
    "np.array2string": "print after the call, where there are numbers",
    "np.array_repr": "print after the call, where there are numbers",
    "np.array_str": "print after the call, where there are numbers",
}


def apply_function(g: Builder, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What `function` returns, in values.

    Raises:
        Unsupported: the function, or one of the arguments, is not supported.
    """
    entry = FUNCTIONS.get(function)
    name = name_of(function)
    if entry is None:
        raise Unsupported(f"{name} cannot be traced", _instead(name))
    positional, named = _arguments(function, name, entry, args, kwargs)
    return entry.call(g, *positional, **named)


@functools.lru_cache(maxsize=1024)
def name_of(function: Any) -> str:
    """The name under which authors know a function, such as `np.linalg.norm`."""
    module = getattr(function, "__module__", None) or "numpy"
    name = getattr(function, "__name__", str(function))
    if isinstance(function, np.ufunc):
        module = "numpy" if getattr(np, name, None) is function else "scipy.special"
    public = module.replace("numpy", "np", 1).split("._")[0]
    return f"{public}.{name}"


def _instead(name: str) -> str:
    return INSTEAD.get(name) or mirrored.INSTEAD.get(name) or _near(name)


def _near(name: str) -> str:
    short = {supported.rsplit(".", 1)[-1]: supported for supported in reversed(supported_names())}
    found = [short[match] for match in difflib.get_close_matches(name.rsplit(".", 1)[-1], short, n=3, cutoff=0.7)]
    near = f"near it are {', '.join(found)}; " if found else ""
    return f"{near}gradserve.numpy.supported_names() lists all that can"


@functools.cache
def signature_of(function: Callable[..., Any]) -> inspect.Signature | None:
    """The signature of a function of NumPy, or None if it does not tell."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # written in C, in a NumPy that does not tell
        return None


def _arguments(
    function: Callable[..., Any], name: str, entry: NumpyFunction, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Sequence[Any], dict[str, Any]]:
    """The arguments that the implementation takes, by the names of NumPy's own signature; defaults are left out."""
    signature = signature_of(function)
    if signature is None:
        return args, {key: value for key, value in kwargs.items() if _is_taken(name, entry, key, value, None)}
    positional: Sequence[Any] = ()
    named: dict[str, Any] = {}
    for key, value in signature.bind(*args, **kwargs).arguments.items():
        parameter = signature.parameters[key]
        if parameter.kind is parameter.VAR_POSITIONAL:
            # What stands before it can only be given by position as well.
            positional, named = (*named.values(), *value), {}
        elif parameter.kind is parameter.VAR_KEYWORD:
            named.update({k: v for k, v in value.items() if _is_taken(name, entry, k, v, None)})
        elif _is_taken(name, entry, key, value, parameter.default):
            named[key] = value
    return positional, named


def _is_taken(name: str, entry: NumpyFunction, key: str, value: Any, default: Any) -> bool:
    """Whether the implementation takes this argument; one that changes nothing is left out."""
    if value is np._NoValue or value is default:
        return False
    if key in entry.accepted:
        return True
    if value is None or key in HARMLESS:
        return False
    raise refused_argument(name, key)


def refused_argument(name: str, key: str) -> Exception:
    """The refusal of an argument."""
    instead = {
        "where": "write np.where(condition, ..., ...) around it",
        "dtype": "convert before or after, with .astype(...)",
        "initial": "combine the result with the initial value",
    }
    return Unsupported(f"{name} with {key}= cannot be traced", instead.get(key, "leave the argument out"))


def apply_ufunc(g: Builder, ufunc: np.ufunc, method: str, inputs: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What a ufunc, or one of its methods, returns, in values.

    Raises:
        Unsupported: the ufunc, the method or one of the arguments is not supported.
    """
    name = name_of(ufunc)
    if method == "__call__":
        _require_plain(name, kwargs)
        return _call(g, name, ufunc, inputs)
    entry = UFUNC_METHODS.get((ufunc, method))
    if entry is not None:
        own = f"{name}.{method}"
        named = {"axis": 0, **kwargs}
        return entry.call(g, *inputs, **{k: v for k, v in named.items() if _is_taken(own, entry, k, v, None)})
    if method == "outer":
        _require_plain(name, kwargs)
        x, y = (lift(g, operand) for operand in inputs)
        return _call(g, name, ufunc, (g.reshape(x, (*x.type.shape, *(1,) * y.type.rank)), y))
    whole = f"write it with {name} and other functions on whole arrays"
    raise Unsupported(f"{name}.{method} cannot be traced", INSTEAD.get(f"{name}.{method}", whole))


def _require_plain(name: str, kwargs: Mapping[str, Any]) -> None:
    for key, value in kwargs.items():
        plain = key in HARMLESS or value is None or (key == "where" and value is True)
        if not plain:
            raise refused_argument(name, key)


def _call(g: Builder, name: str, ufunc: np.ufunc, inputs: Sequence[Any]) -> Any:
    implementation = find_ufunc(ufunc)
    if implementation is None:
        raise Unsupported(f"{name} cannot be traced", _instead(name))
    return apply_implementation(g, ufunc, implementation, name, inputs)
