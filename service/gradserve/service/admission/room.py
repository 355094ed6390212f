"""What calls in flight take together, and the most that they may."""

from __future__ import annotations

from collections.abc import Sequence

from gradserve.service.configuration.amounts import Amounts


class Room:
    """Sums over all calls in flight, and over those of each caller. Not safe for threads."""

    def __init__(self, most: Amounts, share: float) -> None:
        """One caller may have so much of each limit, as a `share`: at least one call."""
        self._most = most
        self._own = None if share >= 1 else Amounts(*(max(1.0, share * each) for each in most))
        self.used = [0.0] * len(most)
        self._by_caller: dict[str, list[float]] = {}

    def take_small(self, size: float) -> bool:
        """Lets in a call of `size` bytes, if there is room: what `lacks` and `take` do, in a third of their time."""
        used, most = self.used, self._most
        if self._own is not None or used[0] >= most[0] or (used[1] and used[1] + size > most[1]):
            return False
        used[0] += 1.0
        used[1] += size
        return True

    def lacks(self, amounts: Sequence[float]) -> str:
        """The limit that leaves no room for a call; empty if there is room. What is too large may come alone."""
        return _over(self.used, amounts, self._most)

    def caller_lacks(self, caller: str, amounts: Sequence[float]) -> str:
        """The limit of which the caller has its share already; empty if it has not."""
        if self._own is None:
            return ""
        used = self._by_caller.get(caller)
        return "" if used is None else _over(used, amounts, self._own)

    def take(self, caller: str, amounts: Sequence[float]) -> None:
        """Lets in what a call takes."""
        _add(self.used, amounts, 1)
        if self._own is not None:
            _add(self._by_caller.setdefault(caller, [0.0] * len(self.used)), amounts, 1)

    def give(self, caller: str, amounts: Sequence[float]) -> None:
        """Takes down that it has ended."""
        if self._own is None and len(amounts) == 2:  # a small call, and most are
            self.used[0] -= amounts[0]
            self.used[1] -= amounts[1]
            return
        _add(self.used, amounts, -1)
        used = self._by_caller.get(caller)
        if used is not None:
            _add(used, amounts, -1)
            if not used[0] and not used[1]:
                del self._by_caller[caller]


def _over(used: Sequence[float], amounts: Sequence[float], most: Amounts) -> str:
    for index, amount in enumerate(amounts):
        if amount and used[index] and used[index] + amount > most[index]:
            return Amounts._fields[index]
    return ""


def _add(used: list[float], amounts: Sequence[float], sign: int) -> None:
    for index, amount in enumerate(amounts):
        if amount:
            # Floats that were added in one order and taken away in another leave a rest, of which none may stay.
            used[index] = rest if (rest := used[index] + sign * amount) > 1e-9 * amount else 0.0
