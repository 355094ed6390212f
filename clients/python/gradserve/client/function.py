"""A function of parameters: its values, derivatives and estimates, wherever they are computed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

from gradserve.client.backend import DERIVATIONS, Answer, Backend, SymmetryOptions, TraceOptions, VerifyOptions
from gradserve.client.importers.files import save_graph
from gradserve.client.inspection import Inspection
from gradserve.client.operators import LinearOperator
from gradserve.client.results import (
    Explanation,
    Report,
    TraceEstimate,
    VerificationProgress,
    VerificationReport,
)
from gradserve.client.symmetry import SymmetryProgress, SymmetryReport, parse_pairs
from gradserve.client.taylor import TaylorAlong, TaylorModel
from gradserve.client.tracing.signature import Batch, Bound, Names, Signatures
from gradserve.client.transport.deadline import Deadline
from gradserve.ir.errors import GradserveError, InvalidRequest
from gradserve.ir.graph import Graph

T = TypeVar("T")
Mode: TypeAlias = Literal["auto", "forward", "reverse"]
Reduction: TypeAlias = Literal["none", "sum", "mean"]


class Function:
    """A function that can be asked for derivatives. Made by `Client.function` and `Client.load`. Safe for threads.

    Parameters are given as to the function itself, by position or by name; one that has the name of an option below,
    such as `batch`, by position. Options are the same everywhere:

    - `wrt` names the parameters to differentiate; by default all that hold real numbers. What belongs to them
      (gradients, tangents, products) has the structure of the parameter if it is one, and is a dict by parameter if
      there are several. Integers in it have no derivative: None stands in their place.
    - `batch=True` says that every parameter differentiated carries a leading axis of points; `batch=["w"]` says which
      parameters do. Results then carry one too.
    - `reduction="sum"` or `"mean"` adds the results of all points up instead, in one fixed order.

    Results are arrays of your own: write into them as you like.
    """

    def __init__(self, backend: Backend, signatures: Signatures, timeout: float | None) -> None:
        """Asks `backend`."""
        self._backend = backend
        self._signatures = signatures
        self.timeout = timeout
        """Seconds within which every call must be answered; None for as long as the service allows."""
        self.placement: Literal["auto", "front-end", "cluster"] = "auto"
        """Where calls run: `front-end`, `cluster`, or `auto` for the service's choice by predicted cost."""
        self.count_kinks = True
        """Whether `last_report.kinks` tells, of derivatives, how many nodes sit on a kink.

        There the function is not differentiable, and each op follows its convention. Counting takes some comparisons
        where the graph can have kinks at all.
        """
        self._last_report: Callable[[], Report] | None = None

    @property
    def last_report(self) -> Report | None:
        """What the last answered call cost; of any thread's, if several share the function."""
        return self._last_report and self._last_report()

    @property
    def graph(self) -> Graph:
        """The graph traced last; prints as text.

        Raises:
            RuntimeError: nothing has been traced yet; give examples or call the function.
        """
        return self._signatures.latest.graph

    def __repr__(self) -> str:
        try:
            graph = self.graph
        except RuntimeError:
            return f"<Function {self._signatures}, not traced yet>"
        inputs = ", ".join(f"{name}: {type_}" for name, type_ in graph.input_types.items())
        return f"<Function {self._signatures}({inputs}) -> {', '.join(map(str, graph.output_types.values()))}>"

    def __call__(self, *arguments: Any, batch: Batch = False, reduction: Reduction = "none", **named: Any) -> Any:
        """The function's value."""
        bound = self._signatures.bind(arguments, named, (), batch)
        return bound.outputs(self._ask("evaluate", bound, reduction).arrays["value"])

    def value_and_grad(
        self,
        *arguments: Any,
        wrt: Names = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        **named: Any,
    ) -> tuple[Any, Any]:
        """The loss and its gradient, in one call."""
        bound = self._signatures.bind(arguments, named, wrt, batch)
        found = self._ask("gradient", bound, reduction).arrays
        return bound.outputs(found["value"]), bound.parameters(found["gradient"])

    def grad(
        self,
        *arguments: Any,
        wrt: Names = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        **named: Any,
    ) -> Any:
        """The gradient of the loss."""
        return self.value_and_grad(*arguments, wrt=wrt, batch=batch, reduction=reduction, **named)[1]

    def jvp(
        self,
        *arguments: Any,
        tangent: Any,
        wrt: Names = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        **named: Any,
    ) -> tuple[Any, Any]:
        """The value and J v: the derivative along `tangent`, which has the structure of the parameters."""
        bound = self._signatures.bind(arguments, named, wrt, batch)
        found = self._ask("jvp", bound, reduction, bound.vectors(tangent, "tangent")).arrays
        return bound.outputs(found["value"]), bound.outputs(found["tangent"])

    def vjp(
        self,
        *arguments: Any,
        cotangent: Any,
        wrt: Names = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        **named: Any,
    ) -> tuple[Any, Any]:
        """The value and J^T u: the pullback of `cotangent`, which has the structure of the value."""
        bound = self._signatures.bind(arguments, named, wrt, batch)
        found = self._ask("vjp", bound, reduction, bound.cotangents(cotangent)).arrays
        return bound.outputs(found["value"]), bound.parameters(found["cotangent"])

    def hvp(
        self,
        *arguments: Any,
        tangent: Any,
        wrt: Names = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        **named: Any,
    ) -> Any:
        """H v: the Hessian of the loss applied to `tangent`, which has the structure of the parameters."""
        bound = self._signatures.bind(arguments, named, wrt, batch)
        found = self._ask("hvp", bound, reduction, bound.vectors(tangent, "tangent")).arrays
        return bound.parameters(found["product"])

    def jacobian(
        self,
        *arguments: Any,
        wrt: Names = (),
        mode: Mode = "auto",
        batch: Batch = False,
        reduction: Reduction = "none",
        **named: Any,
    ) -> Any:
        """The dense Jacobian: for an array of shape s in a parameter of shape t, an array of shape (*s, *t).

        It has the structure of the value, with the structure of the parameters in the place of each array. `forward`
        accumulates it by columns, `reverse` by rows, `auto` in the way that is predicted to be faster.
        """
        bound = self._signatures.bind(arguments, named, wrt, batch)
        return bound.jacobian(self._ask("jacobian", bound, reduction, mode=mode).blocks)

    def hessian(
        self,
        *arguments: Any,
        wrt: Names = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        **named: Any,
    ) -> Any:
        """The dense Hessian of the loss: for parameters of shapes s and t, an array of shape (*s, *t).

        It has the structure of the parameters, with the same again in the place of each array.
        """
        bound = self._signatures.bind(arguments, named, wrt, batch)
        return bound.hessian(self._ask("hessian", bound, reduction).blocks)

    def jacobian_operator(self, *arguments: Any, wrt: Names = (), **named: Any) -> LinearOperator:
        """The Jacobian at one point as a map: `mv` is J v, `rmv` is J^T u; each is one call."""
        return LinearOperator(
            mv=lambda v: self.jvp(*arguments, tangent=v, wrt=wrt, **named)[1],
            rmv=lambda u: self.vjp(*arguments, cotangent=u, wrt=wrt, **named)[1],
            to_dense=lambda: self.jacobian(*arguments, wrt=wrt, **named),
        )

    def hessian_operator(self, *arguments: Any, wrt: Names = (), **named: Any) -> LinearOperator:
        """The Hessian of the loss at one point as a map, its own transpose: H v by `mv` and `rmv`; each is one call."""

        def mv(v: Any) -> Any:
            return self.hvp(*arguments, tangent=v, wrt=wrt, **named)

        return LinearOperator(mv, mv, lambda: self.hessian(*arguments, wrt=wrt, **named))

    def taylor_along(
        self, *arguments: Any, direction: Any, order: int = 2, wrt: Names = (), **named: Any
    ) -> TaylorAlong:
        """The function along a direction as a polynomial of the step, up to the power `order`, with a check of it.

        `direction` has the structure of the parameters.
        """
        bound = self._signatures.bind(arguments, named, wrt, False)
        with Deadline(self.timeout) as deadline:
            question = bound.question("evaluate", self.placement, vectors=bound.vectors(direction, "direction"))
            found = self._backend.taylor(question, order, deadline)
        self._last_report = lambda: found.report
        powers = [{name: own[k] for name, own in found.coefficients.items()} for k in range(order + 1)]

        def predict(step: float) -> Any:
            return bound.outputs(
                {n: np.asarray(sum(step**k * c for k, c in enumerate(own))) for n, own in found.coefficients.items()}
            )

        return TaylorAlong([bound.outputs(power) for power in powers], found.deviations, found.observed_order, predict)

    def taylor(
        self, *arguments: Any, order: Literal[1, 2] = 2, seed: int = 0, wrt: Names = (), **named: Any
    ) -> TaylorModel:
        """The loss around a point: its value, gradient and, in the second order, its Hessian as a map.

        Comes with a check: how fast its deviation from the loss falls along one random direction, of signs by `seed`.
        """
        if order not in (1, 2):
            raise InvalidRequest(f"a model around a point has order 1 or 2, not {order}; see taylor_along for more")
        bound = self._signatures.bind(arguments, named, wrt, False)
        value, gradient = self.value_and_grad(*arguments, wrt=wrt, **named)
        along = self.taylor_along(*arguments, direction=bound.random_signs(seed), order=order, wrt=wrt, **named)
        hessian = self.hessian_operator(*arguments, wrt=wrt, **named) if order == 2 else None
        return TaylorModel(float(value), gradient, hessian, along, bound.inner)

    def inspect(self, *arguments: Any, tangent: Any = None, wrt: Names = (), **named: Any) -> Inspection:
        """Every value inside the function at one point, with its adjoint, and its derivative along a `tangent`.

        Prints as a table; `.dot()` and `.svg()` draw the graph with these numbers. Nodes that sit on a kink are marked
        in all three, and `.kinks` has them.
        """
        bound = self._signatures.bind(arguments, named, wrt, False)
        vectors = {} if tangent is None else bound.vectors(tangent, "tangent")
        with Deadline(self.timeout) as deadline:
            question = bound.question("evaluate", self.placement, vectors=vectors)
            inspection = self._backend.inspect(question, deadline)
        self._last_report = lambda: inspection.report
        return inspection

    def hessian_trace(
        self,
        *arguments: Any,
        rel_tol: float = 0.0,
        abs_tol: float = 0.0,
        max_probes: int = 0,
        seed: int = 0,
        confidence: float = 0.95,
        wrt: Names = (),
        progress: Callable[[TraceEstimate], object] | None = None,
        **named: Any,
    ) -> TraceEstimate:
        """The trace of the Hessian by Hutchinson's estimator, with its Student-t interval.

        Stops when half the interval is at most `rel_tol` times the estimate or `abs_tol`, or when `max_probes` are
        spent (0 for the service's default). `progress` is called with every estimate on the way; raising StopIteration
        in it leaves with that one.
        """
        bound = self._signatures.bind(arguments, named, wrt, False)
        options = TraceOptions(seed, max_probes, rel_tol, abs_tol, confidence)
        with Deadline(self.timeout) as deadline:
            estimates = self._backend.estimate_trace(bound.question("gradient", self.placement), options, deadline)
            estimate = _last(estimates, progress)
        self._last_report = lambda: estimate.report
        return estimate

    def verify(
        self,
        *arguments: Any,
        claimed: Any = None,
        directions: int = 0,
        seed: int = 0,
        rel_tol: float = 0.0,
        wrt: Names = (),
        progress: Callable[[VerificationProgress], object] | None = None,
        **named: Any,
    ) -> VerificationReport:
        """A finite-difference verification of the gradient, or of a `claimed` one: `.passed`, `.worst`; prints well.

        0 `directions` and 0 `rel_tol` are the service's defaults. `progress` is called with every stage on the way.
        """
        bound = self._signatures.bind(arguments, named, wrt, False)
        vectors = {} if claimed is None else bound.vectors(claimed, "claimed gradient")
        options = VerifyOptions(vectors, directions, seed, rel_tol)
        with Deadline(self.timeout) as deadline:
            stages = self._backend.verify_gradient(bound.question("gradient", self.placement), options, deadline)
            last = _last(stages, progress)
        self._last_report = lambda: last.execution
        if last.report is None:
            raise GradserveError("the verification was left before it came to a report")
        return last.report

    def verify_symmetry(
        self,
        *arguments: Any,
        pairs: Sequence[tuple[str, str]] = (),
        count: int = 0,
        seed: int = 0,
        rel_tol: float = 0.0,
        wrt: Names = (),
        progress: Callable[[SymmetryProgress], object] | None = None,
        **named: Any,
    ) -> SymmetryReport:
        """Whether mixed partials depend on the order in which they are taken: `.passed`, `.worst`; prints as a table.

        Both orders are taken from values of the loss, as limits of mixed differences in which one step vanishes before
        the other, and compared with the derived Hessian, which is symmetric even where the true one is not.

        `pairs` names entries, as in `[("w[0]", "w[3]"), ("w[0]", "b")]`; otherwise `count` pairs are looked at, 0 for
        the service's default: all pairs of entries if they are so few, random signs and random entries if not. Where
        random signs find a dependence, the entries that it comes from are searched for.
        """
        bound = self._signatures.bind(arguments, named, wrt, False)
        options = SymmetryOptions(parse_pairs(pairs), count, seed, rel_tol)
        with Deadline(self.timeout) as deadline:
            stages = self._backend.verify_symmetry(bound.question("hvp", self.placement), options, deadline)
            last = _last(stages, progress)
        self._last_report = lambda: last.execution
        if last.report is None:
            raise GradserveError("the verification was left before it came to a report")
        return last.report

    def explain(
        self,
        *arguments: Any,
        derivation: Literal["evaluate", "gradient", "jvp", "vjp", "hvp", "jacobian", "hessian"] = "gradient",
        wrt: Names = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        **named: Any,
    ) -> Explanation:
        """Cost, memory, chunks and placement of a call, before anything runs; prints as a page."""
        if derivation not in DERIVATIONS:
            raise InvalidRequest(f"there is no derivation {derivation!r}; there are {', '.join(DERIVATIONS)}")
        bound = self._signatures.bind(arguments, named, wrt, batch).concrete()
        with Deadline(self.timeout) as deadline:
            return self._backend.explain(
                bound.question(derivation, self.placement, reduction, count_kinks=self.count_kinks),
                bound.batch_size,
                deadline,
            )

    def save(self, path: str | Path) -> None:
        """Writes the graph traced last, constants included: text for `.txt` and `.graph`, protobuf otherwise."""
        save_graph(self.graph, Path(path))

    def _ask(
        self,
        derivation: str,
        bound: Bound,
        reduction: str,
        vectors: dict[str, Any] | None = None,
        mode: str = "auto",
    ) -> Answer:
        with Deadline(self.timeout) as deadline:
            question = bound.question(derivation, self.placement, reduction, vectors, mode, self.count_kinks)
            answer = self._backend.differentiate(question, deadline)
        self._last_report = answer.report
        return answer


def _last(stream: Generator[T], progress: Callable[[T], object] | None) -> T:
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
