"""Questions about several matrices: one at each point of a batch that is not reduced, one for each group of inputs.

They are answered one after the other, each to the bit as if it had been asked for alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from gradserve.estimation.recurrence import Space
from gradserve.ir.errors import NumericalFailure, Violation, listed
from gradserve.ir.types import TensorType
from gradserve.jobs.sweeps.resuming import Resumable
from gradserve.questions.call import Argument, Call, Reduction
from gradserve.questions.matrices import Group

A = TypeVar("A")

MOST_GROUPS = 1000
"""Groups of inputs that one question tells of."""
_POSITION = "point"
"""What a token calls the position of the matrix that the work stands in."""


def at(call: Call, point: int) -> Call:
    """A checked call at one of its points; itself if its batch is reduced."""
    if not call.batch or call.reduction is not Reduction.NONE:
        return call
    own = {name: _row(call.arguments[name], point) for name in call.batched}
    return replace(call, arguments={**call.arguments, **own}, batch=None)


def _row(argument: Argument, point: int) -> Argument:
    """The array at a point; of a type alone the type there."""
    if isinstance(argument, TensorType):
        return argument.with_shape(argument.shape[1:])
    return np.array(argument[point])


def in_turn(
    count: int, resumable: Resumable, answers: Callable[[int, Resumable], Iterator[A]], called: Callable[[int], str]
) -> Iterator[A]:
    """What `answers` gives of the first of so many matrices, then of the next; a token says where the work stands.

    Where numbers of one of several are none to compute with, the error says what that one is `called`.
    """
    if count == 1:
        yield from answers(0, resumable)
        return
    stood = resumable.stood
    first = stood.count(_POSITION, 0, count - 1) if stood else 0
    for position in range(first, count):
        try:
            yield from answers(position, resumable.part(_POSITION, position, position == first))
        except NumericalFailure as error:
            raise NumericalFailure(f"{called(position)}: {error.message}", error.violations) from None


def group_violations(groups: Sequence[Group], space: Space) -> list[Violation]:
    """Why these are no groups of the inputs in question."""
    if len(groups) > MOST_GROUPS:
        return [Violation("groups", "E8", f"{len(groups)} groups are given; at most {MOST_GROUPS} are told of")]
    found, named = [], Counter(each.name for each in groups)
    for k, each in enumerate(groups):
        unknown = [name for name in each.inputs if name not in space.types]
        path = f"groups[{k}]"
        if not each.name or named[each.name] > 1:
            found.append(Violation(f"{path}.name", "E8", f"{each.name!r} does not name one group; give each its own"))
        if not each.inputs or len({*each.inputs}) < len(each.inputs):
            found.append(Violation(f"{path}.inputs", "E8", "give at least one input, and each once"))
        if unknown:
            text = f"{listed(unknown)} not among the inputs in question: {listed(space.types)}"
            found.append(Violation(f"{path}.inputs", "E8", text))
    return found
