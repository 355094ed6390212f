"""Plans by what they compute: derived, optimised and lowered once, then remembered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from gradserve.autodiff import Derivation, derive, names, vmap
from gradserve.autodiff.walk import declare_inputs, inline
from gradserve.execution import Plan, make_plan
from gradserve.ir.canonical import canonical
from gradserve.ir.graph import Graph
from gradserve.jobs.call import Reduction
from gradserve.ops import builder
from gradserve.optimize import optimize
from gradserve.runtime.caches import Lru

Check: TypeAlias = Callable[[], None]
_NODE_BYTES = 1000
"""What a node takes with its step: 840 bytes in a plan of 11,000 nodes."""


def go_on() -> None:
    """The check that always passes."""


@dataclass(frozen=True, slots=True)
class Batching:
    """Which inputs of a derived graph carry a batch, of how many points, and what becomes of the results."""

    inputs: frozenset[str]
    size: int
    reduction: Reduction = Reduction.NONE


class PlanCache:
    """Derived graphs and plans, the least recently used forgotten first. Safe for threads."""

    def __init__(self, capacity: int = 1 << 30) -> None:
        """Keeps about `capacity` bytes of graphs and as many of plans, the constants of each counted in full."""
        self._graphs: Lru[tuple[str, Derivation], Graph] = Lru(capacity)
        self._plans: Lru[tuple[str, Derivation, Batching | None], Plan] = Lru(capacity)

    def derived(self, graph: Graph, derivation: Derivation, check: Check = go_on) -> Graph:
        """The derived and optimised graph for one example. What `check` raises ends the work."""
        key = (graph.digest, derivation)
        found = self._graphs.get(key)
        if found is None:
            # Graphs of one digest may order their nodes, and with them their sums, differently: one stands for all.
            found = optimize(derive(canonical(graph), derivation), check)
            self._graphs.put(key, found, _weight(found))
        return found

    def plan(
        self, graph: Graph, derivation: Derivation, batching: Batching | None = None, check: Check = go_on
    ) -> tuple[Plan, bool]:
        """The plan of a derivation, for one example or over a batch; and whether it was known.

        What `check` raises ends the work: large graphs take seconds.
        """
        key = (graph.digest, derivation, batching)
        found = self._plans.get(key)
        if found is not None:
            return found, True
        derived = self.derived(graph, derivation, check)
        check()
        final = derived if batching is None else optimize(_batched(derived, batching), check)
        check()
        plan = make_plan(final)
        self._plans.put(key, plan, _weight(final))
        return plan, False


def _weight(graph: Graph) -> int:
    """The bytes that a graph holds, roughly."""
    return _NODE_BYTES * (1 + len(graph.nodes)) + sum(constant.type.nbytes for constant in graph.constants)


def _batched(graph: Graph, batching: Batching) -> Graph:
    mapped = vmap(graph, batching.inputs, batching.size)
    added = set(mapped.output_types) if batching.reduction is not Reduction.NONE else names.COUNTS
    if added.isdisjoint(mapped.output_types):
        return mapped
    g = builder()
    outputs = inline(g, mapped, declare_inputs(g, mapped))
    return g.build({n: g.reduce_sum(value, axes=(0,)) if n in added else value for n, value in outputs.items()})
