"""Dense derivatives: both modes of a Jacobian by the number of outputs, and a large Hessian with Ray and without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from gradserve.client import Client, Function
from tests.bench import peers_local, workloads
from tests.bench.report import Screen, Section, duration, time_floor
from tests.bench.timing import Here, Subject, Timing, interleave, ratio, turns

OUTPUTS = (1, 2, 5, 10, 20, 50, 70, 100, 150, 200, 500, 1000)
INPUTS = 100
OF_THE_BETTER = 1.1
_MODES: tuple[Literal["auto", "forward", "reverse"], ...] = ("auto", "forward", "reverse")
_PEERS = ("jacfwd", "jacrev")
_HIDDEN = 40


def sweep(seconds: float, screen: Screen) -> tuple[Section, dict[int, dict[str, Timing]]]:
    """Times of a whole Jacobian of 100 inputs by the number of outputs, in both modes and in the one chosen."""
    timings: dict[int, dict[str, Timing]] = {}
    peers = [peers_local.Jax(name) for name in _PEERS]
    with Client(threads=1) as embedded:
        for outputs in OUTPUTS:
            timings[outputs] = interleave(_subjects(embedded, peers, outputs), seconds)
            screen.line(f"m = {outputs:<5} " + "  ".join(_shown(timings[outputs])))
    for peer in peers:
        peer.close()
    rows = [_row(outputs, times) for outputs, times in timings.items()]
    floors = [
        time_floor(f"m = {outputs}: the mode chosen of the better one", ratio(t["auto"], t[better(t)]), OF_THE_BETTER)
        for outputs, t in timings.items()
    ]
    header = ("outputs", *(f"`{mode}`" for mode in _MODES), *_PEERS, "`auto` of the better", "of JAX's better", "turns")
    text = (
        f"The whole Jacobian of sin(W2 tanh(W1 x)) from {INPUTS} inputs to so many outputs, as in the lecture's figure "
        "27, through `Client(threads=1)` with all its checks: by columns, by rows, and in the mode that is chosen by "
        "predicted cost. JAX is `jit(jacfwd)` and `jit(jacrev)`, each in a process of its own held to one core. "
        "Medians of interleaved turns and, in brackets, the best turn. All Jacobians agree before anything is timed."
    )
    return Section("A Jacobian by its number of outputs", text, header, rows, floors), timings


def better(times: dict[str, Timing], of: Sequence[str] = ("forward", "reverse")) -> str:
    """The faster of some subjects."""
    return min(of, key=lambda name: times[name].median)


def _subjects(embedded: Client, peers: Sequence[peers_local.Jax], outputs: int) -> list[Subject]:
    workload = workloads.jacobian_network(outputs)
    function, (x,) = embedded.function(workload.using(np)), workload.point
    found = {peer.name: peer.load(f"{peer.name} {outputs}")[0] for peer in peers}
    found |= {mode: function.jacobian(x, mode=mode) for mode in _MODES}
    for name, jacobian in found.items():
        off = float(np.max(np.abs(jacobian - found["jacrev"])))
        assert off < peers_local.CLOSE, f"{outputs} outputs: {name} differs from jacrev by {off:.1e}"
    own = [Here(mode, lambda mode=mode: function.jacobian(x, mode=mode)) for mode in _MODES]  # type: ignore[misc]  # mypy does not see that a default fixes the mode
    return [*own, *peers]


def _shown(times: dict[str, Timing]) -> list[str]:
    of_better = ratio(times["auto"], times[better(times)])
    return [
        *(f"{name} {duration(timing.median):>8}" for name, timing in times.items()),
        f"auto {of_better} of {better(times)}",
    ]


def _row(outputs: int, times: dict[str, Timing]) -> tuple[str, ...]:
    cells = [f"{duration(timing.median)} ({duration(timing.best)})" for timing in times.values()]
    of_own, of_jax = (ratio(times["auto"], times[name]) for name in (better(times), better(times, _PEERS)))
    return (str(outputs), *cells, f"{of_own} ({better(times)})", f"{of_jax} ({better(times, _PEERS)})", turns(times))


def hessian(address: str, seconds: float, screen: Screen) -> Section:
    """Times of a Hessian of 2000 parameters, on threads of this process and on a service's workers."""
    rng = np.random.default_rng(0)
    data, targets = rng.standard_normal((1000, 49)), np.sign(rng.standard_normal(1000))
    point: dict[str, Any] = {"w": 0.3 * rng.standard_normal((49, _HIDDEN)), "u": rng.standard_normal(_HIDDEN)}

    def loss(w: Any, u: Any) -> Any:
        return np.mean(np.logaddexp(0.0, -targets * (np.tanh(data @ w) @ u)))

    with Client(threads=1) as one, Client() as embedded, Client(address) as remote:
        functions = {"one thread": one.function(loss), "threads": embedded.function(loss), "Ray": remote.function(loss)}
        functions["Ray"].placement = "cluster"
        found = [function.hessian(**point) for function in functions.values()]
        assert all(_same_bits(other, found[0]) for other in found[1:])
        times = interleave([Here(n, _call(f, point)) for n, f in functions.items()], seconds)
        rows = [_hessian_row(name, times, functions[name]) for name in times]
    for row in rows:
        screen.line("  ".join(row))
    text = (
        f"The Hessian of a network's loss in {49 * _HIDDEN + _HIDDEN} parameters on 1000 rows of data: 32 MB, "
        "assembled from products with columns of the identity, in chunks. All places answer the same bits. The "
        "service has two Ray workers, and its times include sending the Hessian back."
    )
    return Section("A Hessian of 2000 parameters", text, ("where", "median", "best", "chunks", "of one thread"), rows)


def _hessian_row(name: str, times: dict[str, Timing], function: Function) -> tuple[str, ...]:
    timing = times[name]
    chunks = function.last_report.chunks if function.last_report else 0
    compared = str(ratio(timing, times["one thread"]))
    return name, duration(timing.median), duration(timing.best), str(chunks), compared


def _call(function: Function, point: dict[str, Any]) -> Any:
    return lambda: function.hessian(**point)


def _same_bits(found: Any, expected: Any) -> bool:
    return all(np.array_equal(found[row][column], expected[row][column]) for row in found for column in found[row])
