"""Every op in long rows, and other shapes of 8 KiB, planned by every derivation and asked about by every method.

`python -m tests.attack.ramps` prints those that take more than a bomb may, or end otherwise than in a refusal; with
`--all` the others too. With `--asked` every one of them is the graph of a request of each method instead, whose
explanation is answered: modes of Jacobians, estimates, spectra, eigenpairs, solves.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from unittest import mock

from gradserve.autodiff.derivation import Along, Curvature, TaylorSeries, WithKinks
from gradserve.ir.errors import GradserveError, LimitExceeded
from gradserve.ir.graph import Graph
from gradserve.ir.op import Sample
from gradserve.ir.types import type_of
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.programs import Axis, Programs
from gradserve.jobs.sweeps.sweep import Sweep
from gradserve.jobs.verifications import thorough
from gradserve.ops import OP_SET, builder
from gradserve.pools.local.pool import LocalPool
from gradserve.questions.call import Options
from gradserve.questions.derivations import Derivation, Gradient, Hvp
from gradserve.runtime.caches import Lru
from gradserve.wire import decode_graph, encode_graph
from tests.attack.asking import Running, alone, answered, requests
from tests.attack.bombs import MOST_BYTES, SECONDS
from tests.attack.seeds import loss
from tests.attack.shapes import SHAPES, of_shape
from tests.attack.traced import LOSSES, traced
from tests.attack.trial import end_threads
from tests.ir.strategies import fitted

SENT = 8192
"""Bytes of a graph."""
TRACED = 32768
"""The same of those that clients trace: one equation takes more than 8 KiB."""
_POOL = LocalPool(1)


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


def largest(made: Callable[[int], Graph | None], most: int = SENT) -> Graph | None:
    """The graph of the largest of some counts that is sent in few bytes and taken, with derivatives written out."""
    found = None
    for count in (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512):
        graph = made(count)
        sent = None if graph is None else encode_graph(graph)
        if sent is None or sent.ByteSize() > most:
            break
        with suppress(LimitExceeded):
            found = Programs().written_out(decode_graph(sent, OP_SET))
    return found


def makers() -> Iterator[tuple[str, Callable[[], Graph | None]]]:
    """What makes each of them, by name."""
    for name, shape in SHAPES.items():
        yield f"shape {name}", functools.partial(largest, functools.partial(of_shape, shape))
    for name, loss_ in LOSSES.items():
        yield f"traced {name}", functools.partial(largest, functools.partial(traced, loss_), TRACED)
    for op in OP_SET:
        if op.internal or op.written_out:
            continue
        for k, sample in enumerate(itertools.islice(op.samples(), 0, None, 3)):
            yield f"{op.name}, sample {3 * k}, one", functools.partial(_row, sample, 1)
            if k < 2:
                yield f"{op.name}, sample {3 * k}, many", functools.partial(largest, functools.partial(_row, sample))


def _row(sample: Sample, count: int) -> Graph | None:
    """The row, if it can be made."""
    try:
        return row(sample, count)
    except GradserveError:
        return None


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


def planned(graph: Graph, derivation: Derivation, axis: Axis | None) -> str:
    """How planning ends."""
    context = Context(_POOL, programs=Programs(), schedules=Lru(1))
    try:
        Sweep(graph, derivation, Options(), 0, axis).schedule(context)
    except GradserveError as error:
        return f"{type(error).__name__} {getattr(error, 'limit', '')}"
    return ""


def works(graph: Graph, asks: bool) -> Iterator[tuple[str, Callable[[], str]]]:
    """What is done with a graph by name: every derivation planned, or if asked every request answered."""
    if asks:
        for name, method, messages in requests(graph):
            yield name, functools.partial(answered, method, messages)
        return
    for derivation, axis in derivations(graph):
        yield (
            f"{derivation}{' along an axis' if axis else ''}"[:80],
            functools.partial(planned, graph, derivation, axis),
        )


def warm() -> None:
    """Imports what all of them use, so that it is no work of the first."""
    importlib.import_module("tests.attack.warm")
    Running.measured()
    # Others compile for seconds, and XLA in no process that is forked.
    mock.patch.object(thorough, "installed", return_value=("numpy",)).start()
    simple = of_shape(SHAPES["branched"], 1)
    for _, work in (*works(simple, False), *works(simple, True)):
        work()
    end_threads()  # which no process forked from this one would have


def main() -> int:
    """Prints a table; answers whether one is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="those with these words in their names")
    parser.add_argument("--part", default="0/1", help="one of so many parts of the graphs: 0/2 for half of them")
    parser.add_argument("--asked", action="store_true", help="answers requests of all methods instead of planning")
    parser.add_argument("--all", action="store_true", help="those that are as they should be too")
    chosen = parser.parse_args()
    part, parts = map(int, chosen.part.split("/"))
    warm()
    bad = count = 0
    longest, largest_growth = 0.0, 0
    for name, make in itertools.islice(makers(), part, None, parts):
        graph = make() if chosen.only in name else None
        for what, work in [] if graph is None else works(graph, chosen.asked):
            seconds, grown, ended = alone(work)
            fine = seconds < SECONDS and grown < MOST_BYTES and "FAULT" not in ended
            bad, count = bad + (not fine), count + 1
            longest, largest_growth = max(longest, seconds), max(largest_growth, grown)
            if chosen.all or not fine:
                print(f"{'    ' if fine else 'BAD '}{seconds:6.2f} s {grown >> 20:4} MiB {_size(graph)}: {name}: "
                      f"{what}: {ended}", flush=True)  # fmt: skip
    print(f"{bad} of {count} are not as they should be; at most {longest:.2f} s, {largest_growth >> 20} MiB")
    return min(bad, 1)


def _size(graph: Graph | None) -> str:
    return "" if graph is None else f"{len(graph.nodes)} nodes, {encode_graph(graph).ByteSize()} B"


if __name__ == "__main__":
    raise SystemExit(main())
