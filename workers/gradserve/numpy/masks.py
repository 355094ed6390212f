"""Where a traced mask stands in a key, `x[0, mask] = v`: what is assigned fits however many elements it selects."""

from __future__ import annotations

from typing import Any

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Literal
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.indexing import ALL, is_basic


@dataclass(frozen=True)
class Masked:
    """A key with one traced mask in it."""

    region: tuple[Any, ...]
    """The key of all that the mask chooses from."""
    mask: Value
    before: int
    """The axes of the region that stand before those of the mask."""
    moves: bool
    """Whether there are numbers beside the mask, by which NumPy may move the axis of what is selected."""

    def over(self, g: Builder, region: Value) -> Value:
        """The mask for every element of the region.

        Raises:
            IndexError: it has other lengths.
        """
        stop = self.before + self.mask.type.rank
        if region.shape[self.before : stop] != self.mask.shape:
            raise IndexError(f"boolean index of shape {self.mask.shape} did not match {region.type}")
        behind = (1,) * (region.type.rank - stop)
        return g.broadcast(g.reshape(self.mask, (*self.mask.shape, *behind)), region.type.shape)

    def spread(self, g: Builder, region: Value, values: Value) -> Value:
        """Values for every element of the region.

        Raises:
            Unsupported: there is one for each that the mask selects.
        """
        rank, width = values.type.rank, self.mask.type.rank
        behind = region.type.rank - self.before - width
        if rank > behind and (self.moves or values.shape[rank - 1 - behind] != 1):
            raise Unsupported(
                "a traced mask selects a number of elements that depends on numbers, and each is assigned its own",
                "write np.where(mask, values, x), with values of x's shape, or use a mask of captured data",
            )
        if rank > behind:
            front, back = values.shape[: rank - 1 - behind], values.shape[rank - behind :]
            values = g.reshape(values, (*front, *(1,) * width, *back))
        while values.type.rank > region.type.rank and values.shape[0] == 1:
            values = g.reshape(values, values.type.shape[1:])
        return g.broadcast(values, region.type.shape)


def masked(g: Builder, x: Value, key: Any) -> Masked | None:
    """What a key with one traced mask selects, beside numbers and slices; None if it is another."""
    parts = key if isinstance(key, tuple) else (key,)
    places = [k for k, part in enumerate(parts) if _is_traced_mask(g, part)]
    if len(places) != 1:
        return None
    at = places[0]
    mask, others = parts[at], (*parts[:at], *parts[at + 1 :])
    if not is_basic(others) or any(part is None for part in others):
        return None
    missing = x.type.rank - mask.type.rank - sum(part is not Ellipsis for part in others)
    front, back = (_spelt_out(some, missing) for some in (parts[:at], parts[at + 1 :]))
    before = sum(isinstance(part, slice) for part in front)
    moves = not all(isinstance(part, slice) for part in (*front, *back))
    return Masked((*front, *(ALL,) * mask.type.rank, *back), mask, before, moves)


def _is_traced_mask(g: Builder, part: Any) -> bool:
    is_mask = isinstance(part, Value) and part.type.element_type is ElementType.BOOL and part.type.rank > 0
    return is_mask and not isinstance(g.literal(part), Literal)


def _spelt_out(parts: tuple[Any, ...], missing: int) -> tuple[Any, ...]:
    """The parts, with slices for an ellipsis."""
    return tuple(each for part in parts for each in ((ALL,) * missing if part is Ellipsis else (part,)))
