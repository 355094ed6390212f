"""The table of NumPy's, SciPy's and our own functions: one implementation each, on values of a graph in the making.

An implementation takes the builder and then the arguments of the function that it stands for, by their names. What its
decorator leaves under its name takes these arguments alone, at least one of them a value, and finds the builder there.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.records import dataclass, once
from gradserve.numpy.arguments import builder_of
from gradserve.ops import OP_SET

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Implementation = Callable[Concatenate[Builder, Arguments], Result]

PACKAGE = "gradserve.client.functions"
"""Where authors find our own functions."""


@dataclass(frozen=True)
class NumpyFunction:
    """What a function becomes."""

    call: Callable[..., Any]
    """Takes the builder and then the function's own arguments, with values among them."""
    view: bool = False
    """Whether NumPy's result may share memory with the first argument."""

    @once
    def accepted(self) -> frozenset[str]:
        """The names of the parameters that it takes."""
        return frozenset(list(inspect.signature(self.call).parameters)[1:])


FUNCTIONS: dict[Callable[..., Any], NumpyFunction] = {}
"""By function of NumPy."""
UFUNCS: dict[np.ufunc, Callable[..., Any]] = {}
"""By ufunc; operands arrive with the element types of NumPy's own loop, scalars not yet broadcast."""
UFUNC_METHODS: dict[tuple[np.ufunc, str], NumpyFunction] = {}
"""By ufunc and method, for `np.add.reduce` and the like; they take `axis` by name."""
SPECIAL: dict[str, Callable[..., Any]] = {}
"""The same by name, for ufuncs of scipy.special, which need not be installed."""
OWN: dict[str, NumpyFunction] = {}
"""Our own functions of arrays, by name."""
SCIPY: dict[str, NumpyFunction] = {}
"""Functions and methods of SciPy that are no ufuncs, by name: `scipy.linalg.solve`, `scipy.stats.norm.pdf`."""


def implements(
    *functions: Any, view: bool = False
) -> Callable[[Implementation[Arguments, Result]], Callable[Arguments, Result]]:
    """A decorator that enters an implementation for functions of NumPy, ufuncs and methods of ufuncs."""

    def enter(call: Implementation[Arguments, Result]) -> Callable[Arguments, Result]:
        for function in functions:
            ufunc = getattr(function, "__self__", None)
            if isinstance(function, np.ufunc):
                UFUNCS[function] = call
            elif isinstance(ufunc, np.ufunc):
                UFUNC_METHODS[ufunc, function.__name__] = NumpyFunction(call)
            else:
                FUNCTIONS[function] = NumpyFunction(call, view)
        return on_values(call)

    return enter


def implements_special(
    *names: str,
) -> Callable[[Implementation[Arguments, Result]], Callable[Arguments, Result]]:
    """A decorator that enters an implementation for ufuncs of scipy.special."""

    def enter(call: Implementation[Arguments, Result]) -> Callable[Arguments, Result]:
        SPECIAL.update(dict.fromkeys(names, call))
        return on_values(call)

    return enter


def implements_scipy(
    *names: str,
) -> Callable[[Implementation[Arguments, Result]], Callable[Arguments, Result]]:
    """A decorator that enters an implementation for functions of SciPy that are no ufuncs, named without `scipy.`."""

    def enter(call: Implementation[Arguments, Result]) -> Callable[Arguments, Result]:
        SCIPY.update({f"scipy.{name}": NumpyFunction(call) for name in names})
        return on_values(call)

    return enter


def own(call: Implementation[Arguments, Result]) -> Callable[Arguments, Result]:
    """A decorator that enters a function that NumPy lacks."""
    OWN[call.__name__] = NumpyFunction(call)
    return on_values(call)


def on_values(call: Implementation[Arguments, Result]) -> Callable[Arguments, Result]:
    """The implementation as a function without the builder, which is that of the first value among its arguments.

    Raises:
        TypeError: when it is called without any value.
    """

    @functools.wraps(call)
    def function(*args: Arguments.args, **named: Arguments.kwargs) -> Result:
        return call(builder_of(*args, *named.values()), *args, **named)

    return function


def emitting(op: str) -> Callable[..., Any]:
    """An implementation that is one op."""

    def emit(g: Builder, *operands: Value) -> Value:
        return g.emit(op, *operands)

    found = OP_SET.find(op)
    emit.__doc__ = found.__doc__ if found else None
    return emit


def find_ufunc(ufunc: np.ufunc) -> Callable[..., Any] | None:
    """The implementation of a ufunc, or None."""
    found = UFUNCS.get(ufunc)
    if found is None and getattr(sys.modules.get("scipy.special"), ufunc.__name__, None) is ufunc:
        # The object itself must be SciPy's: anybody may call a ufunc of their own `erf`.
        found = SPECIAL.get(ufunc.__name__)
    return found


def numpy_names() -> Iterator[tuple[str, Any]]:
    """The functions and ufuncs of NumPy in the table under each of their names, such as `np.linalg.norm`."""
    modules = {"np": np, "np.linalg": np.linalg, "np.fft": np.fft, "np.lib.stride_tricks": np.lib.stride_tricks}
    for prefix, module in modules.items():
        for name, member in tuple(vars(module).items()):  # NumPy imports some of its parts on use
            if callable(member) and not name.startswith("_") and (member in FUNCTIONS or member in UFUNCS):
                yield f"{prefix}.{name}", member
