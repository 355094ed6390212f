"""Guards: conditions on numbers under which a result is refused, as data that every executor runs alike.

An op lists its guards; each tests operands and results with functions of the array API alone, without a branch that
depends on numbers, so that it can be compiled. Executors differ in when they look at the flags, not in what they mean.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gradserve.ir.errors import GradserveError, NotDifferentiable, NumericalFailure, Violation
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array

if TYPE_CHECKING:
    from gradserve.ir.op import Op

Test: TypeAlias = Callable[[Any, Any, Sequence[Any], Sequence[Any]], Any]
"""Of the op, an array namespace, its operands and its results: truth values of any shape, true where it is refused."""
Detail: TypeAlias = Callable[[Any, Sequence[Array], Sequence[Array], tuple[int, ...]], str]
"""Of the op, its operands and results in NumPy, and the first position where it is refused: what is wrong there."""

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
    of: str = ""
    """What a client calls the computation that is refused, which the error names; empty for the name of the op."""
    suspect: Test | None = None
    """A cheaper test that is true somewhere wherever `test` is: executors may look at it first."""
    detail: Detail | None = None
    """The description in numbers, for executors that still have them."""

    def tripped(self, op: Op, xp: Any, operands: Sequence[Any], results: Sequence[Any]) -> Any:
        """The flags, or None if a cheaper test tells that all are false; for namespaces that compute at once."""
        if self.suspect is not None and not xp.any(self.suspect(op, xp, operands, results)):
            return None
        flags = self.test(op, xp, operands, results)
        return flags if xp.any(flags) else None


def refusal(
    op: Op, guard: Guard, flags: Array, operands: Sequence[Array] = (), results: Sequence[Array] = ()
) -> GradserveError:
    """The error of a guard whose flags are true somewhere, in numbers if there are operands.

    The executor adds the node, the types of its operands and its source.
    """
    first = tuple(np.argwhere(np.asarray(flags))[0].tolist())
    if guard.detail is not None and operands:
        text = guard.detail(op, operands, results, first)
    else:
        where = f"[{', '.join(map(str, first))}]" if first else ""
        text = guard.description.format(where=where).replace("  ", " ").strip()
    return guard.error(_MESSAGES[guard.error], [Violation("", guard.of or op.name, text)])


def enforce(op: Op, operands: Sequence[Array], results: Sequence[Array], but: Collection[str] = frozenset()) -> None:
    """Looks at an op's guards, all but those of these constraints, on NumPy arrays.

    Raises:
        NotDifferentiable, NumericalFailure: the results are refused; by the first guard that does.
    """
    for guard in op.guards:
        flags = None if guard.constraint in but else guard.tripped(op, np, operands, results)
        if flags is not None:
            raise refusal(op, guard, flags, operands, results)
