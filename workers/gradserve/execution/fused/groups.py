"""Groups of elementwise ops and sums over one shape, not computed yet."""

from __future__ import annotations

import math
from dataclasses import field, replace

from gradserve.execution.fused.terms import Term, in_order, leaf, number
from gradserve.execution.fused.text import literal
from gradserve.execution.fused.values import Filled, Lowered, Stored
from gradserve.ir.records import dataclass

_FEW_INSTRUCTIONS, _MUCH_SMALLER = 4, 8


@dataclass
class Group:
    """Elementwise ops over one shape, not yet computed."""

    lengths: tuple[int, ...]
    terms: dict[int, Term] = field(default_factory=dict)
    """What computes each value that the group makes."""
    sums: dict[int, tuple[Term, tuple[int, ...]]] = field(default_factory=dict)
    """For each value that sums one of them up, what is summed, and along which axes."""
    leaves: list[Lowered] = field(default_factory=list)
    calls: int = 0
    """How many ufuncs its terms call."""
    keys: list[int] = field(default_factory=list)
    """Under which key each leaf was read."""
    _leaf_of: dict[int, Term] = field(default_factory=dict)

    def read(self, key: int, value: Lowered) -> Term:
        """The term of a value that is computed already."""
        found = self._leaf_of.get(key)
        if found is None:
            kind = value.type.element_type
            if isinstance(value, Filled) and value.number is not None:
                found = number(value.number, kind)
            else:
                found = leaf(len(self.leaves), kind)
                self.leaves.append(value)
                self.keys.append(key)
            self._leaf_of[key] = found
        return found

    def is_cheap(self, term: Term) -> bool:
        """Whether a term is sooner made again than written and read: by few instructions, from what is small."""
        terms = in_order([term])
        instructions = [t for t in terms if t.operation not in ("leaf", "number")]
        if len(instructions) > _FEW_INSTRUCTIONS or any(t.operation == "call" for t in terms):
            return False
        size = math.prod(self.lengths)
        return all(_MUCH_SMALLER * self._read_by(t) <= size for t in terms if t.operation == "leaf")

    def _read_by(self, term: Term) -> int:
        """How many elements a leaf reads in memory."""
        value = self.leaves[term.place]
        if not isinstance(value, Stored):
            return 1
        return math.prod(n for n, step in zip(self.lengths, value.strides, strict=True) if step)

    def taken_over(self, other: Group, term: Term) -> Term:
        """A term of another group over the same shape, as one of this."""
        own: dict[Term, Term] = {}
        for each in in_order([term]):
            if each.operation == "leaf":
                own[each] = self.read(other.keys[each.place], other.leaves[each.place])
            else:
                own[each] = replace(each, operands=tuple(own[x] for x in each.operands))
        return own[term]


def written(term: Term) -> str:
    """A number as LLVM writes it."""
    assert term.number is not None
    return literal(term.number, term.element_type)
