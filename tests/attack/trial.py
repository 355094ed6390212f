"""One mutated graph on its way through the service's passes, and what it took."""

import functools
import random
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import numpy as np

from gradserve.autodiff.derivation import Along, Curvature, EveryValue, TaylorSeries, WithKinks, added_inputs
from gradserve.execution import executor
from gradserve.ir.check import check
from gradserve.ir.errors import GradserveError
from gradserve.ir.graph import Graph
from gradserve.ir.types import TensorType
from gradserve.jobs.sweeps.calls import checked
from gradserve.jobs.sweeps.context import Context
from gradserve.jobs.sweeps.limits import Limits
from gradserve.jobs.sweeps.programs import Axis, Programs, go_on
from gradserve.jobs.sweeps.sweep import Sweep, SweepSchedule
from gradserve.ops import OP_SET
from gradserve.pools.local.pool import LocalPool
from gradserve.questions.call import Call, Options
from gradserve.questions.derivations import Derivation, Evaluate, GaussNewtonProduct, Gradient, Hvp, Jvp, Vjp
from gradserve.runtime.caches import Lru
from gradserve.v1 import graph_pb2
from gradserve.wire import decode_graph, encode_graph
from tests.attack.mutate import REALS, mutated
from tests.attack.seeds import chain, program, seeds

SECONDS = 1.0
BYTES = 200 << 20
LIMITS = Limits(peak_bytes=64 << 20, step_seconds=0.02, flops=2e8, result_bytes=16 << 20)
_RUN_SECONDS = 0.02
_TRIES = 3
_QUICK = (Evaluate, Gradient, Jvp, Vjp, Along)
_MANY = 0.9
"""Of the graphs that are only planned, those of which only what is quickly planned is asked."""


@dataclass
class Outcome:
    """What became of one graph."""

    stages: dict[str, str] = field(default_factory=dict)
    """For each pass `fine` or the kind of the typed error that it ended in."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Processor seconds of each, which a loaded machine does not lengthen."""
    faults: list[str] = field(default_factory=list)
    """What must not be: errors of no type of ours, too much memory."""

    @property
    def slow(self) -> list[str]:
        """What took more than SECONDS: for campaigns, since on a machine that does other work time says little."""
        return [f"{name}: {spent:.2f} s" for name, spent in self.seconds.items() if spent > SECONDS]


def graph_of(seed: int) -> graph_pb2.Graph:
    """The mutated graph of a number: the first of three that is correct, or else the third."""
    dice = random.Random(seed)
    which = dice.random()
    if which < 0.5:
        graph = graph_pb2.Graph.FromString(dice.choice(seeds()))
    else:
        graph = encode_graph(program(dice)) if which < 0.75 else chain(dice)
    for _ in range(_TRIES):
        made = graph_pb2.Graph()
        made.CopyFrom(graph)
        made = mutated(made, dice)
        with suppress(Exception):  # of what kind it is, the trial sees
            decode_graph(made, OP_SET)
            break
    return made


