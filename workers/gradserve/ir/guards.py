"""Guards: conditions on numbers under which a result is refused, as data that every executor runs alike.

An op lists its guards; each tests operands and results with functions of the array API alone, without a branch that
depends on numbers, so that it can be compiled. Executors differ in when they look at the flags, not in what they mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gradserve.ir.errors import GradserveError, NotDifferentiable, NumericalFailure, Violation
from gradserve.ir.types import Array

if TYPE_CHECKING:
    from gradserve.ir.op import Op

Test: TypeAlias = Callable[["Op", Any, Sequence[Any], Sequence[Any]], Any]
"""Of the op, an array namespace, its operands and its results: truth values of any shape, true where it is refused."""

_MESSAGES = {
    NotDifferentiable: "there is no derivative at these numbers",
    NumericalFailure: "a step is impossible on these numbers",
}


@dataclass(frozen=True, slots=True)
class Guard:
    """One reason to refuse a result."""

    constraint: str
    """Its name among the op's guards, such as `R1`."""
    description: str
    """What is wrong and what to do instead; `{where}` stands for the first position at which it is."""
    error: type[NotDifferentiable] | type[NumericalFailure]
    test: Test


def refusal(op: Op, guard: Guard, flags: Array) -> GradserveError:
    """The error of a guard whose flags are true somewhere; the executor adds the node, its operands and its source."""
    first = np.argwhere(np.asarray(flags))[0].tolist()
    where = f"[{', '.join(map(str, first))}]" if first else ""
    text = guard.description.format(where=where).strip()
    return guard.error(_MESSAGES[guard.error], [Violation("", f"{op.name} ({guard.constraint})", text)])
