"""The one graph of a function that was loaded."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from gradserve.client.tracing.signature import (
    Batch,
    Bound,
    Names,
    batched_names,
    converted,
    names_of,
    require_batched,
    widened,
)
from gradserve.client.tracing.trace import Traced
from gradserve.client.tracing.trees import Branch, Leaf, Structure, flatten
from gradserve.client.tracing.watching import Watch
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.graph import Graph


class LoadedGraph:
    """A graph whose inputs are the parameters. It returns its output, or a dict of them if there are several."""

    def __init__(self, graph: Graph) -> None:
        """The graph may be symbolic; its symbols are bound by the arguments of each call."""
        names = tuple(output.name for output in graph.outputs)
        output: Structure = Leaf() if len(names) == 1 else Branch(dict, names, (Leaf(),) * len(names))
        self.watch: Watch = False  # a file reads nothing
        self.latest = Traced(graph, {given.name: Leaf() for given in graph.inputs}, output)
        self._remembered: dict[Hashable, Any] = {}

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return tuple(self.latest.inputs)

    def __str__(self) -> str:
        return "loaded"

    def bind(
        self, arguments: Sequence[Any], named: Mapping[str, Any], wrt: Names, batch: Batch, looked: bool = False
    ) -> Bound:
        """The arguments by position or by the name of the input; trees are taken apart to the names of inputs."""
        del looked  # a graph reads nothing
        types = self.latest.graph.input_types
        leaves = {name: widened(leaf, types.get(name), name) for name, leaf in self._leaves(arguments, named)}
        missing = [f"{name}: {type_}" for name, type_ in types.items() if name not in leaves]
        unknown = [name for name in leaves if name not in types]
        if missing or unknown:
            faults = [f"lack {', '.join(missing)}"] if missing else []
            faults += [f"have {', '.join(unknown)} too much"] if unknown else []
            raise InvalidRequest(f"the arguments {' and '.join(faults)}; the graph takes {', '.join(types)}")
        wrt = names_of(wrt, types, "wrt") or tuple(name for name, type_ in types.items() if type_.is_float)
        batched = batched_names(batch, wrt, types)
        require_batched(leaves, batched)
        values = {name: converted(leaves[name], types[name], name) for name in types}
        return Bound(self.latest, wrt, values, batched)

    def remembered(self) -> dict[Hashable, Any]:
        """What may be kept of calls: the graph stays."""
        return self._remembered

    def _leaves(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> list[tuple[str, Any]]:
        types = self.latest.graph.input_types
        if len(arguments) > len(types):
            raise InvalidRequest(f"{len(arguments)} arguments are given and the graph takes {len(types)}")
        given = dict(zip(types, arguments, strict=False))
        twice = [name for name in named if name in given]
        if twice:
            raise InvalidRequest(f"{', '.join(twice)} is given twice, by position and by name")
        leaves: list[tuple[str, Any]] = []
        for name, tree in {**given, **named}.items():
            leaves += [(name, tree)] if name in types else flatten(tree, name)[0]
        return leaves
