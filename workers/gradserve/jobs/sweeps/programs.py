"""Programs by what they compute: derived, optimised and scheduled once, then remembered."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias, TypeVar

from gradserve.autodiff import derive, names, vmap, written_out
from gradserve.autodiff.derivation import Careful, EveryValue, KinkCounts, WithKinks
from gradserve.autodiff.walk import declare_inputs, inline
from gradserve.execution import Executor, Instance, Program, Schedule, instance_of
from gradserve.ir import account
from gradserve.ir.account import Account, Effort
from gradserve.ir.budget import Budget, current, spending
from gradserve.ir.graph import Graph
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType
from gradserve.jobs.sweeps.limits import Limits, Planning
from gradserve.ops import builder
from gradserve.ops.control.derivatives import Derivative
from gradserve.optimize import in_order, optimize, rerolled
from gradserve.questions.derivations import Derivation
from gradserve.runtime.caches import Lru
from gradserve.runtime.garbage import uncollected
from gradserve.runtime.turns import PLANNING

Check: TypeAlias = Callable[[], None]
_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")
_Kept: TypeAlias = Lru[_K, tuple[_V, Effort]]
"""What was made, with the effort that it took."""
_Weight: TypeAlias = Callable[[_V], int]
_NODE_BYTES = 1000
"""What a node takes with its step: 840 bytes in a schedule of 11,000 nodes."""


def go_on() -> None:
    """The check that always passes."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Which inputs of a derived graph carry a leading axis, of what length, and whether results are summed along it."""

    inputs: frozenset[str]
    size: int
    summed: bool = False
    within: Axis | None = None
    """An axis that is there as a whole at every position, such as that of the columns of a basis at every point."""


