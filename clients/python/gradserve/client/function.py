"""A function of parameters: its values, derivatives and estimates, wherever they are computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from gradserve.client.backend import Answer, Backend, TraceOptions, VerifyOptions
from gradserve.client.files import save_graph
from gradserve.client.results import (
    Explanation,
    Report,
    TraceEstimate,
    VerificationProgress,
    VerificationReport,
)
from gradserve.client.signature import Bound, Signatures
from gradserve.client.trace import RESULT
from gradserve.ir.graph import Graph

Batch: TypeAlias = bool | Sequence[str]
Reduction: TypeAlias = Literal["none", "sum", "mean"]


class Function:
    """A function that can be asked for derivatives. Made by `Client.function` and `Client.load`.

    Parameters are given as to the function itself. `wrt` names the parameters to differentiate; by default all real
    ones. What belongs to them (gradients, tangents, products) has the structure of the parameter if there is one, and
    is a dict by parameter if there are several.

    `batch=True` says that every parameter differentiated carries a leading axis of points; `batch=["w"]` says which do.
    """

    def __init__(self, backend: Backend, signatures: Signatures, timeout: float) -> None:
        """Asks `backend`; `timeout` in seconds bounds every call."""
        self._backend = backend
        self._signatures = signatures
        self.timeout = timeout
        self.last_report: Report | None = None
        """What the last answered call cost."""

    @property
    def graph(self) -> Graph:
        """The graph last traced.

        Raises:
            RuntimeError: nothing has been traced yet; give examples or call the function.
        """
        return self._signatures.latest.graph

    def __call__(
        self, *arguments: Any, batch: Batch = False, reduction: Reduction = "none", **named: Any
    ) -> Any:
        """The function's value."""
        bound = self._signatures.bind(arguments, named, (), batch)
        answer = self._ask("evaluate", bound, reduction)
        return bound.outputs(answer.arrays["value"])

    def value_and_grad(
        self,
        *arguments: Any,
        wrt: Sequence[str] = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        **named: Any,
    ) -> tuple[Any, Any]:
        """The loss and its gradient, in one call."""
        bound = self._signatures.bind(arguments, named, wrt, batch)
        answer = self._ask("gradient", bound, reduction)
        (value,) = answer.arrays["value"].values()
        return bound.outputs({RESULT: value}), bound.parameters(answer.arrays["gradient"])

    def grad(self, *arguments: Any, **options: Any) -> Any:
        """The gradient of the loss; options as for `value_and_grad`."""
        return self.value_and_grad(*arguments, **options)[1]

    def jvp(
        self,
        *arguments: Any,
        tangent: Any,
        wrt: Sequence[str] = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        **named: Any,
    ) -> tuple[Any, Any]:
        """The value and J v: the derivative along `tangent`."""
        bound = self._signatures.bind(arguments, named, wrt, batch)
        answer = self._ask("jvp", bound, reduction, bound.vectors(tangent))
        return bound.outputs(answer.arrays["value"]), bound.outputs(answer.arrays["tangent"])

    def vjp(
        self,
        *arguments: Any,
        cotangent: Any,
        wrt: Sequence[str] = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        **named: Any,
    ) -> tuple[Any, Any]:
        """The value and J^T u: the pullback of `cotangent`, which has the structure of the value."""
        bound = self._signatures.bind(arguments, named, wrt, batch)
        answer = self._ask("vjp", bound, reduction, bound.cotangents(cotangent))
        return bound.outputs(answer.arrays["value"]), bound.parameters(answer.arrays["cotangent"])

    def hvp(
        self,
        *arguments: Any,
        tangent: Any,
        wrt: Sequence[str] = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        **named: Any,
    ) -> Any:
        """H v: the Hessian of the loss applied to `tangent`."""
        bound = self._signatures.bind(arguments, named, wrt, batch)
        answer = self._ask("hvp", bound, reduction, bound.vectors(tangent))
        return bound.parameters(answer.arrays["product"])

    def hessian_trace(
        self,
        *arguments: Any,
        rel_tol: float = 0.0,
        abs_tol: float = 0.0,
        max_probes: int = 0,
        seed: int = 0,
        confidence: float = 0.95,
        wrt: Sequence[str] = (),
        progress: Callable[[TraceEstimate], None] | None = None,
        **named: Any,
    ) -> TraceEstimate:
        """The trace of the Hessian by Hutchinson's estimator, with its Student-t interval.

        Stops when half the interval is at most `rel_tol` times the estimate or `abs_tol`, or when `max_probes` are
        spent (0 for the service's default). `progress` is called with every estimate on the way.
        """
        bound = self._signatures.bind(arguments, named, wrt, False)
        options = TraceOptions(seed, max_probes, rel_tol, abs_tol, confidence)
        estimate = None
        for estimate in self._backend.estimate_trace(bound.question("gradient"), options, self.timeout):
            self.last_report = estimate.report
            if progress:
                progress(estimate)
        assert estimate is not None
        return estimate

    def verify(
        self,
        *arguments: Any,
        claimed: Any = None,
        directions: int = 0,
        seed: int = 0,
        rel_tol: float = 0.0,
        wrt: Sequence[str] = (),
        progress: Callable[[VerificationProgress], None] | None = None,
        **named: Any,
    ) -> VerificationReport:
        """A finite-difference verification of the gradient, or of a `claimed` one. `.passed`, `.worst`; prints well."""
        bound = self._signatures.bind(arguments, named, wrt, False)
        options = VerifyOptions(
            {} if claimed is None else bound.vectors(claimed), directions, seed, rel_tol
        )
        report = None
        for step in self._backend.verify_gradient(bound.question("gradient"), options, self.timeout):
            report = step.report
            if progress:
                progress(step)
        assert report is not None
        return report

    def explain(
        self,
        *arguments: Any,
        derivation: str = "gradient",
        wrt: Sequence[str] = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        **named: Any,
    ) -> Explanation:
        """Cost, memory, chunks and placement of a call, before anything runs."""
        bound = self._signatures.bind(arguments, named, wrt, batch)
        return self._backend.explain(bound.question(derivation, reduction), bound.batch_size, self.timeout)

    def save(self, path: str | Path) -> None:
        """Writes the graph last traced: text for `.txt` and `.graph`, protobuf otherwise."""
        save_graph(self.graph, Path(path))

    def _ask(
        self, derivation: str, bound: Bound, reduction: str, vectors: dict[str, Any] | None = None
    ) -> Answer:
        answer = self._backend.differentiate(bound.question(derivation, reduction, vectors), self.timeout)
        self.last_report = answer.report
        return answer

