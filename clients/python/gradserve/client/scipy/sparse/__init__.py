"""scipy.sparse: matrices with traced elements at known places, and systems, in gradserve.client.scipy.sparse.linalg."""

from typing import Any

from gradserve.client.scipy.sparse import linalg
from gradserve.client.scipy.sparse.making import CLASSES, FUNCTIONS

__all__ = ["linalg"]  # and what making has, which SciPy's names lead to


def __getattr__(name: str) -> Any:
    found = CLASSES.get(name) or FUNCTIONS.get(name)
    if found is None:
        raise AttributeError(f"gradserve has no scipy.sparse.{name}; what it has is {', '.join(__dir__())}")
    return found


def __dir__() -> list[str]:
    return sorted(["linalg", *CLASSES, *FUNCTIONS])
