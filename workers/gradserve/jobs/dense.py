"""Dense derivatives: Jacobians and Hessians, assembled from chunks of rows.

Every row is a product with one column of the identity, so that what is assembled has the bits of `Jvp`, `Vjp` and `Hvp`
on a basis.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradserve.autodiff import Derivation, Hvp, Jvp, Vjp, names
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.graph import Graph
from gradserve.ir.types import Array, TensorType
from gradserve.jobs.call import Call, Options, Reduction
from gradserve.jobs.context import Context
from gradserve.jobs.cut import Piece
from gradserve.jobs.derivative import vector_types
from gradserve.jobs.kinks import counting, counts_at_a_point, found_kinks
from gradserve.jobs.plans import Batching
from gradserve.jobs.report import Report, count_nonfinite
from gradserve.pools.work import Chunk, OneHots, Point, Shared, Source, Work
from gradserve.runtime.control import Control


class Mode(enum.Enum):
    """How a Jacobian is accumulated: forward a column at a time, or reverse a row at a time."""

    AUTO = "auto"
    FORWARD = "forward"
    REVERSE = "reverse"


@dataclass(frozen=True, slots=True)
class Dense:
    """The blocks of a matrix: by the name of what is differentiated, then of what it is differentiated in.

    The block of an output of shape s in an input of shape t has the shape (*s, *t), after the axis of points if there
    is one.
    """

    values: dict[str, Array]
    """Outputs of the graph, and gradients beside a Hessian, by role and name."""
    blocks: dict[str, dict[str, Array]]
    mode: Mode
    """How it was accumulated; for a Hessian FORWARD, over reverse."""
    report: Report


def jacobian(context: Context, call: Call, wrt: Sequence[str], mode: Mode, control: Control) -> Dense:
    """The outputs, and their derivatives in the inputs `wrt`; AUTO takes the mode that is predicted to be faster.

    Raises:
        InvalidRequest: `wrt` or an option does not fit.
        NotDifferentiable: an op on the way has no derivative.
        LimitExceeded: memory, operations or the size of the result over a limit.
        NumericalFailure, Cancelled, DeadlineExceeded, WorkerLost: while running.
    """
    started = time.perf_counter()
    key = (call.graph.digest, tuple(wrt), call.batch_size, call.options.count_kinks)
    known = context.modes.get(key) if mode is Mode.AUTO else None
    chosen, basis = cheapest(context, call.graph, wrt, call.options, Mode(known) if known else mode, control.check)
    if mode is Mode.AUTO and not known:
        context.modes.put(key, chosen.value)
    outputs = {name: type_ for name, type_ in call.graph.output_types.items() if type_.is_float}
    inputs = {name: call.graph.input_types[name] for name in wrt}
    rows = _Rows(context, call, basis, control)
    if chosen is Mode.FORWARD:
        return rows.run(names.tangent, outputs, inputs, chosen, started, transposed=True)
    return rows.run(names.cotangent, inputs, outputs, chosen, started)


def hessian(context: Context, call: Call, wrt: Sequence[str], control: Control) -> Dense:
    """The loss, its gradient and its second derivatives in the inputs `wrt`, forward over reverse.

    Raises:
        As `jacobian` does; and NotDifferentiable: the graph is no loss.
    """
    started = time.perf_counter()
    inputs = {name: call.graph.input_types[name] for name in wrt if name in call.graph.input_types}
    basis = basis_of(context, call.graph, Hvp(tuple(wrt)), call.options, control.check)
    return _Rows(context, call, basis, control).run(names.product, inputs, inputs, Mode.FORWARD, started)


@dataclass(frozen=True, slots=True)
class Basis:
    """The products of one derivation with every column of the identity, as they will run at one point."""

    derivation: Derivation
    seeds: Mapping[str, TensorType]
    """The vectors that the columns are cut into."""
    pieces: tuple[Piece, ...]
    plan_cache_hit: bool

    @property
    def count(self) -> int:
        """The number of columns."""
        return sum(type_.size for type_ in self.seeds.values())

    @property
    def seconds(self) -> float:
        """Predicted seconds on one worker."""
        return sum(piece.plan.seconds for piece in self.pieces)


def basis_of(
    context: Context, graph: Graph, derivation: Derivation, options: Options, check: Callable[[], None]
) -> Basis:
    """The plans of the products; `check` is called now and then, and what it raises ends the work.

    Raises:
        LimitExceeded: a piece is over a limit.
    """
    seeds = vector_types(graph, derivation)
    batching = Batching(frozenset(seeds), max(1, sum(type_.size for type_ in seeds.values())))
    counted = counting(derivation, options)
    pieces, hit = context.pieces(graph, counted, batching, check)
    return Basis(counted, seeds, pieces, hit)


def cheapest(
    context: Context, graph: Graph, wrt: Sequence[str], options: Options, mode: Mode, check: Callable[[], None]
) -> tuple[Mode, Basis]:
    """The mode that is predicted to be faster if it is for us to choose, and its products.

    Raises:
        LimitExceeded: that mode is over a limit.
    """
    found: dict[Mode, Basis | LimitExceeded] = {}
    for candidate, derivation in ((Mode.FORWARD, Jvp(tuple(wrt))), (Mode.REVERSE, Vjp(tuple(wrt)))):
        if mode in (Mode.AUTO, candidate):
            try:
                found[candidate] = basis_of(context, graph, derivation, options, check)
            except LimitExceeded as error:
                found[candidate] = error
    chosen, basis = min(found.items(), key=lambda entry: _seconds(entry[1]))
    if isinstance(basis, LimitExceeded):
        raise basis
    return chosen, basis


def _seconds(basis: Basis | LimitExceeded) -> float:
    return float("inf") if isinstance(basis, LimitExceeded) else basis.seconds


class _Rows:
    """The matrix that such products make, at every point of a call."""

    def __init__(self, context: Context, call: Call, basis: Basis, control: Control) -> None:
        self._context, self._call, self._basis, self._control = context, call, basis, control
        self._points = call.batch_size or 1
        self._executor = context.executor(call.options)
        context.limits.check_plans([piece.plan for piece in basis.pieces], self._points)

    def run(
        self,
        role: Callable[[str], str],
        rows: Mapping[str, TensorType],
        seeds: Mapping[str, TensorType],
        mode: Mode,
        started: float,
        transposed: bool = False,
    ) -> Dense:
        """The matrix whose rows belong to `seeds`, each row holding a result for each of `rows`.

        `transposed` says that a seed is a column of what is wanted.
        """
        self._check_size(rows)
        nbytes = sum(array.nbytes for array in self._call.arguments.values())
        pool, _ = self._context.place(self._basis.pieces * self._points, nbytes, self._call.options)
        report = Report(
            plan=time.perf_counter() - started,
            plan_cache_hit=self._basis.plan_cache_hit,
            executor=self._executor,
            placement=pool.name,
            batch_size=self._points,
            flops=self._points * sum(piece.plan.flops for piece in self._basis.pieces),
            peak_bytes=max(piece.plan.peak_bytes for piece in self._basis.pieces),
        )
        planned, waited = time.perf_counter(), []
        gathered, counts = _Gathered(self._call), []
        results = self._context.run(pool, self._work(), self._control)
        for _ in range(self._points):
            parts = []
            for _ in self._basis.pieces:
                result = next(results)
                report = report.with_result(result)
                waited.append(result.waited)
                parts.append(result.outputs)
            counts.append(counts_at_a_point(parts[0]))
            gathered.add(
                {key: array[0] for key, array in parts[0].items() if names.split(key)[0] in ("value", "gradient")},
                self._blocks(
                    {name: _stacked(parts, role(name), self._basis.count) for name in rows}, rows, seeds, transposed
                ),
            )
        values, blocks = gathered.done()
        spent, queue = time.perf_counter() - planned, min(waited)
        report = replace(
            report,
            queue=queue,
            execute=max(0.0, spent - queue),
            nonfinite_outputs=count_nonfinite(array for row in blocks.values() for array in row.values()),
            kinks=found_kinks(self._basis.derivation, counts),
        )
        return Dense(values, blocks, mode, report)

    def _blocks(
        self,
        stacked: Mapping[str, Array],
        rows: Mapping[str, TensorType],
        seeds: Mapping[str, TensorType],
        transposed: bool,
    ) -> dict[str, dict[str, Array]]:
        blocks: dict[str, dict[str, Array]] = {}
        for (seed, seed_type), offset in zip(seeds.items(), _offsets(seeds), strict=True):
            for name, type_ in rows.items():
                part = stacked[name][offset : offset + seed_type.size]
                if transposed:
                    flat = part.reshape(seed_type.size, type_.size).T
                    blocks.setdefault(name, {})[seed] = flat.reshape(type_.lengths + seed_type.lengths)
                else:
                    blocks.setdefault(seed, {})[name] = part.reshape(seed_type.lengths + type_.lengths)
        return blocks

    def _check_size(self, rows: Mapping[str, TensorType]) -> None:
        kept = self._points if self._call.reduction is Reduction.NONE else 1
        total = kept * self._basis.count * sum(type_.nbytes for type_ in rows.values())
        if total > self._context.limits.result_bytes:
            raise LimitExceeded(
                "result_bytes",
                f"the matrix takes {total} bytes and the limit result_bytes is {self._context.limits.result_bytes}; "
                "ask for its products with vectors instead",
            )

    def _work(self) -> Work:
        chunks = tuple(self._chunk(piece, point) for point in range(self._points) for piece in self._basis.pieces)
        plans = {piece.plan.digest: piece.plan for piece in self._basis.pieces}
        return Work(plans, self._call.arguments, chunks, self._executor)

    def _chunk(self, piece: Piece, point: int) -> Chunk:
        sources: dict[str, Source] = {
            name: Point(name, point) if name in self._call.batch else Shared(name) for name in self._call.arguments
        }
        for (name, type_), offset in zip(self._basis.seeds.items(), _offsets(self._basis.seeds), strict=True):
            sources[name] = OneHots(piece.start, piece.stop, offset, type_.lengths, type_.element_type)
        return Chunk(piece.plan.digest, sources)


class _Gathered:
    """The results at all points: side by side, or added up in the order of the points."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._values: dict[str, list[Array]] = {}
        self._blocks: dict[tuple[str, str], list[Array]] = {}

    def add(self, values: Mapping[str, Array], blocks: Mapping[str, Mapping[str, Array]]) -> None:
        for name, array in values.items():
            self._note(self._values.setdefault(name, []), array)
        for row, columns in blocks.items():
            for column, array in columns.items():
                self._note(self._blocks.setdefault((row, column), []), array)

    def _note(self, seen: list[Array], array: Array) -> None:
        if seen and self._call.reduction is not Reduction.NONE:
            seen[0] = np.asarray(seen[0] + array)
        else:
            seen.append(array)

    def done(self) -> tuple[dict[str, Array], dict[str, dict[str, Array]]]:
        blocks: dict[str, dict[str, Array]] = {}
        for (row, column), seen in self._blocks.items():
            blocks.setdefault(row, {})[column] = self._together(seen)
        return {name: self._together(seen) for name, seen in self._values.items()}, blocks

    def _together(self, seen: list[Array]) -> Array:
        if not self._call.batch:
            return seen[0]
        match self._call.reduction:
            case Reduction.NONE:
                return np.stack(seen)
            case Reduction.SUM:
                return seen[0]
            case Reduction.MEAN:
                return np.asarray(seen[0] / self._call.batch_size)


def _stacked(parts: Sequence[Mapping[str, Array]], key: str, count: int) -> Array:
    arrays = [part[key] for part in parts]
    return (arrays[0] if len(arrays) == 1 else np.concatenate(arrays))[:count]


def _offsets(types: Mapping[str, TensorType]) -> Iterator[int]:
    """Where each begins when all are laid out one behind the other."""
    offset = 0
    for type_ in types.values():
        yield offset
        offset += type_.size
