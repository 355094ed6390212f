"""Archives of torch.export written by hand, or changed."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

PROGRAMS = Path(__file__).parent / "programs"
MODEL = "archive/models/model.json"
DOUBLE, FLOAT, LONG, BOOL, HALF, COMPLEX, NARROW = 8, 7, 5, 12, 6, 11, 9


def tensor(shape: tuple[int, ...], dtype: int = DOUBLE) -> dict[str, Any]:
    return {"dtype": dtype, "sizes": [{"as_int": n} for n in shape]}


def spec(kind: str | None, children: list[Any], context: str = "null") -> dict[str, Any]:
    return {"type": kind, "context": None if kind is None else context, "children_spec": children}


LEAF = spec(None, [])


def node(target: str, inputs: dict[str, Any], outputs: list[str], trace: str = "") -> dict[str, Any]:
    given = [{"name": name, "arg": arg, "kind": 1} for name, arg in inputs.items()]
    return {
        "target": f"torch.ops.{target}",
        "inputs": given,
        "outputs": [{"as_tensor": {"name": name}} for name in outputs],
        "metadata": {"stack_trace": trace},
        "name": outputs[0] if outputs else "n",
    }


def of(name: str) -> dict[str, Any]:
    return {"as_tensor": {"name": name}}


def program(nodes: list[Any], values: dict[str, Any], inputs: list[str], outputs: list[str]) -> dict[str, Any]:
    """A program of a few nodes in the records of torch.export."""
    positional = spec("builtins.tuple", [LEAF] * len(inputs))
    arguments = spec("builtins.tuple", [positional, spec("builtins.dict", [], "[]")])
    result = LEAF if len(outputs) == 1 else spec("builtins.tuple", [LEAF] * len(outputs))
    return {
        "graph_module": {
            "graph": {
                "inputs": [of(name) for name in inputs],
                "outputs": [of(name) for name in outputs],
                "nodes": nodes,
                "tensor_values": values,
            },
            "signature": {
                "input_specs": [{"user_input": {"arg": of(name)}} for name in inputs],
                "output_specs": [{"user_output": {"arg": of(name)}} for name in outputs],
            },
            "module_call_graph": [
                {
                    "fqn": "",
                    "signature": {
                        "in_spec": json.dumps([1, arguments]),
                        "out_spec": json.dumps([1, result]),
                        "forward_arg_names": inputs,
                    },
                }
            ],
        },
        "schema_version": {"major": 8, "minor": 20},
    }


def archive(read: Any, **more: bytes) -> bytes:
    """The bytes of an archive of a program."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr(MODEL, json.dumps(read))
        for name, data in more.items():
            made.writestr(name, data)
    return file.getvalue()


def one(target: str, inputs: dict[str, Any], result: dict[str, Any], trace: str = "", **values: Any) -> bytes:
    """The archive of one operator applied to `x`, and to others."""
    given = {"x": tensor((2, 3)), **values}
    return archive(program([node(target, inputs, ["y"], trace)], {**given, "y": result}, [*given], ["y"]))


def rewritten(name: str, change: Any, program: str = "mixer") -> bytes:
    """An archive with one entry changed."""
    file = io.BytesIO()
    with zipfile.ZipFile(PROGRAMS / f"{program}.pt2") as given, zipfile.ZipFile(file, "w") as made:
        for entry in given.namelist():
            data = given.read(entry)
            made.writestr(entry, change(data) if entry == name else data)
    return file.getvalue()
