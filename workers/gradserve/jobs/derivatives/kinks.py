"""What becomes of derivatives at kinks: they follow conventions, are taken as limits, or are refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

import numpy as np

from gradserve.autodiff import names
from gradserve.autodiff.derivation import KinkCounts
from gradserve.autodiff.smooth import smoothed
from gradserve.ir.errors import NotDifferentiable, Violation
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.jobs.derivatives.derivative import differentiate, with_inputs
from gradserve.jobs.derivatives.resolved import NAMED, Resolved, by_convention, without_kinks
from gradserve.jobs.sweeps.calls import checked, inputs_in_question
from gradserve.jobs.sweeps.context import Context
from gradserve.questions.call import AtKinks, Batch, Call, Reduction, arrays_of
from gradserve.questions.derivations import TANGENTS
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.report import Kinks, Report
from gradserve.runtime.control import Control

_KINKED = "derivatives are asked for where the function has kinks"


def answers(context: Context, question: Differentiate, control: Control) -> Iterator[Derivatives]:
    """The one answer, with derivatives at kinks as the call's options want them.

    Raises:
        NotDifferentiable: they are refused, or limits from different directions differ or cannot be found.
    """
    yield settled(context, question, control)


def settled(context: Context, question: Differentiate, control: Control) -> Derivatives:
    """The answer of `answers`."""
    answer = by_convention(context, question, control)
    if question.call.options.kinks is AtKinks.CONVENTION or not answer.report.on_kinks:
        return answer
    question = with_inputs(context, question, control.check)
    found = _Found.at(context, question.call, question.derivation.wrt, control)
    if question.call.options.kinks is AtKinks.REFUSE:
        raise found.refusal()
    return _Resolving(context, question, control, found).answer(answer)


def looked_at(context: Context, call: Call, wrt: Sequence[str], control: Control) -> Call:
    """The call as it is to be answered: where nothing sits on a kink by convention.

    So whoever is told to resolve has kinks to resolve.

    Raises:
        NotDifferentiable: they are refused, and there are some.
    """
    if call.options.kinks is AtKinks.CONVENTION:
        return call
    call = checked(context, call, control.check)
    found = _Found.at(context, call, inputs_in_question(call.graph, wrt, real=False), control)
    if not found.counts:
        return replace(call, options=replace(call.options, kinks=AtKinks.CONVENTION))
    if call.options.kinks is AtKinks.REFUSE:
        raise found.refusal()
    return call


def counted(context: Context, call: Call, wrt: Sequence[str], control: Control) -> tuple[Kinks, Report]:
    """How many nodes sit on a kink at the point of a checked call, and what it took to find out."""
    counts, spent = differentiate(context, call, KinkCounts(tuple(wrt)), {}, control)
    nodes = sum(int(count) > 0 for count in counts.values())
    return Kinks(nodes, int(nodes > 0)), spent


def resolved(context: Context, call: Call, wrt: Sequence[str], control: Control) -> Resolved:
    """Limits of derivatives at the point of a checked call, which is on kinks."""
    moved = inputs_in_question(call.graph, wrt)
    found = _Found.at(context, call, moved, control)
    return Resolved(context, without_kinks(call), moved, control, found.refusal, len(found.counts))


@dataclass(frozen=True, eq=False)
class _Found:
    """The nodes on kinks."""

    call: Call
    counts: Mapping[int, Array]
    """By position, how many elements of the node sit on one, point by point."""

    @staticmethod
    def at(context: Context, call: Call, wrt: Sequence[str], control: Control) -> _Found:
        """Those of a checked call."""
        plain = replace(without_kinks(call), batch=call.batch and Batch(call.batched))
        outputs, _ = differentiate(context, plain, KinkCounts(tuple(wrt)), {}, control)
        counts = {int(names.split(name)[1]): np.atleast_1d(count) for name, count in outputs.items()}
        return _Found(call, {position: count for position, count in counts.items() if count.any()})

    @property
    def points(self) -> list[int]:
        """The points at which a node sits on one."""
        return [int(k) for k in np.flatnonzero(np.any(list(self.counts.values()), axis=0))] if self.counts else []

    def refusal(self, more: Sequence[Violation] = ()) -> NotDifferentiable:
        """The error that names the nodes, the authors' lines and the points."""
        graph = smoothed(self.call.graph.canonical)
        violations = [*more]
        for position, count in self.counts.items():
            node, points = graph.nodes[position], np.flatnonzero(count)
            text = f"{int(count.sum())} element(s) of {node.op.name} on a kink"
            if self.call.batch:
                shown = ", ".join(map(str, points[:NAMED])) + (", ..." if len(points) > NAMED else "")
                text = f"{text}, at point(s) {shown}"
            violations.append(Violation(f"nodes[{position}]", f"{node.op.name} (K1)", text, str(node.origin or "")))
        return NotDifferentiable(_KINKED, violations)


