"""The graph: a pure function on arrays as frozen data, in static single assignment."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any, TypeAlias

import numpy as np

from gradserve.ir.attributes import has_symbols
from gradserve.ir.op import Op
from gradserve.ir.records import dataclass, once, record
from gradserve.ir.types import Array, TensorType, type_of


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a node came from in the author's source."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Literal:
    """A constant with its elements. Equal to every constant of the same type and the same bytes."""

    __slots__ = ("__dict__", "array", "type")

    def __init__(self, array: Any) -> None:
        """Freezes `array`: a read-only, row-major copy unless it is that already."""
        given = np.asarray(array)
        frozen = np.asarray(given, order="C")
        if frozen.flags.writeable:
            frozen = frozen.copy() if frozen is given or frozen.base is not None else frozen
            frozen.flags.writeable = False
        self.array: Array = frozen
        self.type: TensorType = type_of(frozen)

    @once
    def digest(self) -> str:
        """SHA-256 of the elements' bytes, row-major and little endian: the name of the blob that holds them."""
        return hashlib.sha256(self.array.data if self.array.size else b"").hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal | BlobRef) and self.type == other.type and self.digest == other.digest

    def __hash__(self) -> int:
        return hash((self.type, self.digest))

    def __repr__(self) -> str:
        return f"Literal({self.type}, {self.digest[:8]})"


@dataclass(frozen=True, slots=True)
class BlobRef:
    """A constant whose elements are elsewhere, under their digest."""

    type: TensorType
    digest: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal | BlobRef) and self.type == other.type and self.digest == other.digest

    def __hash__(self) -> int:
        return hash((self.type, self.digest))


Constant: TypeAlias = Literal | BlobRef


@dataclass(frozen=True, slots=True)
class Input:
    """A named input."""

    name: str
    type: TensorType


@dataclass(frozen=True, slots=True)
class Output:
    """A named output."""

    name: str
    value: int


@record
class Node:
    """One application of an op: the values it reads and the types of the values it produces."""

    op: Op
    operands: tuple[int, ...]
    types: tuple[TensorType, ...]
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Graph:
    """A function of one example.

    Values are numbered densely: inputs, then constants, then the outputs of the nodes in order; an operand is smaller
    than every value its node produces, which is the whole acyclicity check.
    """

    inputs: tuple[Input, ...]
    constants: tuple[Constant, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Output, ...]

    @once
    def value_types(self) -> tuple[TensorType, ...]:
        """The type of every value."""
        given = [i.type for i in self.inputs] + [c.type for c in self.constants]
        return tuple(given + [t for node in self.nodes for t in node.types])

    @once
    def largest_value(self) -> tuple[TensorType, Origin | None] | None:
        """The type of the largest value that a node produces, and where the node came from; None without nodes."""
        made = ((type_, node.origin) for node in self.nodes for type_ in node.types)
        return max(made, key=lambda found: found[0].nbytes, default=None)

    @once
    def input_types(self) -> Mapping[str, TensorType]:
        """The type of every input, by name."""
        return {i.name: i.type for i in self.inputs}

    @once
    def output_types(self) -> Mapping[str, TensorType]:
        """The type of every output, by name."""
        return {o.name: self.value_types[o.value] for o in self.outputs}

    @property
    def first_node_value(self) -> int:
        """The number of inputs and constants: the value that the first node produces."""
        return len(self.inputs) + len(self.constants)

    @once
    def first_values(self) -> list[int]:
        """Of each node the first value that it produces."""
        found, value = [], self.first_node_value
        for node in self.nodes:
            found.append(value)
            value += len(node.types)
        return found

    def numbered_nodes(self) -> Iterator[tuple[Node, range]]:
        """Every node with the values it produces."""
        for node, value in zip(self.nodes, self.first_values, strict=True):
            yield node, range(value, value + len(node.types))

    @once
    def functions(self) -> tuple[Graph, ...]:
        """The functions that its nodes call and those that these call, each once and before its callers."""
        found: dict[Graph, None] = {}
        for node in self.nodes if any(kind.calls_functions for kind in self.kinds) else ():
            for function in node.op.functions.values():
                found |= dict.fromkeys((*function.functions, function))
        return tuple(found)

    @once
    def kinds(self) -> frozenset[type[Op]]:
        """The classes of its nodes' ops."""
        return frozenset({type(node.op) for node in self.nodes})

    def has(self, *kinds: type[Any]) -> bool:
        """Whether a node applies an op of one of these classes."""
        return any(issubclass(kind, kinds) for kind in self.kinds)

    def holds(self, *kinds: type[Any]) -> bool:
        """Whether a node of it, or of a function that is called in it, applies an op of one of these classes."""
        return any(each.has(*kinds) for each in (self, *self.functions))

    @once
    def is_concrete(self) -> bool:
        """Whether every length is a number, those of attributes included."""
        return all(t.is_concrete for t in self.value_types) and not any(has_symbols(node.op) for node in self.nodes)

    @property
    def canonical(self) -> Graph:
        """The graph's canonical form, which is its own: see `ir.canonical`."""
        other = self._canonical
        return self if other is None else other

    @once
    def _canonical(self) -> Graph | None:
        """The canonical form; None of one that is its own, as what holds itself is not freed when it is let go."""
        from gradserve.ir.canonical import canonical

        found = canonical(self)
        found.__dict__["_canonical"] = None
        return found

    @once
    def digest(self) -> str:
        """SHA-256 of the canonical form, in lower-case hexadecimal: the graph's identity."""
        from gradserve.ir.canonical import digest

        return digest(self)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: the canonical form is soon found again, and hashes are others in each process."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_canonical", "_hash")}

    @once
    def _hash(self) -> int:
        """That of all its parts: functions that differ in little may come by the thousand."""
        return hash(self._parts)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Graph) and hash(self) == hash(other) and _alike(self, other)

    @property
    def _parts(self) -> tuple[object, ...]:
        return self.inputs, self.constants, self.nodes, self.outputs

    def __str__(self) -> str:
        given = ", ".join(f"{i.name}: {i.type}" for i in self.inputs)
        made = ", ".join(f"{name}: {type_}" for name, type_ in self.output_types.items())
        return f"graph ({given}) -> ({made}) of {len(self.nodes)} nodes"


_comparing = threading.local()


def _alike(one: Graph, other: Graph) -> bool:
    """Whether all parts are equal; functions in each other are compared once, not for each way to them."""
    known: set[tuple[int, int]] | None = getattr(_comparing, "alike", None)
    if known is None:
        _comparing.alike = set()
        try:
            return _alike(one, other)
        finally:
            del _comparing.alike
    pair = id(one), id(other)
    if pair not in known:
        if one._parts != other._parts:
            return False
        known.add(pair)
    return True
