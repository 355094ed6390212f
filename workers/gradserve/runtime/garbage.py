"""Planning without garbage collections: what makes a large graph makes millions of objects, and hardly any garbage."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_were_on = False


@contextmanager
def uncollected() -> Iterator[None]:
    """A context in which no collection starts by itself in the process, in any thread; contexts may overlap."""
    global _inside, _were_on
    with _lock:
        if not _inside:
            _were_on = gc.isenabled()
            gc.disable()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside and _were_on:
                gc.enable()
