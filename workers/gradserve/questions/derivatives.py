"""Values and exact derivatives: the question and its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any, ClassVar

from gradserve.ir.records import dataclass, once
from gradserve.ir.types import Array
from gradserve.questions.call import Argument, Call
from gradserve.questions.derivations import Derivation, Mode
from gradserve.questions.report import Report


@dataclass(frozen=True)
class Derivatives:
    """What was asked for, and what it cost."""

    arrays: Mapping[str, Mapping[str, Array]]
    """By role, then by name: `arrays["gradient"]["w"]`. With a batch and no reduction each has a leading axis."""
    report: Report
    blocks: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    """Of dense derivatives, by what is differentiated, then by the input it is differentiated in.

    The block of an output of shape s in an input of shape t has the shape (*s, *t), after the axis of points if there
    is one.
    """
    mode: Mode = Mode.AUTO
    """How dense derivatives were accumulated; of a Hessian FORWARD, over reverse."""


class ReportedLater(Derivatives):
    """Derivatives whose report is written when somebody asks for it: most callers never do."""

    tell: Callable[[], Report]
    """Writes the report, and keeps none of the arrays in memory."""

    def __init__(
        self,
        arrays: Mapping[str, Mapping[str, Array]],
        tell: Callable[[], Report],
        blocks: Mapping[str, Mapping[str, Array]],
        mode: Mode,
    ) -> None:
        """Of a report that `tell` writes."""
        object.__setattr__(self, "__dict__", {"arrays": arrays, "tell": tell, "blocks": blocks, "mode": mode})

    @once
    def report(self) -> Report:
        """What it cost."""
        return self.tell()


@dataclass(frozen=True)
class Differentiate:
    """Asks for a derivation of a call's graph."""

    call: Call
    derivation: Derivation
    vectors: Mapping[str, Argument] = field(default_factory=dict)
    """Tangents by input, or cotangents by output."""

    answer: ClassVar[type] = Derivatives

    def of(self, arguments: Mapping[str, Argument], vectors: Mapping[str, Argument]) -> Differentiate:
        """The same question about other numbers."""
        call = self.call
        return Differentiate(Call(call.graph, arguments, call.batch, call.options), self.derivation, vectors)

    @property
    def rpc(self) -> str:
        """The method that answers it."""
        return type(self.derivation).__name__


def report_later(answer: Any) -> Callable[[], Report]:
    """Tells the report of an answer that calls it so, and keeps nothing else of the answer in memory."""
    if isinstance(answer, ReportedLater):
        return answer.tell
    report: Report = answer.report
    return lambda: report
