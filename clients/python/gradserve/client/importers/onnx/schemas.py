"""What ONNX's own tables say of its operators: the elements of results, defaults, and bodies of functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, FunctionProto, NodeProto, TensorProto, helper

from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.onnx.elements import Elements
from gradserve.client.importers.onnx.entries import Entry

_NUMBERS = {
    f"tensor({name})": number
    for name, number in (
        ("float", TensorProto.FLOAT),
        ("double", TensorProto.DOUBLE),
        ("bool", TensorProto.BOOL),
        *(
            (f"{sign}int{bits}", getattr(TensorProto, f"{sign}INT{bits}".upper()))
            for sign in ("", "u")
            for bits in (8, 16, 32, 64)
        ),
    )
}


def find(name: str, version: int, domain: str) -> Any | None:
    """What ONNX says of an operator, or None if it says nothing."""
    domain = "" if domain == "ai.onnx" else domain
    try:
        return onnx.defs.get_schema(name, version, domain)
    except onnx.defs.SchemaError:
        return None


def result_dtype(
    schema: Any, number: int, operands: Sequence[Entry | None], elements: Elements
) -> np.dtype[Any] | None:
    """The elements of a result, if the schema fixes them by itself or by those of an operand."""
    if schema is None or not schema.outputs:
        return None
    said = schema.outputs[min(number, len(schema.outputs) - 1)].type_str
    if said in _NUMBERS:
        return elements.dtype(_NUMBERS[said])
    formal = schema.inputs
    for k, operand in enumerate(operands):
        if isinstance(operand, Operand) and formal and formal[min(k, len(formal) - 1)].type_str == said:
            return operand.dtype
    return None


def require(proto: NodeProto, version: int, operands: Sequence[Entry | None]) -> None:
    """Whether a node has the operands and attributes that its operator takes.

    Raises:
        ValueError: it has not.
    """
    schema = find(proto.op_type, version, proto.domain)
    if schema is None:
        raise ValueError(f"operator set {version} has no {proto.op_type}")
    options = onnx.defs.OpSchema.FormalParameterOption
    lacking = [
        each.name for k, each in enumerate(schema.inputs) if each.option == options.Single and _left_out(operands, k)
    ]
    lacking += [name for name, each in schema.attributes.items() if each.required and not _has(proto, name)]
    if lacking or len(operands) < schema.min_input:
        raise ValueError(f"it lacks {', '.join(lacking) or 'operands'}")
    if schema.inputs and schema.inputs[-1].option == options.Variadic and None in operands[len(schema.inputs) - 1 :]:
        raise ValueError(f"one of its {schema.inputs[-1].name} is left out")
    if len(operands) > schema.max_input or len(proto.output) > schema.max_output:
        raise ValueError("it has more operands or results than its operator")
    for each in proto.attribute:
        known = schema.attributes.get(each.name)
        if known is None:
            raise ValueError(f"its operator has no attribute {each.name!r}")
        if int(known.type) != each.type:
            raise ValueError(f"its attribute {each.name} is of another type than its operator says")


def _left_out(operands: Sequence[Entry | None], k: int) -> bool:
    return k >= len(operands) or operands[k] is None


def _has(proto: NodeProto, name: str) -> bool:
    return any(each.name == name for each in proto.attribute)


def defaults(proto: NodeProto, version: int) -> dict[str, AttributeProto]:
    """The attributes that an operator has if none are given."""
    schema = find(proto.op_type, version, proto.domain)
    if schema is None:
        return {}
    values = {name: each.default_value for name, each in schema.attributes.items()}
    return {name: value for name, value in values.items() if value.name}


def has_body(name: str) -> bool:
    """Whether ONNX defines an operator of its newest set by a function."""
    schema = find(name, onnx.defs.onnx_opset_version(), "")
    return schema is not None and bool(schema.has_function or schema.has_context_dependent_function)


def body(proto: NodeProto, version: int, operands: Sequence[Entry | None]) -> FunctionProto | None:
    """The function that ONNX defines an operator by, for operands of these types; None if there is none."""
    schema = find(proto.op_type, version, proto.domain)
    if schema is None:
        return None
    if schema.has_function:
        own: FunctionProto = schema.function_body
        return own
    if not schema.has_context_dependent_function:
        return None
    types = [_type(x) for x in operands]
    whole = NodeProto()
    whole.CopyFrom(proto)
    versions = [v for v in schema.context_dependent_function_opset_versions if v <= version]
    if not versions:
        return None
    build = schema.get_context_dependent_function_with_opset_version
    try:
        made = build(max(versions), whole.SerializeToString(), types)
    except RuntimeError as error:
        raise ValueError(f"ONNX has no body for it: {str(error).splitlines()[0]}") from None
    return FunctionProto.FromString(made) if made else None


def _type(operand: Entry | None) -> bytes:
    if not isinstance(operand, Operand):
        return b""
    number = helper.np_dtype_to_tensor_dtype(operand.dtype)
    return bytes(helper.make_tensor_type_proto(number, operand.shape).SerializeToString())
