"""The settings as JSON Schema, by which Helm looks at those of the chart: `python -m` with this module's name.

It is never stricter than a service: that looks at all that has come so far.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from gradserve.ir.quantities import Quantity
from gradserve.service.configuration.kinds import Kind, Perhaps, Switch, Text, Words
from gradserve.service.configuration.reading import SETTINGS

_NUMBER = r"[+-]?[0-9][0-9_]*(\.[0-9]*)?([eE][+-]?[0-9]+)?"


def schema() -> dict[str, Any]:
    """What the value of each setting may be in a file, by a pattern of its name."""
    return {f"^{name}$": schema_of(setting.kind) for name, setting in SETTINGS.items()}


def schema_of(kind: Kind) -> dict[str, Any]:
    """What values of a kind may be.

    Raises:
        TypeError: nobody has said.
    """
    match kind:
        case Switch():
            return {"anyOf": [{"type": "boolean"}, {"enum": [0, 1]}, _words("true|yes|on|1|false|no|off|0")]}
        case Quantity(least=least, most=most, whole=whole, units=units):
            number = {"type": "integer" if whole else "number", "minimum": least, "maximum": most}
            unit = rf"\s*(?i:{'|'.join(sorted(units))})?" if units else ""
            return {"anyOf": [number, {"type": "string", "pattern": rf"^\s*{_NUMBER}{unit}\s*$"}]}
        case Text(choices=choices):
            return {"enum": list(choices)} if choices else {"type": "string"}
        case Words(of=of):
            return {"anyOf": [{"type": "string"}, {"type": "array", "items": schema_of(of)}]}
        case Perhaps(of=of):
            nothing: list[dict[str, Any]] = [{"type": "null"}, _words("none|null")]
            if isinstance(of, Quantity):
                nothing.append({"enum": [-1, "-1"]})
            given = schema_of(of)
            return {"anyOf": [*nothing, *given.get("anyOf", [given])]}
    raise TypeError(f"no schema of {kind}")


def _words(which: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^(?i:{which})$"}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema(), indent=2) + "\n")
