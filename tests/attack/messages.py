"""Any protobuf message with a few changes by its fields, so that it still parses and says what none should."""

import random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

TEXTS = ("w", "x", "y", "loss", "n", "numpy", "fused", "xla", "", "ab" * 32, "\u1234")
WHOLE = (0, 1, 2, 3, 7, 100, -1, 2**31 - 1, -(2**31), 2**32 - 1, 2**40, 2**62, 2**63 - 1, -(2**63), 2**64 - 1)
REALS = (0.0, 1.0, -1.0, 0.1, 1e-300, 1e300, 5e-324, float("nan"), float("inf"), float("-inf"))
_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def value(field: FieldDescriptor, dice: random.Random) -> Any:
    """Something that a field may hold which holds no message."""
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            text = dice.choice(TEXTS)
            return text.encode() if field.type == FieldDescriptor.TYPE_BYTES else text
        case FieldDescriptor.CPPTYPE_BOOL:
            return dice.random() < 0.5
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return dice.choice(REALS)
        case FieldDescriptor.CPPTYPE_ENUM:
            return dice.choice([each.number for each in (field.enum_type.values if field.enum_type else ())] + [99])
        case kind:
            low, high = _RANGES[kind]
            return min(max(dice.choice(WHOLE), low), high)


def shaken(message: Any, dice: random.Random) -> None:
    """Changes one field of a message, or of one somewhere within it."""
    while (inner := _inner(message)) and dice.random() < 0.75:
        message = dice.choice(inner)
    present = [field for field, _ in message.ListFields()]
    fields = present if present and dice.random() < 0.6 else message.DESCRIPTOR.fields
    if not fields:
        return
    field = dice.choice(fields)
    if not field.is_repeated:
        _change_one(message, field, dice)
    elif field.message_type and field.message_type.GetOptions().map_entry:
        _change_map(getattr(message, field.name), field, dice)
    else:
        _change_many(getattr(message, field.name), field, dice)


def _inner(message: Any) -> list[Any]:
    """The messages that it holds."""
    found: list[Any] = []
    for field, held in message.ListFields():
        if not field.message_type:
            continue
        if not field.is_repeated:
            found.append(held)
        elif not field.message_type.GetOptions().map_entry:
            found += held
        elif field.message_type.fields_by_name["value"].message_type:
            found += [held[key] for key in sorted(held)]
    return found


def _change_one(message: Any, field: FieldDescriptor, dice: random.Random) -> None:
    if dice.random() < 0.25:
        message.ClearField(field.name)
    elif field.message_type:
        getattr(message, field.name).SetInParent()
    elif field.cpp_type in _RANGES and dice.random() < 0.4:
        low, high = _RANGES[field.cpp_type]
        setattr(message, field.name, min(max(getattr(message, field.name) + dice.choice((1, -1)), low), high))
    else:
        setattr(message, field.name, value(field, dice))


def _change_many(held: Any, field: FieldDescriptor, dice: random.Random) -> None:
    at = dice.randrange(len(held)) if held else 0
    match dice.randrange(5):
        case 0 if held:
            del held[at]
        case 1 if held:
            copies = [held[at]] * dice.choice((1, 1, 2, 40))
            held.extend(copies)
        case 2 if held and not field.message_type:
            held[at] = value(field, dice)
        case 3 if len(held) > 1 and field.message_type:
            held[at].CopyFrom(held[dice.randrange(len(held))])
        case _:
            held.add() if field.message_type else held.append(value(field, dice))


def _change_map(held: Any, field: FieldDescriptor, dice: random.Random) -> None:
    assert field.message_type
    entry = field.message_type.fields_by_name
    keys = sorted(held)
    new = dice.choice(keys) if keys and dice.random() < 0.3 else value(entry["key"], dice)
    if keys and dice.random() < 0.3:
        del held[dice.choice(keys)]
    elif not entry["value"].message_type:
        held[new] = value(entry["value"], dice)
    elif keys:
        held[new].CopyFrom(held[dice.choice(keys)])
    else:
        held[new].SetInParent()
