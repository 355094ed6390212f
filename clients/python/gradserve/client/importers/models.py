"""Models as graphs: functions that hold arrays of their own, which are parameters with defaults."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from gradserve.client.importers.imported import Imported
from gradserve.client.tracing.parameters import Parameters
from gradserve.client.tracing.trees import flatten
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array


@dataclass(frozen=True)
class ImportedModel(Imported):
    """A model as a graph, with what it holds."""

    defaults: Mapping[str, Any] = field(default_factory=dict)
    """The trees of the model's own arrays, by the parameters that they are unless others are given."""

    @property
    def arrays(self) -> dict[str, Array]:
        """The model's own arrays by the names of the graph's inputs."""
        return {path: leaf for name, tree in self.defaults.items() for path, leaf in flatten(tree, name)[0]}


class Defaulted(Parameters):
    """Parameters of which the last ones need not be given."""

    def __init__(self, names: Sequence[str], defaults: Mapping[str, Any]) -> None:
        """`names` are those that must be given, in their order."""
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        given = [inspect.Parameter(name, kind) for name in names]
        last = [inspect.Parameter(name, kind, default=...) for name in defaults]  # which messages show

        def model(*arguments: Any) -> None:
            """Stands for the model, which is a graph."""

        model.__signature__ = inspect.Signature([*given, *last])  # type: ignore[attr-defined]
        super().__init__(model)
        self._defaults = defaults

    def bind(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name, with the model's own arrays unless others are given."""
        bound = super().bind(arguments, named)
        return {**bound, **{name: bound.get(name, tree) for name, tree in self._defaults.items()}}
