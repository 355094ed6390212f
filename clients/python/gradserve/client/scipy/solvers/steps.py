"""A row of steps of which only the first and the last are known while tracing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from gradserve.client.scipy.solvers.given import refuse


class Steps:
    """An array along an axis of steps, whose number depends on numbers: the ends can be taken from it."""

    def __init__(self, ends: Any, axis: int = -1) -> None:
        """`ends` has the first and the last along that axis, which is the first or the last axis."""
        self._ends, self._axis = ends, axis % ends.ndim

    @property
    def T(self) -> Steps:
        """With the axes the other way round."""
        return Steps(self._ends.T, self._ends.ndim - 1 - self._axis)

    @property
    def ndim(self) -> int:
        """The number of axes, that of the steps among them."""
        return int(self._ends.ndim)

    def __getitem__(self, key: Any) -> Any:
        keys = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis in keys:
            place = keys.index(Ellipsis)
            keys[place : place + 1] = [slice(None)] * (self.ndim - len(keys) + 1)
        keys += [slice(None)] * (self.ndim - len(keys))
        chosen = keys[self._axis]
        if isinstance(chosen, slice) and chosen == slice(None):
            left = self._ends[tuple(keys)]
            return Steps(left, 0 if self._axis == 0 else left.ndim - 1)
        if not isinstance(chosen, int) or chosen not in (0, -1):
            self._refuse()
        return self._ends[tuple(keys)]

    def __iter__(self) -> Iterator[Any]:
        if self._axis == 0:
            self._refuse()
        return (Steps(row) for row in self._ends)

    def __len__(self) -> int:
        if self._axis == 0:
            self._refuse()
        return len(self._ends)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        self._refuse()

    def __array_ufunc__(self, *_: Any, **_named: Any) -> Any:
        self._refuse()

    def _refuse(self) -> NoReturn:
        refuse(
            "all steps that a solver makes, whose number is not known,",
            "give t_eval, or take the last: sol.y[:, -1], sol.t[-1]",
        )
