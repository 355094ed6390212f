"""Values and exact derivatives, at one point or at a batch of points."""

from __future__ import annotations

import functools
import time
from collections.abc import Hashable, Iterator, Mapping

from gradserve.autodiff import names
from gradserve.autodiff.derivation import added_inputs
from gradserve.ir.errors import InvalidRequest, Violation, listed
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array, TensorType
from gradserve.jobs.sweeps.calls import checked, named_vectors, type_violations
from gradserve.jobs.sweeps.chunks import Lap
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.counted import counting
from gradserve.jobs.sweeps.folds import Gathered, KinkCount, by_role, mean
from gradserve.jobs.sweeps.programs import Axis, Check
from gradserve.jobs.sweeps.ready import Form, key_of, ready
from gradserve.jobs.sweeps.sweep import Sweep, SweepSchedule
from gradserve.pools.work import Rows, Shared, Source
from gradserve.questions.call import Argument, Call, Reduction, arrays_of, types_of
from gradserve.questions.derivations import TANGENTS, Derivation
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.report import Report
from gradserve.runtime.control import Control

FEWER_POINTS = "ask for fewer points or a reduction"


def schedule(context: Context, question: Differentiate, check: Check) -> SweepSchedule:
    """How the question will be answered.

    Raises:
        InvalidRequest: the call, vectors or options do not fit.
        NotDifferentiable: there is no such derivative.
        LimitExceeded: it is over a limit.
    """
    return _schedule(context, with_inputs(context, question, check), check)


def answers(context: Context, question: Differentiate, control: Control) -> Iterator[Derivatives]:
    """The one answer. With a batch and no reduction every output has a leading axis.

    Raises:
        InvalidRequest, NotDifferentiable, LimitExceeded: as `schedule` does.
        NumericalFailure, Cancelled, DeadlineExceeded, WorkerLost: while running.
    """
    key = key_of(question)
    known = context.ready.get(key)
    answer = known and known.answer(_data(question), control)
    yield answer or _answer(context, question, control, key)


def _answer(context: Context, question: Differentiate, control: Control, key: Hashable) -> Derivatives:
    """The answer of any call; what is ready from now on is kept under `key`."""
    named = with_inputs(context, question, control.check)
    started = time.perf_counter()
    scheduled = _schedule(context, named, control.check)
    outputs, report = _run(scheduled, named, control, started)
    found = ready(scheduled, functools.partial(_form, scheduled, question.call.reduction))
    if found is not None:
        context.keep(context.ready, key, found, scheduled, found.nbytes)
    return Derivatives(by_role(outputs), report)


def _form(scheduled: SweepSchedule, reduction: Reduction) -> Form:
    """What becomes of the outputs if there is but one chunk."""
    points = scheduled.sweep.axis.size if scheduled.sweep.axis else 1
    if reduction is not Reduction.MEAN:
        return Form(points)
    means = functools.partial(mean, size=points)
    return Form(points, dict.fromkeys(scheduled.pieces[0].instance.program.graph.output_types, means))


def with_inputs(context: Context, question: Differentiate, check: Check) -> Differentiate:
    """The question with its call checked and its inputs named."""
    call = checked(context, question.call, check)
    if question.derivation.takes == TANGENTS and not question.vectors:
        text = "there is none; give one for each input to differentiate"
        raise InvalidRequest("the tangents are missing", [Violation("tangents", "M5", text)])
    derivation = question.derivation.resolved(call.graph, question.vectors)
    return Differentiate(call, derivation, question.vectors)


def differentiate(
    context: Context, call: Call, derivation: Derivation, vectors: Mapping[str, Argument], control: Control
) -> tuple[dict[str, Array], Report]:
    """The outputs of the derived graph of a checked call by their names in it, such as `gradient:w`; and the report."""
    started = time.perf_counter()
    question = Differentiate(call, derivation, vectors)
    return _run(_schedule(context, question, control.check), question, control, started)


def _run(
    scheduled: SweepSchedule, question: Differentiate, control: Control, started: float
) -> tuple[dict[str, Array], Report]:
    return run_rows(scheduled, _data(question), question.call.reduction, control, started)


