"""What a session wants done: the effects of its dialogue with a service, as data. A shell does them, in its own way."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, TypeAlias, TypeVar

from gradserve.ir.records import dataclass

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request to a method, or an iterator of requests to one that takes a stream; comes to the reply."""

    method: str
    request: Any


@dataclass(frozen=True, slots=True)
class Begin:
    """Send a request to a method that replies by a stream; comes to the stream."""

    method: str
    request: Any


@dataclass(frozen=True, slots=True)
class Next:
    """Comes to the next reply of a stream; None at its end."""

    stream: Iterator[Any]


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait about so long, at most until the deadline; comes to the seconds left then, None if there is no end."""

    seconds: float
    told: bool = False
    """Whether the service has said so: then not shorter, and not at all if the deadline comes before."""


@dataclass(frozen=True, slots=True)
class Alone:
    """Take these steps while nobody else takes some under the same key; comes to what they come to."""

    key: str
    steps: Steps[Any]


@dataclass(frozen=True, slots=True)
class Tell:
    """Hand an answer of a stream to whoever asked."""

    answer: Any


Step: TypeAlias = Send | Begin | Next | Pause | Alone | Tell
Steps: TypeAlias = Generator[Step, Any, T]
"""Steps on the way to a value. Errors of a step are raised where it was yielded."""
