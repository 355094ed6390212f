"""Samples beside a basis, until a target is met: what all estimators with a basis and probes of their own share."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from gradserve.estimation import exact
from gradserve.estimation.asking import Dialogue, Known, Operator, Probes
from gradserve.estimation.deflation import Completed, Deflation
from gradserve.estimation.in_turn import left_out
from gradserve.estimation.looks import Target
from gradserve.estimation.sampled import Sampled, proving
from gradserve.estimation.spending import allowed, further, needed, probability
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.estimates import Sampler, StopReason
from gradserve.questions.resuming import Standing, State, refuse_token


@dataclass(frozen=True)
class Found:
    """What the samples say beside what is known exactly."""

    operator: Operator
    target: Target
    deflation: Deflation
    base: Array
    outside: Array
    sampled: Sampled
    shift: float
    spent: int
    drawn: int
    """Probes drawn, those of the basis among them."""

    def with_probes(self, probes: Array, products: Array) -> Found:
        """After further probes."""
        inner, rest, sizes = self.deflation.rest(probes, products)
        shifts = np.full(len(probes), self.shift)
        shares = probes * (rest - self.shift * inner)
        sampled = self.sampled.with_rows(self.operator, shares, shifts, self.outside, sizes)
        count = len(probes)
        return replace(self, sampled=sampled, spent=self.spent + count, drawn=self.drawn + count)

    @property
    def value(self) -> float:
        """The estimate of the trace."""
        return float(self.base.sum() + self.sampled.forms[:, 0].mean())

    def deviation(self) -> float:
        """The standard deviation of a sample of the trace."""
        return float(self.sampled.deviations(self.operator, 1.0)[0])

    def wanted(self, look: int) -> float:
        """The samples that are predicted to meet the target at a look; equal ones have to be enough to prove it."""
        deviation = self.deviation()
        equal = deviation <= self.sampled.rounding(self.operator)[0]
        predicted = needed(self.target, look, deviation, self.value)
        return max(predicted, proving(probability(self.target, look))) if equal else predicted

    def known(self, reason: StopReason, look: int = 1, state: State | None = None) -> Known:
        """The answer."""
        alpha = probability(self.target, look)
        found = self.sampled.known(self.operator, self.base, self.outside, alpha, self.spent, reason)
        return replace(found, sketch=self.deflation.size, state=state)

    def state(self) -> State:
        """What `stood` takes."""
        numbers = {"shift": self.shift, "spent": self.spent, "drawn": self.drawn}
        basis = {each.name: getattr(self.deflation, each.name) for each in fields(self.deflation)}
        return {**basis, **self.sampled.state(), **{name: np.asarray(each) for name, each in numbers.items()}}


def plain(operator: Operator, target: Target) -> Found:
    """Nothing known and nothing sampled."""
    return beginning(operator, target, Deflation.none(operator.size), 0, 0)


def beginning(operator: Operator, target: Target, deflation: Deflation, spent: int, drawn: int) -> Found:
    """A basis and nothing sampled beside it."""
    base, outside, sampled = deflation.diagonal, deflation.outside(), Sampled.none(operator, deflation.sizes())
    return Found(operator, target, deflation, base, outside, sampled, 0.0, spent, drawn)


def beside(
    operator: Operator, target: Target, deflation: Deflation, probes: Array, products: Array, spent: int, drawn: int
) -> Found:
    """What these probes say beside a basis. Each is shifted by what the others say of the mean of the rest."""
    outside = deflation.outside()
    inner, rest, sizes = deflation.rest(probes, products)
    means = np.einsum("ji,ji->j", inner, rest) / np.maximum(np.einsum("ji,ji->j", inner, inner), 1e-300)
    others = (means.sum() - means) / (len(means) - 1)
    shares = probes * (rest - others[:, None] * inner)
    sampled = Sampled.none(operator, deflation.sizes()).with_rows(operator, shares, others, outside, sizes)
    shift = float(means.mean())
    return Found(operator, target, deflation, deflation.diagonal, outside, sampled, shift, spent, drawn)


def in_turn(found: Found, deflation: Deflation, probes: Array, products: Array) -> Found | None:
    """What the probes say beside a completed basis if they enlarge it too, each in turn left out; None if they cannot.

    `deflation` is the basis as it was before it was completed.
    """
    spanned = deflation.spanning(probes, products)
    whole = spanned.completed(found.operator.epsilon)
    known = found.deflation
    told = left_out(known, whole, probes, products) if whole is not None and isinstance(known, Completed) else None
    if whole is None or told is None:
        return None
    shifts = np.full(len(probes), told.multiple)
    sampled = replace(Sampled.none(found.operator, whole.sizes()), shared=told.shared)
    sampled = sampled.with_rows(found.operator, told.shares, shifts, told.outside, whole.rest(probes, products)[-1])
    return replace(found, deflation=whole, base=whole.diagonal, outside=told.outside, sampled=sampled)


def stood(operator: Operator, target: Target, at: Standing, kind: type[Deflation]) -> Found:
    """The samples beside a basis where they stood."""
    deflation = _stood(operator, at, kind)
    spent, drawn = at.count("spent", 1, target.max_probes), at.count("drawn", 1, target.max_probes)
    sampled = Sampled.stood(operator, at)
    return replace(beginning(operator, target, deflation, spent, drawn), sampled=sampled, shift=at.number("shift"))


def _stood(operator: Operator, at: Standing, kind: type[Deflation]) -> Deflation:
    """The basis where it stood, completed if it was."""
    size = operator.size
    rows, products, diagonal = (
        at.array("rows", None, size),
        at.array("products", None, size),
        at.array("diagonal", size),
    )
    if not len(rows) == len(products) <= size:
        refuse_token("the basis")
    if "factor" in at:
        return Completed(rows, products, diagonal, at.array("factor", None, size))
    return kind(rows, products, diagonal)


def resumed(operator: Operator, target: Target, at: Standing, kind: type[Deflation], sampler: Sampler) -> Dialogue:
    """What `sampling` says from where it stood, what it said there first."""
    found, look = stood(operator, target, at, kind), at.count("look", 1, 64)
    stop = at.count("stop", 0, found.sampled.count + target.max_probes - found.spent)
    if found.sampled.count < stop:
        yield found.known(StopReason.NONE, look, _state(found, look, stop))
    yield from sampling(operator, target, found, sampler, look, stop)


def sampling(
    operator: Operator,
    target: Target,
    found: Found,
    sampler: Sampler = Sampler.SIGNS,
    look: int = 1,
    stop: int | None = None,
) -> Dialogue:
    """Further probes until the target is met or the budget is spent; `stop` are those of a look under way."""
    while True:
        if stop is None:
            left = target.max_probes - found.spent
            wanted = found.wanted(look)
            count = found.sampled.count
            if operator.exact_price <= wanted - count and operator.size <= left and target.stops_early:
                yield from exact.columns(operator, found.spent)
                return
            stop = int(min(further(wanted, count) if wanted > count else count, count + left))
        while found.sampled.count < stop:
            section = min(operator.section, stop - found.sampled.count, max(found.sampled.count, 1))
            rows, products = yield Probes(found.drawn, found.drawn + section, sampler)
            found = found.with_probes(rows, products)
            if found.sampled.count < stop:
                yield found.known(StopReason.NONE, look, _state(found, look, stop))
        answer = found.known(StopReason.NONE, look)
        done = target.stops_early and answer.half_width[0] <= allowed(target, float(answer.value[0]))
        spent = found.spent >= target.max_probes
        reason = StopReason.TOLERANCE if done else StopReason.MAX_PROBES if spent else StopReason.NONE
        yield found.known(reason, look, _state(found, look, stop))
        if reason is not StopReason.NONE:
            return
        look, stop = look + 1, None


def _state(found: Found, look: int, stop: int) -> State:
    return {**found.state(), "look": np.asarray(look), "stop": np.asarray(stop)}
