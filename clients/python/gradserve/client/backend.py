"""What answers a client's questions: a remote service, or the same jobs in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gradserve.client.results import Explanation, Report, TraceEstimate, VerificationProgress
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array


@dataclass(frozen=True)
class Question:
    """What is asked: a derivation of a graph at its arguments."""

    graph: Graph
    derivation: str
    """`evaluate`, `gradient`, `jvp`, `vjp` or `hvp`."""
    arguments: Mapping[str, Array]
    wrt: tuple[str, ...] = ()
    vectors: Mapping[str, Array] = field(default_factory=dict)
    """Tangents by input, or cotangents by output."""
    batch: tuple[str, ...] = ()
    reduction: str = "none"
    executor: str = ""
    placement: str = "auto"


@dataclass(frozen=True, slots=True)
class Answer:
    """Arrays by role, then by name: `arrays["gradient"]["w"]`; roles are value, gradient, tangent, cotangent, product."""

    arrays: Mapping[str, Mapping[str, Array]]
    report: Report


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """How a trace is estimated."""

    seed: int = 0
    max_probes: int = 0
    relative_tolerance: float = 0.0
    absolute_tolerance: float = 0.0
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """How a gradient is verified."""

    claimed: Mapping[str, Array] = field(default_factory=dict)
    """A gradient to verify, by input; empty for the service's own."""
    directions: int = 0
    seed: int = 0
    relative_tolerance: float = 0.0


class Backend(Protocol):
    """Answers questions. Timeouts are in seconds."""

    def differentiate(self, question: Question, timeout: float) -> Answer:
        """Values and derivatives."""
        ...

    def estimate_trace(self, question: Question, options: TraceOptions, timeout: float) -> Iterator[TraceEstimate]:
        """Estimates of the Hessian's trace, each a full current answer."""
        ...

    def verify_gradient(
        self, question: Question, options: VerifyOptions, timeout: float
    ) -> Iterator[VerificationProgress]:
        """Progress, and the report at the end."""
        ...

    def explain(self, question: Question, batch_size: int, timeout: float) -> Explanation:
        """Cost and placement; the question's arguments are not looked at."""
        ...

    def close(self) -> None:
        """Ends connections and workers."""
        ...
