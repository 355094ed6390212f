"""The same jobs as the service's, in this process: what `Client()` without an address uses."""

from __future__ import annotations

import functools
import os
from collections.abc import Generator, Iterable, Mapping
from dataclasses import asdict, astuple, fields, replace
from typing import Any

from gradserve.client import results
from gradserve.client.backend import (
    CLOSED,
    Answer,
    Question,
    SymmetryOptions,
    TaylorAnswer,
    TraceOptions,
    VerifyOptions,
)
from gradserve.client.inspection import InspectedValue, Inspection
from gradserve.client.symmetry import Entry, PairReport, SymmetryProgress, SymmetryReport
from gradserve.client.taylor import Deviation
from gradserve.client.transport.deadline import Deadline
from gradserve.ir.errors import BlobNotFound, Unavailable
from gradserve.ir.graph import BlobRef
from gradserve.ir.types import Array, TensorType
from gradserve.jobs.call import Call, Options, Placement, Reduction, make_call
from gradserve.jobs.context import Context
from gradserve.jobs.dense import Mode, hessian, jacobian
from gradserve.jobs.derivative import (
    derivation_of,
    differentiate,
    float_inputs,
    split_roles,
    vector_key,
)
from gradserve.jobs.embedded import Control, PairFound, Place, SymmetryFound, VerificationReport, embedded_context
from gradserve.jobs.explain import Inquiry, explain
from gradserve.jobs.inspect import inspect
from gradserve.jobs.report import Report
from gradserve.jobs.symmetry import verify_symmetry
from gradserve.jobs.taylor import taylor
from gradserve.jobs.trace import estimate_trace
from gradserve.jobs.verify import verify_gradient

_VALUE_FIELDS = tuple(field.name for field in fields(InspectedValue))
_REPORT_FIELDS = tuple(field.name for field in fields(results.Report))


class EmbeddedBackend:
    """Runs jobs on threads of this process."""

    def __init__(self, threads: int | None = None) -> None:
        """`threads` defaults to the number of processors."""
        self._context = embedded_context(threads or os.cpu_count() or 1)
        self._closed = False

    def differentiate(self, question: Question, deadline: Deadline) -> Answer:
        """Values and derivatives."""
        if question.derivation in ("jacobian", "hessian"):
            return self._dense(question, deadline)
        derivation = derivation_of(question.derivation, _wrt(question))
        vectors = {vector_key(derivation, name): array for name, array in question.vectors.items()}
        found = differentiate(self._open(), _call(question), derivation, vectors, _control(deadline))
        given = [*question.arguments.values(), *question.vectors.values()]
        return Answer(split_roles(_owned(found.outputs, given)), functools.partial(_report, found.report))

    def _dense(self, question: Question, deadline: Deadline) -> Answer:
        arguments = (self._open(), _call(question), _wrt(question))
        if question.derivation == "hessian":
            found = hessian(*arguments, _control(deadline))
        else:
            found = jacobian(*arguments, Mode(question.mode), _control(deadline))
        values = _owned(found.values, question.arguments.values())
        blocks = {row: _owned(columns, ()) for row, columns in found.blocks.items()}
        return Answer(split_roles(values), functools.partial(_report, found.report), blocks)

    def estimate_trace(
        self, question: Question, options: TraceOptions, deadline: Deadline
    ) -> Generator[results.TraceEstimate]:
        """Estimates of the Hessian's trace."""
        for estimate in estimate_trace(
            self._open(),
            _call(question),
            _wrt(question),
            seed=options.seed,
            max_probes=options.max_probes,
            relative_tolerance=options.relative_tolerance,
            absolute_tolerance=options.absolute_tolerance,
            confidence=options.confidence,
            control=_control(deadline),
        ):
            yield results.TraceEstimate(
                value=estimate.value,
                standard_error=estimate.standard_error,
                lower=estimate.lower,
                upper=estimate.upper,
                probes=estimate.probes,
                confidence=estimate.confidence,
                seed=estimate.seed,
                stop_reason=estimate.stop_reason.value,
                report=_report(estimate.report),
            )

    def verify_gradient(
        self, question: Question, options: VerifyOptions, deadline: Deadline
    ) -> Generator[results.VerificationProgress]:
        """Progress, and the report at the end."""
        for progress in verify_gradient(
            self._open(),
            _call(question),
            _wrt(question),
            claimed=options.claimed or None,
            directions=options.directions,
            seed=options.seed,
            relative_tolerance=options.relative_tolerance,
            control=_control(deadline),
        ):
            report = None if progress.report is None else _verification(progress.report)
            yield results.VerificationProgress(
                progress.stage, progress.evaluations, _report(progress.execution), report
            )

    def verify_symmetry(
        self, question: Question, options: SymmetryOptions, deadline: Deadline
    ) -> Generator[SymmetryProgress]:
        """Progress, and the report at the end."""
        for progress in verify_symmetry(
            self._open(),
            _call(question),
            _wrt(question),
            pairs=[(Place(u.input, u.index), Place(v.input, v.index)) for u, v in options.pairs],
            count=options.count,
            seed=options.seed,
            relative_tolerance=options.relative_tolerance,
            control=_control(deadline),
        ):
            report = None if progress.report is None else _symmetry(progress.report)
            yield SymmetryProgress(progress.stage, progress.evaluations, _report(progress.execution), report)

    def taylor(self, question: Question, order: int, deadline: Deadline) -> TaylorAnswer:
        """A Taylor model along the question's vectors."""
        found = taylor(self._open(), _call(question), order, question.vectors, _control(deadline))
        deviations = tuple(Deviation(d.step, d.error, d.meaningful) for d in found.deviations)
        coefficients = {name: [array.copy() for array in powers] for name, powers in found.coefficients.items()}
        return TaylorAnswer(coefficients, deviations, found.observed_order, _report(found.report))

    def inspect(self, question: Question, deadline: Deadline) -> Inspection:
        """Every value of the graph."""
        found = inspect(self._open(), _call(question), question.vectors, _control(deadline))
        values = (InspectedValue(*(getattr(value, name) for name in _VALUE_FIELDS)) for value in found.values)
        return Inspection(tuple(values), _report(found.report))

    def explain(self, question: Question, batch_size: int, deadline: Deadline) -> results.Explanation:
        """Cost and placement."""
        deadline.left()
        reduction = Reduction(question.reduction)
        inquiry = Inquiry(
            question.graph,
            question.derivation,
            _wrt(question),
            _options(question),
            question.batch,
            batch_size,
            reduction,
        )
        found = explain(self._open(), inquiry)
        shown = {"inputs": _shown(found.inputs), "outputs": _shown(found.outputs)}
        return results.Explanation(**{**asdict(found), **shown})

    def close(self) -> None:
        """Ends the threads."""
        self._closed = True
        self._context.front_end.close()

    def _open(self) -> Context:
        if self._closed:
            raise Unavailable(CLOSED)
        return self._context


