"""The losses that verifications want, or the arrays of other functions, along directions, evaluated on a pool."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from gradserve.autodiff import names
from gradserve.autodiff.derivation import Along
from gradserve.ir.errors import NumericalFailure
from gradserve.ir.graph import Graph
from gradserve.ir.records import dataclass, once
from gradserve.ir.types import Array
from gradserve.jobs.derivatives.derivative import run_rows
from gradserve.jobs.derivatives.kinks import counted, resolved, settled
from gradserve.jobs.derivatives.resolved import Resolved
from gradserve.jobs.sweeps.chunks import Lap
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.programs import Axis
from gradserve.jobs.sweeps.sweep import Sweep
from gradserve.pools.work import Rows, Shared, Source
from gradserve.questions.call import AtKinks, Call, Reduction, arrays_of
from gradserve.questions.derivations import Gradient, Hvp
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.report import Kinks, Report
from gradserve.runtime.control import Control
from gradserve.verification.directions import Layout
from gradserve.verification.measure import Dialogue, Stage
from gradserve.verification.symmetry import Product
from gradserve.verification.widen import epsilon_of, is_single, widened

T = TypeVar("T")

BLOCK = 16
"""Steps of one direction that make a lap: one program then serves every stage."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Some steps along one vector: those from `start` to `stop` of the vector's own."""

    vector: int
    start: int
    stop: int

    def part(self, start: int, stop: int) -> Steps:
        """Those from `start` to `stop` of these."""
        return Steps(self.vector, self.start + start, self.start + stop)


