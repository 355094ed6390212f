"""Every method that asks a question: decode, answer, encode."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from gradserve.jobs.answering import answers
from gradserve.questions.estimated import ESTIMATES
from gradserve.questions.spectra import SPECTRA
from gradserve.questions.symmetry import SymmetryProgress
from gradserve.questions.verification import VerificationProgress
from gradserve.service.calls.contexts import Contexts
from gradserve.service.calls.methods import Handler
from gradserve.service.calls.rpc import Rpc
from gradserve.service.monitoring.metrics import Metrics
from gradserve.service.storage.content import Content
from gradserve.wire.answers import report_field
from gradserve.wire.methods import METHODS

Count: TypeAlias = Callable[[Metrics, Any, Any], None]
"""Counts one answer of a stream; the one before it is None for the first."""


def _count_probes(metrics: Metrics, answer: Any, before: Any) -> None:
    metrics.probes.inc(answer.probes - (before.probes if _goes_on(answer, before) else 0))


def _count_products(metrics: Metrics, answer: Any, before: Any) -> None:
    metrics.probes.inc(answer.report.batch_size - (before.report.batch_size if _goes_on(answer, before) else 0))


def _goes_on(answer: Any, before: Any) -> bool:
    """Whether both are about the same matrix of several."""
    return before is not None and _about(answer) == _about(before)


def _about(answer: Any) -> tuple[int, str]:
    return getattr(answer, "point", 0), getattr(answer, "group", "")


def _count_verdict(metrics: Metrics, answer: Any, before: Any) -> None:
    if answer.report is not None:
        metrics.verifications.labels(answer.report.verdict.value).inc()


_COUNTS: Mapping[type, Count] = {
    **{estimate.answer: _count_probes for estimate in ESTIMATES.values()},
    **{question.answer: _count_products for question in SPECTRA.values()},
    VerificationProgress: _count_verdict,
    SymmetryProgress: _count_verdict,
}
"""What is counted of the answers of a kind, besides what is counted of every call."""


class Questions:
    """Handles the methods that ask questions."""

    def __init__(self, contexts: Contexts, content: Content, metrics: Metrics) -> None:
        """`contexts` are what jobs run in."""
        self._contexts = contexts
        self._content = content
        self._metrics = metrics

    def handler(self, method: str) -> Handler:
        """The handler of a method: of one reply, or of a stream of them."""
        report = report_field(method)

        def stream(request: bytes, rpc: Rpc) -> Iterator[Any]:
            question = self._content.question(method, request, rpc)
            rpc.decoded()
            count, before = _COUNTS.get(question.answer), None
            resumed = bool(getattr(question, "resume", b""))
            for answer in answers(self._contexts.of(rpc.caller), question, rpc.control):
                if report:
                    rpc.ran(getattr(answer, report))
                if resumed and before is None:  # it was counted when it was given for the first time
                    rpc.counted = getattr(answer, report).chunks
                elif count is not None:
                    count(self._metrics, answer, before)
                before = answer
                yield self._content.reply(question, answer, rpc)

        def single(request: bytes, rpc: Rpc) -> Any:
            (reply,) = stream(request, rpc)
            return reply

        return stream if METHODS[method].server_streaming else single
