"""All ways through a function that chooses by numbers as one: a `cond` wherever it asks for a truth value.

An answer that leads to an error of the author's, such as a failed `assert`, is refused once there are numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import PurePath
from typing import Any

import numpy as np

from gradserve.client.functions.closed import Closed, Tree
from gradserve.client.functions.control import chosen_of
from gradserve.client.tracing.choices import Asked, Way, follow_by
from gradserve.client.tracing.current import current
from gradserve.client.tracing.recording import recording
from gradserve.client.tracing.trace import author_places, refusal_of
from gradserve.client.tracing.tracer import Tracer, tracers
from gradserve.client.tracing.trees import Structure, unflatten
from gradserve.ir.builder import Value
from gradserve.ir.errors import Untraceable
from gradserve.ir.types import ElementType
from gradserve.numpy.recorder import Recorder

MOST_CHOICES = 64
"""Choices on all ways through a function that are followed."""
MOST_NESTED = 8
"""Choices of one way that make functions of their own, each within that of the one before; of later ones, as in loops
that end by their numbers, all that may follow is computed."""
_nested: ContextVar[int] = ContextVar("nested", default=0)
"""How many functions of choices there are around."""
_SHOWN = 200
"""Characters of an author's error that are shown."""


class _Ways:
    """The ways through a function."""

    def __init__(self, run: Callable[[], Any]) -> None:
        self._run = run
        self._choices = 0

    def after(self, answers: tuple[bool, ...], known: tuple[tuple[str, Any], ...]) -> Any:
        """What the function returns after these answers, and what was recorded up to the last of them."""
        g = current()
        assert g is not None
        way = Way(g, answers, known)
        result = way.run(self._run)
        asked = way.undecided
        if asked is None:
            return result
        self._choices += 1
        steps = tuple(way.steps)
        is_last = self._choices >= MOST_CHOICES
        no, yes = (self._error(g, (*answers, answer), steps, is_last) for answer in (False, True))
        if no is not None and yes is not None:
            raise _too_many(asked) if is_last else yes
        if yes is not None:
            return _unless(g, asked, True, yes, self.after((*answers, False), steps))
        if no is not None:
            return _unless(g, asked, False, no, self.after((*answers, True), steps))
        nested = _nested.get()
        if nested >= MOST_NESTED:
            both = [self.after((*answers, answer), steps) for answer in (True, False)]
            return _selected(g, asked, *both)
        token = _nested.set(nested + 1)
        try:
            then, otherwise = (
                Closed(g, functools.partial(self.after, (*answers, answer), steps), continues=True)
                for answer in (True, False)
            )
        finally:
            _nested.reset(token)
        return _chosen(g, asked, then, otherwise)

    def _error(
        self, g: Recorder, answers: tuple[bool, ...], known: tuple[tuple[str, Any], ...], is_last: bool
    ) -> Exception | None:
        """The author's error that these answers lead to; if they are the last ones, also that the code asks again."""
        aside = Recorder(g, continues=True)
        way = Way(aside, answers, known)
        with recording(aside):
            try:
                way.run(self._run)
            except Exception as error:  # the author's own, of any kind
                return error if refusal_of(error) is None else None
        asked = way.undecided
        return None if asked is None or not is_last else _too_many(asked)


def _too_many(asked: Asked) -> Untraceable:
    """The refusal of a question after all that are followed."""
    return Untraceable(
        f"{asked.refusal}\n    (both answers are followed here, for up to {MOST_CHOICES} choices, and there are more)"
    )


def _chosen(g: Recorder, asked: Asked, then: Closed, otherwise: Closed) -> Any:
    _require_alike(asked, then.structure, otherwise.structure)
    for k, (one, other) in enumerate(zip(then.types, otherwise.types, strict=True)):
        common = ElementType.of(np.result_type(one.element_type.dtype, other.element_type.dtype))
        for closed in (then, otherwise):
            closed.outputs[k] = closed.recorder.convert(closed.outputs[k], common)
    g.origin = asked.origin
    return chosen_of(g, _scalar(g, asked), then, otherwise)


def _scalar(g: Recorder, asked: Asked) -> Value:
    return g.convert(g.reshape(g.adopt(asked.truth), ()), ElementType.BOOL)


def _selected(g: Recorder, asked: Asked, then: Any, otherwise: Any) -> Any:
    """One of two results, both of which are computed."""
    one, other = Tree.of(then, "result"), Tree.of(otherwise, "result")
    _require_alike(asked, one.structure, other.structure)
    truth = Tracer(_scalar(g, asked))
    pairs = zip(one.leaves, other.leaves, strict=True)
    return unflatten(one.structure, [np.where(truth, x, y) for (_, x), (_, y) in pairs])


def _require_alike(asked: Asked, one: Structure, other: Structure) -> None:
    if one != other:
        raise Untraceable(
            f"{asked.origin}: what is returned is {one} if this is true and {other} if not; return the same structure"
        )


def _unless(g: Recorder, asked: Asked, answer: bool, error: Exception, result: Any) -> Any:
    """The result, which is refused if an answer is given that leads to an error of the author's."""
    reason = _reason(error)
    g.origin = asked.origin
    truth = _scalar(g, asked)
    holds: Value = g.emit("logical_not", truth) if answer else truth
    tree = Tree.of(result, "result")
    found = [g.emit("required", value, holds, reason=reason) for value in tree.values(g)]
    return unflatten(tree.structure, list(tracers(found)))


def _reason(error: Exception) -> str:
    """What is said where an answer leads to an error."""
    if isinstance(error, Untraceable):
        return (
            f"{MOST_CHOICES} choices by numbers lead to another one here, as in a loop that does not end: bound it, or "
            "write while_loop of gradserve.client.functions"
        )
    frame, line = author_places(error)[-1]
    where = f"{PurePath(frame.f_code.co_filename).name}:{line}"
    return f"{where}: the function raises {type(error).__name__}{f': {error}' if str(error) else ''}"[:_SHOWN]


def _all_ways(run: Callable[[], Any]) -> Any:
    return _Ways(run).after((), ())


follow_by(_all_ways)
