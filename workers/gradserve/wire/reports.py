"""Reports on what calls cost."""

from __future__ import annotations

import functools
from collections.abc import Sequence
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
