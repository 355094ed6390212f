"""Traces: an estimator asks for products, they are multiplied in chunks, and what it says becomes answers."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gradserve.estimation import automatic
from gradserve.estimation.asking import Ask, Known, Operator, Whole
from gradserve.estimation.looks import Target
from gradserve.estimation.methods import WAYS
from gradserve.estimation.recurrence import Space
from gradserve.ir.errors import Violation
from gradserve.ir.types import Array
from gradserve.jobs.estimates.multiplied import Products
from gradserve.jobs.estimates.points import group_violations
from gradserve.jobs.sweeps.resuming import Resumable
from gradserve.jobs.sweeps.vectors import block_of
from gradserve.questions.call import AtKinks
from gradserve.questions.estimates import EstimateTrace, Estimator, Sampler, TraceEstimate
from gradserve.questions.report import Report
from gradserve.questions.resuming import MOST_BYTES, Standing, State, refuse_token
from gradserve.runtime.control import Control
from gradserve.verification.widen import epsilon_of

HELD_BYTES = 512 << 20
"""What the rows that an estimator holds may take."""
MOST_AT_ONCE = 256
"""Products that are asked for at once."""
_ROWS = 4
"""Arrays of rows that are there at once: a basis, its products, probes and theirs."""


def capacity(size: int) -> int:
    """The rows of so many numbers that an estimator may hold."""
    return HELD_BYTES // (8 * _ROWS * max(1, size))


def most_products(question: EstimateTrace, target: Target, size: int) -> int:
    """The products that may be spent: all there are to be asked for, where the answer is known to be exact."""
    exact = question.estimator is Estimator.EXACT
    exact |= question.estimator is Estimator.AUTO and automatic.all_columns(size, target)
    return max(size, 1) if exact else target.max_probes


def violations(question: EstimateTrace, target: Target, size: int) -> list[Violation]:
    """Why an estimator cannot answer."""
    name, way, found = question.estimator, WAYS[question.estimator], []
    if target.max_probes < way.fewest:
        text = f"{name} takes at least {way.fewest} products, and {target.max_probes} are allowed"
        found.append(Violation("max_probes", "E4", text))
    if name is Estimator.EXACT and target.max_probes < size:
        text = (
            f"the matrix has {size} columns, and {target.max_probes} products are allowed; allow more, or ask for auto"
        )
        found.append(Violation("max_probes", "E4", text))
    if question.diagonal and not way.parts:
        found.append(Violation("diagonal", "E5", f"{name} tells the trace alone; ask for auto or hutch++"))
    if question.call.options.kinks is AtKinks.RESOLVE:
        text = "kinks are not resolved in products that a basis is made of; ask for the estimator hutchinson"
        found.append(Violation("call.options.kinks", "E7", text))
    if way.sampler is None and question.sampler is not Sampler.AUTO:
        found.append(Violation("sampler", "E6", f"{name} draws what it needs; leave the sampler out"))
    return found


def part_violations(question: EstimateTrace, space: Space) -> list[Violation]:
    """Why there are no such groups, or no parts for them."""
    entries = sum(space.types[name].size for each in question.groups for name in each.inputs if name in space.types)
    if 8 * entries > HELD_BYTES:
        return [
            Violation("groups", "E8", f"the groups have {entries} entries; at most {HELD_BYTES // 8} are told apart")
        ]
    found = group_violations(question.groups, space)
    if question.groups and not WAYS[question.estimator].parts:
        text = f"{question.estimator} tells the trace alone; ask for auto, hutchinson or hutch++"
        found.append(Violation("groups", "E5", text))
    return found


def answers(
    products: Products,
    question: EstimateTrace,
    target: Target,
    control: Control,
    started: float,
    resumable: Resumable,
) -> Iterator[TraceEstimate]:
    """Ever better estimates, the last one with a stop reason."""
    space, graph = products.space, question.call.graph
    scheduled = products.schedule(control.check, most_products(question, target, space.size))
    groups = _groups(question, space) if WAYS[question.estimator].parts else {}
    alone = question.estimator in (Estimator.AUTO, Estimator.EXACT) and not (groups or question.diagonal)
    operator = Operator(
        space.size,
        groups,
        epsilon_of(graph),
        question.diagonal,
        capacity(space.size),
        min(MOST_AT_ONCE, block_of(scheduled)),
        products.pass_price(control.check) if alone and 0 < space.size <= target.max_probes else math.inf,
    )
    products.began(time.perf_counter() - started)
    for known, state in _told(products, question, operator, target, control, resumable.stood):
        answer = _answer(known, question, target, operator, space, products.report)
        yield resumable.marked(answer, state, products.report)


def _told(
    products: Products,
    question: EstimateTrace,
    operator: Operator,
    target: Target,
    control: Control,
    stood: Standing | None,
) -> Iterator[tuple[Known, State | None]]:
    """What the estimator says, each time with what it goes on with: a state of its own, or all products before."""
    way, log = WAYS[question.estimator], Log(stood, operator.size)
    if stood is None or log.goes_on:
        dialogue = way.method(question.sampler)(operator, target)
    else:
        dialogue = way.resumed(question.sampler, operator, target, stood)
    reply: Any = None
    while True:
        try:
            said = dialogue.send(reply)
        except StopIteration:
            return
        control.check()
        reply = None
        if isinstance(said, Whole):
            reply = products.trace()
        elif not isinstance(said, Known):
            reply = products.reply(said, log.products(said, products))
        elif said.state is not None:
            log.close()
            yield said, said.state
        elif not log.goes_on:  # what it said on the way there was told before
            yield said, log.state()


class Log:
    """The products that an estimator was sent, in their order: all, or none from when they fit into no token."""

    def __init__(self, stood: Standing | None, size: int) -> None:
        """Nothing was sent, or what a token says; products have so many entries."""
        self._before: deque[Array] = deque()
        self._sent: list[Array] | None = []
        self._nbytes = 0
        if stood is not None and "sent" in stood:
            counts, rows = stood.counts("sent", 0, 1 << 32), stood.numbers("replies", None, size)
            if sum(counts) != len(rows):
                refuse_token("the products")
            self._before.extend(np.split(rows, np.cumsum(counts)[:-1]))

    @property
    def goes_on(self) -> bool:
        """Whether there are products that were sent before, and not yet again."""
        return bool(self._before)

    def products(self, ask: Ask, multiply: Products) -> Array:
        """What was sent before, or else is made now."""
        if self._before:
            found = self._before.popleft()
            if len(found) != ask.count:
                refuse_token("the products")
        else:
            found = multiply.products(ask)
        if self._sent is not None:
            self._sent.append(found)
            self._nbytes += found.nbytes
            if self._nbytes > MOST_BYTES:
                self.close()
        return found

    def close(self) -> None:
        """Keeps no more: the estimator goes on without, or has too many."""
        self._sent = None

    def state(self) -> State | None:
        """All of them."""
        if not self._sent:
            return None
        return {"sent": np.array([len(each) for each in self._sent]), "replies": np.concatenate(self._sent)}


def _groups(question: EstimateTrace, space: Space) -> Mapping[str, slice | Array]:
    """The entries of each group whose part is wanted; without groups those of each input, if there are several."""
    slices = space.slices()
    if not question.groups:
        return slices if len(slices) > 1 else {}
    entries = np.arange(space.size)
    return {each.name: np.concatenate([entries[slices[name]] for name in each.inputs]) for each in question.groups}


def _answer(
    known: Known, question: EstimateTrace, target: Target, operator: Operator, space: Space, report: Report
) -> TraceEstimate:
    value, half = float(known.value[0]), float(known.half_width[0])
    parts = {name: k for k, name in enumerate(operator.groups, start=1)}
    return TraceEstimate(
        value=value,
        standard_error=float(known.standard_error[0]),
        lower=value - half,
        upper=value + half,
        probes=known.products,
        stop_reason=known.reason,
        seed=question.seed,
        confidence=target.confidence,
        report=report,
        estimator=question.estimator,
        sketch=known.sketch,
        parts={name: np.asarray(known.value[k]) for name, k in parts.items()},
        part_half_widths={name: np.asarray(known.half_width[k]) for name, k in parts.items()},
        diagonal=_by_input(space, known.diagonal),
        diagonal_half_widths=_by_input(space, known.diagonal_half_width),
    )


def _by_input(space: Space, entries: Array) -> Mapping[str, Array]:
    """In the shapes of the inputs, in double precision as all of the estimate."""
    return space.split(entries) if entries.size else {}
