"""Every op in long rows, and other shapes of 8 KiB, planned by every derivation: what they come to.

`python -m tests.attack.ramps` prints those that take more than a bomb may, or end otherwise than in a refusal; with
`--all` the others too.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from gradserve.autodiff.derivation import Along, Curvature, TaylorSeries, WithKinks
from gradserve.execution import candidates
from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import GradserveError, LimitExceeded
from gradserve.ir.graph import Graph
from gradserve.ir.op import Sample
from gradserve.ir.types import ElementType, TensorType, type_of
from gradserve.jobs.programs import Axis, Programs
from gradserve.ops import OP_SET, builder
from gradserve.ops.control.cond import Cond
from gradserve.ops.control.once import Checkpoint
from gradserve.questions.derivations import Derivation, Gradient, Hvp
from gradserve.wire import decode_graph, encode_graph
from tests.attack.bombs import MOST_BYTES, SECONDS
from tests.attack.seeds import loss
from tests.ir.strategies import fitted

SENT = 8192
"""Bytes of a graph."""
_REAL = TensorType(ElementType.FLOAT64)


def row(sample: Sample, count: int) -> Graph | None:
    """An op so often, each of what the one before has made; None where that is nothing that moves."""
    g = builder()
    own = [g.input(f"x{k}", type_of(operand)) for k, operand in enumerate(sample.operands)]
    floats = [k for k, x in enumerate(own) if x.type.is_float]
    last = None
    for k in range(count):
        given = [*own]
        if last is not None and floats:
            at = floats[k % len(floats)]
            given[at] = g.add(fitted(g, last, own[at].type), own[at])
        last = next((x for x in g.apply(sample.op, given) if x.type.is_float), None)
        if last is None:
            return None
    return None if last is None else g.build({"loss": loss(g, [last])})


def _branched(g: Builder, x: Value, count: int) -> Value:
    """Each value read twice, by two functions that are added."""
    for k in range(count):
        x = g.tanh(x * (1.0 + k / 64)) * g.exp(-x) + g.logaddexp(x, g.sin(x))
    return x


def _divided(g: Builder, x: Value, count: int) -> Value:
    """Continued fractions."""
    total = x
    for k in range(count):
        total = (x + float(k)) / (total * total + 1.0 + x)
    return total


def _raised(g: Builder, x: Value, count: int) -> Value:
    """Powers of powers, exponents moving as well."""
    y = x
    for _ in range(count):
        y = g.emit("pow", g.emit("logistic", y), g.sin(x * y))
    return y


def _joined(g: Builder, x: Value, count: int) -> Value:
    """Joined with itself, squared, cut and joined again."""
    row_ = g.reshape(x, (1,))
    for k in range(count):
        both = g.emit("concatenate", row_, g.sin(row_ * (1.0 + k)), axis=0)
        row_ = g.reshape(g.reduce_sum(both * both, axes=(0,)), (1,))
    return g.reshape(row_, ())


def _multiplied(g: Builder, x: Value, count: int) -> Value:
    """Products of matrices, one after the other and each transposed."""
    matrix = g.broadcast(x, (3, 3)) * g.constant(np.eye(3) + 0.1)
    parts = {"lhs_contract": (1,), "rhs_contract": (0,), "lhs_batch": (), "rhs_batch": ()}
    last = matrix
    for _ in range(count):
        last = g.tanh(g.emit("contract", last, g.emit("permute", last * matrix, order=(1, 0)), **parts))
    return g.reduce_sum(last, axes=(0, 1))


def _nested(g: Builder, x: Value, count: int) -> Value:
    """Choices in checkpoints in choices, each of which calls the one within it twice."""
    inner = builder()
    given = inner.input("x0", _REAL)
    function = inner.build({"y0": inner.sin(given * given)})
    for k in range(min(count, 9)):
        outer = builder()
        y = outer.input("x0", _REAL)
        for _ in range(2):
            if k % 2:
                (y,) = outer.apply(Checkpoint(function), [y])
            else:
                (y,) = outer.apply(Cond(function, function), [outer.gt(y, 0.5), outer.tanh(y)])
        function = outer.build({"y0": y})
    return g.apply(Checkpoint(function), [x])[0]


def _read_often(g: Builder, x: Value, count: int) -> Value:
    """A sum over products of each two of many functions."""
    many = [g.sin(x * float(k + 1)) for k in range(max(2, int(count**0.5)))]
    total = x
    for one, other in itertools.combinations(many, 2):
        total = total + one * other / (1.0 + one * one)
    return total


SHAPES: dict[str, Callable[[Builder, Value, int], Value]] = {
    "branched": _branched, "divided": _divided, "raised": _raised, "joined": _joined, "multiplied": _multiplied,
    "nested": _nested, "read often": _read_often,
}  # fmt: skip


def of_shape(shape: Callable[[Builder, Value, int], Value], count: int) -> Graph:
    """The graph of one number."""
    g = builder()
    return g.build({"loss": shape(g, g.input("x0", _REAL), count)})


def largest(made: Callable[[int], Graph | None]) -> Graph | None:
    """The graph of the largest of some counts that is sent in few bytes and taken."""
    found = None
    for count in (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512):
        graph = made(count)
        sent = None if graph is None else encode_graph(graph)
        if sent is None or sent.ByteSize() > SENT:
            break
        with suppress(LimitExceeded):
            found = decode_graph(sent, OP_SET)
    return found


def graphs() -> Iterator[tuple[str, Graph]]:
    """All of them by name."""
    for name, shape in SHAPES.items():
        graph = largest(lambda count, shape=shape: of_shape(shape, count))  # type: ignore[misc]
        if graph is not None:
            yield name, graph
    for op in OP_SET:
        if op.internal or op.written_out:
            continue
        for k, sample in enumerate(itertools.islice(op.samples(), 0, None, 3)):
            for count in ("one", "many"):
                try:
                    made = row(sample, 1) if count == "one" else largest(lambda n, s=sample: row(s, n))  # type: ignore[misc]
                except GradserveError:
                    continue
                if made is not None and (k < 2 or count == "one"):
                    yield f"{op.name}, sample {3 * k}, {count}", made


def derivations(graph: Graph) -> list[tuple[Derivation, Axis | None]]:
    """What is asked of each."""
    wrt = tuple(i.name for i in graph.inputs if i.type.is_float)
    along = Axis(frozenset(wrt[:1]), 3)
    series = [(TaylorSeries(wrt, order), None) for order in (2, 5, 10)]
    return [
        (WithKinks(wrt, Gradient(wrt)), along),
        (Hvp(wrt), along),
        (Along(wrt), None),
        (Curvature(wrt), None),
        *series,
    ]


def planned(graph: Graph, derivation: Derivation, axis: Axis | None) -> tuple[float, int, str]:
    """Seconds of a processor and bytes that it takes to plan, in a process of its own, and how it ends."""
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        Path("/proc/self/clear_refs").write_text("5")
        before, started = _bytes("VmRSS"), time.process_time()
        ended = ""
        try:
            programs = Programs()
            instance, _ = programs.instance(graph, derivation, axis)
            programs.schedule(instance.program, candidates("")[0])
        except GradserveError as error:
            ended = f"{type(error).__name__} {getattr(error, 'limit', '')}"
        except BaseException as error:
            ended = f"FAULT {type(error).__name__}: {error}"[:200]
        os.write(theirs, json.dumps([time.process_time() - started, _bytes("VmHWM") - before, ended]).encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    seconds, grown, ended = json.loads(told) if told else (0.0, 0, "FAULT the process ended")
    return float(seconds), int(grown), str(ended)


def _bytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


def main() -> int:
    """Prints a table; answers whether one is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="those with these words in their names")
    parser.add_argument("--all", action="store_true", help="those that are as they should be too")
    chosen = parser.parse_args()
    bad = count = 0
    longest, largest_growth = 0.0, 0
    for name, graph in graphs():
        if chosen.only not in name:
            continue
        for derivation, axis in derivations(graph):
            seconds, grown, ended = planned(graph, derivation, axis)
            fine = seconds < SECONDS and grown < MOST_BYTES and "FAULT" not in ended
            bad, count = bad + (not fine), count + 1
            longest, largest_growth = max(longest, seconds), max(largest_growth, grown)
            if chosen.all or not fine:
                print(f"{'    ' if fine else 'BAD '}{seconds:6.2f} s {grown >> 20:4} MiB {len(graph.nodes):4} nodes: "
                      f"{name}: {str(derivation)[:60]}: {ended}", flush=True)  # fmt: skip
    print(f"{bad} of {count} are not as they should be; at most {longest:.2f} s, {largest_growth >> 20} MiB")
    return min(bad, 1)


if __name__ == "__main__":
    raise SystemExit(main())
