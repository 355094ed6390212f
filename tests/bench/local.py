"""Value and gradient in this process against HIPS autograd and JAX; static costs; what a new graph costs once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from gradserve.autodiff import derive
from gradserve.client import Client
from gradserve.execution import Program, executor, instance_of
from gradserve.ir.graph import Graph
from gradserve.optimize import optimize
from gradserve.questions.derivations import Derivation, Evaluate, Gradient, Hvp
from tests.bench import peers_local, workloads
from tests.bench.report import Floor, Screen, Section, duration, time_floor
from tests.bench.timing import Here, Timing, interleave, ratio, turns
from tests.bench.workloads import Workload

T = TypeVar("T")

AGAINST_AUTOGRAD = 1.2
AGAINST_JAX = {"d_mds": 0.15, "i_poly": 0.5}
"""The most of JAX's time through `Client()`."""
_BOUND = {
    "i_poly": "both are bound by arithmetic; sums and products are rounded one by one, as by NumPy: fused, x x - y y "
    "would not vanish at x = y",
}
IN_PROCESS = 15e-6
"""Seconds that a call of `Client()` may take beyond its program."""
GRADIENT_FLOPS = 4.0
HVP_FLOPS = 8.0
CHAIN_SECONDS = 5.0


def graph_of(workload: Workload, embedded: Client) -> Graph:
    """The loss, traced from its NumPy source."""
    return embedded.function(workload.using(np), *workload.point).graph


def derived_graph(graph: Graph, derivation: Derivation) -> Graph:
    """What is run for a derivation."""
    return optimize(derive(graph, derivation))


def program_of(graph: Graph, derivation: Derivation) -> Program:
    """The program of a derivation."""
    return instance_of(derived_graph(graph, derivation)).program


def speed(names: Sequence[str], seconds: float, screen: Screen) -> tuple[Section, dict[str, dict[str, Timing]]]:
    """Times by workload and library; the results agree before anything is timed."""
    timings: dict[str, dict[str, Timing]] = {}
    jax = peers_local.Jax()
    with Client() as embedded:
        for name in names:
            timings[name] = _speed_of(workloads.make(name), embedded, jax, seconds)
            screen.line(_speed_line(name, timings[name]))
    jax.close()
    header = ("workload", "gradserve", "`numpy`", "`Client()`", "autograd", "JAX", "of autograd", "of JAX", "turns")
    rows = [(f"`{name}` {workloads.make(name).title}", *_speed_cells(times)) for name, times in timings.items()]
    floors = [
        time_floor(f"{name}: time of autograd's", ratio(times["gradserve"], times["autograd"]), AGAINST_AUTOGRAD)
        for name, times in timings.items()
    ]
    floors += [
        time_floor(
            f"{name}: `Client()`, time of JAX's",
            ratio(times["client"], times["jax"]),
            AGAINST_JAX[name],
            _BOUND.get(name, ""),
        )
        for name, times in timings.items()
        if name in AGAINST_JAX
    ]
    if "a_toy" in timings:
        beyond = timings["a_toy"]["client"].median - timings["a_toy"]["gradserve"].median
        floors.append(
            Floor(f"a call of `Client()` beyond its program, of {IN_PROCESS * 1e6:.0f} us", beyond / IN_PROCESS, 1.0)
        )
    text = (
        "float64, one thread each. Each cell is the median of interleaved turns and, in brackets, the best turn. "
        "Ratios are medians of the ratios of each round, with their 95 % intervals. The last column counts the turns "
        "and shows, in brackets, the share of time that the library worst off waited for a processor. "
        "gradserve is a prepared program as machine code, as a worker runs what runs often; `numpy` is the same on "
        "the NumPy executor; `Client()` is the public in-process client with all its checks, once it has compiled; "
        "autograd runs in the same process on the same BLAS; JAX is `jit(value_and_grad)` in a process of its own held "
        "to one core. All results agree with autograd's to "
        f"{peers_local.CLOSE:g} before anything is timed."
    )
    return Section("Value and gradient in one process", text, header, rows, floors), timings


def _speed_of(workload: Workload, embedded: Client, jax: peers_local.Jax, seconds: float) -> dict[str, Timing]:
    function = embedded.function(workload.using(np), *workload.point)
    graph = derived_graph(function.graph, Gradient(tuple(workload.parameters)))
    calls = {
        "gradserve": peers_local.engine(workload, graph, "fused"),
        "numpy": peers_local.engine(workload, graph, "numpy"),
        "client": peers_local.client(workload, function),
        "autograd": peers_local.autograd(workload),
    }
    expected = calls["autograd"]()
    results = {"jax": jax.load(workload.name), **{name: call() for name, call in calls.items()}}
    for name, result in results.items():
        off = peers_local.difference(result, expected)
        assert off < peers_local.CLOSE, f"{workload.name}: {name} differs from autograd by {off:.1e}"
    peers_local.warm(function, calls["client"])
    return interleave([*(Here(name, call) for name, call in calls.items()), jax], seconds)


def _speed_line(name: str, times: dict[str, Timing]) -> str:
    shown = "  ".join(f"{who} {duration(timing.median):>8}" for who, timing in times.items())
    floor = time_floor(name, ratio(times["gradserve"], times["autograd"]), AGAINST_AUTOGRAD)
    return f"{name:11} {shown}  of autograd {floor.measured:.2f}x  {floor.verdict}"


def _speed_cells(times: dict[str, Timing]) -> list[str]:
    cells = [f"{duration(t.median)} ({duration(t.best)})" for t in times.values()]
    cells += [str(ratio(times["gradserve"], times[peer])) for peer in ("autograd", "jax")]
    return [*cells, turns(times)]