def try_seed(seed: int, most: int | None = None, runs: bool = True) -> Outcome:
    """Decodes, checks, derives, plans and perhaps runs the mutated graph of a number, by every derivation or a few."""
    outcome, dice = Outcome(), random.Random(seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    graph = graph_of(seed)
    with suppress(Ended):
        _try(graph, dice, outcome, most, runs)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    if grown > BYTES:
        outcome.faults.append(f"memory: {grown >> 20} MB more")
    return outcome


class Ended(Exception):
    """A pass refused the graph."""


@contextmanager
def stage(outcome: Outcome, name: str) -> Iterator[None]:
    started = time.thread_time()
    try:
        yield
        outcome.stages[name] = "fine"
    except GradserveError as refusal:
        outcome.stages[name] = type(refusal).__name__
        raise Ended from refusal
    except Exception as error:
        outcome.stages[name] = type(error).__name__
        outcome.faults.append(f"{name}: {type(error).__name__}: {error}"[:300])
        raise Ended from None
    finally:
        outcome.seconds[name] = time.thread_time() - started


def _try(message: graph_pb2.Graph, dice: random.Random, outcome: Outcome, most: int | None, runs: bool) -> None:
    with stage(outcome, "decode"):
        graph = decode_graph(message, OP_SET)
    with stage(outcome, "check"):
        assert not check(graph)
        assert graph.digest
    with stage(outcome, "bind"):
        call = Call(graph, {i.name: given(i.type, dice) for i in graph.inputs})
        graph = checked(context(), call, go_on).graph
    every = derivations(graph, dice)
    if not runs and dice.random() < _MANY:
        every = [each for each in every if isinstance(each, _QUICK)]
    for derivation in every if most is None else dice.sample(every, min(most, len(every))):
        fresh = context()
        name = str(type(derivation).__name__)
        axis = None
        if dice.random() < 0.3 and graph.inputs:
            taken = [*graph.input_types, *added_inputs(graph, derivation)]
            axis = Axis(frozenset(dice.sample(taken, dice.randint(1, len(taken)))), dice.choice((1, 3, 40)))
        options = Options(executor=dice.choice(("fused", "fused", "xla")) if runs and dice.random() < 0.1 else "")
        name += f" by {options.executor}" if options.executor else ""
        try:
            with stage(outcome, name):
                schedule = Sweep(graph, derivation, options, 0, axis).schedule(fresh)
            if options.executor and dice.random() < 0.9:
                continue  # compiling takes long
            if runs and axis is None and schedule.seconds <= _RUN_SECONDS:
                with stage(outcome, f"run {name}"):
                    _run(schedule, graph, derivation, dice)
        except Ended:
            continue


def given(type_: TensorType, dice: random.Random) -> TensorType:
    """A type without symbols."""
    return type_.with_shape(tuple(n if isinstance(n, int) else dice.choice((0, 1, 3, 5)) for n in type_.shape))


def derivations(graph: Graph, dice: random.Random) -> list[Derivation]:
    """Every derivation, in some inputs."""
    real = [i.name for i in graph.inputs if i.type.is_float]
    wrt = tuple(real if dice.random() < 0.7 else dice.sample(real, min(1, len(real))))
    found: list[Derivation] = [Evaluate(), Gradient(wrt), Jvp(wrt), Vjp(wrt), Hvp(wrt), Hvp(wrt, True)]
    found += [GaussNewtonProduct(wrt), Curvature(wrt), Along(wrt), EveryValue(wrt)]
    found += [
        WithKinks(wrt, Gradient(wrt)),
        WithKinks(wrt, Hvp(wrt)),
        TaylorSeries(wrt, dice.choice((1, 2, 3, 5, 10, 10))),
    ]
    return found


@functools.cache
def _pool() -> LocalPool:
    return LocalPool(1)


def end_threads() -> None:
    """Closes the pool of all contexts so far; what comes has another."""
    _pool().close()
    _pool.cache_clear()


def context() -> Context:
    """One that remembers nothing of other graphs."""
    return Context(_pool(), limits=LIMITS, programs=Programs(1 << 24, LIMITS), schedules=Lru(1))


def _run(schedule: SweepSchedule, graph: Graph, derivation: Derivation, dice: random.Random) -> None:
    piece = schedule.pieces[0]
    draw = np.random.default_rng(dice.randrange(2**32))
    types = {**graph.input_types, **added_inputs(graph, derivation)}
    arguments = {name: numbers(type_, draw, dice.random() < 0.5) for name, type_ in types.items()}
    prepared = executor(schedule.executor).prepare(piece.schedule)
    prepared({**arguments, **piece.instance.arrays})


def numbers(type_: TensorType, draw: np.random.Generator, special: bool) -> np.ndarray:
    """Numbers of a type, some of them perhaps special."""
    dtype = type_.element_type.dtype
    if dtype.kind == "c":
        real = TensorType(type_.element_type.part, type_.shape)
        found = np.empty(type_.lengths, dtype)
        found.real, found.imag = (numbers(real, draw, special) for _ in range(2))
        return found
    if dtype.kind == "f":
        found = draw.normal(size=type_.lengths)
        if special:
            found = np.where(draw.random(type_.lengths) < 0.3, draw.choice(REALS, type_.lengths), found)
        with np.errstate(all="ignore"):
            return np.asarray(found, dtype)
    if dtype.kind == "b":
        return draw.integers(0, 2, type_.lengths, dtype=bool)
    high = np.iinfo(dtype).max if special else 4
    return draw.integers(-high if special else 0, high, type_.lengths, dtype)
