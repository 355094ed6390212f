"""What is known of a call that has ended: never anything of its data."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import grpc

from gradserve.ir.records import dataclass
from gradserve.pools.work import ChunkResult
from gradserve.questions.report import PHASES, Report

REQUEST_ID = "x-request-id"
"""The metadata by which a client may name its call."""
_NAMING = frozenset({REQUEST_ID, "traceparent", "tracestate"})
_TAKEN = re.compile(r"[\w.:/+=-]{1,64}", re.ASCII)


MOST_CHUNKS = 1000
"""Chunks of one call that are told of."""


class Ran(NamedTuple):
    """A chunk that was run for a call, without what it came to."""

    there: int
    """When its result was there, in nanoseconds since the epoch."""
    worker: str
    chunk: int
    seconds: float
    waited: float
    retries: int


class Heard:
    """What is heard of a call while it runs."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.chunks: list[Ran] = []

    def ran(self, chunk: ChunkResult) -> None:
        """Takes down that a chunk was run."""
        if len(self.chunks) < MOST_CHUNKS:
            ran = Ran(time.time_ns(), chunk.worker, chunk.index, chunk.seconds, chunk.waited, chunk.retries)
            self.chunks.append(ran)


@dataclass(frozen=True, slots=True)
class Served:
    """One call."""

    method: str
    code: grpc.StatusCode
    request_id: str
    peer: str
    metadata: Mapping[str, str]
    seconds: float
    spans: Sequence[float]
    """Seconds by phase, as many as the call has reached."""
    received: int
    sent: int
    report: Report | None
    reason: str
    """Why it was refused; empty of one that was answered."""
    chunks: Sequence[Ran]

    @property
    def phases(self) -> Iterable[tuple[str, float]]:
        """The phases that it has reached, and their seconds."""
        return zip(PHASES, self.spans, strict=False)


Told: TypeAlias = Callable[[Served], None]
"""Hears of every call that has ended."""


def request_id_of(metadata: Mapping[str, str]) -> str:
    """The name that the client gave its call, if it is a plain one; else a new one."""
    given = metadata.get(REQUEST_ID, "")
    return given if _TAKEN.fullmatch(given) else secrets.token_hex(8)


def name_of_call(context: grpc.ServicerContext) -> str:
    """What names a call, of which nothing is known but its context."""
    return request_id_of(metadata_of_call(context))


def metadata_of_call(context: grpc.ServicerContext) -> dict[str, str]:
    """What names the call and its trace of its metadata, and nothing else: some of that is secret."""
    return naming(context.invocation_metadata() or ())


def naming(metadata: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    """The same of the metadata alone."""
    return {key: value for key, value in metadata if key in _NAMING and isinstance(value, str)}