def _data(question: Differentiate) -> dict[str, Array]:
    """Arguments and vectors, by the names of the inputs of the derived graph."""
    vectors = arrays_of(named_vectors(question.derivation.takes, question.vectors))
    return {**arrays_of(question.call.arguments), **vectors}


def run_rows(
    scheduled: SweepSchedule, data: Mapping[str, Array], reduction: Reduction, control: Control, started: float
) -> tuple[dict[str, Array], Report]:
    """The outputs of a sweep over the rows of those arrays that carry its axis, and the report since `started`."""
    axis = scheduled.sweep.axis
    gathered = Gathered(reduction, axis.size if axis else 1)
    kinks = KinkCount(scheduled.sweep.derivation)
    lap = _lap(data, axis)
    planned = time.perf_counter() - started
    running = scheduled.run(lambda _: lap, data, control)
    for result in running:
        gathered.add(result.outputs)
        kinks.add(result.outputs)
    outputs = gathered.done()
    nonfinite = running.nonfinite(outputs, apart=reduction is Reduction.NONE)
    return outputs, running.report(planned, nonfinite_outputs=nonfinite, kinks=kinks.done())


def _schedule(context: Context, question: Differentiate, check: Check) -> SweepSchedule:
    call, derivation = question.call, question.derivation
    vectors = types_of(named_vectors(derivation.takes, question.vectors))
    axis = _axis(call, derivation)
    _check_vectors(call.graph, derivation, vectors, axis)
    sweep = Sweep(
        graph=call.graph,
        derivation=counting(derivation, call.options),
        options=call.options,
        data_bytes=sum(a.nbytes for a in (*call.arguments.values(), *question.vectors.values())),
        axis=axis,
    )
    scheduled = sweep.schedule(context, check)
    each = [piece.instance.program.result_bytes for piece in scheduled.pieces]
    total = sum(each) if call.reduction is Reduction.NONE else max(each)
    context.limits.check_results(total, "the results take", FEWER_POINTS)
    return scheduled


def _axis(call: Call, derivation: Derivation) -> Axis | None:
    """The batch along the derived graph: a tangent carries it with its argument, a cotangent always."""
    size = call.batch_size
    if size is None:
        return None
    carried = {names.vector(TANGENTS, n) for n in call.batched} if derivation.takes == TANGENTS else None
    vectors = [n for n in added_inputs(call.graph, derivation) if carried is None or n in carried]
    # A mean is a sum, divided once all chunks are there.
    return Axis(frozenset((*call.batched, *vectors)), size, call.reduction is not Reduction.NONE)


def _lap(data: Mapping[str, Array], axis: Axis | None) -> Lap:
    lap: dict[str, Source] = {}
    for name in data:
        lap[name] = Rows(name, 0, axis.size) if axis is not None and name in axis.inputs else Shared(name)
    return lap


def _check_vectors(graph: Graph, derivation: Derivation, vectors: Mapping[str, TensorType], axis: Axis | None) -> None:
    expected = added_inputs(graph, derivation)
    violations = [
        Violation(_vector_path(n), "R9", f"{n.replace(':', ' of ')}: {t} is missing")
        for n, t in expected.items()
        if n not in vectors
    ]
    for name, type_ in vectors.items():
        if name not in expected:
            text = f"there is no {name.replace(':', ' of ')} here; expected are {listed(expected)}"
            violations.append(Violation(_vector_path(name), "R10", text))
            continue
        batched = axis is not None and name in axis.inputs
        found = type_violations(_vector_path(name), type_, expected[name], batched)
        violations += found
        if axis is not None and batched and not found and type_.lengths[0] != axis.size:
            text = f"it has {type_.lengths[0]} points and the batch has {axis.size}"
            violations.append(Violation(_vector_path(name), "R5", text))
    if violations:
        raise InvalidRequest("the vectors do not fit the graph", violations)


def _vector_path(name: str) -> str:
    role, own = names.split(name)
    return f'{role}s["{own}"]'
