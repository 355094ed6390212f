"""Room for few calls in each other, by which recursion is seen."""

import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def few_frames(count: int) -> Iterator[None]:
    """So many calls deep from here, and no more."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + count)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
