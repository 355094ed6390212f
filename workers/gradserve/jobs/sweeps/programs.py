"""Programs by what they compute: derived, optimised and scheduled once, then remembered."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

from gradserve.autodiff import derive, names, vmap, written_out
from gradserve.autodiff.derivation import Careful, EveryValue, KinkCounts, WithKinks
from gradserve.autodiff.walk import declare_inputs, inline
from gradserve.execution import Executor, Instance, Program, Schedule, instance_of
from gradserve.ir.budget import Budget, current, spending
from gradserve.ir.graph import Graph
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType
from gradserve.jobs.sweeps.limits import Limits
from gradserve.ops import builder
from gradserve.ops.control.derivatives import Derivative
from gradserve.optimize import in_order, optimize, rerolled
from gradserve.questions.derivations import Derivation
from gradserve.runtime.caches import Lru
from gradserve.runtime.garbage import uncollected
from gradserve.runtime.turns import PLANNING

Check: TypeAlias = Callable[[], None]
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
        self._written: Lru[Graph, Graph] = Lru(capacity)
        self._graphs: Lru[tuple[str, Derivation], Graph] = Lru(capacity)
        self._instances: Lru[tuple[str, Derivation, Axis | None], Instance] = Lru(capacity)
        self._schedules: Lru[tuple[str, str], Schedule] = Lru(capacity)

    def written_out(self, graph: Graph, check: Check = go_on) -> Graph:
        """The graph without derivatives of functions in it. What `check` raises ends the work.

        Raises:
            NotDifferentiable: such a function has no derivative.
            LimitExceeded: it takes more nodes or time than the limits allow.
        """
        if not graph.holds(Derivative):
            return graph
        found = self._written.get(graph)
        if found is None:
            with self._within(self._limits.writing(graph), check):
                found = written_out(graph)
            self._written.put(graph, found, weight(found))
        return found

    def derived(self, graph: Graph, derivation: Derivation, check: Check = go_on) -> Graph:
        """The derived and optimised graph for one example. What `check` raises ends the work.

        Raises:
            LimitExceeded: it takes more nodes or time than the limits allow.
        """
        key = (graph.digest, derivation)
        found = self._graphs.get(key)
        if found is None:
            with self.spending(graph, check):
                found = optimize(derive(_given(graph, derivation), derivation), check)
            self._graphs.put(key, found, weight(found))
        return found

    def instance(
        self, graph: Graph, derivation: Derivation, axis: Axis | None = None, check: Check = go_on
    ) -> tuple[Instance, bool]:
        """The program of a derivation with the graph's constants, for one example or along an axis; was it known?

        What `check` raises ends the work: large graphs take seconds.
        """
        key = (graph.digest, derivation, axis)
        found = self._instances.get(key)
        if found is not None:
            return found, True
        with self.spending(graph, check):
            derived = self.derived(graph, derivation, check)
            check()
            final = derived if axis is None else optimize(_along(derived, axis), check)
            check()
            instance = instance_of(final)
        self._instances.put(key, instance, weight(final))
        return instance, False

    def spending(self, graph: Graph, check: Check, among: int = 1) -> AbstractContextManager[None]:
        """Work on programs of a graph within the limits, or within those of the work that it is a part of.

        A question that may need so many programs `among` which it chooses, or that are run one after the other, has a
        part of all values for each. It is not what the others leave: that depends on which of them are known already.
        Threads take turns at it.
        """
        nodes, graphs, values = self._limits.planning(graph)
        return self._within((nodes, graphs, values // among), check)

    @contextmanager
    def _within(self, most: tuple[int, int, int], check: Check) -> Iterator[None]:
        if current.get() is not None:
            yield
            return
        nodes, graphs, values = most
        budget = functools.partial(Budget, nodes, graphs, self._limits.plan_seconds, values=values)
        with PLANNING.turn(check) as look, uncollected(), spending(budget(look)):
            yield

    def schedule(self, program: Program, executor: Executor, check: Check = go_on) -> Schedule:
        """How the executor will run the program. What `check` raises ends the work.

        Raises:
            LimitExceeded: it takes more time than the limits allow.
        """
        key = (program.digest, executor.name)
        found = self._schedules.get(key)
        if found is None:
            with self.spending(program.graph, check):
                found = executor.schedule(program)
            self._schedules.put(key, found, weight(program.graph))
        return found


def _given(graph: Graph, derivation: Derivation) -> Graph:
    """The canonical form; unless answers name its nodes, with unrolled loops as loops and products in order."""
    # Graphs of one digest may order their nodes, and with them their sums, differently: one stands for all.
    given, of = graph.canonical, derivation
    while isinstance(of, Careful | WithKinks):
        of = of.derivation
    return given if isinstance(of, EveryValue | KinkCounts) else in_order(rerolled(given))


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
