"""Four ways to a derivative: by hand, by rules on symbols, by differences, and automatically.

The function is the logistic map x -> 4x(1 - x), applied K times. By hand one sees that with x = sin(t)^2 it is
sin(2^K t)^2, whose derivative is short. Whoever applies the rules to the symbols gets an expression that doubles with
every application, and more. Differences cost two evaluations, and force a choice between truncation and rounding.
Automatic differentiation costs a small multiple of the function, and is right to rounding.

    python clients/python/examples/ways_to_differentiate.py [--address HOST:PORT] [--plot ways.png]

Prints operations and errors of each, and of differences the error against the step. Takes some seconds. It needs SymPy,
and Matplotlib for the plot: pip install 'gradserve[examples]'.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import sympy

from gradserve.client import Client, Function
from gradserve.ir.records import dataclass

HAND, SYMBOLIC, AUTOMATIC = "by hand", "symbols", "automatic"
FORWARD, CENTRAL = "forward differences", "central differences"
SCHEMES = {FORWARD: "forward", CENTRAL: "central"}
POINT = 0.3
DEPTHS = range(1, 8)
DEPTH = 5
"""Of the errors."""
STEPS = 10.0 ** np.arange(-13, -1, 0.5)
LEAST = 1e-17
"""What an error of 0 is drawn as."""
DIGITS = 60
"""Of the derivative that errors are counted from."""


def iterated(x: Any, depth: int) -> Any:
    """The logistic map of numbers, arrays, traced values or symbols, so many times."""
    for _ in range(depth):
        x = 4 * x * (1 - x)
    return x


def by_hand(x: Any, depth: int, asin: Callable[..., Any], sin: Callable[..., Any]) -> Any:
    """2^K sin(2^(K+1) t) / sin(2t) at x = sin(t)^2."""
    t = asin(x**0.5)
    return 2**depth * sin(2 ** (depth + 1) * t) / sin(2 * t)


def exact(x: float, depth: int) -> Any:
    """The derivative to many digits."""
    with mpmath.workdps(DIGITS):
        return by_hand(mpmath.mpf(x), depth, mpmath.asin, mpmath.sin)


def symbolic(depth: int) -> tuple[Any, Any]:
    """The derivative as rules on symbols give it, nothing collected or simplified; and its variable."""
    x = sympy.Symbol("x")
    return sympy.diff(iterated(x, depth), x), x


def function_of(client: Client, depth: int) -> Function:
    """The map as a function of the client."""
    return client.function(lambda x: iterated(x, depth), x=np.float64(POINT))


def operations(client: Client, depths: Sequence[int]) -> dict[str, list[float]]:
    """The operations of each way, by depth; an elementary function is one."""
    x = sympy.Symbol("x")
    counts: dict[str, list[float]] = {HAND: [], SYMBOLIC: [], FORWARD: [], CENTRAL: [], AUTOMATIC: []}
    for depth in depths:
        explained = function_of(client, depth).explain(np.float64(POINT))
        counts[HAND].append(int(sympy.count_ops(by_hand(x, depth, sympy.asin, sympy.sin))))
        counts[SYMBOLIC].append(int(sympy.count_ops(symbolic(depth)[0])))
        counts[FORWARD].append(2 * explained.loss_flops + 3)
        counts[CENTRAL].append(2 * explained.loss_flops + 5)
        counts[AUTOMATIC].append(explained.flops)
    return counts


@dataclass(frozen=True)
class Errors:
    """The relative errors of each way; of differences those at every step, and at the step that was chosen."""

    ways: Mapping[str, float]
    by_step: Mapping[str, Any]
    chosen: Mapping[str, tuple[float, float, float]]
    """The step, the error there, and its bound."""


def errors(client: Client, depth: int, x: float = POINT) -> Errors:
    """All of them at a point."""
    function, right = function_of(client, depth), exact(x, depth)
    scale = float(abs(right))

    def off(found: Any) -> float:
        return float(abs(mpmath.mpf(float(found)) - right)) / scale

    derivative, variable = symbolic(depth)
    ways = {
        HAND: off(by_hand(x, depth, np.arcsin, np.sin)),
        SYMBOLIC: off(sympy.lambdify(variable, derivative)(x)),
        AUTOMATIC: off(function.grad(np.float64(x))),
    }
    by_step, chosen = {}, {}
    for name, scheme in SCHEMES.items():

        def differences(step: float = 0.0, scheme: str = scheme) -> Any:
            return function.zero_order_gradient(np.float64(x), sampler="basis", scheme=scheme, step=step)

        by_step[name] = np.array([off(differences(float(step)).values) for step in STEPS])
        found = differences()
        chosen[name] = found.step, off(found.values), found.step_error / scale
    return Errors(ways, by_step, chosen)


def picture(depths: Sequence[int], counts: Mapping[str, Sequence[float]], found: Errors) -> Any:
    """The figure: operations against depth, and errors against the step."""
    from matplotlib import pyplot

    figure, (costs, steps) = pyplot.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for name, each in counts.items():
        costs.semilogy(depths, each, "o-", label=name)
    costs.set_xlabel("applications of 4x(1 - x)")
    costs.set_ylabel("operations of the derivative")
    costs.legend()
    for name, each in found.by_step.items():
        (line,) = steps.loglog(STEPS, np.maximum(each, LEAST), label=name)
        step, error, _ = found.chosen[name]
        steps.plot([step], [max(error, LEAST)], "o", color=line.get_color(), label=f"{name}, chosen step")
    for k, (name, error) in enumerate(found.ways.items(), start=2):
        steps.axhline(max(error, LEAST), color=f"C{k}", linestyle=":", label=name)
    steps.set_xlabel("step")
    steps.set_ylabel("relative error")
    steps.legend(fontsize="small")
    return figure


def main() -> None:
    """Runs all of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--address", metavar="HOST:PORT", help="a service (default: compute in this process)")
    options.add_argument("--plot", type=Path, metavar="FILE.png", help="draw operations and errors into this file")
    given = options.parse_args()
    with Client(given.address, timeout=600) as client:
        counts, found = operations(client, DEPTHS), errors(client, DEPTH)
    for name, each in counts.items():
        print(f"{name:20} {', '.join(f'{count:.0f}' for count in each)} operations for K = 1 to {DEPTHS[-1]}")
    for name, error in found.ways.items():
        print(f"{name:20} relative error {error:.1e} at K = {DEPTH}")
    for name, (step, error, bound) in found.chosen.items():
        best = int(np.argmin(found.by_step[name]))
        told = f"{error:.1e} (at most {bound:.1e}) at the chosen step {step:.1e}"
        print(f"{name:20} relative error {told}, {found.by_step[name][best]:.1e} at the best of {len(STEPS)} others")
    if given.plot:
        picture(DEPTHS, counts, found).savefig(given.plot)
        print(f"drawn into {given.plot}")


if __name__ == "__main__":
    main()
