"""Gradients at points as they come: small points go together, and answers come apart again, in order."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

from gradserve.client import asking
from gradserve.client.backend import Backend
from gradserve.client.tracing.signature import Bound
from gradserve.ir.errors import GradserveError, InvalidRequest, LimitExceeded
from gradserve.ir.records import dataclass
from gradserve.questions.call import Call
from gradserve.questions.derivations import Gradient
from gradserve.questions.derivatives import Derivatives, Differentiate, report_later
from gradserve.questions.report import Report
from gradserve.questions.streams import Block, Part

T = TypeVar("T")
TOGETHER = 64
"""The most points that go in one message."""
TOGETHER_BYTES = 1 << 20
"""Bytes of points above which no further one goes with them."""
ALONE_BYTES = 64 << 10
"""A point of more bytes goes alone."""
MESSAGE_BYTES = 16 << 20
"""The most that one point, or one block of points, may take."""
PATIENCE = 0.02
"""Seconds for which a point waits for others to go with."""

_NO_REPORT = Report()
Bind = Callable[[tuple[Any, ...]], Bound]
CallOf = Callable[[Bound], Call]
Told = Callable[[Callable[[], Report]], None]


@dataclass(frozen=True, slots=True)
class _Point:
    """A point, and what it has in common with those that go with it."""

    bound: Bound
    stream: Hashable
    block: Hashable
    nbytes: int


def gradients(
    backend: Backend,
    points: Iterable[Any],
    bind: Bind,
    call_of: CallOf,
    timeout: float | None,
    told: Told,
) -> Iterator[tuple[Any, Any] | GradserveError]:
    """The loss and its gradient at each point, or the error there, in order; `told` is given reports to be read later.

    Raises:
        InvalidRequest: a point does not fit the function.
        LimitExceeded: a point takes more than one message holds.
    """
    runs = itertools.groupby(_blocks(map(_point, map(bind, map(_arguments, points)))), key=lambda each: each[0].stream)
    for _, run in runs:
        yield from _of_run(backend, run, call_of, timeout, told)


def _of_run(
    backend: Backend, run: Iterator[list[_Point]], call_of: CallOf, timeout: float | None, told: Told
) -> Iterator[tuple[Any, Any] | GradserveError]:
    """The answers at points of one graph."""
    first = next(run)
    waiting: deque[Bound] = deque()

    def drawn() -> Iterator[Block]:
        for block in itertools.chain([first], run):
            waiting.extend([point.bound for point in block])
            yield _together(block)

    bound = first[0].bound
    question = Differentiate(call_of(bound), asking.derivation_of(Gradient, bound, {}))
    for part in backend.stream_gradient(question, drawn(), timeout):
        found = part.found
        if isinstance(found, GradserveError):
            for _ in range(max(1, part.points)):
                waiting.popleft()
                yield found
            continue
        told(report_later(found))
        for answer in _apart(part, found):
            yield asking.trees_of(Gradient, waiting.popleft().form)(answer)


def _arguments(point: Any) -> tuple[Any, ...]:
    return point if isinstance(point, tuple) else (point,)


def _point(bound: Bound) -> _Point:
    arguments = bound.arguments
    nbytes = sum([array.nbytes for array in arguments.values()])
    if nbytes > MESSAGE_BYTES:
        text = f"a point takes {nbytes} bytes and a message {MESSAGE_BYTES}; give smaller blocks, or ask value_and_grad"
        raise LimitExceeded("message_bytes", text)
    stream = (bound.traced.graph.digest, bound.wrt, bound.batch)
    return _Point(bound, stream, (stream, tuple([(a.dtype, a.shape) for a in arguments.values()])), nbytes)


def _blocks(points: Iterable[_Point]) -> Iterator[list[_Point]]:
    """Points in the groups in which they are sent."""
    group: list[_Point] = []
    nbytes, began = 0, 0.0
    for point in points:
        alone = bool(point.bound.batch) or point.nbytes > ALONE_BYTES
        if group and (alone or point.block != group[0].block):
            yield group
            group, nbytes = [], 0
        if not group:
            began = time.monotonic()
        group.append(point)
        nbytes += point.nbytes
        late = time.monotonic() - began > PATIENCE
        if alone or late or len(group) == TOGETHER or nbytes >= TOGETHER_BYTES:
            yield group
            group, nbytes = [], 0
    if group:
        yield group


def _together(group: list[_Point]) -> Block:
    if len(group) == 1:
        return Block(group[0].bound.arguments)
    every = [point.bound.arguments for point in group]
    return Block({name: np.stack([each[name] for each in every]) for name in every[0]}, len(group))


def _apart(part: Part, found: Derivatives) -> Iterator[Derivatives]:
    """The answers at the points of a part, each with arrays of its own."""
    if not part.points:
        yield found
        return
    for row in range(part.points):
        arrays = {
            role: {name: np.array(array[row]) for name, array in named.items()} for role, named in found.arrays.items()
        }
        yield Derivatives(arrays, _NO_REPORT)


def checked_errors(errors: Any) -> bool:
    """Whether errors are handed out in the places of answers.

    Raises:
        InvalidRequest: it is no such word.
    """
    if errors not in ("raise", "yield"):
        raise InvalidRequest(f"errors is {errors!r}; write 'raise' or 'yield'")
    return bool(errors == "yield")


def raising(found: Iterable[tuple[Any, Any] | GradserveError]) -> Iterator[tuple[Any, Any]]:
    """The answers, as far as the first error, which is raised."""
    for each in found:
        if isinstance(each, GradserveError):
            raise each
        yield each


def last_of(stream: Generator[T], progress: Callable[[T], object] | None) -> T:
    """The last of a stream, each told to `progress`; an earlier one if that raises StopIteration. Ends the stream."""
    last = None
    with contextlib.closing(stream):
        for last in stream:
            if progress is not None:
                try:
                    progress(last)
                except StopIteration:
                    break
    if last is None:
        raise GradserveError("the service ended its answer before it began")
    return last
