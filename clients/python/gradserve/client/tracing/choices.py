"""Choices by numbers in an author's code, `if x > 0:`, of which both answers are tried.

Where code asks whether a traced array is true its run ends. Another one from the start is given the answer: what was
recorded up to there is known, and only what follows is recorded. So every run is one way through the function;
`gradserve.client.functions.ways` makes one function of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from gradserve.client.tracing.current import current
from gradserve.ir.builder import Value
from gradserve.ir.errors import Untraceable
from gradserve.ir.graph import Literal, Origin

if TYPE_CHECKING:
    from gradserve.numpy.recorder import Recorder

_followed: ContextVar[bool] = ContextVar("followed", default=False)
_FOLLOW: list[Callable[[Callable[[], Any]], Any]] = []
_WAY: ContextVar[Way | None] = ContextVar("way", default=None)


class Undecided(BaseException):
    """The end of a run where the code asks for a truth value; no error, which the code might take for its own."""


class Asked(NamedTuple):
    """A question of the code."""

    truth: Value
    origin: Origin | None
    refusal: Untraceable
    """What to say if its answers are not to be followed."""


class Way:
    """One way through a function: the answers that it is given, and what was recorded up to the last of them."""

    def __init__(self, g: Recorder, answers: tuple[bool, ...] = (), known: tuple[tuple[str, Any], ...] = ()) -> None:
        """Nothing is run yet. What is recorded goes into this graph."""
        self.g = g
        self.answers = answers
        self.steps: list[tuple[str, Any]] = []
        """The names and results of what was recorded."""
        self._asked: list[Asked] = []
        self._known = known
        self._is_within_step = False

    def run(self, function: Callable[[], Any]) -> Any:
        """What the function returns on this way, if it gets to an end: see `undecided`."""
        token = _WAY.set(self)
        try:
            return function()
        except Undecided:
            return None
        finally:
            _WAY.reset(token)

    @property
    def undecided(self) -> Asked | None:
        """The question at which the run has ended, if it has."""
        return self._asked[len(self.answers)] if len(self._asked) > len(self.answers) else None

    def step(self, name: str, emit: Callable[[], Any]) -> Any:
        """What an operation gives; it was recorded before if an earlier run has come so far.

        Raises:
            Untraceable: this run does something else there.
        """
        if self._is_within_step:
            return emit()
        known = self._known[len(self.steps)] if len(self.steps) < len(self._known) else None
        if known is not None and known[0] != name:
            raise Untraceable(
                f"a function that chooses by numbers is run once for each choice, and calls {name} in one run where it "
                f"called {known[0]} in another; keep nothing from run to run"
            )
        self._is_within_step = True
        try:
            result = emit() if known is None else known[1]
        finally:
            self._is_within_step = False
        self.steps.append((name, result))
        return result

    def answer(self, asked: Asked) -> bool:
        """Whether the value is true on this way.

        Raises:
            Undecided: nobody has said so yet.
        """
        for earlier, answer in zip(self._asked, self.answers, strict=False):
            if earlier.truth.builder is asked.truth.builder and earlier.truth.index == asked.truth.index:
                return answer
        self._asked.append(asked)
        if len(self._asked) > len(self.answers):
            raise Undecided
        return self.answers[len(self._asked) - 1]


@contextmanager
def following_choices() -> Iterator[None]:
    """A context in which both answers are tried."""
    token = _followed.set(True)
    try:
        yield
    finally:
        _followed.reset(token)


@contextmanager
def without_choices() -> Iterator[None]:
    """A context in which code that chooses by traced numbers is refused, as its answers would lead nowhere."""
    token = _WAY.set(None)
    try:
        yield
    finally:
        _WAY.reset(token)


def follow_by(all_ways: Callable[[Callable[[], Any]], Any]) -> None:
    """Has this make one function of all ways through one."""
    _FOLLOW.append(all_ways)


def on_all_ways(run: Callable[[], Any]) -> Any:
    """What a function of nothing returns in the graph that is being recorded; it is run for each way if it chooses."""
    for all_ways in _FOLLOW if _followed.get() else ():
        return all_ways(run)
    return run()


def step(g: Any, name: str, emit: Callable[[], Any]) -> Any:
    """What an operation records in a graph, on the way through the function whose graph it is."""
    way = _WAY.get()
    return emit() if way is None or way.g is not g else way.step(name, emit)


def answered(truth: Value, origin: Origin | None, refusal: Untraceable) -> bool:
    """Whether a value is true: as it is known, or on the way that is followed.

    Raises:
        Undecided: it is where this way comes to its end.
        Untraceable: no choices are followed here.
    """
    g, way = current(), _WAY.get()
    known = None if g is None or not g.is_within(truth.builder) else g.literal(g.adopt(truth))
    if isinstance(known, Literal) and known.array.size == 1:
        return bool(known.array)
    if way is None or way.g is not g or truth.type.size != 1:
        raise refusal
    return way.answer(Asked(truth, origin, refusal))
