"""All executors by name, and which of them a job may run on."""

from __future__ import annotations

from collections.abc import Mapping

from gradserve.execution.executor import Executor
from gradserve.execution.numpy.executor import NumpyExecutor
from gradserve.ir.errors import InvalidRequest, Violation

EXECUTORS: Mapping[str, Executor] = {executor.name: executor for executor in (NumpyExecutor(),)}


def candidates(pinned: str) -> tuple[Executor, ...]:
    """The executor asked for, or if `pinned` is empty all that may be chosen by predicted cost.

    Raises:
        InvalidRequest: there is no executor of the name asked for.
    """
    if not pinned:
        return tuple(executor for executor in EXECUTORS.values() if executor.automatic)
    found = EXECUTORS.get(pinned)
    if found is None:
        text = f"there is no executor {pinned!r}; known are {', '.join(EXECUTORS)}"
        raise InvalidRequest("the options do not fit", [Violation("options.executor", "R7", text)])
    return (found,)
