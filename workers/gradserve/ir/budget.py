"""What may be spent on making one program: nodes, graphs, processor time, and for as long as the caller wants it.

What has been made of a function is made once: where it is called in hundreds of places, each asks for the same again.

Every transform makes its graph by a builder, and a builder looks here now and then: so no pass of deriving and
optimising can run away, whichever rule it is in, and none has to think of it. What walks over a finished graph walks
over `looking`.

Numbers of what is made say how long it takes: a processor makes a quarter of a million values, nodes, halves of
steps and tenths of graphs a second. So a request is refused by what it asks for, not by how busy the machine is.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from gradserve.ir import account
from gradserve.ir.account import LESS, Account, Effort
from gradserve.ir.errors import LimitExceeded
from gradserve.ir.graph import Graph
from gradserve.ir.shapes import MAX_BYTES
from gradserve.ir.types import TensorType

_T = TypeVar("_T")
_K = TypeVar("_K", bound=Hashable)
_P = ParamSpec("_P")
EVERY = 128
"""Nodes of one graph between two looks; a power of two."""

STEP_VALUES = 2
"""Values and nodes of graphs that take as long to make as a step of a schedule."""


GRAPH_VALUES = 10
"""Values and nodes that take as long to make as a graph without any: functions of one node are mostly that."""


class Passing(Protocol):
    """What is of use only until the work is done."""

    def release(self) -> None:
        """Lets go of all that it holds."""
        ...


class Budget:
    """The nodes that one graph on the way may have, how many graphs, values and steps there may be, and the time left.

    Functions are graphs as well: where each calls another twice, a few of them come to thousands when they are derived.
    """

    def __init__(
        self,
        nodes: int,
        graphs: int,
        seconds: float,
        check: Callable[[], None],
        values: float = math.inf,
        of_all: float = math.inf,
    ) -> None:
        """Time of this thread runs from now on; what `check` raises ends the work as well.

        There may be so many `values`, but with all that the request has taken before not more than `of_all`.
        """
        self._nodes, self._seconds, self._check = nodes, seconds, check
        self.account = account.current.get() or Account()
        self._values = min(of_all, self.account.values + values)
        self._graphs = self.account.graphs + graphs
        self._begun: list[Passing] = []
        self.made: dict[Hashable, tuple[Any, Any]] = {}
        """What `remembered` functions have made, and of what: so that none of that is mistaken for what comes later."""
        self._end = time.thread_time() + seconds

    def begin(self, maker: Passing) -> None:
        """Lets one more graph be made; raises what `look` does."""
        self._begun.append(maker)
        self.account.graphs += 1
        self.account.values += GRAPH_VALUES
        self.look(0)

    def built(self, values: int) -> None:
        """Takes down so many values and nodes of a graph that has been made.

        Functions that few nodes are in may have very many values, and what each of them takes is between that of a node
        and that of a value.

        Raises:
            LimitExceeded: there are too many by now.
        """
        self.account.values += values
        self.require()

    def require(self, values: int = 0) -> None:
        """Lets work go on that has taken so many values more than are taken down. Raises what `built` does."""
        self.account.require(self._values, self._graphs, values)

    @contextmanager
    def working(self, of: Hashable = None) -> Iterator[Effort]:
        """Work whose result is to be remembered. What it takes does not depend on what was made before."""
        made, self.made = self.made, {}
        try:
            with self.account.working(of) as effort:
                yield effort
        finally:
            self.made = made

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Work that nobody has asked for, and that is not charged."""
        own, self.account = self.account, Account()
        try:
            with account.charging(self.account):
                yield
        finally:
            self.account = own

    def end(self) -> None:
        """Frees what has made graphs: values know it and each other, and would wait for a collection of garbage.

        That stops everybody, for a second where a large graph was derived.
        """
        for maker in self._begun:
            maker.release()
        self._begun.clear()
        self.made.clear()

    def require_sayable(self, types: Iterable[TensorType]) -> None:
        """Refuses values that no memory has room for, and whose costs no number says.

        Raises:
            LimitExceeded: there is one.
        """
        for type_ in types:
            if type_.is_concrete and type_.nbytes >= MAX_BYTES:
                raise LimitExceeded("value_bytes", f"deriving makes a value {type_} of 2**62 bytes or more; {_SMALLER}")

    def look(self, nodes: int, values: int = 0) -> None:
        """Lets work on a graph of so many nodes, and of so many values and nodes not taken down yet, go on.

        Raises:
            LimitExceeded: the graph, the values or the time are over their limit, `plan_nodes`, `plan_values` or
                `plan_seconds`.
        """
        self.require(values)
        if nodes > self._nodes:
            text = f"a derived graph grows over {self._nodes} nodes, the limit plan_nodes; {LESS}"
            raise LimitExceeded("plan_nodes", text)
        if time.thread_time() > self._end:
            text = f"deriving and optimising takes more than {self._seconds:.3g} s, the limit plan_seconds; {LESS}"
            raise LimitExceeded("plan_seconds", text)
        self._check()


