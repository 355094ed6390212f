"""The manifest: the op set as data, for documentation, for clients in other languages, and to compare versions."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from gradserve.ir.op import Op, attribute_types
from gradserve.ir.types import ElementType, Shape
from gradserve.ops.family import Discrete
from gradserve.ops.registry import Registry

_ATTRIBUTE_TYPES: Mapping[Any, str] = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "string",
    ElementType: "element_type",
}


class OpEntry(TypedDict):
    """One op of the manifest."""

    name: str
    summary: str
    """What the op computes, in a sentence."""
    since: int
    """The op-set version that brought it."""
    arity: int | None
    """The number of operands; None means one or more."""
    functions: list[str]
    """The functions that it calls, in the order in which a node names them."""
    attributes: dict[str, str]
    """Names to types: bool, int, float, string, element_type, ints, or shape (whose lengths may be symbols)."""
    constraints: dict[str, str]
    linear_in: Sequence[int] | None
    """The operands in which the op is linear, one at a time; None means jointly linear in all."""
    refuses: Sequence[int]
    """The operands in which a derivative is refused, as no op computes it."""
    differentiable: bool
    """Whether the op has a derivative that is not zero everywhere."""
    internal: bool
    """Whether only derivatives and the optimiser write it: a graph with it is refused."""


class Manifest(TypedDict):
    """The op set of one version."""

    version: int
    ops: list[OpEntry]


def manifest(op_set: Registry) -> Manifest:
    """The op set as data that JSON can hold, ops in the order of their names."""
    return Manifest(version=op_set.version, ops=[entry(op) for op in sorted(op_set, key=lambda op: op.name)])


def entry(op: type[Op]) -> OpEntry:
    """What the manifest says about one op."""
    return OpEntry(
        name=op.name,
        summary=_summary(op),
        since=op.since,
        arity=op.arity,
        functions=list(op.calls_functions),
        attributes={name: attribute_type(kind) for name, kind in attribute_types(op).items()},
        constraints=dict(op.constraints),
        linear_in=None if op.linear_in is None else list(op.linear_in),
        refuses=list(op.refuses),
        differentiable=op.arity != 0 and op.jvp not in (Op.jvp, Discrete.jvp),
        internal=op.internal,
    )


def attribute_type(kind: Any) -> str:
    """The manifest's name for the declared type of an attribute.

    Raises:
        TypeError: no graph can carry it.
    """
    if kind == Shape:
        return "shape"
    if kind == tuple[int, ...]:
        return "ints"
    if kind not in _ATTRIBUTE_TYPES:
        raise TypeError(f"the manifest has no name for attributes of type {kind}")
    return _ATTRIBUTE_TYPES[kind]


def _summary(op: type[Op]) -> str:
    """The first paragraph of the class's documentation, on one line."""
    return " ".join((inspect.getdoc(op) or "").split("\n\n")[0].split())
