"""Small requests that ask for very much, and a service of its own process that they are sent to.

`python -m tests.attack.bombs` prints what each of them comes to, in what time, and how much memory it takes.
"""

from __future__ import annotations

import argparse
import itertools
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import OP_SET, builder
from gradserve.ops.control.derivatives import Jvp, Vjp
from gradserve.text.parsing import parse
from gradserve.v1 import execution_pb2, graph_pb2, tensor_pb2
from gradserve.wire import encode_graph
from tests.attack.bytes import field, varint

F64, I64 = tensor_pb2.ELEMENT_TYPE_FLOAT64, tensor_pb2.ELEMENT_TYPE_INT64
MOST_BYTES = 50 << 20
"""How much memory none of them may take."""
SECONDS = 1.0
"""How many seconds of a processor none of them may take; each is less than the time on a machine that does no more."""
REFUSED = {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "UNIMPLEMENTED", "NOT_FOUND"}

EXPLAIN = {"evaluate": 8, "gradient": 9, "jvp": 10, "vjp": 11, "hvp": 12, "jacobian": 13, "hessian": 14,
           "estimate_trace": 15, "gauss_newton_product": 16}  # fmt: skip


@dataclass(frozen=True)
class Bomb:
    """One request."""

    method: str
    data: bytes


@dataclass(frozen=True)
class Effect:
    """What it came to."""

    code: str
    message: str
    seconds: float
    """Of a processor."""
    grown: int
    """Bytes by which the service was larger at some moment than before."""

    @property
    def is_fine(self) -> bool:
        """Whether it was answered, or refused by name, without much memory."""
        return self.code in {*REFUSED, "OK"} and self.grown < MOST_BYTES

    def __str__(self) -> str:
        return f"{self.code:20} {self.seconds:6.2f} s {self.grown >> 20:5} MiB {self.message[:110]!r}"


def _register(graph: bytes) -> Bomb:
    return Bomb("GraphService/RegisterGraph", field(1, graph))


def _asked(question: str, graph: bytes) -> Bomb:
    """An explanation of a question about a graph, whose arguments and vectors are types."""
    inputs, outputs = _types(graph) if len(graph) < 1 << 20 else ({}, {})
    vectors = {"jvp": inputs, "hvp": inputs, "vjp": outputs}.get(question, {})
    asked = field(1, field(1, field(1, graph)) + _tensors(inputs)) + _tensors(vectors)
    asked += field(3, b"y") if question == "gauss_newton_product" else b""
    return Bomb("GraphService/ExplainGraph", field(EXPLAIN[question], asked))