_SMALLER = "ask about smaller arrays"
PLANNING = frozenset({"plan_nodes", "plan_graphs", "plan_values", "plan_seconds"})
"""The limits by which the making of a program is refused."""
current: ContextVar[Budget | None] = ContextVar("budget", default=None)
"""That of the work in this thread; None means any amount."""


def begun(maker: Passing) -> Budget | None:
    """The budget of the graph that is about to be made; None for any amount. Raises what `Budget.begin` does."""
    found = current.get()
    if found is not None:
        found.begin(maker)
    return found


def remembered(make: Callable[_P, _T]) -> Callable[_P, _T]:
    """A function that within a budget makes the same of the same once: of the very same graphs, and equal other things.

    Graphs that are equal may differ in the lines that they were traced at.
    """
    anything: Callable[..., _T] = make

    @functools.wraps(make)
    def found(*given: Any, **named: Any) -> _T:
        budget = current.get()
        if budget is None or named:
            return anything(*given, **named)
        key = make, *map(_known_by, given)
        known = budget.made.get(key)
        if known is None:
            known = budget.made[key] = anything(*given), given
        result: _T = known[0]
        return result

    return cast(Callable[_P, _T], found)


def once_of(things: tuple[object, ...], make: Callable[[], _T]) -> _T:
    """What is made of these very things, within a budget made once."""
    budget = current.get()
    if budget is None:
        return make()
    key = tuple(map(id, things))
    if key not in budget.made:
        budget.made[key] = make(), things  # kept, so that nothing else gets their identity
    found: _T = budget.made[key][0]
    return found


def of_equal(most: int) -> Callable[[Callable[[_K], _T]], Callable[[_K], _T]]:
    """Makes a function one that makes the same of equal things once within a budget, or else of the last so many.

    What a budget has made is not another's: what work takes would depend on what others have asked for.
    """

    def decorated(make: Callable[[_K], _T]) -> Callable[[_K], _T]:
        kept = functools.lru_cache(most)(make)

        @functools.wraps(make)
        def found(given: _K) -> _T:
            budget = current.get()
            if budget is None:
                return kept(given)
            known = budget.made.get((make, given))
            if known is None:
                known = budget.made[make, given] = make(given), given
            result: _T = known[0]
            return result

        return found

    return decorated


def _known_by(thing: Any) -> Hashable:
    if isinstance(thing, Graph):
        return id(thing)
    if isinstance(thing, list | tuple) and thing and isinstance(thing[0], Graph | list | tuple):
        return tuple(map(_known_by, thing))
    known: Hashable = thing if isinstance(thing, Hashable) else tuple(thing)
    return known


@contextmanager
def spending(budget: Budget) -> Iterator[None]:
    """Work within a budget, or within that of the work it is a part of."""
    if current.get() is not None:
        yield
        return
    token = current.set(budget)
    try:
        with account.charging(budget.account):
            yield
    finally:
        current.reset(token)
        budget.end()


def look() -> None:
    """Lets work of this thread go on, whatever it is. Raises what `Budget.look` does."""
    budget = current.get()
    if budget is not None:
        budget.look(0)


def planned(graph: Graph, steps: int) -> None:
    """Takes down so many steps of a schedule that is about to be made. Raises what `Budget.built` does.

    Of functions that are equal once: which of them are the very same depends on what others have asked for.
    """
    budget = current.get()
    if budget is not None and (planned, graph) not in budget.made:
        budget.made[planned, graph] = None, graph
        budget.built(STEP_VALUES * steps)


def looking(nodes: Iterable[_T]) -> Iterator[_T]:
    """The nodes of a graph, or what stands for them, with a look at the budget of this thread at every few of them.

    Raises:
        LimitExceeded: a limit is passed.
    """
    budget = current.get()
    for position, node in enumerate(nodes):
        if budget is not None and not position % EVERY:
            budget.look(position)
        yield node
