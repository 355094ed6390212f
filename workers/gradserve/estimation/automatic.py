"""The estimator that finds out by itself what a matrix is like.

Few random signs and their products tell whether the matrix, less a multiple of the identity, is ruled by few
directions. If not, all products go into more signs: nothing beats them there. If so, a block Krylov space of the first
of these products grows by block after block, as long as it is predicted to save more products than it takes, and what
follows from it for a matrix without negative eigenvalues is taken if the matrix seems to be one; what is left is
estimated from signs that it does not depend on, and the interval comes from these alone (see
`gradserve.estimation.deflation`). Whenever the products would take more than the trace without chance, by all columns
or in one pass, that is taken.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np

from gradserve.estimation import exact
from gradserve.estimation.asking import Columns, Dialogue, Operator, Probes
from gradserve.estimation.deflation import Deflation
from gradserve.estimation.looks import Target
from gradserve.estimation.residual import Found, beside, in_turn, plain, sampling
from gradserve.estimation.spending import needed
from gradserve.ir.types import Array
from gradserve.questions.estimates import StopReason

BLOCK, PILOT = 8, 8
"""Rows of a block of the Krylov space, and probes that tell what a basis leaves."""
SMALL_BLOCK, SMALL_PILOT, SMALL_BUDGET = 2, 6, 64
"""The same where the budget is small."""
RULED, RULED_EARLY = 0.75, 0.25
"""A matrix is ruled by few directions if they are fewer than this share of the budget; of all, if it may end before."""
PATIENCE = 2.0
"""The basis grows to this many times the number of directions before what it saves is judged."""
LOOKING = 4
"""To look takes too much if one pass takes less than so many times that."""
JUDGED = 4
"""The variances known by then."""
NOTHING = 1e-26
"""The share of the variance that is rounding."""


def estimate(operator: Operator, target: Target) -> Dialogue:
    """The dialogue; see the module."""
    budget = target.max_probes
    small = budget <= SMALL_BUDGET and not target.stops_early
    block, pilot = (SMALL_BLOCK, SMALL_PILOT) if small else (BLOCK, PILOT)
    if all_columns(operator.size, target, operator.exact_price):
        yield from exact.columns(operator, 0)
        return
    probes, products = yield Probes(0, min(block + pilot, budget))
    found = plain(operator, target).with_probes(probes, products)
    directions, room = ruling(probes, products), min(operator.capacity, budget - pilot)
    yield found.known(StopReason.NONE)
    few = RULED_EARLY * operator.size if target.stops_early else RULED * min(budget, operator.size)
    if directions <= few and room > 2 * block:
        found = yield from _deflated(found, block, probes, products, directions, room)
    yield from sampling(operator, target, found)


def all_columns(size: int, target: Target, price: float | None = None) -> bool:
    """Whether all columns are taken without looking: they are within the budget, and one will hardly stop before.

    `price` is what one pass takes for all of them, in products, if that is less.
    """
    if size > target.max_probes or not target.stops_early:
        return size <= target.max_probes
    in_one_pass = price is not None and price < size and price <= _in_one_pass(size, target)
    return in_one_pass or size <= 2 * BLOCK + PILOT


def _in_one_pass(size: int, target: Target) -> float:
    """The price up to which one pass is taken without looking.

    That is what signs alone take, of a matrix whose eigenvalues are equal in size and whose entries as large off the
    diagonal as these let them be, unless looking takes little of it. Absolute tolerances say nothing of that.
    """
    if target.absolute_tolerance:
        return 2 * BLOCK + PILOT
    return max(2 * BLOCK + PILOT, min(LOOKING * (BLOCK + PILOT), needed(target, 1, math.sqrt(2 * size), size)))


def ruling(probes: Array, products: Array) -> float:
    """About how many directions rule a matrix less a multiple of the identity: |A|_F^4 / |A A^T|_F^2.

    The products with independent signs have scalar products whose squares are |A A^T|_F^2 on average.
    """
    multiple = np.einsum("ji,ji->", probes, products) / probes.size
    rest = products - multiple * probes
    gram = rest @ rest.T
    sizes, above = np.diag(gram), np.triu_indices(len(gram), 1)
    cross = float(np.sum(gram[above] ** 2))
    alone = float(np.sum(np.outer(sizes, sizes)[above]))
    return alone / cross if cross > 0 else math.inf


def _deflated(
    signs: Found, block: int, probes: Array, products: Array, directions: float, room: int
) -> Generator[Any, Any, Found]:
    """What is found beside a Krylov space as large as pays; from signs alone if there is none that does."""
    operator, target, drawn = signs.operator, signs.target, len(probes)
    deflation = Deflation.of(probes[:block], products[:block])
    pilot, their = probes[block:], products[block:]
    found = beside(operator, target, deflation, pilot, their, drawn, drawn)
    variances, last = [signs.deviation() ** 2], deflation.products
    while deflation.size < room:
        variances.append(found.deviation() ** 2)
        rows = deflation.beyond(last)[: room - deflation.size]
        if not len(rows) or _enough(found, signs, variances, PATIENCE * directions, len(rows)):
            break
        last = yield Columns(rows)
        deflation = deflation.grown(rows, last)
        found = beside(operator, target, deflation, pilot, their, found.spent + len(rows), drawn)
        yield found.known(StopReason.NONE)
    ways, completed = [found, replace(signs, spent=found.spent)], deflation.completed(operator.epsilon)
    if completed is not None:
        ways.append(beside(operator, target, completed, pilot, their, found.spent, drawn))
        more = in_turn(ways[-1], deflation, pilot, their) if found.spent == target.max_probes else None
        ways += [more] if more is not None else []
    return min(ways, key=_remaining)


def _enough(found: Found, signs: Found, variances: list[float], least: float, rows: int) -> bool:
    """Whether a further block of rows is predicted to save less than it takes."""
    now, left = variances[-1], found.target.max_probes - found.spent
    if left < rows or not now > NOTHING * variances[0] or not math.isfinite(now):
        return True
    price = min(_price(found, now, left), _price(signs, signs.deviation() ** 2, left))
    if price <= rows:
        return True
    if found.deflation.size < least or len(variances) < JUDGED:
        return False
    rate = math.sqrt(now / variances[-3]) if variances[-3] > 0 else 1.0
    if price > left:
        return rate >= 1 - rows / (left + found.sampled.count)
    blocks = [2**k for k in range(int(price / rows).bit_length())]
    return all(k * rows + _price(found, now * min(rate, 1.0) ** k, left) >= price for k in blocks)


def _price(found: Found, variance: float, left: int) -> float:
    """The further products that meet the target if samples have this variance, by probes or by all columns."""
    target, size = found.target, found.operator.size
    probes = max(needed(target, 1, math.sqrt(variance), found.value) - found.sampled.count, 0.0)
    return min(probes, found.operator.exact_price) if target.stops_early and size <= left else probes


def _remaining(found: Found) -> float:
    """How bad it will be at the end: the further products that meet the target, or beyond these the variance."""
    left = found.target.max_probes - found.spent
    wanted = needed(found.target, 1, found.deviation(), found.value) - found.sampled.count
    if wanted <= left:
        return max(wanted, 0.0)
    return left + (found.deviation() * found.sampled.of_mean(left)) ** 2