def _types(graph: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The types of a graph's inputs and outputs, by name, as it says them."""
    message = graph_pb2.Graph.FromString(graph)
    types: list[Any] = [given.type for given in message.inputs]
    types += [tensor_pb2.TensorType(element_type=c.element_type, shape=[{"size": n} for n in c.shape])
              for c in message.constants]  # fmt: skip
    types += [type_ for node in message.nodes for type_ in node.types]
    return (
        {given.name: given.type for given in message.inputs},
        {output.name: types[output.value] for output in message.outputs if output.value < len(types)},
    )


def _tensors(types: dict[str, Any]) -> bytes:
    """The arguments of a call, or the vectors of a question: all of them have the same number."""
    call = execution_pb2.Call()
    for name, type_ in types.items():
        tensor = call.arguments[name]
        tensor.element_type = type_.element_type
        tensor.shape.extend(n.size for n in type_.shape)
    return call.SerializeToString()


def _numbers(name: str, number: int = 2) -> bytes:
    """A number of this name among the arguments of a call, or in another field of a request."""
    tensor = tensor_pb2.Tensor(element_type=F64, inline=struct.pack("<d", 0.5)).SerializeToString()
    return field(number, field(1, name.encode()) + field(2, tensor))


def _text(text: str) -> bytes:
    return encode_graph(parse(text, OP_SET)).SerializeToString()


def _type(*shape: int, element: int = F64) -> Any:
    return {"element_type": element, "shape": [{"size": n} for n in shape]}


def _graph(*inputs: Any) -> graph_pb2.Graph:
    graph = graph_pb2.Graph(op_set_version=OP_SET.version)
    for k, type_ in enumerate(inputs):
        graph.inputs.add(name=f"x{k}", type=type_)
    return graph


def _node(graph: graph_pb2.Graph, op: str, operands: list[int], type_: Any, **attributes: Any) -> graph_pb2.Node:
    node = graph.nodes.add(op=op, operands=operands, types=[type_])
    for name, value in attributes.items():
        attribute = node.attributes[name]
        if isinstance(value, bool):
            attribute.boolean = value
        elif isinstance(value, int):
            attribute.integer = value
        elif isinstance(value, float):
            attribute.real = value
        elif isinstance(value, str):
            attribute.word = value
        elif isinstance(value, dict):
            attribute.lengths.values.extend(tensor_pb2.Dimension(**each) for each in value["shape"])
        else:
            attribute.integers.values.extend(value)
    return node


def calls(depth: int, times: int) -> bytes:
    """Functions each of which calls the one before so many times."""
    graph = _graph(_type())
    inner = graph.functions.add(inputs=[graph.inputs[0]], outputs=[{"name": "y0", "value": 1}])
    _node(inner, "sin", [0], _type())
    for k in range(depth):
        outer = graph if k == depth - 1 else graph.functions.add(inputs=[graph.inputs[0]])
        outer.constants.add(element_type=tensor_pb2.ELEMENT_TYPE_BOOL, inline=b"\1")
        for j in range(times):
            node = _node(outer, "cond", [1, j + 1 if j else 0], _type())
            node.functions.extend([k, k])
        outer.outputs.add(name="y0", value=1 + times)
    return graph.SerializeToString()


def repeated(nodes: int, times: int, kind: str) -> bytes:
    """A function of so many nodes, called so many times, each time of what came of it before."""
    graph = _graph(_type())
    inner = graph.functions.add(inputs=[graph.inputs[0]], outputs=[{"name": "y0", "value": nodes}])
    for k in range(nodes):
        _node(inner, "sin", [k], _type())
    first = [] if kind == "checkpoint" else [1]
    if kind == "cond":
        graph.constants.add(element_type=tensor_pb2.ELEMENT_TYPE_BOOL, inline=b"\1")
    elif kind == "scan":
        graph.constants.add(element_type=I64, inline=struct.pack("<q", 3))
    scan = {"length": 3, "carries": 1, "scanned": 0, "reverse": False, "stops": False}
    for k in range(times):
        value = len(first) + k if k else 0
        node = _node(graph, kind, [*first, value], _type(), **(scan if kind == "scan" else {}))
        node.functions.extend([0, 0] if kind == "cond" else [0])
    graph.outputs.add(name="y0", value=len(first) + times)
    return graph.SerializeToString()


def within(depth: int, kind: type[Jvp | Vjp]) -> bytes:
    """Derivatives of derivatives, each a node of the function that the next is taken of."""
    scalar = TensorType(ElementType.FLOAT64)
    inner = builder()
    x = inner.input("x0", scalar)
    function = inner.build({"y0": inner.sin(x) * inner.exp(x) / inner.cosh(x)})
    for _ in range(depth):
        g = builder()
        x = g.input("x0", scalar)
        function = g.build({"y0": g.apply(kind(function, (0,), False), [x, g.constant(1.0)])[-1]})
    return encode_graph(function).SerializeToString()


def loops(depth: int, length: int, shape: tuple[int, ...] = ()) -> bytes:
    """Loops in loops."""
    graph = _graph(_type(*shape))
    inner = graph.functions.add(inputs=[graph.inputs[0]], outputs=[{"name": "y0", "value": 1}])
    _node(inner, "sin", [0], _type(*shape))
    for k in range(depth):
        outer = graph if k == depth - 1 else graph.functions.add(inputs=[graph.inputs[0]])
        outer.constants.add(element_type=I64, inline=struct.pack("<q", length))
        more = {"length": length, "carries": 1, "scanned": 0, "reverse": False, "stops": False}
        node = _node(outer, "scan", [1, 0], _type(*shape), **more)
        node.functions.append(k)
        outer.outputs.add(name="y0", value=2)
    return graph.SerializeToString()


def _chain(op: str, length: int, shape: tuple[int, ...] = ()) -> bytes:
    graph = _graph(_type(*shape))
    for k in range(length):
        _node(graph, op, [k] if op != "mul" else [k, k], _type(*shape))
    if shape:
        _node(graph, "reduce_sum", [length], _type(), axes=range(len(shape)))
    graph.outputs.add(name="y", value=length + bool(shape))
    return graph.SerializeToString()


def _one(op: str, given: list[Any], result: Any, **attributes: Any) -> bytes:
    graph = _graph(*given)
    _node(graph, op, list(range(len(given))), result, **attributes)
    graph.outputs.add(name="y", value=len(given))
    return graph.SerializeToString()


def _counted(length: int) -> bytes:
    graph = _graph()
    node = _node(graph, "iota", [], _type(length, element=I64), length=length)
    node.attributes["element_type"].element_type = I64
    graph.outputs.add(name="y", value=0)
    return graph.SerializeToString()


def _row(times: int) -> bytes:
    """One value over and over, summed."""
    graph = _graph(_type(1))
    _node(graph, "concatenate", [0] * times, _type(times), axis=0)
    _node(graph, "reduce_sum", [1], _type(), axes=(0,))
    graph.outputs.add(name="y", value=2)
    return graph.SerializeToString()


def _claimed(shape: tuple[int, ...]) -> bytes:
    """A constant that is only named."""
    graph = _graph(_type())
    graph.constants.add(element_type=F64, shape=shape, blob="ab" * 32)
    _node(graph, "reduce_sum", [1], _type(), axes=range(len(shape)))
    graph.outputs.add(name="y", value=2)
    return graph.SerializeToString()


_REST = field(1, b"\1")
"""The number of the op set."""


def bombs() -> Iterator[tuple[str, Bomb]]:
    """All of them by name."""
    huge = 1 << 62
    for times, depth in ((2, 7), (2, 8), (2, 16), (4, 8), (2, 60), (1000, 5)):
        graph = calls(depth, times)
        yield f"register: {depth} functions, each called {times} times by the next", _register(graph)
        for question in ("gradient", "hessian", "hvp"):
            yield f"{question}: {depth} functions, each called {times} times by the next", _asked(question, graph)
    for kind, nodes, places in itertools.product(("cond", "scan", "checkpoint"), (30, 100), (100, 300)):
        graph = repeated(nodes, places, kind)
        for question in ("gradient", "hvp", "jacobian"):
            yield f"{question}: a {kind} of {nodes} nodes in {places} places", _asked(question, graph)
        series = field(1, field(1, field(1, graph)) + _numbers("x0")) + varint(2 << 3) + varint(10) + _numbers("x0", 3)
        yield f"taylor: a {kind} of {nodes} nodes in {places} places", Bomb("DerivativeService/TaylorModel", series)
    kinds: tuple[type[Jvp | Vjp], ...] = (Jvp, Vjp)
    for derivative, depth in itertools.product(kinds, (3, 5, 8, 12, 15)):
        graph = within(depth, derivative)
        for question in ("evaluate", "gradient", "hessian"):
            yield f"{question}: {derivative.name} in {derivative.name}, {depth} deep", _asked(question, graph)
    for depth, length in ((3, 1000), (10, 10**6), (16, 2), (16, huge), (1, 10**9), (300, 2)):
        for question in ("evaluate", "gradient", "hessian", "jacobian"):
            yield f"{question}: {depth} loops of {length} steps in each other", _asked(question, loops(depth, length))
    for question in ("evaluate", "vjp", "jacobian"):
        yield f"{question}: loops in loops over a huge array", _asked(question, loops(16, huge, (1 << 58,)))
    for name, shape in {"one axis": (huge,), "two axes": (1 << 31, 1 << 31), "overflow": (1 << 40, 1 << 40),
                        "64 axes": (2,) * 64, "1000 axes": (1,) * 1000, "10^5 axes": (1,) * 100_000,
                        "negative": (-1,), "40 GiB": (5 << 30,)}.items():  # fmt: skip
        result = _type(*shape)
        yield f"register: broadcast to {name}", _register(_one("broadcast_to", [_type()], result, shape=result))
        for question in ("evaluate", "gradient", "jacobian"):
            graph = _one("broadcast_to", [_type()], result, shape=result)
            yield f"{question}: broadcast to {name}", _asked(question, graph)
            yield f"{question}: sine of {name}", _asked(question, _chain("sin", 1, shape))
        yield f"evaluate: constant of {name}", _asked("evaluate", _claimed(shape))
    for question in ("evaluate", "gradient", "hessian"):
        yield f"{question}: a number 30 000 times in a row", _asked(question, _row(30_000))
        yield f"{question}: a loop of 2^40 steps", _asked(question, loops(1, 1 << 40))
    for n in (1 << 20, 1 << 30, 1 << 40):
        half = tensor_pb2.ELEMENT_TYPE_COMPLEX128
        spectrum = _one("rfft", [_type(n)], _type(n // 2 + 1, element=half), axis=0, norm="backward")
        for question in ("gradient", "vjp", "jvp", "jacobian", "gauss_newton_product"):
            yield f"{question}: spectrum of {n} numbers", _asked(question, spectrum)
        counted = _counted(n)
        yield f"evaluate: {n} numbers counted", _asked("evaluate", counted)
        for size in (n // 2, n - 1):
            windows = _one("windows", [_type(n)], _type(n - size + 1, size),
                           axes=(0,), sizes=(size,), strides=(1,), dilations=(1,))  # fmt: skip
            for question in ("evaluate", "gradient", "vjp", "jacobian", "hessian"):
                yield f"{question}: windows of {size} of {n}", _asked(question, windows)
        product = {"lhs_contract": (1,), "rhs_contract": (0,), "lhs_batch": (), "rhs_batch": ()}
        matrices = _one("contract", [_type(n, n), _type(n, n)], _type(n, n), **product)
        for question in ("evaluate", "vjp", "jacobian"):
            yield f"{question}: product of matrices of {n} rows", _asked(question, matrices)
        for op in ("sort", "cumsum", "reduce_prod"):
            more: dict[str, Any] = {"axes": (0,)} if op == "reduce_prod" else {"axis": 0}
            graph = _one(op, [_type(n)], _type() if op == "reduce_prod" else _type(n), **more)
            for question in ("evaluate", "gradient", "vjp", "jvp", "jacobian", "hessian"):
                yield f"{question}: {op} of {n}", _asked(question, graph)
    nested = b""
    for _ in range(20_000):
        nested = field(6, nested)
    yield "register: 20 000 graphs in each other", _register(nested)
    for name, value in {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf"), "denormal": 5e-324}.items():
        inverse = _one("pinv", [_type(3, 3)], _type(3, 3), rcond=value, full=False)
        yield f"gradient: an attribute that is {name}", _asked("gradient", inverse)
    deep = _text('graph (%0 "w": f64[8]) {\n' + "".join(f"  %{k + 1}: f64[8] = tanh %{k}\n" for k in range(200))
                 + '  %201: f64[] = reduce_sum %200 {axes=[0]}\n  return "y" %201\n}')  # fmt: skip
    for order in (10, 11, 1000, 2**31 - 1, -1):
        request = field(1, field(1, field(1, deep))) + varint(2 << 3) + varint(order)
        yield f"taylor: order {order} of 200 functions in each other", Bomb("DerivativeService/TaylorModel", request)


def floods() -> Iterator[tuple[str, Bomb]]:
    """Megabytes of parts of almost no bytes."""
    yield "register: 200 000 nodes, one after the other", _register(_chain("sin", 200_000))
    yield "register: 10^6 nodes", _register(_REST + 1_000_000 * field(4, field(1, b"sin") + field(2, b"\0")))
    for number, name in (
        (2, "inputs"),
        (3, "constants"),
        (4, "nodes"),
        (5, "outputs"),
        (6, "functions"),
        (7, "origins"),
    ):
        empty = _REST + 4_000_000 * field(number, b"")
        yield f"register: 4 million empty {name}", _register(empty)
        yield f"evaluate: 4 million empty {name}", _asked("evaluate", empty)
    full = {
        "types": (5, b""),
        "attributes": (3, b""),
        "operands": (2, b"\0" * 8_000_000),
        "functions": (4, b"\0" * 8_000_000),
    }
    for name, (number, inner) in full.items():
        node = field(1, b"sin") + field(number, inner) * (1 if inner else 4_000_000)
        yield f"register: a node with millions of {name}", _register(_REST + field(4, node))
    shape = _REST + field(2, field(2, 4_000_000 * field(2, b"")))
    yield "register: an input of 4 million axes", _register(shape)
    integers = field(
        4, field(1, b"transpose") + field(3, field(1, b"axes") + field(2, field(4, field(1, b"\0" * 8_000_000))))
    )
    yield "register: an attribute of 8 million integers", _register(_REST + integers)
    unpacked = field(4, field(1, b"sin") + (varint(2 << 3) + b"\0") * 4_000_000)
    yield "register: 4 million operands one by one", _register(_REST + unpacked)
    yield "find: 4 million digests", Bomb("BlobService/FindMissingBlobs", 4_000_000 * field(1, b""))
    yield "gradient: 4 million names", Bomb("DerivativeService/Gradient", 4_000_000 * field(2, b""))
    yield "gradient: 2 million arguments", Bomb("DerivativeService/Gradient", field(1, 2_000_000 * field(2, b"")))
    yield "evaluate: 200 000 named arguments", Bomb(
        "DerivativeService/Evaluate",
        field(1, b"".join(field(2, field(1, str(k).encode()) + field(2, b"")) for k in range(200_000))))  # fmt: skip
    yield (
        "evaluate: an argument of 4 million axes",
        Bomb("DerivativeService/Evaluate", field(1, field(2, field(1, b"w") + field(2, field(2, b"\1" * 4_000_000))))),
    )


def faults() -> Iterator[tuple[str, Bomb]]:
    """Much that is wrong at once, or said of many things: what is told of it must not grow with it."""
    bad = field(1, b"sin") + field(2, b"\x7f" * 100)
    for name, graph in {
        "a million operands of one node that are not there": field(4, field(1, b"sin") + field(2, b"\x7f" * 1_000_000)),
        "10 000 nodes of 100 operands that are not there": 10_000 * field(4, bad),
        "100 000 nodes of an op that is not there": 100_000 * field(4, field(1, b"nosuch")),
    }.items():
        yield f"register: {name}", _register(_REST + graph)
        yield f"check: {name}", Bomb("GraphService/CheckGraph", field(1, _REST + graph))
    call = field(1, field(1, _chain("tanh", 1, (3,))))
    given = field(2, field(1, b"x0") + field(2, varint(1 << 3) + b"\5" + field(2, b"\3") + field(3, bytes(24))))
    pair = field(3, field(1, field(1, b"x0") + field(2, b"\1")) + field(2, field(1, b"x0") + field(2, b"\1")))
    for count in (10_000, 90_000):
        names = [b"n%06d" % k for k in range(count)]
        batch = field(3, b"".join(field(1, name) for name in names))
        arguments = b"".join(field(2, field(1, name) + field(2, b"")) for name in names)
        claims = b"".join(field(3, field(1, name) + field(2, b"")) for name in names)
        groups = b"".join(field(31, field(1, name) + field(2, b"x0")) for name in names)
        whole = field(1, call + given)
        for name, method, data in (
            ("inputs in question", "DerivativeService/Gradient", whole + b"".join(field(2, name) for name in names)),
            ("inputs of a batch", "DerivativeService/Gradient", field(1, call + given + batch)),
            ("arguments", "DerivativeService/Gradient", field(1, call + given + arguments)),
            ("claims", "VerificationService/VerifyGradient", whole + claims),
            ("groups", "EstimateService/EstimateTrace", whole + groups),
            ("pairs of one entry", "VerificationService/VerifySymmetry", whole + count * pair),
            ("empty pairs", "VerificationService/VerifySymmetry", whole + count * field(3, b"")),
        ):
            yield f"{method.partition('/')[2]}: {count} {name}", Bomb(method, data)
    many = _graph(*[_type() for _ in range(4000)])
    for k, each in enumerate(many.inputs):
        each.name = f"{k}".ljust(900, "x")
    many.outputs.add(name="y", value=0)
    unknown = b"".join(field(2, b"n%06d" % k) for k in range(5000))
    graph = field(1, field(1, many.SerializeToString()))
    yield (
        "gradient: 5000 names that are none of 4000 long ones",
        Bomb("DerivativeService/Gradient", field(1, graph) + unknown),
    )


class Target:
    """A service in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], channel: grpc.Channel) -> None:
        """One that has begun to serve."""
        self._proc = Path(f"/proc/{process.pid}")
        self._channel = channel

    def meet(self, bomb: Bomb) -> Effect:
        """What a request comes to."""
        (self._proc / "clear_refs").write_text("5")  # the largest size so far is the present one
        before, started = self._bytes("VmHWM"), self._seconds()
        ask = self._channel.unary_unary(f"/gradserve.v1.{bomb.method}", None, None)
        code, message = "OK", ""
        try:
            ask(bomb.data, timeout=60)
        except grpc.RpcError as error:
            code, message = error.code().name, str(error.details())
        return Effect(code, message, self._seconds() - started, self._bytes("VmHWM") - before)

    def _seconds(self) -> float:
        """Of a processor that it has taken so far."""
        user, system = (self._proc / "stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def _bytes(self, name: str) -> int:
        lines = (self._proc / "status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


@contextmanager
def target(*options: str) -> Iterator[Target]:
    """A service that has answered before, so that all is imported."""
    command = [sys.executable, "-m", "gradserve.service", "--no-ray", "--metrics-port", "-1", "--workers", "2"]
    with subprocess.Popen(
        [*command, "--address", "127.0.0.1:0", *options], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr
            line = next(line for line in process.stderr if "serving on port" in line)
            port = line.split("serving on port ")[1].split(",")[0]
            with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.max_send_message_length", -1)]) as channel:
                found = Target(process, channel)
                for question in EXPLAIN:
                    found.meet(_asked(question, _chain("tanh", 3, (4,))))
                yield found
        finally:
            process.kill()


def main() -> int:
    """Prints a table; answers how many were not refused as they should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="those with these words in their names")
    only = parser.parse_args().only
    bad = 0
    with target() as service:
        for name, bomb in (*bombs(), *floods(), *faults()):
            if only in name:
                effect = service.meet(bomb)
                fine = effect.is_fine and effect.seconds < SECONDS
                bad += not fine
                print(f"{'    ' if fine else 'BAD '}{name:60} {len(bomb.data):9} B {effect}", flush=True)
    print(f"{bad} are not as they should be")
    return min(bad, 1)


if __name__ == "__main__":
    raise SystemExit(main())
