"""What collections of garbage pass over: a large graph is millions of objects, of which hardly any become garbage.

Graphs and programs are kept by the million of objects, and a collection that goes through all of them stops everybody
for seconds. None of them holds itself, by whatever way round, so that each is freed as soon as it is let go.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_were_on = False
_passes_over = False


def pass_over_what_is_kept() -> None:
    """Has collections pass over all that there is by now, and all that is there whenever much has been made.

    For processes that are ours alone: what is passed over, and holds itself, is never freed.
    """
    global _passes_over
    _passes_over = True
    gc.freeze()


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
            if _passes_over and gc.get_count()[0] > gc.get_threshold()[0]:  # else the next goes through little
                gc.freeze()
            if not _inside and _were_on:
                gc.enable()
