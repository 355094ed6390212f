"""What becomes of derivatives at kinks: they follow conventions, are taken as limits, or are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from gradserve.autodiff import names
from gradserve.autodiff.derivation import KinkCounts
from gradserve.autodiff.smooth import smoothed
from gradserve.ir.errors import NotDifferentiable, Violation
from gradserve.ir.types import Array
from gradserve.jobs.calls import checked, inputs_in_question
from gradserve.jobs.context import Context
from gradserve.jobs.derivative import differentiate, with_inputs
from gradserve.questions.call import AtKinks, Batch, Call, Reduction, arrays_of
from gradserve.questions.derivations import TANGENTS, Evaluate, Hvp
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.report import Kinks, Report
from gradserve.runtime.control import Control
from gradserve.verification.directions import Layout
from gradserve.verification.limits import displacements, limit

Ask: TypeAlias = Callable[[Differentiate], Derivatives]
"""Answers by convention."""
_NAMED = 8
"""The most points, and elements, that a refusal names."""
_KINKED = "derivatives are asked for where the function has kinks"


def settled(context: Context, question: Differentiate, ask: Ask, control: Control) -> Iterator[Derivatives]:
    """The answer, with derivatives at kinks as the call's options want them.

    Raises:
        NotDifferentiable: they are refused, or limits from different directions differ or cannot be found.
    """
    answer = ask(question)
    if question.call.options.kinks is AtKinks.CONVENTION or not answer.report.on_kinks:
        yield answer
        return
    question = with_inputs(question)
    found = _Found.at(context, question.call, question.derivation.wrt, control)
    if question.call.options.kinks is AtKinks.REFUSE:
        raise found.refusal()
    yield _Resolving(question, ask, found).answer(answer)


def refuse(context: Context, call: Call, wrt: Sequence[str], control: Control, what: str) -> None:
    """Refuses what cannot be resolved, if the options want kinks to be either resolved or refused and there are any.

    Raises:
        NotDifferentiable: there are.
    """
    if call.options.kinks is AtKinks.CONVENTION:
        return
    call = checked(call)
    found = _Found.at(context, call, inputs_in_question(call.graph, wrt), control)
    if found.counts:
        text = f"{what} not taken as limits; ask for derivatives" if call.options.kinks is AtKinks.RESOLVE else ""
        raise found.refusal([Violation("call.options.kinks", "K2", text)] if text else [])


@dataclass(frozen=True, eq=False)
class _Found:
    """The nodes on kinks."""

    call: Call
    counts: Mapping[int, Array]
    """By position, how many elements of the node sit on one, point by point."""

    @staticmethod
    def at(context: Context, call: Call, wrt: Sequence[str], control: Control) -> _Found:
        """Those of a checked call."""
        plain = replace(_by_convention(call), batch=call.batch and Batch(call.batched))
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
                shown = ", ".join(map(str, points[:_NAMED])) + (", ..." if len(points) > _NAMED else "")
                text = f"{text}, at point(s) {shown}"
            violations.append(Violation(f"nodes[{position}]", f"{node.op.name} (K1)", text, str(node.origin or "")))
        return NotDifferentiable(_KINKED, violations)


@dataclass(eq=False)
class _Resolving:
    """Limits in the place of what follows conventions."""

    question: Differentiate
    ask: Ask
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
                answer = self.ask(replace(self.question, call=_by_convention(replace(call, batch=Batch(call.batched)))))
            arrays, blocks = self._at_points(answer)
        report = replace(self.report, kinks=Kinks(kinks.nodes, kinks.examples, self.bound))
        return replace(_plain(answer), arrays=arrays, blocks=blocks, report=report)

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
        """Derivatives and blocks at one point, as limits. The function itself must tend to its value."""
        call, moved = self._one(point), self._around(point)
        here, around = self.ask(Differentiate(call, Evaluate())), self.ask(moved)
        self.report = self.report + here.report + around.report
        for name, values in around.arrays.get("value", {}).items():
            if values.dtype.kind == "f":
                self._require_continuity(name, here.arrays["value"][name], values)
        arrays = {
            role: {name: self._limit(f"{role}:{name}", array) for name, array in named.items()}
            for role, named in around.arrays.items()
            if role != "value"
        }
        blocks = {
            row: {column: self._limit(f"{row}:{column}", block) for column, block in columns.items()}
            for row, columns in around.blocks.items()
        }
        return arrays, blocks

    def _one(self, point: int | None) -> Call:
        """The call at one point, without a batch."""
        call = _by_convention(self.question.call)
        given = arrays_of(call.arguments)
        own = {name: array[point] if name in call.batched else array for name, array in given.items()}
        return replace(call, arguments=own, batch=None)

    def _around(self, point: int | None) -> Differentiate:
        """The question at all displacements from a point, as a batch; with the gradient beside second derivatives."""
        call, derivation = self._one(point), self.question.derivation
        own, wrt = arrays_of(call.arguments), derivation.wrt
        layout = Layout({name: own[name].shape for name in wrt})
        moved = layout.pack(own) + displacements(layout.pack(own))
        parts = [layout.unpack(row) for row in moved]
        arguments = dict(own) | {n: np.stack([p[n] for p in parts]).astype(own[n].dtype) for n in wrt}
        vectors = {}
        for name, vector in arrays_of(self.question.vectors).items():
            carried = point is not None and (derivation.takes != TANGENTS or name in self.question.call.batched)
            one = vector[point] if carried else vector
            vectors[name] = np.broadcast_to(one, (len(moved), *one.shape))
        if isinstance(derivation, Hvp):
            derivation = replace(derivation, product_only=False)
        return Differentiate(replace(call, arguments=arguments, batch=Batch(tuple(wrt))), derivation, vectors)

    def _require_continuity(self, name: str, here: Array, values: Array) -> None:
        """Refuses where the function jumps.

        Raises:
            NotDifferentiable: it does not tend to its value.
        """
        found = limit(values, float(np.finfo(values.dtype).eps))
        jumps = np.argwhere(~(np.abs(found.value - here) <= found.bound) | np.isinf(found.bound))
        if len(jumps):
            index = tuple(map(int, jumps[0]))
            told = f"the output {name} is {float(here[index]):.9g} and tends to {float(found.low[index]):.9g} along one"
            text = f"{told} direction and to {float(found.high[index]):.9g} along another"
            raise self.found.refusal([Violation(f"value:{name}", "K3", text)])

    def _limit(self, name: str, array: Array) -> Array:
        """The limit of an array from its values around.

        Raises:
            NotDifferentiable: there is none.
        """
        found = limit(array, float(np.finfo(array.dtype).eps))
        failed = np.argwhere(~np.isfinite(found.bound))
        if len(failed):
            raise self.found.refusal([_apart(name, tuple(map(int, index)), found) for index in failed[:_NAMED]])
        self.bound = max(self.bound, float(found.bound.max(initial=0.0)))
        return found.value.astype(array.dtype)


def _apart(name: str, index: tuple[int, ...], found: Any) -> Violation:
    """Says that the limits of one element differ."""
    entry = f"{name}[{','.join(map(str, index))}]" if index else name
    low, high = float(found.low[index]), float(found.high[index])
    text = f"{entry} tends to {low:.9g} along one direction and to {high:.9g} along another"
    return Violation(name, "K3", text if abs(high - low) > 0 else f"{entry} has no limit that can be told")


def _by_convention(call: Call) -> Call:
    return replace(call, options=replace(call.options, count_kinks=False, kinks=AtKinks.CONVENTION))


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
