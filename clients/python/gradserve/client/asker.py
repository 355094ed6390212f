"""Asking questions about the function that a user has, and what every question is asked with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from gradserve.client import asking, losses
from gradserve.client.backend import Backend
from gradserve.client.methods import NAMES, method_of
from gradserve.client.remembered import key_of, order_of, remember
from gradserve.client.settings import (
    Setting,
    checked_executor,
    checked_kinks,
    checked_placement,
    checked_switch,
    checked_timeout,
    checked_transport,
    checked_watch,
)
from gradserve.client.streaming import checked_errors, gradients, last_of, raising
from gradserve.client.tracing.current import current
from gradserve.client.tracing.signature import Batch, Bound, Names, Signatures
from gradserve.client.tracing.watching import Watch
from gradserve.client.transport.deadline import Deadline
from gradserve.client.within import refuse_traced
from gradserve.ir.errors import GradserveError
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array
from gradserve.questions.asked import Answer, Question
from gradserve.questions.call import Call
from gradserve.questions.derivations import DERIVATIONS, Derivation, Evaluate, Vjp
from gradserve.questions.derivatives import Derivatives, Differentiate, report_later
from gradserve.questions.estimates import Estimate, EstimateTrace
from gradserve.questions.explanation import Explain
from gradserve.questions.report import Report


class Asker:
    """Asks a backend about one function. Safe for threads."""

    __slots__ = (
        "__weakref__",
        "_backend",
        "_count_kinks",
        "_executor",
        "_kinks",
        "_last_report",
        "_placement",
        "_signatures",
        "_timeout",
        "_transport",
    )
    timeout = Setting[float | None](
        checked_timeout, "Seconds within which every call must be answered; None for as long as the service allows."
    )
    placement = Setting[str](
        checked_placement, "Where calls run: `front-end`, `cluster`, or `auto` for the choice by predicted cost."
    )
    executor = Setting[str](
        checked_executor, "The executor to run on, `numpy`, `fused` or `xla`; empty for the fastest that is ready."
    )
    count_kinks = Setting[bool](
        checked_switch,
        """Whether `last_report.kinks` tells, of derivatives, how many nodes sit on a kink.

        There the function is not differentiable, and each op follows its convention. Counting takes some comparisons
        where the graph can have kinks at all.
        """,
    )
    kinks = Setting[str](
        checked_kinks,
        """What becomes of derivatives where a node sits on a kink.

        `convention`: each op follows its own, and `last_report.kinks` counts the nodes. `resolve`: derivatives are
        limits from several directions, with an error bound in `last_report.kinks.bound`; where the limits differ,
        NotDifferentiable names the nodes and the one-sided values. `refuse`: NotDifferentiable names the nodes.
        """,
    )

    transport = Setting[str](
        checked_transport,
        """How float64 travels between client and service: `exact`, or `float32`, which halves what is sent.

        Then arguments and vectors are rounded to float32 before anything is computed, in float64 as ever, and
        derivatives after; the arrays are of float64 still. Numbers beyond float32 are refused, by the array's name, and
        those too small for it come to 0. In-process clients round alike. `last_report.transport` says how it was.
        """,
    )

    def __init__(self, backend: Backend, signatures: Signatures, timeout: float | None) -> None:
        """Asks `backend`."""
        self._backend = backend
        self._signatures = signatures
        self.timeout = timeout
        self.placement, self.executor, self.count_kinks, self.kinks = "auto", "", True, "convention"
        self.transport = "exact"
        self._last_report: Callable[[], Report] | None = None

    @property
    def watch(self) -> Watch:
        """Whether every call looks if what the function captured, names or reads of objects has changed.

        If so the function is traced anew. Names, numbers and small arrays are compared at every call, in a few
        microseconds; of arrays beyond 64 KiB a sample, and the whole at some calls, at most 1 % of the time. So a
        change of few elements of a large array at once after a call may be seen some calls late, with a warning;
        `"whole"` compares all elements at every call. What code of installed libraries reads is not followed.
        """
        return self._signatures.watch

    @watch.setter
    def watch(self, watch: Watch) -> None:
        self._signatures.watch = checked_watch(watch)

    @property
    def last_report(self) -> Report | None:
        """What the last answered call cost; of any thread's, if several share the function."""
        return self._last_report and self._last_report()

    @property
    def graph(self) -> Graph:
        """The graph traced last; `gradserve.text.printing.to_text` prints it.

        Raises:
            RuntimeError: nothing has been traced yet; give examples or call the function.
        """
        return self._signatures.latest.graph

    def __getattr__(self, name: str) -> Any:
        """The method of a derivation or an estimate that has none of its own here."""
        if name not in NAMES:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
        return method_of(name, self._derive, self._estimate)

    def __dir__(self) -> Iterable[str]:
        return sorted({*super().__dir__(), *NAMES})

    def _derive(
        self,
        kind: type[Derivation],
        arguments: Sequence[Any],
        named: Mapping[str, Any],
        *,
        wrt: Names = (),
        batch: Batch = False,
        reduction: str = "none",
        tangent: Any = None,
        cotangent: Any = None,
        more: bool = False,
        **options: Any,
    ) -> Any:
        """What a derivation gives, as trees, with `more` that a loss is returned with; `options` are its own."""
        g = current()
        if g and kind is Evaluate and batch is False:
            return self._signatures.within(g, arguments, named)
        vector = tangent if cotangent is None else cotangent
        asked = kind, more, self._placement, self._executor, self._count_kinks, self._kinks, self._transport
        remembered = self._signatures.remembered()
        leaves: list[Array] = []
        chosen = (wrt, batch, reduction, *options, *options.values()) if options else (wrt, batch, reduction)
        key = key_of(asked, arguments, named, vector, chosen, leaves)
        known = remembered.get(key)
        if known is not None:
            again, trees = known
            found = again(leaves, self._timeout)
            self._last_report = report_later(found)
            return trees(found)
        bound = self._bound(arguments, named, wrt, batch, True, whole=more or not losses.is_of_loss(kind))
        if more and bound.traced.has_more:
            kind, vectors = Vjp, losses.seeds_of(bound)
        else:
            vectors = asking.vectors_of(kind, bound, vector)
        question = Differentiate(self._call(bound, reduction), asking.derivation_of(kind, bound, options), vectors)
        trees = asking.trees_of(kind, bound.form)
        result = trees(self._ask(question))
        order = None if key is None else order_of(bound, named, question.vectors, leaves)
        if order is not None:
            remember(remembered, key, (self._backend.again(question, *order), trees))
        return result

    def derivatives(
        self,
        name: str,
        arguments: Sequence[Any],
        vectors: Mapping[str, Array],
        *,
        wrt: Names = (),
        batch: Batch = False,
        reduction: str = "none",
        **options: Any,
    ) -> Derivatives:
        """What the derivation of that name gives, as it is answered: arrays by role and by input or output.

        Raises:
            InvalidRequest: the arguments or the vectors do not fit.
        """
        kind = DERIVATIONS[name]
        bound = self._bound(arguments, {}, wrt, batch, whole=not losses.is_of_loss(kind))
        promoted = bound.promoted(vectors, kind.takes)
        call, derivation = self._call(bound, reduction), asking.derivation_of(kind, bound, options)
        found: Derivatives = self._ask(Differentiate(call, derivation, promoted))
        return found

    def _estimate(
        self,
        kind: type[Estimate],
        arguments: Sequence[Any],
        named: Mapping[str, Any],
        *,
        wrt: Names = (),
        batch: Batch = False,
        reduction: str = "none",
        progress: Callable[[Any], object] | None = None,
        resume: Any = None,
        **options: Any,
    ) -> Any:
        """The last of the estimates, or that with which `progress` leaves; `options` are its own."""
        bound = self._bound(arguments, named, wrt, batch, whole=losses.names_loss(options))
        chosen = asking.options_from(kind, options)
        token = asking.token_of(resume)
        question = kind(self._call(bound, reduction), bound.real_inputs(), resume=token, **chosen)
        found = self._bettered(question, bound, progress)
        return found if bound.batch and reduction == "none" else found[-1]

    def _bettered(self, question: Question, bound: Bound, progress: Callable[[Any], object] | None) -> list[Any]:
        """The last of ever better answers at each point, or that with which `progress` leaves; as trees."""
        asking.require_callable(progress)
        groups = [each.name for each in question.groups] if isinstance(question, EstimateTrace) else []
        told = asking.Told(bound, groups, progress)
        self._last_report = report_later(self._last(question, told))
        return [*told.last.values()]

    def _verified(self, question: Question, progress: Callable[[Any], object] | None) -> Any:
        """The report at the end of a verification."""
        asking.require_callable(progress)
        last = self._last(question, progress)
        self._last_report = lambda: last.execution
        if last.report is None:
            raise GradserveError("the verification was left before it came to a report")
        return last.report

    def stream_gradient(
        self,
        points: Iterable[Any],
        *,
        wrt: Names = (),
        batch: Batch = False,
        reduction: str = "none",
        errors: str = "raise",
    ) -> Iterator[Any]:
        """The loss and its gradient at each of many points, in order, as `value_and_grad` gives them to the bit.

        A point is a tuple of the parameters, or the only one itself. With `batch` each is a block of points, of up to
        16 MiB. They are drawn as answers come, some hundreds ahead, so that neither they nor the answers need fit into
        memory, and they cannot depend on answers. Small ones share messages: that takes away the cost of a call.

        With `errors="yield"` an error is handed out in the place of the answer it belongs to, and the stream goes on.
        The timeout is for each answer, and `last_report` is about all points of a message.
        """
        found = gradients(
            self._backend,
            points,
            lambda arguments: self._bound(arguments, {}, wrt, batch),
            lambda bound: self._call(bound, reduction),
            self._timeout,
            lambda read: setattr(self, "_last_report", read),
        )
        return found if checked_errors(errors) else raising(found)

    def _bound(
        self, arguments: Any, named: Any, wrt: Names, batch: Batch, looked: bool = False, whole: bool = False
    ) -> Bound:
        """The arguments bound to a graph, none of them traced: that of the loss alone, or the `whole` one."""
        if current():
            refuse_traced((*arguments, *named.values()))
        found = self._signatures.bind(arguments, named, wrt, batch, looked)
        return found if whole else found.of_loss()

    def _call(self, bound: Bound, reduction: str = "none") -> Call:
        wishes = self._placement, self._count_kinks, self._executor, self._kinks, self._transport
        return asking.call_of(bound, reduction, *wishes)

    def _ask(self, question: Question) -> Any:
        """The one answer to a question."""
        with Deadline(self._timeout) as deadline:
            answer = self._backend.ask(question, deadline)
        if not isinstance(question, Explain):
            self._last_report = report_later(answer)
        return answer

    def _last(self, question: Question, progress: Callable[[Any], object] | None) -> Answer:
        """The last answer to a question that has several."""
        from gradserve.wire import require_sayable

        require_sayable(question)
        with Deadline(self._timeout) as deadline:
            return last_of(self._backend.stream(question, deadline), progress)
