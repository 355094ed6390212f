"""What a trace has come to: a graph, and the structures of what goes in and comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gradserve.client.tracing.subclasses import described, has_own_arithmetic
from gradserve.client.tracing.trees import Leaf, Structure, kept_beside, paths
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.graph import Graph
from gradserve.ir.records import dataclass, once
from gradserve.ir.types import Array, type_of

RESULT = "result"
"""The name of the output of a function that returns a single array; stands before the paths of a tree."""
_WIDER = dict.fromkeys(("int8", "int16", "uint8", "uint16"), np.int32) | {"uint32": np.int64, "float16": np.float32}
"""What elements become that are narrower than a graph's, by the names of their types."""


@dataclass(frozen=True)
class Traced:
    """A function as a graph, and how its arguments and its result become named arrays."""

    graph: Graph
    inputs: Mapping[str, Structure]
    """The structure of each argument, by the name of the parameter."""
    output: Structure
    """The structure of what the function returns."""

    @once
    def paths(self) -> Mapping[str, tuple[str, ...]]:
        """The inputs of the graph that belong to each argument, in the order of its leaves."""
        return {name: tuple(paths(structure, name)) for name, structure in self.inputs.items()}

    @once
    def real(self) -> tuple[str, ...]:
        """The arguments that hold real numbers: what one differentiates unless told otherwise."""
        types = self.graph.input_types
        return tuple(name for name, inputs in self.paths.items() if any(types[path].is_float for path in inputs))

    @once
    def of_loss(self) -> Traced:
        """The loss alone of a function that returns a pair, a number and a dict of what else is to be known; or itself.

        So `return loss, {"accuracy": a}` has the derivatives of `loss`.
        """
        first = self.graph.outputs[0].value if kept_beside(self.output) else None
        if first is None or not self.graph.value_types[first].is_float or self.graph.value_types[first].shape:
            return self
        alone = replace(self.graph, outputs=self.graph.outputs[:1]).canonical
        return Traced(alone, self.inputs, Leaf())

    @property
    def has_more(self) -> bool:
        """Whether it returns more than its loss."""
        return self.of_loss is not self


def as_array(leaf: Any, path: str) -> Array:
    """A leaf of an argument as an array, in this machine's byte order.

    Narrow elements become the narrowest that a graph has and that hold them all: int8, int16 and uint8, uint16 become
    int32, uint32 int64, float16 float32.

    Raises:
        InvalidRequest: no graph has such elements.
    """
    if has_own_arithmetic(type(leaf)):
        what, instead = described(type(leaf))
        raise InvalidRequest(f"argument {path} is {what}; {instead}")
    try:
        array = np.asarray(leaf)
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        wider = _WIDER.get(array.dtype.name)
        if wider is not None:
            array = array.astype(wider)
        type_of(array)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"argument {path}: {error}") from None
    return array
