"""Derived graphs that several laws ask for."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from gradserve import autodiff
from gradserve.ir.graph import Graph
from gradserve.questions.derivations import Derivation


class Derived:
    """Derives each graph once, as the ops' rules are at that time: whoever changes a rule takes another of these."""

    def __init__(self) -> None:
        self._graphs: dict[Hashable, Graph] = {}

    def derive(self, graph: Graph, derivation: Derivation) -> Graph:
        """What `autodiff.derive` gives."""
        return self._once((graph, derivation), lambda: autodiff.derive(graph, derivation))

    def jvp(self, graph: Graph, wrt: Sequence[str]) -> Graph:
        """What `autodiff.jvp` gives."""
        return self._once((graph, tuple(wrt)), lambda: autodiff.jvp(graph, wrt))

    def _once(self, key: Hashable, make: Callable[[], Graph]) -> Graph:
        found = self._graphs.get(key)
        if found is None:
            found = self._graphs[key] = make()
        return found