def operations(names: Sequence[str], screen: Screen) -> Section:
    """Floating-point operations of derivatives in multiples of the loss's, from shapes alone."""
    rows, floors = [], []
    with Client() as embedded:
        for name in names:
            workload = workloads.make(name)
            graph, wrt = graph_of(workload, embedded), tuple(workload.parameters)
            derivations = (Evaluate(), Gradient(wrt), Hvp(wrt, product_only=True), Hvp(wrt))
            loss, gradient, hvp, everything = (program_of(graph, d) for d in derivations)
            schedule = executor("numpy").schedule(gradient)
            new = [
                Floor(f"{name}: gradient of the loss", gradient.flops / loss.flops, GRADIENT_FLOPS),
                Floor(f"{name}: HVP of the loss", hvp.flops / loss.flops, HVP_FLOPS),
            ]
            rows.append(
                (
                    f"`{name}`",
                    *(f"{program.flops:.3g}" for program in (loss, gradient, hvp, everything)),
                    *(f"{program.flops / loss.flops:.2f}" for program in (gradient, hvp, everything)),
                    f"{schedule.peak_bytes / 2**20:.3g} MiB",
                    f"{duration(schedule.seconds)}",
                )
            )
            floors += new
            screen.line("  ".join(map(str, new)))
    counted = ("gradient", "HVP", "all three")
    header = ("workload", "loss", *counted, *(f"{name} : loss" for name in counted), "peak", "predicted time")
    text = (
        "FLOPs of the optimised programs, counted from shapes: the loss alone; value and gradient; the Hessian product "
        "alone; value, gradient and Hessian product in one. Peak memory and time are the gradient's, as predicted "
        "before anything runs. For the determinant all three take 9 losses, and cannot take fewer: its loss is one LU "
        "factorisation (2/3 n^3), its gradient an inverse from it (4/3 n^3), and X^-1 V X^-1 two products (2 n^3 each)."
    )
    return Section("Operations and memory, counted", text, header, rows, floors)


def preparation(names: Sequence[str], repetitions: int, screen: Screen) -> Section:
    """What a graph that nobody has seen costs before its first call."""
    rows = []
    with Client() as embedded:
        for name in names:
            workload = workloads.make(name)
            stages = [_stages(workload, embedded) for _ in range(repetitions + 1)][1:]
            medians = {key: float(np.median([s[key] for s in stages])) for key in stages[0] if key != "nodes"}
            total = sum(medians.values())
            rows.append((f"`{name}`", f"{stages[0]['nodes']:.0f}", *map(duration, medians.values()), duration(total)))
            screen.line(f"{name:11} " + "  ".join(f"{stage} {duration(t)}" for stage, t in medians.items()))
    header = ("workload", "nodes", "trace", "digest", "derive", "optimise", "plan", "schedule", "prepare", "all")
    text = (
        "Median seconds of each stage from NumPy source to a program for value and gradient. Nodes are those of the "
        "optimised gradient. The digest includes hashing captured data."
    )
    return Section("From source to program", text, header, rows)


def long_chain(repetitions: int, screen: Screen) -> Section:
    """Seconds of each stage for a chain of 5000 nodes, which a transform that is not linear would take minutes for."""
    rows, floors = [], []
    with Client() as embedded:
        graph = embedded.function(_chain, x=0.3).graph
    for name, derivation in (("gradient", Gradient(("x",))), ("HVP", Hvp(("x",)))):
        stages = [_derived(graph, derivation) for _ in range(repetitions)]
        medians = {key: float(np.median([s[key] for s in stages])) for key in stages[0]}
        nodes = medians.pop("nodes")
        rows.append((name, f"{nodes:.0f}", *map(duration, medians.values()), duration(sum(medians.values()))))
        floors.append(Floor(f"{name}: derived, of {CHAIN_SECONDS:g} s", medians["derive"] / CHAIN_SECONDS, 1.0))
        screen.line(f"{name:11} " + "  ".join(f"{stage} {duration(t)}" for stage, t in medians.items()))
    header = ("derivative", "nodes", "derive", "optimise", "plan", "all")
    text = f"Median seconds of each stage for a chain of {len(graph.nodes)} nodes, sin(x) + 0.1 over and over."
    return Section("A long chain", text, header, rows, floors)


def _chain(x: Any) -> Any:
    for _ in range(2500):
        x = np.sin(x) + 0.1
    return x


def _derived(graph: Graph, derivation: Derivation) -> dict[str, float]:
    numpy = executor("numpy")
    started = time.perf_counter()
    derived = derive(graph, derivation)
    then = time.perf_counter()
    optimized = optimize(derived)
    optimised = time.perf_counter()
    numpy.schedule(instance_of(optimized).program)
    planned = time.perf_counter()
    spent = {"derive": then - started, "optimise": optimised - then, "plan": planned - optimised}
    return {"nodes": len(optimized.nodes), **spent}


def _stages(workload: Workload, embedded: Client) -> dict[str, float]:
    spent: dict[str, float] = {}

    def timed(stage: str, function: Callable[..., T], *arguments: Any) -> T:
        started = time.perf_counter()
        result = function(*arguments)
        spent[stage] = time.perf_counter() - started
        return result

    graph = timed("trace", graph_of, workload, embedded)
    timed("digest", lambda: graph.digest)
    derived = timed("derive", derive, graph, Gradient(tuple(workload.parameters)))
    optimized = timed("optimise", optimize, derived)
    instance = timed("plan", instance_of, optimized)
    schedule = timed("schedule", executor("numpy").schedule, instance.program)
    timed("prepare", executor("numpy").prepare, schedule)
    return {"nodes": len(optimized.nodes), **spent}
