"""The one graph of a function that was loaded or imported."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradserve.client.tracing.parameters import Parameters
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
from gradserve.client.tracing.traced import Traced
from gradserve.client.tracing.trees import flatten, leaves_like
from gradserve.client.tracing.watching import Watch
from gradserve.ir.errors import InvalidRequest

if TYPE_CHECKING:
    from gradserve.numpy.recorder import Recorder


class LoadedGraph:
    """One graph whose inputs are the leaves of its parameters."""

    def __init__(self, traced: Traced, source: str = "loaded", parameters: Parameters | None = None) -> None:
        """The graph may be symbolic; its symbols are bound by the arguments of each call.

        `parameters` are those of the function that it was imported from, if they do more than stand in their order.
        """
        self.watch: Watch = False  # a graph reads nothing
        self.latest = traced
        self._source = source
        self._parameters = parameters
        self._remembered: dict[Hashable, Any] = {}

    @property
    def function(self) -> Callable[..., Any]:
        """There is none."""
        raise AttributeError(f"{self._source} is a graph, and no function of an author's")

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters."""
        return tuple(self.latest.inputs)

    def __str__(self) -> str:
        return self._source

    def bind(
        self, arguments: Sequence[Any], named: Mapping[str, Any], wrt: Names, batch: Batch, looked: bool = False
    ) -> Bound:
        """The arguments by position or by the name of the parameter; trees are taken apart to the names of inputs."""
        del looked  # a graph reads nothing
        types, inputs = self.latest.graph.input_types, self.latest.paths
        leaves = {name: widened(leaf, types[name], name) for name, leaf in self._given(arguments, named).items()}
        wrt = names_of(wrt, inputs, "wrt") or self.latest.real
        batched = tuple(path for name in batched_names(batch, wrt, inputs) for path in inputs[name])
        require_batched(leaves, batched)
        values = {name: converted(leaves[name], types[name], name) for name in types}
        return Bound(self.latest, wrt, values, batched)

    def within(self, g: Recorder, arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """What the graph comes to where a function is traced: its nodes are written there."""
        from gradserve.client.tracing.inlined import inlined  # with which all ops come

        return inlined(g, self._source, self.latest, self._given(arguments, named))

    def remembered(self) -> dict[Hashable, Any]:
        """What may be kept of calls: the graph stays."""
        return self._remembered

    def _given(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by the graph's inputs.

        Raises:
            InvalidRequest: there are others, or some are missing.
        """
        types, leaves = self.latest.graph.input_types, dict(self._leaves(arguments, named))
        missing = [f"{name}: {type_}" for name, type_ in types.items() if name not in leaves]
        unknown = [name for name in leaves if name not in types]
        if missing or unknown:
            faults = [f"lack {', '.join(missing)}"] if missing else []
            faults += [f"have {', '.join(unknown)} too much"] if unknown else []
            raise InvalidRequest(f"the arguments {' and '.join(faults)}; the graph takes {', '.join(types)}")
        return leaves

    def _leaves(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> list[tuple[str, Any]]:
        inputs = self.latest.inputs
        if self._parameters is not None:
            return self._paths(self._parameters.bind(arguments, named))
        if len(arguments) > len(inputs):
            raise InvalidRequest(f"{len(arguments)} arguments are given and the graph takes {len(inputs)}")
        given = dict(zip(inputs, arguments, strict=False))
        twice = [name for name in named if name in given]
        if twice:
            raise InvalidRequest(f"{', '.join(twice)} is given twice, by position and by name")
        return self._paths({**given, **named})

    def _paths(self, given: Mapping[str, Any]) -> list[tuple[str, Any]]:
        inputs, leaves = self.latest.inputs, list[tuple[str, Any]]()
        for name, tree in given.items():
            leaves += leaves_like(tree, inputs[name], name) if name in inputs else flatten(tree, name)[0]
        return leaves
