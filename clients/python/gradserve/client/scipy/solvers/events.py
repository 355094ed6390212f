"""Events of scipy.integrate.solve_ivp, of traced arrays: when they happen, in which states, and which one ends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from gradserve.client.functions.phases import RECORDED, Phase, Watch
from gradserve.client.functions.refusing import required
from gradserve.client.scipy.solvers.given import bound, floats, refuse, scalar

_SELDOM = "an event is asked for that has not happened so often, where SciPy raises IndexError; ask .size beforehand"
_ALL = "all times of an event, whose number is not known,"


def watch_of(events: Any, args: Any) -> Watch | None:
    """The events that an author gives, one function or several, with their attributes."""
    if events is None:
        return None
    given: list[Callable[..., Any]] = [events] if callable(events) else list(events)
    functions = [bound(event, args, scalar) for event in given]
    return Watch(
        lambda y, t: np.stack([floats(function(t, y)) for function in functions]),
        np.array([np.sign(getattr(event, "direction", 0) or 0) for event in given]),
        np.array([int(getattr(event, "terminal", None) or 0) for event in given]),
    )


def told(phase: Phase | None, watch: Watch | None) -> dict[str, Any]:
    """What SciPy tells of events beside the states."""
    if phase is None or watch is None:
        return {"status": 0, "t_events": None, "y_events": None}
    rows = range(len(watch.ends))
    return {
        "status": phase.ended.astype(np.int64),
        "t_events": [Happened(phase.times[k], phase.counts[k]) for k in rows],
        "y_events": [Happened(phase.states[k], phase.counts[k]) for k in rows],
    }


class Happened:
    """What there was each time that an event has happened, one by one: how often depends on numbers."""

    def __init__(self, rows: Any, count: Any) -> None:
        """`rows` has a place for each of the first times."""
        self._rows, self._count = rows, count

    @property
    def size(self) -> Any:
        """How many numbers there are."""
        return self._count * (self._rows.size // RECORDED)

    def __getitem__(self, key: Any) -> Any:
        which, *rest = key if isinstance(key, tuple) else (key,)
        if not isinstance(which, int | np.integer):
            self._refuse()
        place = np.int64(which) if which >= 0 else self._count + which
        held = np.logical_and(np.logical_and(place >= 0, place < self._count), place < RECORDED)
        row = required(np.take(self._rows, np.clip(place, 0, RECORDED - 1), axis=0), held, _SELDOM)
        return row[tuple(rest)] if rest else row

    def __len__(self) -> int:
        self._refuse()

    def __iter__(self) -> Iterator[Any]:
        self._refuse()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        self._refuse()

    def __array_ufunc__(self, *_: Any, **_named: Any) -> Any:
        self._refuse()

    def _refuse(self) -> NoReturn:
        refuse(_ALL, f"take one by its number, up to {RECORDED}, such as sol.t_events[0][0], and .size for how many")
