"""Reports on what calls cost."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

from gradserve.questions.report import PHASES, Report
from gradserve.v1 import execution_pb2
from gradserve.wire.codec import Codec, codec_of
from gradserve.wire.fields import write_seconds
from gradserve.wire.source import Source, fill_inline

_SOURCE = Source()


@functools.cache
def report_codec() -> Codec:
    """The codec of whole reports."""
    return codec_of(Report, execution_pb2.ExecutionReport.DESCRIPTOR)


@functools.cache
def _without_phases() -> Codec:
    return codec_of(Report, execution_pb2.ExecutionReport.DESCRIPTOR, frozenset(PHASES))


def decode_report(data: bytes) -> Report:
    """The report in the bytes of its message."""
    report: Report = report_codec().read(execution_pb2.ExecutionReport.FromString(data), _SOURCE)
    return report


def write_report(message: Any, report: Report, seconds: Sequence[float]) -> None:
    """Fills the empty message of a report, with other seconds by phase: those that the whole call saw."""
    for phase, spent in zip(PHASES, seconds, strict=True):
        write_seconds(getattr(message, phase), spent)
    _without_phases().write(message, report, fill_inline)


class Reports:
    """Writes reports as the last part of replies of one class. Safe for threads."""

    def __init__(self, reply: Any) -> None:
        """Of a class without a report nothing can be written."""
        report = execution_pb2.ExecutionReport.DESCRIPTOR
        self._reply = reply
        self._field = next((f.name for f in reply.DESCRIPTOR.fields if f.message_type is report), "")
        self._spare: deque[tuple[Any, tuple[Any, ...]]] = deque()
        self._facts: dict[Any, bytes] = {}

    def bytes_of(self, report: Report, seconds: Sequence[float]) -> bytes:
        """The bytes of a reply that has nothing but a report: with these seconds by phase, the whole call's.

        Messages merge where their bytes are joined, and the facts of most reports are those of one before.
        """
        facts = _facts_of(report)
        told = self._facts.get(facts)
        if told is None:
            told = self._told(report)
            if len(self._facts) >= _MOST_FACTS:
                self._facts.clear()
            self._facts[facts] = told
        return told + self._spent(seconds)

    def _told(self, report: Report) -> bytes:
        """The facts, all but the seconds."""
        reply = self._reply()
        _without_phases().write(getattr(reply, self._field), report, fill_inline)
        data: bytes = reply.SerializeToString()
        return data

    def _spent(self, seconds: Sequence[float]) -> bytes:
        """The seconds by phase, to the nearest nanosecond."""
        try:
            reply, durations = self._spare.pop()
        except IndexError:
            reply, durations = self._message()
        for duration, spent in zip(durations, seconds, strict=True):
            write_seconds(duration, spent)
        data: bytes = reply.SerializeToString()
        self._spare.append((reply, durations))
        return data

    def _message(self) -> tuple[Any, tuple[Any, ...]]:
        reply = self._reply()
        report = getattr(reply, self._field)
        for phase in PHASES:
            getattr(report, phase).SetInParent()
        return reply, tuple(getattr(report, phase) for phase in PHASES)


_MOST_FACTS = 256
_facts_of = attrgetter(*(field.name for field in fields(Report) if field.name not in PHASES))
