"""What answers a client's questions: a remote service, or the same jobs in this process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Protocol

from gradserve.client.inspection import Inspection
from gradserve.client.results import Explanation, Report, TraceEstimate, VerificationProgress
from gradserve.client.symmetry import Entry, SymmetryProgress
from gradserve.client.taylor import Deviation
from gradserve.client.transport.deadline import Deadline
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array

DERIVATIONS = ("evaluate", "gradient", "jvp", "vjp", "hvp", "jacobian", "hessian")
MODES = ("auto", "forward", "reverse")
REDUCTIONS = ("none", "sum", "mean")
CLOSED = "the client is closed; make a new one, and its functions with it"


@dataclass(frozen=True)
class Question:
    """What is asked: a derivation of a graph at its arguments."""

    graph: Graph
    derivation: str
    """One of `DERIVATIONS`."""
    arguments: Mapping[str, Array]
    wrt: tuple[str, ...] = ()
    vectors: Mapping[str, Array] = field(default_factory=dict)
    """Tangents by input, or cotangents by output."""
    batch: tuple[str, ...] = ()
    reduction: str = "none"
    executor: str = ""
    placement: str = "auto"
    mode: str = "auto"
    """How a Jacobian is accumulated: one of `MODES`."""
    count_kinks: bool = True
    """Whether the report says how many nodes sit on a kink."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was asked for, and what it cost."""

    arrays: Mapping[str, Mapping[str, Array]]
    """By role, then by name: `arrays["gradient"]["w"]`; roles are value, gradient, tangent, cotangent and product.

    Each may be written to, and shares its memory with nothing else.
    """
    report: Callable[[], Report]
    """Tells what it cost. Most callers never ask, so it is read from the reply only then."""
    blocks: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    """Dense derivatives of a Jacobian or Hessian: by what is differentiated, then by what it is differentiated in."""


@dataclass(frozen=True, slots=True)
class TaylorAnswer:
    """Taylor coefficients along a direction by output, and how far the function is from them."""

    coefficients: Mapping[str, Sequence[Array]]
    deviations: tuple[Deviation, ...]
    observed_order: float
    report: Report


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """How a trace is estimated."""

    seed: int = 0
    max_probes: int = 0
    relative_tolerance: float = 0.0
    absolute_tolerance: float = 0.0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        """Refuses what no message can say."""
        _require_count("seed", self.seed, 64)
        _require_count("max_probes", self.max_probes, 32)


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """How a gradient is verified."""

    claimed: Mapping[str, Array] = field(default_factory=dict)
    """A gradient to verify, by input; empty for the service's own."""
    directions: int = 0
    seed: int = 0
    relative_tolerance: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what no message can say."""
        _require_count("seed", self.seed, 64)
        _require_count("directions", self.directions, 32)


@dataclass(frozen=True, slots=True)
class SymmetryOptions:
    """How the symmetry of a Hessian is verified."""

    pairs: tuple[tuple[Entry, Entry], ...] = ()
    """The pairs of entries to look at; empty for `count` of the service's choice."""
    count: int = 0
    seed: int = 0
    relative_tolerance: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what no message can say."""
        _require_count("seed", self.seed, 64)
        _require_count("count", self.count, 32)
        for entry in (entry for pair in self.pairs for entry in pair):
            for position in entry.index:
                _require_count(f"an index of {entry.input}", position, 63)


def _require_count(name: str, number: int, bits: int) -> None:
    if not isinstance(number, Integral) or not 0 <= number < 1 << bits:
        raise InvalidRequest(f"{name} is {number}; it must be a whole number from 0 to 2^{bits} - 1")


class Backend(Protocol):
    """Answers questions."""

    def differentiate(self, question: Question, deadline: Deadline) -> Answer:
        """Values and derivatives."""
        ...

    def estimate_trace(self, question: Question, options: TraceOptions, deadline: Deadline) -> Generator[TraceEstimate]:
        """Estimates of the Hessian's trace, each a full current answer."""
        ...

    def verify_gradient(
        self, question: Question, options: VerifyOptions, deadline: Deadline
    ) -> Generator[VerificationProgress]:
        """Progress, and the report at the end."""
        ...

    def verify_symmetry(
        self, question: Question, options: SymmetryOptions, deadline: Deadline
    ) -> Generator[SymmetryProgress]:
        """Progress, and the report at the end."""
        ...

    def taylor(self, question: Question, order: int, deadline: Deadline) -> TaylorAnswer:
        """A Taylor model along the question's vectors."""
        ...

    def inspect(self, question: Question, deadline: Deadline) -> Inspection:
        """Every value of the graph."""
        ...

    def explain(self, question: Question, batch_size: int, deadline: Deadline) -> Explanation:
        """Cost and placement; the question's arguments are not looked at."""
        ...

    def close(self) -> None:
        """Ends connections and workers."""
        ...