class Programs:
    """Derived graphs, programs and schedules, the least recently used forgotten first. Safe for threads."""

    def __init__(self, capacity: int = 1 << 28, limits: Limits | None = None) -> None:
        """Keeps about `capacity` bytes of graphs, as many of programs and of schedules; constants counted in full.

        The `limits` say what may be spent on one program.
        """
        self._limits = limits or Limits()
        self._written: _Kept[Graph, Graph] = Lru(capacity)
        self._graphs: _Kept[tuple[str, Derivation], Graph] = Lru(capacity)
        self._instances: _Kept[tuple[str, Derivation, Axis | None], Instance] = Lru(capacity)
        self._schedules: _Kept[tuple[str, str], Schedule] = Lru(capacity)

    def written_out(self, graph: Graph, check: Check = go_on) -> Graph:
        """The graph without derivatives of functions in it. What `check` raises ends the work.

        Raises:
            NotDifferentiable: such a function has no derivative.
            LimitExceeded: it takes more nodes or time than the limits allow.
        """
        if not graph.holds(Derivative):
            return graph
        most = self._limits.writing(graph)
        return self._found(self._written, graph, most, check, lambda: written_out(graph), weight)[0]

    def derived(self, graph: Graph, derivation: Derivation, check: Check = go_on) -> Graph:
        """The derived and optimised graph for one example. What `check` raises ends the work.

        Raises:
            LimitExceeded: it takes more nodes or time than the limits allow.
        """

        def make() -> Graph:
            return optimize(derive(_given(graph, derivation), derivation), check)

        most = self._limits.planning(graph)
        return self._found(self._graphs, (graph.digest, derivation), most, check, make, weight)[0]

    def instance(
        self, graph: Graph, derivation: Derivation, axis: Axis | None = None, check: Check = go_on
    ) -> tuple[Instance, bool]:
        """The program of a derivation with the graph's constants, for one example or along an axis; was it known?

        What `check` raises ends the work: large graphs take seconds.
        """

        def make() -> Instance:
            derived = self.derived(graph, derivation, check)
            check()
            final = derived if axis is None else optimize(_along(derived, axis), check)
            check()
            return instance_of(final)

        most, key = self._limits.planning(graph), (graph.digest, derivation, axis)
        return self._found(self._instances, key, most, check, make, _weight_of_instance)

    def spending(self, graph: Graph, check: Check, among: int = 1) -> AbstractContextManager[Budget]:
        """Work on programs of a graph within the limits, or within those of the work that it is a part of.

        A question that chooses one of so many programs `among` each other has a part of all values for each. Threads
        take turns at it.
        """
        most = self._limits.planning(graph)
        return self._within(most._replace(values=most.values // among), check)

    @contextmanager
    def trying(self, graph: Graph, check: Check) -> Iterator[None]:
        """Work on programs that a request can do without: these have what others leave, and at most half of it all.

        They take nothing from others, so that what comes after them is not refused in their place.
        """
        most, payer = self._limits.planning(graph), account.current.get() or Account()
        left = min(most.of_all - payer.values, most.values // 2)
        with account.charging(payer.spare), self._within(most._replace(of_all=left), check):
            yield

    def paid(self, effort: Effort, graph: Graph) -> None:
        """Has the request of this thread pay for what is known of a graph; what is under way is that of a request.

        Raises:
            LimitExceeded: it has taken more than it may, by now.
        """
        self._pay(effort, self._limits.planning(graph))

    def _found(
        self, kept: _Kept[_K, _V], key: _K, most: Planning, check: Check, make: Callable[[], _V], weight: _Weight[_V]
    ) -> tuple[_V, bool]:
        """What is kept under a key, or made now and kept; was it known?"""
        known = kept.get(key)
        if known is not None:
            self._pay(known[1], most)
            return known[0], True
        of = key.digest if isinstance(key, Graph) else key
        with self._within(most, check) as budget, budget.working((make.__qualname__, of)) as effort:
            found = make()
        kept.put(key, (found, effort), weight(found))
        return found, False

    @staticmethod
    def _pay(effort: Effort, most: Planning) -> None:
        """Has work pay that is under way, or the request that this thread works for; without one nobody does."""
        payer, budget = account.current.get(), current.get()
        if payer is None:
            return
        payer.pay(effort)
        if budget is not None:
            budget.require()
        else:
            payer.require(most.of_all, math.inf)

    @contextmanager
    def _within(self, most: Planning, check: Check) -> Iterator[Budget]:
        under_way = current.get()
        if under_way is not None:
            yield under_way
            return
        new = functools.partial(
            Budget, most.nodes, most.graphs, self._limits.plan_seconds, values=most.values, of_all=most.of_all
        )
        with PLANNING.turn(check) as look, uncollected():
            budget = new(look)
            with spending(budget):
                yield budget

    def schedule(self, program: Program, executor: Executor, check: Check = go_on) -> Schedule:
        """How the executor will run the program. What `check` raises ends the work.

        Raises:
            LimitExceeded: it takes more time than the limits allow.
        """

        def make() -> Schedule:
            return executor.schedule(program)

        most, key = self._limits.planning(program.graph), (program.digest, executor.name)
        return self._found(self._schedules, key, most, check, make, lambda _: weight(program.graph))[0]


def _given(graph: Graph, derivation: Derivation) -> Graph:
    """The canonical form; unless answers name its nodes, with unrolled loops as loops and products in order."""
    # Graphs of one digest may order their nodes, and with them their sums, differently: one stands for all.
    given, of = graph.canonical, derivation
    while isinstance(of, Careful | WithKinks):
        of = of.derivation
    return given if isinstance(of, EveryValue | KinkCounts) else in_order(rerolled(given))


def _weight_of_instance(instance: Instance) -> int:
    """The same of its graph and constants."""
    return weight(instance.program.graph) + sum(array.nbytes for array in instance.arrays.values())


def weight(graph: Graph) -> int:
    """The bytes that a graph holds, roughly."""
    return _NODE_BYTES * (1 + len(graph.nodes)) + sum(constant.type.nbytes for constant in graph.constants)


def _along(graph: Graph, axis: Axis) -> Graph:
    """The derived graph along an axis; where asked for outputs are summed along it, if they do not tell of kinks."""
    if axis.within is not None:
        once = [name for name in graph.output_types if names.is_of_point(name)]
        graph = _telling(vmap(graph, axis.within.inputs, axis.within.size, once))
    mapped = vmap(graph, axis.inputs, axis.size)
    if axis.summed:
        g = builder()
        outputs = inline(g, mapped, declare_inputs(g, mapped))
        told = names.tells_of_kinks
        mapped = g.finished({n: y if told(n) else g.reduce_sum(y, axes=(0,)) for n, y in outputs.items()})
    return _telling(mapped, count=True)


def _telling(graph: Graph, count: bool = False) -> Graph:
    """The graph along an axis, telling of all positions together what is on kinks; if asked, at how many of them."""
    told = [n for n, type_ in graph.output_types.items() if names.tells_of_kinks(n) and type_.rank]
    if not told:
        return graph
    g = builder()
    outputs = inline(g, graph, declare_inputs(g, graph))
    flags = [outputs[name] for name in told]
    outputs |= {name: g.emit("reduce_any", outputs[name], axes=(0,)) for name in told}
    if count:
        some = g.convert(functools.reduce(g.logical_or, flags), ElementType.INT64)
        outputs[names.KINKED_EXAMPLES] = g.reduce_sum(some, axes=(0,))
    return g.finished(outputs)
