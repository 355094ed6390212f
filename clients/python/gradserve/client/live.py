"""The current answer of a stream, shown while it becomes better."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


class Live:
    """Shows every answer on the way: `f.hessian_trace(w, progress=Live())`.

    In notebooks as a page with tables and figure, each in the place of the one before; elsewhere as a line on the error
    stream.
    """

    def __init__(self) -> None:
        """Nothing is shown."""
        self._place: Any = None

    def __call__(self, answer: Any) -> None:
        """Shows the next one."""
        display = _notebook()
        if display is None:
            print(str(answer).partition("\n")[0], file=sys.stderr)
        elif self._place is None:
            self._place = display(answer, display_id=True)
        else:
            self._place.update(answer)


def _notebook() -> Callable[..., Any] | None:
    """What displays in the notebook that runs this; None if none does."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    display: Callable[..., Any] = ipython.display.display
    return display