class Losses:
    """The loss of a checked call, in double precision, along directions; evaluated on a pool."""

    def __init__(
        self,
        context: Context,
        call: Call,
        wrt: tuple[str, ...],
        control: Control,
        at_point: float | None = None,
        spent: Report | None = None,
    ) -> None:
        """`at_point` is the loss at the point itself, where it is known better than from the graph.

        `spent` is what the verification cost before.
        """
        self._at_point = at_point
        self._context, self._call, self._wrt, self._control = context, call, wrt, control
        self.single = is_single(call.graph)
        """Whether the loss itself is in single precision."""
        self.epsilon = epsilon_of(call.graph)
        """The spacing of its numbers at 1."""
        self.graph = widened(call.graph)
        types = self.graph.input_types
        given = arrays_of(call.arguments)
        self.arguments = {n: a.astype(types[n].element_type.dtype, copy=False) for n, a in given.items()}
        self.layout = Layout({name: types[name].lengths for name in wrt})
        self.evaluations = 0
        ((loss, type_),) = self.graph.output_types.items()
        self._loss = names.value(loss)
        self.shape = type_.lengths
        """That of a value: none, but for functions that are no losses."""
        self.report = spent or Report()
        self.bound: float | None = None
        """The largest error bound of derivatives that are limits at kinks; None if none is."""

    def gradient(self, graph: Graph) -> dict[str, Array]:
        """The gradient that Gradient answers, of the loss in single or in double precision."""
        arguments = self._call.arguments if graph is self._call.graph else self.arguments
        call = replace(self._call, graph=graph, arguments=arguments)
        return dict(self._settled(Differentiate(call, Gradient(self._wrt))).arrays["gradient"])

    def kinks(self) -> Kinks | None:
        """What sits on a kink at the point itself; None if the call declines to count."""
        if not self._call.options.count_kinks:
            return None
        found, spent = counted(self._context, self._call, self._wrt, self._control)
        self._note(spent)
        return replace(found, bound=self.bound)

    def products(self, vectors: Sequence[Array]) -> list[Product]:
        """H v for each vector, with the Hessian that Hvp answers."""
        types = self._call.graph.input_types
        parts = [
            {name: part.astype(types[name].element_type.dtype) for name, part in self.layout.unpack(vector).items()}
            for vector in vectors
        ]
        found = self._as_limits(parts) if self.limits_at_kinks else self._by_rules(parts)
        return [Product(self.layout.pack(parts), self.bound or 0.0) for parts in found]

    @property
    def limits_at_kinks(self) -> bool:
        """Whether derivatives are limits, with bounds."""
        return self._call.options.kinks is not AtKinks.CONVENTION

    def _as_limits(self, parts: Sequence[Mapping[str, Array]]) -> list[Mapping[str, Array]]:
        """H v at a kink."""
        limits = self._limits
        vectors = {name: np.stack([part[name] for part in parts]) for name in self._wrt}
        found = limits.products(Hvp(self._wrt, product_only=True), vectors)["product"]
        self._note(limits.spent())
        self.bound = max(self.bound or 0.0, limits.bound)
        return [{name: found[name][k] for name in self._wrt} for k in range(len(parts))]

    @once
    def _limits(self) -> Resolved:
        return resolved(self._context, self._call, self._wrt, self._control)

    def _by_rules(self, parts: Sequence[Mapping[str, Array]]) -> list[Mapping[str, Array]]:
        """H v where there are no kinks, or by convention, in one sweep."""
        started = time.perf_counter()
        tangents = {names.tangent(name): np.stack([part[name] for part in parts]) for name in self._wrt}
        data: dict[str, Array] = {**arrays_of(self._call.arguments), **tangents}
        axis = Axis(frozenset(tangents), len(parts))
        sweep = Sweep(self._call.graph, Hvp(self._wrt, product_only=True), self._call.options, _nbytes(data), axis)
        scheduled = sweep.schedule(self._context, self._control.check)
        outputs, spent = run_rows(scheduled, data, Reduction.NONE, self._control, started)
        self._note(spent)
        return [{name: outputs[names.product(name)][k] for name in self._wrt} for k in range(len(parts))]

    def at(self, stage: Stage) -> list[Array]:
        """The losses that a stage wants; NaN where the loss cannot be computed, as a Cholesky out of its domain."""
        padded = [np.concatenate([steps, np.zeros(-len(steps) % BLOCK)]) for steps in stage.steps]
        values = [np.full((len(steps), *self.shape), np.nan) for steps in padded]
        blocks = [Steps(k, first, first + BLOCK) for k, s in enumerate(padded) for first in range(0, len(s), BLOCK)]
        self._run(self._data(stage.vectors, padded), blocks, BLOCK, values)
        self.count(stage)
        if self._at_point is not None:
            values = [np.where(steps == 0, self._at_point, v) for v, steps in zip(values, padded, strict=True)]
        return [v[: len(steps)] for v, steps in zip(values, stage.steps, strict=True)]

    def count(self, stage: Stage) -> None:
        """Takes down what a stage evaluates: whole blocks."""
        self.evaluations += sum(-(-len(steps) // BLOCK) * BLOCK for steps in stage.steps)
        self.report = replace(self.report, batch_size=self.evaluations)

    def answer(self, dialogue: Dialogue[T]) -> T:
        """What a dialogue comes to that is told the losses it wants."""
        try:
            stage = next(dialogue)
            while True:
                stage = dialogue.send(self.at(stage))
        except StopIteration as ended:
            found: T = ended.value
            return found

    def _run(self, data: Mapping[str, Array], blocks: Sequence[Steps], size: int, values: Sequence[Array]) -> None:
        """Fills in the values of blocks of `size` steps. A chunk that fails is run again step by step."""
        started = time.perf_counter()
        axis = Axis(frozenset({names.STEP}), size)
        sweep = Sweep(self.graph, Along(self._wrt), self._call.options, _nbytes(data), axis, len(blocks))
        scheduled = sweep.schedule(self._context, self._control.check)
        self._context.limits.check_flops(self.report.flops + scheduled.flops, "the verification")
        chunks = [block.part(p.start, p.stop) for block in blocks for p in scheduled.pieces]
        planned, done = time.perf_counter() - started, 0
        while done < len(chunks):
            running = scheduled.run(lambda k: self._lap(blocks[k]), data, self._control, range(done, len(chunks)))
            try:
                for result in running:
                    steps, done = chunks[done], done + 1
                    values[steps.vector][steps.start : steps.stop] = result.outputs[self._loss]
            except NumericalFailure:
                failed, done = chunks[done], done + 1
                if failed.stop - failed.start > 1:
                    each = [failed.part(k, k + 1) for k in range(failed.stop - failed.start)]
                    self._run(data, each, 1, values)
            self._note(running.report(planned))
            planned = 0.0

    def _data(self, vectors: Sequence[Array], steps: Sequence[Array]) -> dict[str, Array]:
        """The arguments, and the direction and the steps of every vector under its number."""
        data = dict(self.arguments)
        for k, vector in enumerate(vectors):
            data |= {f"{names.direction(name)}:{k}": part for name, part in self.layout.unpack(vector).items()}
            data[f"{names.STEP}:{k}"] = steps[k]
        return data

    def _lap(self, steps: Steps) -> Lap:
        lap: dict[str, Source] = {name: Shared(name) for name in self.arguments}
        lap |= {names.direction(n): Shared(f"{names.direction(n)}:{steps.vector}") for n in self._wrt}
        lap[names.STEP] = Rows(f"{names.STEP}:{steps.vector}", steps.start, steps.stop)
        return lap

    def _settled(self, question: Differentiate) -> Derivatives:
        answer = settled(self._context, question, self._control)
        self._note(answer.report)
        found = answer.report.kinks
        if found is not None and found.bound is not None:
            self.bound = max(self.bound or 0.0, found.bound)
        return answer

    def _note(self, spent: Report) -> None:
        """Adds what was spent. Values that are not finite are part of what a verification finds, and not counted."""
        spent = replace(spent, nonfinite_outputs=0, kinks=None)
        # Of the first piece of work, executor and placement; of all of them the rest.
        self.report = self.report + spent if self.report.executor else spent


def _nbytes(data: Mapping[str, Array]) -> int:
    return sum(array.nbytes for array in data.values())