def _control(deadline: Deadline) -> Control:
    return Control.after(deadline.left())


def _owned(outputs: Mapping[str, Array], given: Iterable[Array]) -> dict[str, Array]:
    """The outputs, those copied that share memory: with constants of the graph, with what was given, or each other."""
    taken = {id(array) for array in given}
    owned = {}
    for name, array in outputs.items():
        fresh = array.flags.owndata and array.flags.writeable and id(array) not in taken
        taken.add(id(array))
        owned[name] = array if fresh else array.copy()
    return owned


def _wrt(question: Question) -> tuple[str, ...]:
    return float_inputs(question.graph, question.wrt)


def _options(question: Question) -> Options:
    return Options(question.executor, Placement(question.placement), question.count_kinks)


def _call(question: Question) -> Call:
    unknown = [constant.digest for constant in question.graph.constants if isinstance(constant, BlobRef)]
    if unknown:
        raise BlobNotFound(unknown)
    reduction = Reduction(question.reduction)
    return make_call(question.graph, question.arguments, question.batch, reduction, _options(question))


def _report(report: Report) -> results.Report:
    found = results.Report(*(getattr(report, name) for name in _REPORT_FIELDS))
    return replace(found, kinks=results.Kinks(**asdict(report.kinks)) if report.kinks else None)


def _verification(report: VerificationReport) -> results.VerificationReport:
    def row(record: Any) -> dict[str, Any]:
        return {**asdict(record), "verdict": record.verdict.value}

    return results.VerificationReport(
        verdict=report.verdict.value,
        directions=tuple(results.DirectionReport(**row(d)) for d in report.directions),
        inputs=tuple(results.InputReport(**row(i)) for i in report.inputs),
        entries=tuple(results.EntryReport(**row(e)) for e in report.entries),
        evaluations=report.evaluations,
        noise=report.noise,
        seed=report.seed,
    )


def _symmetry(report: SymmetryFound) -> SymmetryReport:
    def row(found: PairFound) -> PairReport:
        places = found.entries
        entries = None if places is None else (Entry(*astuple(places[0])), Entry(*astuple(places[1])))
        return PairReport(**{**asdict(found), "verdict": found.verdict.value, "entries": entries})

    pairs = tuple(row(pair) for pair in report.pairs)
    return SymmetryReport(report.verdict.value, pairs, report.evaluations, report.noise, report.seed)


def _shown(types: dict[str, TensorType]) -> dict[str, str]:
    return {name: str(type_) for name, type_ in types.items()}