@dataclass(eq=False)
class _Resolving:
    """Limits in the place of what follows conventions."""

    context: Context
    question: Differentiate
    control: Control
    found: _Found
    bound: float = 0.0
    report: Report = field(default_factory=Report)

    def answer(self, answer: Derivatives) -> Derivatives:
        """The answer with limits at every point on a kink."""
        call = self.question.call
        self.report = answer.report
        kinks = answer.report.kinks
        assert kinks is not None
        if not call.batch:
            derivatives, blocks = self._at(None)
            arrays = {role: derivatives.get(role, named) for role, named in answer.arrays.items()}
        else:
            if call.reduction is not Reduction.NONE:
                answer = self._apart()
            arrays, blocks = self._at_points(answer)
        report = replace(self.report, kinks=Kinks(kinks.nodes, kinks.examples, self.bound))
        return replace(_plain(answer), arrays=arrays, blocks=blocks, report=report)

    def _apart(self) -> Derivatives:
        """The answer by convention, point by point."""
        call = without_kinks(replace(self.question.call, batch=Batch(self.question.call.batched)))
        return by_convention(self.context, replace(self.question, call=call), self.control)

    def _at_points(self, answer: Derivatives) -> tuple[Any, Any]:
        """The arrays of a batch, those of points on kinks replaced; put together as the call wants them."""
        arrays, blocks = _copied(answer.arrays), _copied(answer.blocks)
        for point in self.found.points:
            for whole, own in zip((arrays, blocks), self._at(point), strict=True):
                for role, named in whole.items():
                    for name, array in named.items():
                        if role in own:
                            array[point] = own[role][name]
        call = self.question.call
        if call.reduction is Reduction.NONE:
            return arrays, blocks
        size = call.batch_size if call.reduction is Reduction.MEAN else None
        return _reduced(arrays, size), _reduced(blocks, size)

    def _at(self, point: int | None) -> tuple[Any, Any]:
        """Derivatives and blocks at one point, as limits."""
        call, derivation, vectors = without_kinks(self.question.call), self.question.derivation, {}
        given = arrays_of(call.arguments)
        own = {name: array[point] if name in call.batched else array for name, array in given.items()}
        for name, vector in arrays_of(self.question.vectors).items():
            carried = point is not None and (derivation.takes != TANGENTS or name in call.batched)
            vectors[name] = vector[point] if carried else vector
        here = replace(call, arguments=own, batch=None)
        limits = Resolved(self.context, here, derivation.wrt, self.control, self.found.refusal)
        found = limits.derivatives(derivation, vectors)
        self.report, self.bound = self.report + limits.report, max(self.bound, limits.bound)
        return found


def _plain(answer: Derivatives) -> Derivatives:
    return Derivatives(answer.arrays, answer.report, answer.blocks, answer.mode)


def _copied(nested: Mapping[str, Mapping[str, Array]]) -> dict[str, dict[str, Array]]:
    return {outer: {name: np.array(array) for name, array in named.items()} for outer, named in nested.items()}


def _reduced(nested: Mapping[str, Mapping[str, Array]], size: int | None) -> dict[str, dict[str, Array]]:
    """The sums over the points, or their means."""

    def reduced(array: Array) -> Array:
        total = array.sum(axis=0)
        return np.asarray(total if size is None else total / size)

    return {outer: {name: reduced(array) for name, array in named.items()} for outer, named in nested.items()}
