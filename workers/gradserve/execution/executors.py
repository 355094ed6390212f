"""All executors by name, and which of them a job may run on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from gradserve.execution.executor import Executor
from gradserve.execution.numpy.executor import NumpyExecutor
from gradserve.ir.errors import InvalidRequest, Violation


def _xla() -> Executor:
    from gradserve.execution.xla.executor import XlaExecutor  # imports JAX, which is an extra and takes a second

    return XlaExecutor()


def _fused() -> Executor:
    from gradserve.execution.fused.executor import FusedExecutor  # imports LLVM, which is an extra

    return FusedExecutor()


@functools.cache
def compiler() -> Executor | None:
    """The executor whose programs are compiled once they have run for long; None where it is not installed."""
    try:
        return _fused()
    except ImportError:
        return None


_MAKERS: Mapping[str, Callable[[], Executor]] = {
    "numpy": NumpyExecutor,
    "fused": lambda: compiler() or _fused(),
    "xla": _xla,
}
_EXTRAS = {"fused": "fused", "xla": "jax"}
"""What brings the packages that an executor needs."""
_AUTOMATIC = ("numpy",)
"""Those that may be chosen without being asked for."""


@functools.cache
def executor(name: str) -> Executor:
    """The executor of a name.

    Raises:
        ImportError: what it runs on is not installed.
    """
    return _MAKERS[name]()


def installed() -> tuple[str, ...]:
    """The names of all executors that have what they run on."""
    return tuple(name for name in _MAKERS if _is_installed(name))


def _is_installed(name: str) -> bool:
    try:
        executor(name)
    except ImportError:
        return False
    return True


def candidates(pinned: str) -> tuple[Executor, ...]:
    """The executor asked for, or if `pinned` is empty all that may be chosen by predicted cost.

    Raises:
        InvalidRequest: there is no executor of the name asked for.
    """
    if not pinned:
        return tuple(map(executor, _AUTOMATIC))
    if pinned not in _MAKERS:
        raise _refused(f"there is no executor {pinned!r}; known are {', '.join(_MAKERS)}")
    try:
        return (executor(pinned),)
    except ImportError as error:
        extra = _EXTRAS[pinned]
        text = f"the executor {pinned} needs {error.name}, which is not installed; pip install 'gradserve[{extra}]'"
        raise _refused(text) from error


def _refused(text: str) -> InvalidRequest:
    return InvalidRequest("the options do not fit", [Violation("options.executor", "R7", text)])
