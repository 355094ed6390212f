"""Dense derivatives: Jacobians and Hessians, assembled from products with every column of the identity.

So what is assembled at one point has the bits of `Jvp`, `Vjp` and `Hvp` on a basis. Of a batch, chunks are points with
all their columns; where the columns of one point fill more than a chunk, they are chunks of columns, point by point.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from gradserve.autodiff import names
from gradserve.autodiff.derivation import added_inputs
from gradserve.autodiff.holomorphic import check_holomorphic
from gradserve.ir.account import working
from gradserve.ir.errors import InvalidRequest, LimitExceeded, NotDifferentiable, Violation
from gradserve.ir.graph import Graph
from gradserve.ir.shapes import shape_faults
from gradserve.ir.types import Array, TensorType
from gradserve.jobs.derivatives.derivative import with_inputs
from gradserve.jobs.sweeps.calls import inputs_in_question
from gradserve.jobs.sweeps.chunks import Lap
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.counted import counting
from gradserve.jobs.sweeps.folds import Gathered, KinkCount, by_role, count_nonfinite, mean
from gradserve.jobs.sweeps.matrices import BasisLayout, Way
from gradserve.jobs.sweeps.programs import Axis, Check
from gradserve.jobs.sweeps.ready import Form, Matrix, key_of, ready
from gradserve.jobs.sweeps.sweep import Sweep, SweepRun, SweepSchedule
from gradserve.pools.sources import array_of
from gradserve.pools.work import OneHots, Point, Rows, Shared, Source
from gradserve.questions.call import Call, Reduction, arrays_of
from gradserve.questions.derivations import Derivation, Hessian, Hvp, Jacobian, Jvp, Mode, Vjp
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.runtime.control import Control


def schedule(context: Context, question: Differentiate, check: Check) -> SweepSchedule:
    """How the question will be answered; AUTO takes the mode that is predicted to be faster.

    Raises:
        InvalidRequest: the call, `wrt` or an option does not fit.
        NotDifferentiable: an op on the way has no derivative, or the graph of a Hessian is no loss.
        LimitExceeded: memory, operations or the size of the result over a limit.
    """
    return _chosen(context, with_inputs(context, question, check), check)[1]


def mode_of(scheduled: SweepSchedule) -> Mode:
    """The mode of a schedule of dense derivatives."""
    of = scheduled.sweep.derivation
    return Mode.REVERSE if isinstance(getattr(of, "derivation", of), Vjp) else Mode.FORWARD


def answers(context: Context, question: Differentiate, control: Control) -> Iterator[Derivatives]:
    """The one answer: outputs, gradients beside a Hessian, and the blocks of the matrix.

    Raises:
        InvalidRequest, NotDifferentiable, LimitExceeded: as `schedule` does.
        NumericalFailure, Cancelled, DeadlineExceeded, WorkerLost: while running.
    """
    key = key_of(question)
    known = context.ready.get(key)
    answer = known and known.answer({**arrays_of(question.call.arguments)}, control)
    yield answer or _answer(context, question, control, key)


def _answer(context: Context, question: Differentiate, control: Control, key: Hashable) -> Derivatives:
    """The answer of any call; what is ready from now on is kept under `key`."""
    started = time.perf_counter()
    call, products, scheduled = _settled(context, question, control.check, key)
    gathered = Gathered(call.reduction, call.batch_size or 1)
    kinks = KinkCount(scheduled.sweep.derivation)
    planned = time.perf_counter() - started
    data = arrays_of(call.arguments)
    running = scheduled.run(functools.partial(_lap, call, products, scheduled), data, control)
    kept = bool(call.batch) and call.reduction is Reduction.NONE
    for outputs in _outputs(scheduled, running, products, kept):
        kinks.add(outputs)
        gathered.add(outputs)
    found = gathered.done()
    values = {key: array for key, array in found.items() if names.is_of_point(key)}
    rows = {name: found[f"{products.role}:{name}"] for name in products.layout.rows}
    blocks = products.layout.blocks(rows, points=int(kept))
    some = running.nonfinite(found, apart=call.reduction is Reduction.NONE)
    nonfinite = sum(count_nonfinite(columns.values()) for columns in blocks.values()) if some else 0
    size = call.batch_size or 1
    report = running.report(planned, batch_size=size, nonfinite_outputs=nonfinite, kinks=kinks.done())
    prompt = ready(scheduled, functools.partial(_form, call, products, scheduled))
    if prompt is not None:
        context.keep(context.ready, key, prompt, scheduled, prompt.nbytes)
    return Derivatives(by_role(values), report, blocks, products.mode)


def _form(call: Call, products: Way, scheduled: SweepSchedule) -> Form | None:
    """What becomes of the outputs if there is but one chunk; None where points are laps."""
    layout, axis = products.layout, scheduled.sweep.axis
    assert axis is not None
    if call.batch and axis.within is None:
        return None
    points, kept = call.batch_size or 1, bool(call.batch) and call.reduction is Reduction.NONE
    along = (*[slice(None)] * kept, slice(layout.count))
    rows = {name: f"{products.role}:{name}" for name in layout.rows}
    settled = functools.partial(mean, size=points) if call.reduction is Reduction.MEAN else np.asarray

    def blocks(outputs: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
        return layout.blocks({name: settled(outputs[row])[along] for name, row in rows.items()}, points=int(kept))

    def first(columns: Array) -> Array:
        return np.asarray(columns[0])

    types = scheduled.pieces[0].instance.program.graph.output_types
    become = dict.fromkeys(types, settled if call.batch else first)
    basis = {name: array_of(source, {}, {}) for name, source in _basis(products).items()}
    matrix = Matrix(basis, frozenset(rows.values()), blocks, not call.batch, products.mode)
    return Form(points, become, matrix)


def _settled(context: Context, question: Differentiate, check: Check, key: Hashable) -> tuple[Call, Way, SweepSchedule]:
    """The call, checked, and how it is answered: known if a call with arrays of these types was answered before."""
    known = context.dense.get(key)
    if known is not None and question.call.graph.is_concrete:
        products, scheduled, effort = known
        context.programs.paid(effort, question.call.graph)
        return question.call, products, scheduled
    with working() as effort:
        named = with_inputs(context, question, check)
        products, scheduled = _chosen(context, named, check)
    way = products, replace(scheduled, known=True), effort
    context.keep(context.dense, key, way, scheduled, scheduled.nbytes)
    return named.call, products, scheduled


def _chosen(context: Context, question: Differentiate, check: Check) -> tuple[Way, SweepSchedule]:
    """What is predicted to be fastest of all ways to make the matrix that the question allows.

    Raises:
        LimitExceeded: that one is over a limit.
    """
    every = ways(question.call.graph, question.derivation)
    found = [(products, _attempt(context, question.call, products, check, len(every))) for products in every]
    products, chosen = min(found, key=lambda way: np.inf if isinstance(way[1], LimitExceeded) else way[1].seconds)
    if isinstance(chosen, LimitExceeded):
        raise chosen
    _check_size(context, question.call, products.layout)
    return products, chosen


def _with_all_points(context: Context, call: Call, single: SweepSchedule, check: Check) -> SweepSchedule:
    """The schedule along the points of a batch, given that point by point; that one itself if it cuts the columns."""
    if call.batch_size is None or len(single.pieces) > 1:
        return single
    summed = call.reduction is not Reduction.NONE
    axis = Axis(frozenset(call.batched), call.batch_size, summed, within=single.sweep.axis)
    try:
        return replace(single.sweep, axis=axis, laps=1).schedule(context, check)
    except LimitExceeded:  # of memory, which one point by itself keeps to
        return single


def ways(graph: Graph, derivation: Derivation) -> list[Way]:
    """The ways in which a dense derivative may be made."""
    wrt = derivation.wrt
    inputs = {name: graph.input_types[name] for name in wrt if name in graph.input_types}
    outputs = {name: type_ for name, type_ in graph.output_types.items() if type_.is_float}
    match derivation:
        case Hessian():
            inputs_in_question(graph, wrt)
            return [Way(Mode.FORWARD, Hvp(wrt), "product", BasisLayout(inputs, inputs))]
        case Jacobian(mode=mode):
            forward = Way(Mode.FORWARD, Jvp(wrt), "tangent", BasisLayout(inputs, outputs, transposed=True))
            reverse = Way(Mode.REVERSE, Vjp(wrt), "cotangent", BasisLayout(outputs, inputs))
            allowed = _allowed(graph, derivation, inputs, outputs)
            found = [way for way in (forward, reverse) if way.mode in allowed and mode in (Mode.AUTO, way.mode)]
            if not found:
                text = f"{_HALF}: leave mode out, or write {', '.join(allowed)}"
                raise InvalidRequest("the request does not fit", [Violation("mode", "J1", text)])
            return found
    raise TypeError(f"{derivation} is no dense derivative")


_HALF = "columns say all about real inputs alone, and rows about real outputs"


def _allowed(
    graph: Graph, derivation: Jacobian, inputs: Mapping[str, TensorType], outputs: Mapping[str, TensorType]
) -> Sequence[Mode]:
    """The modes that give all there is to know: by columns in real inputs, by rows of real outputs.

    Raises:
        NotDifferentiable: both are complex, and it is not said that there is a complex derivative, or there is none.
    """
    if derivation.holomorphic:
        check_holomorphic(graph, derivation.wrt)
        return (Mode.FORWARD, Mode.REVERSE)
    given, made = (any(type_.is_complex for type_ in types.values()) for types in (inputs, outputs))
    if given and made:
        text = "of complex outputs in complex inputs say holomorphic=True, or take real and imaginary parts of either"
        raise NotDifferentiable("there is no one Jacobian", [Violation("outputs", "J2", text)])
    return tuple(mode for mode, half in ((Mode.FORWARD, given), (Mode.REVERSE, made)) if not half)


def _attempt(context: Context, call: Call, products: Way, check: Check, among: int) -> SweepSchedule | LimitExceeded:
    """The schedule of one of so many ways, or why there is none."""
    vectors = added_inputs(call.graph, products.derivation)
    sweep = Sweep(
        graph=call.graph,
        derivation=counting(products.derivation, call.options),
        options=call.options,
        data_bytes=sum(argument.nbytes for argument in call.arguments.values()),
        axis=Axis(frozenset(vectors), max(1, products.layout.count)),
        laps=call.batch_size or 1,
    )
    try:
        with context.programs.spending(call.graph, check, among):
            return _with_all_points(context, call, sweep.schedule(context, check), check)
    except LimitExceeded as error:
        return error


def _check_size(context: Context, call: Call, layout: BasisLayout) -> None:
    """Refuses a matrix that is over a limit, or whose blocks no array can hold: NumPy counts empty ones as if full."""
    points = (call.batch_size,) if call.batch_size and call.reduction is Reduction.NONE else ()
    for block in layout.largest:
        for constraint, fault in shape_faults((*points, *block.shape), block.element_type.itemsize):
            text = f"a block would be no array: {fault}; ask for products with vectors instead"
            raise InvalidRequest("the request does not fit", [Violation("call", constraint, text)])
    kept = math.prod(points)
    context.limits.check_results(kept * layout.nbytes, "the matrix takes", "ask for its products with vectors instead")


def _lap(call: Call, products: Way, scheduled: SweepSchedule, point: int) -> Lap:
    """The arguments at one point, or of the batch, along all columns of the identity."""
    batched, axis = call.batched, scheduled.sweep.axis
    assert axis is not None
    along: dict[str, Source] = {n: Point(n, point) if axis.within is None else Rows(n, 0, axis.size) for n in batched}
    lap: dict[str, Source] = {name: along.get(name, Shared(name)) for name in call.arguments}
    return {**lap, **_basis(products)}


def _basis(products: Way) -> Mapping[str, OneHots]:
    """All columns of the identity, by the inputs that take them."""
    takes, layout, count = products.derivation.takes, products.layout, max(1, products.layout.count)
    return {
        names.vector(takes, name): OneHots(0, count, offset, type_.lengths, type_.element_type)
        for (name, type_), offset in zip(layout.seeds.items(), layout.offsets, strict=True)
    }


def _outputs(scheduled: SweepSchedule, running: SweepRun, products: Way, kept: bool) -> Iterator[Mapping[str, Array]]:
    """What depends on the point alone, and the products with all columns; with an axis of points if these are kept."""
    axis, count = scheduled.sweep.axis, products.layout.count
    if axis is not None and axis.within is not None:
        every = (slice(None),) * kept
        for result in running:
            yield {n: y if names.is_of_point(n) else y[*every, :count] for n, y in result.outputs.items()}
        return
    results = iter(running)
    for _ in range(scheduled.sweep.laps):
        parts = [next(results).outputs for _ in scheduled.pieces]
        found = {n for part in parts for n in part}
        outputs = {n: _of_point(n, parts) if names.is_of_point(n) else _rows(n, parts)[:count] for n in sorted(found)}
        yield {n: y[None] if kept and not names.tells_of_kinks(n) else y for n, y in outputs.items()}
    next(results, None)  # so that the pool ends its work here, and not when it is collected


def _of_point(name: str, parts: Sequence[Mapping[str, Array]]) -> Array:
    """What every row has in common; what tells of kinks, of all rows, as of a single example."""
    if names.tells_of_kinks(name):
        return np.minimum(functools.reduce(np.maximum, (part[name] for part in parts if name in part)), 1)
    return np.asarray(parts[0][name][0])


def _rows(name: str, parts: Sequence[Mapping[str, Array]]) -> Array:
    """The products with all columns."""
    arrays = [part[name] for part in parts]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
