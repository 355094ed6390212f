"""What one request has taken of what it may spend on planning: every piece of work once, done for it or remembered.

So a request is refused by what it asks for, and not by what others have asked before. A piece of work has a cost of its
own, and needs others; what is remembered is kept with its effort, which is paid by everyone who uses it.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from gradserve.ir.errors import LimitExceeded

_numbers = itertools.count()


class Effort:
    """What a piece of work takes beside the pieces that it needs: values, nodes and steps, and graphs of functions."""

    __slots__ = ("graphs", "key", "needs", "values")

    def __init__(self, of: Hashable = None) -> None:
        """Nothing yet; the work is known by what it is `of`, or is none that is done twice."""
        self.key: Hashable = next(_numbers) if of is None else of
        self.values = self.graphs = 0
        self.needs: tuple[Effort, ...] = ()


class Account:
    """What has been taken so far."""

    __slots__ = ("_paid", "_spare", "_under_way", "graphs", "values")

    def __init__(self) -> None:
        """Nothing yet."""
        self._spare: Account | None = None
        self.values = self.graphs = 0
        self._paid: set[Hashable] = set()
        self._under_way: list[_UnderWay] = []

    @property
    def spare(self) -> Account:
        """What has been taken by work that the request can do without."""
        if self._spare is None:
            self._spare = Account()
        return self._spare

    def pay(self, effort: Effort) -> None:
        """Takes what a piece of work took and what it needs, unless that is paid already; `require` looks at it."""
        values, graphs, waiting = self.values, self.graphs, [effort]
        while waiting:
            one = waiting.pop()
            if one.key not in self._paid:
                self._paid.add(one.key)
                self.values += one.values
                self.graphs += one.graphs
                waiting += one.needs
        self._needed(effort, self.values - values, self.graphs - graphs)

    @contextmanager
    def working(self, of: Hashable = None) -> Iterator[Effort]:
        """A piece of work, which is paid when it is done."""
        work = _UnderWay(Effort(of), self.values, self.graphs)
        self._under_way.append(work)
        try:
            yield work.effort
        finally:
            self._under_way.pop()
        values, graphs = self.values - work.values, self.graphs - work.graphs
        effort = work.effort
        effort.values, effort.graphs, effort.needs = values - work.others[0], graphs - work.others[1], (*work.needs,)
        self._paid.add(effort.key)
        self._needed(effort, values, graphs)

    def _needed(self, effort: Effort, values: int, graphs: int) -> None:
        """Tells the work that is under way what came of another."""
        if self._under_way:
            self._under_way[-1].need(effort, values, graphs)

    def require(self, values: float, graphs: float, more: int = 0) -> None:
        """Refuses work when more has been taken than there may be, with so many values more that are not taken down.

        Raises:
            LimitExceeded: it has, of which the limit is `plan_values` or `plan_graphs`.
        """
        if self.values + more > values:
            self.values = int(values)  # however much more that is known takes
            text = f"what is asked takes more than {values} values, nodes and steps to plan, by the limit plan_values"
            raise LimitExceeded("plan_values", f"{text}; {LESS}, or call functions in fewer places")
        if self.graphs > graphs:
            self.graphs = int(graphs)
            text = f"deriving and optimising makes more than {graphs} graphs of functions, by the limit plan_graphs"
            raise LimitExceeded("plan_graphs", f"{text}; call functions in fewer places")


class _UnderWay:
    """A piece of work that is being done, what was taken before, and what of the rest others took."""

    __slots__ = ("effort", "graphs", "needs", "others", "values")

    def __init__(self, effort: Effort, values: int, graphs: int) -> None:
        self.effort, self.values, self.graphs = effort, values, graphs
        self.needs: list[Effort] = []
        self.others = (0, 0)

    def need(self, effort: Effort, values: int, graphs: int) -> None:
        self.needs.append(effort)
        self.others = self.others[0] + values, self.others[1] + graphs


LESS = "ask for a lower order, or write loops as loops"
current: ContextVar[Account | None] = ContextVar("account", default=None)
"""That of the request that this thread works for."""


@contextmanager
def charging(account: Account) -> Iterator[None]:
    """Work for a request."""
    token = current.set(account)
    try:
        yield
    finally:
        current.reset(token)


@contextmanager
def working() -> Iterator[Effort]:
    """A piece of work for the request of this thread; without one it takes nothing."""
    account = current.get()
    if account is None:
        yield Effort()
        return
    with account.working() as effort:
        yield effort
