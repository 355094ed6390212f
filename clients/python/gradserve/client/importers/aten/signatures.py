"""How a caller's trees belong to the inputs and outputs of a program."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gradserve.client.importers.imported import Malformed
from gradserve.client.tracing.trees import Branch, Leaf, Structure, count, require_keys
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.records import dataclass

_PROTOCOL = 1
_SEQUENCES: dict[str, type[Any]] = {
    "builtins.tuple": tuple,
    "builtins.list": list,
    "torch.fx.immutable_collections.immutable_list": list,
    "torch.Size": tuple,
}
_MAPPINGS: dict[str, type[Any]] = {
    "builtins.dict": dict,
    "collections.OrderedDict": OrderedDict,
    "torch.fx.immutable_collections.immutable_dict": dict,
}
_NOTHING = Branch(type(None), (), ())

Given = tuple[str | None, Any]
"""The name of a value, or None and the constant that stands in its place."""


@dataclass(frozen=True)
class Signature:
    """The trees that a program takes and gives."""

    inputs: Mapping[str, Structure]
    """By the names of the parameters."""
    given: Sequence[Given]
    """For each leaf of the inputs."""
    output: Structure

    @staticmethod
    def of(module: Mapping[str, Any]) -> Signature:
        """What the program tells."""
        given = list(_given(module["signature"]["input_specs"]))
        call = module["module_call_graph"][0]["signature"]
        if call is None:
            raise Malformed("the program does not tell how it is called; export it anew")
        inputs = _structure(_tree(call["in_spec"]), "the arguments")
        if not isinstance(inputs, Branch) or len(inputs.children) != 2 or count(inputs) != len(given):
            raise Malformed("the program's inputs are not those of its signature")
        positional, named = inputs.children
        if not (isinstance(positional, Branch) and isinstance(named, Branch)):
            raise Malformed("the program's arguments are no tuple and dict")
        names = _names(call.get("forward_arg_names"), positional, named)
        children = [*positional.children, *named.children]
        return Signature(
            dict(zip(names, children, strict=True)), given, _structure(_tree(call["out_spec"]), "the result")
        )

    @staticmethod
    def without_constants(structure: Structure, leaves: Iterator[Given]) -> Structure:
        """The structure with nothing in the place of leaves that have no name."""
        if isinstance(structure, Leaf):
            return structure if next(leaves)[0] is not None else _NOTHING
        children = tuple(Signature.without_constants(child, leaves) for child in structure.children)
        return Branch(structure.container, structure.keys, children)


def _given(specs: Sequence[Mapping[str, Any]]) -> Iterator[Given]:
    for spec in specs:
        ((kind, told),) = spec.items()
        if kind == "constant_input":
            ((_, value),) = told["value"].items()
            yield None, None if "as_none" in told["value"] else value
        elif kind == "user_input":
            ((kind, value),) = told["arg"].items()
            if kind != "as_tensor":
                raise InvalidRequest(f"the program takes {kind.removeprefix('as_')}; export it with tensors alone")
            yield value["name"], None
        elif kind == "custom_obj":
            raise InvalidRequest(f"the program takes a {kind}, which no graph does; export it without")


def _names(told: Sequence[str] | None, positional: Branch, named: Branch) -> list[str]:
    """The names of the parameters: those of `forward`, or made up for what it has no name for."""
    keys = [str(key) for key in named.keys]
    total = len(positional.children)
    if told is not None and len(told) == total + len(keys) and len(set(told)) == len(told):
        return [*told[:total], *keys]
    return [*(f"x{k}" for k in range(total)), *keys]


def _tree(text: str) -> Any:
    protocol, tree = json.loads(text)
    if protocol != _PROTOCOL:
        raise Malformed(f"trees are written by protocol {protocol}, and {_PROTOCOL} is read")
    return tree


def _structure(told: Mapping[str, Any], what: str) -> Structure:
    kind, children = told["type"], told["children_spec"]
    if kind is None:
        return Leaf()
    inner = tuple(_structure(child, what) for child in children)
    if kind in _SEQUENCES or kind.endswith("namedtuple"):
        return Branch(_SEQUENCES.get(kind, tuple), tuple(range(len(inner))), inner)
    if kind in _MAPPINGS:
        keys = tuple(json.loads(told["context"]))
        require_keys(keys, what)
        if len(keys) != len(inner):
            raise Malformed(f"a dict of {len(keys)} keys holds {len(inner)} trees")
        return Branch(_MAPPINGS[kind], keys, inner)
    raise InvalidRequest(f"{what} hold a {kind}; give and return tensors in dicts, lists and tuples")
