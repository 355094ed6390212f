"""Power series in t whose coefficients are found one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from gradserve.ir.builder import Value

if TYPE_CHECKING:
    from gradserve.autodiff.series import Expansion

Coefficients: TypeAlias = Sequence[Value | None]
"""Those of t^0, t^1 and so on; None, never the first, for one that is zero at all points."""


class Series:
    """A power series whose coefficients are found one after the other."""

    def __init__(self, known: Sequence[Value | None]) -> None:
        """Knows the first coefficients."""
        self._known = [*known]

    def following(self, k: int) -> Value | None:
        """The coefficient of t^k, when those before are known, and what it needs."""
        raise NotImplementedError

    def needs(self, k: int) -> Sequence[Need]:
        """What has to be known before the coefficient of t^k is found; when all of it is, perhaps more."""
        del k
        return ()

    def at(self, k: int) -> Value | None:
        """The coefficient of t^k; None for zero."""
        if k >= len(self._known):
            self.upto(k)
        return self._known[k]

    def knows(self, k: int) -> bool:
        """Whether the coefficient of t^k has been found."""
        return len(self._known) > k

    def upto(self, order: int) -> None:
        """Finds the coefficients to t^order.

        Those that others wait for are kept in a list: by calls they would come to lie in each other, a dozen for each
        order of a function whose derivative is another function, as that of a Bessel function is.
        """
        waiting: list[Need] = [(self, order)]
        while waiting:
            series, last = waiting[-1]
            if series.knows(last):
                waiting.pop()
                continue
            k = len(series._known)
            missing = [need for need in series.needs(k) if not need[0].knows(need[1])]
            if missing:
                waiting += missing
            else:
                series._known.append(series.following(k))

    @property
    def value(self) -> Value:
        """The coefficient of t^0."""
        found = self._known[0] if self._known else self.at(0)
        assert found is not None
        return found


Need: TypeAlias = tuple[Series, int]
"""A series, and the order to which it has to be known."""


class Given(Series):
    """A series with these coefficients and no others."""

    def following(self, k: int) -> Value | None:
        """Zero."""
        del k
        return None


class Slope(Series):
    """The derivative of a series that moves."""

    def __init__(self, within: Expansion, of: Series) -> None:
        """Knows none yet."""
        super().__init__([])
        self._within, self._of = within, of

    def needs(self, k: int) -> Sequence[Need]:
        """The coefficient of one order more."""
        return ((self._of, k + 1),)

    def following(self, k: int) -> Value | None:
        """(k + 1) x_(k+1)."""
        found = self._of.at(k + 1)
        return found if found is None or not k else found * self._within.number(found.type, k + 1)
