"""All executors by name, and which of them a job may run on."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping

from gradserve.execution.executor import Executor
from gradserve.execution.numpy.executor import NumpyExecutor
from gradserve.ir.errors import InvalidRequest, Violation

_logger = logging.getLogger(__name__)


def _xla() -> Executor:
    from gradserve.execution.xla.executor import XlaExecutor  # imports JAX, which is an extra and takes a second

    return XlaExecutor()


def _fused() -> Executor:
    try:
        from gradserve.execution.fused.executor import FusedExecutor  # imports LLVM, which is an extra
    except OSError as error:  # its library is there and has no room in the memory that this process may have
        raise ImportError(str(error), name="llvmlite") from error
    return FusedExecutor()


@functools.cache
def compiler() -> Executor | None:
    """The executor whose programs are compiled once they have run for long; None where there is none."""
    try:
        return _fused()
    except ModuleNotFoundError:
        return None
    except ImportError as error:
        _logger.warning("no machine code is made, as LLVM cannot be loaded: %s", error)
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
        ImportError: what it runs on is not installed, or cannot be loaded.
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
        missing = f"is not installed; pip install 'gradserve[{_EXTRAS[pinned]}]'"
        why = missing if isinstance(error, ModuleNotFoundError) else f"cannot be loaded here: {error}"
        raise _refused(f"the executor {pinned} needs {error.name}, which {why}") from error


def _refused(text: str) -> InvalidRequest:
    return InvalidRequest("the options do not fit", [Violation("options.executor", "R7", text)])
