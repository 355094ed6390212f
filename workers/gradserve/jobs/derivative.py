"""Values and exact derivatives, at one point or at a batch of points."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gradserve.autodiff import Derivation, Evaluate, Gradient, Hvp, Inspect, Jvp, Taylor, Vjp, names
from gradserve.ir.errors import InvalidRequest, LimitExceeded, Violation
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array, TensorType
from gradserve.jobs.call import Call, Reduction, type_violations
from gradserve.jobs.context import Context
from gradserve.jobs.cut import Piece
from gradserve.jobs.kinks import counting, found_kinks
from gradserve.jobs.plans import Batching
from gradserve.jobs.report import Report, count_nonfinite
from gradserve.pools.work import Chunk, ChunkResult, Rows, Shared, Source, Work
from gradserve.runtime.control import Control


@dataclass(frozen=True, slots=True)
class Derivatives:
    """The outputs of a derived graph, by role and name (`gradient:w`), and what they cost."""

    outputs: dict[str, Array]
    report: Report


def float_inputs(graph: Graph, wrt: Sequence[str]) -> tuple[str, ...]:
    """`wrt`, or every floating-point input if it is empty."""
    return tuple(wrt) or tuple(i.name for i in graph.inputs if i.type.is_float)


def differentiate(
    context: Context, call: Call, derivation: Derivation, vectors: Mapping[str, Array], control: Control
) -> Derivatives:
    """What the derivation asks of the call's graph at its arguments.

    `vectors` holds `tangent:NAME` for Jvp and Hvp and `cotangent:OUT` for Vjp. With a batch and no reduction every
    output has a leading axis; with SUM or MEAN it has the shape of one example's output.

    Raises:
        InvalidRequest: vectors or options do not fit.
        NotDifferentiable: there is no such derivative.
        LimitExceeded: the plan is over a limit.
        NumericalFailure, Cancelled, DeadlineExceeded, WorkerLost: while running.
    """
    started = time.perf_counter()
    executor = context.executor(call.options)
    batching = batching_of(call.graph, derivation, call.batch, call.batch_size or 1, call.reduction)
    _check_vectors(call, derivation, vectors, batching)
    counted = counting(derivation, call.options)
    pieces, hit = context.pieces(call.graph, counted, batching, control.check)
    _check_results(context, pieces, call)
    data = {**call.arguments, **vectors}
    pool, _ = context.place(pieces, sum(a.nbytes for a in data.values()), call.options)
    planned = time.perf_counter()
    results = list(context.run(pool, _work(pieces, data, batching, executor), control))
    outputs = _gather(results, call.reduction, batching)
    waited = min(result.waited for result in results)
    report = Report(
        queue=waited,
        plan=planned - started,
        execute=max(0.0, time.perf_counter() - planned - waited),
        plan_cache_hit=hit,
        executor=executor,
        placement=pool.name,
        chunks=len(results),
        retries=sum(result.retries for result in results),
        batch_size=batching.size if batching else 1,
        flops=sum(piece.plan.flops for piece in pieces),
        peak_bytes=max(piece.plan.peak_bytes for piece in pieces),
        nonfinite_outputs=count_nonfinite(outputs),
        workers=tuple(dict.fromkeys(result.worker for result in results)),
        kinks=found_kinks(counted, (result.outputs for result in results)),
    )
    return Derivatives(outputs, report)


def batching_of(
    graph: Graph, derivation: Derivation, batch: Sequence[str], size: int, reduction: Reduction
) -> Batching | None:
    """Which inputs of the derived graph are batched: a tangent with its argument, a cotangent always.

    None if `batch` is empty.
    """
    if not batch:
        return None
    inputs = set(batch)
    if isinstance(derivation, Jvp | Hvp):
        inputs |= {names.tangent(name) for name in derivation.wrt if name in batch}
    if isinstance(derivation, Vjp):
        inputs |= {names.cotangent(name) for name in _cotangent_types(graph)}
    # A mean is a sum, divided once all chunks are there.
    return Batching(frozenset(inputs), size, Reduction.NONE if reduction is Reduction.NONE else Reduction.SUM)


def _cotangent_types(graph: Graph) -> dict[str, TensorType]:
    return {name: type_ for name, type_ in graph.output_types.items() if type_.is_float}


def vector_types(graph: Graph, derivation: Derivation) -> dict[str, TensorType]:
    """The vectors that a derivation takes besides the arguments: their names and types for one example."""
    match derivation:
        case Jvp(wrt) | Hvp(wrt) | Inspect(wrt) | Taylor(wrt):
            return {names.tangent(n): graph.input_types[n] for n in wrt if n in graph.input_types}
        case Vjp():
            return {names.cotangent(n): t for n, t in _cotangent_types(graph).items()}
        case _:
            return {}


def _check_vectors(call: Call, derivation: Derivation, vectors: Mapping[str, Array], batching: Batching | None) -> None:
    expected = vector_types(call.graph, derivation)
    violations = [
        Violation(_vector_path(n), "R9", f"{n.replace(':', ' of ')}: {t} is missing")
        for n, t in expected.items()
        if n not in vectors
    ]
    for name, array in vectors.items():
        if name not in expected:
            text = f"there is no {name.replace(':', ' of ')} here; expected are {', '.join(expected) or 'none'}"
            violations.append(Violation(_vector_path(name), "R10", text))
            continue
        batched = batching is not None and name in batching.inputs
        found = type_violations(_vector_path(name), array, expected[name], batched)
        violations += found
        if batched and batching and not found and array.shape[0] != batching.size:
            text = f"it has {array.shape[0]} points and the batch has {batching.size}"
            violations.append(Violation(_vector_path(name), "R5", text))
    if violations:
        raise InvalidRequest("the vectors do not fit the graph", violations)


def vector_key(derivation: Derivation, name: str) -> str:
    """The name in the derived graph of the vector that belongs to `name`."""
    return names.cotangent(name) if isinstance(derivation, Vjp) else names.tangent(name)


def split_roles(outputs: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
    """Outputs of a derived graph by role, then by name: `gradient:w` under `["gradient"]["w"]`."""
    split: dict[str, dict[str, Array]] = {}
    for key, array in outputs.items():
        role, name = names.split(key)
        split.setdefault(role, {})[name] = array
    return split


def _vector_path(name: str) -> str:
    role, own = names.split(name)
    return f'{role}s["{own}"]'


def _check_results(context: Context, pieces: tuple[Piece, ...], call: Call) -> None:
    """The bytes of all results, before they are made."""
    each = [piece.plan.result_bytes for piece in pieces]
    total = sum(each) if call.reduction is Reduction.NONE else max(each)
    if total > context.limits.result_bytes:
        raise LimitExceeded(
            "result_bytes",
            f"the results take {total} bytes and the limit result_bytes is {context.limits.result_bytes}; "
            "ask for fewer points or a reduction",
        )


def _work(pieces: tuple[Piece, ...], data: Mapping[str, Array], batching: Batching | None, executor: str) -> Work:
    chunks = tuple(
        Chunk(piece.plan.digest, {name: _source(name, piece, batching) for name in data}) for piece in pieces
    )
    return Work({piece.plan.digest: piece.plan for piece in pieces}, data, chunks, executor)


def _source(name: str, piece: Piece, batching: Batching | None) -> Source:
    if batching is None or name not in batching.inputs:
        return Shared(name)
    return Rows(name, piece.start, piece.stop)


def _gather(results: Sequence[ChunkResult], reduction: Reduction, batching: Batching | None) -> dict[str, Array]:
    """The outputs of all chunks put together, in chunk order."""
    keys = [key for key in results[0].outputs if key not in names.COUNTS]
    if len(results) == 1 and reduction is not Reduction.MEAN:
        return {key: results[0].outputs[key] for key in keys}
    if reduction is Reduction.NONE or batching is None:
        return {key: np.concatenate([r.outputs[key] for r in results]) for key in keys}
    sums = {key: results[0].outputs[key] for key in keys}
    for result in results[1:]:
        sums = {key: total + result.outputs[key] for key, total in sums.items()}
    if reduction is Reduction.SUM:
        return {key: np.asarray(total) for key, total in sums.items()}
    return {key: np.asarray(total / batching.size) for key, total in sums.items()}  # of integers and truths a real


def derivation_of(name: str, wrt: tuple[str, ...]) -> Derivation:
    """The derivation called `name` in requests: evaluate, gradient, jvp, vjp or hvp."""
    match name:
        case "gradient":
            return Gradient(wrt)
        case "jvp":
            return Jvp(wrt)
        case "vjp":
            return Vjp(wrt)
        case "hvp":
            return Hvp(wrt, product_only=True)
        case _:
            return Evaluate()
