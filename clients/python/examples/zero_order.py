"""The curse of dimension: gradient descent with exact gradients, with full differences and with random ones.

A descent on exact gradients takes as many steps in a thousand dimensions as in ten. One that knows values alone either
takes as few, at 2n evaluations each (central differences), or about n times as many, at 2 evaluations each (differences
along one random direction). One sees it on a quadratic, and on multidimensional scaling, where points in the plane are
found from their distances.

    python clients/python/examples/zero_order.py [--address HOST:PORT] [--plot descents.png] [--largest 256]

Prints what the theory says and what is measured: the exponent of the steps in n (1), the factor by which a step on
|x|^2 / 2 contracts in mean (1 - 1/n), the linear rates of strongly convex losses, which fall like 1/n at random, and
the exponents of 1/k and n/k for a loss that is convex and no more. Takes about two minutes on one processor. It needs
Matplotlib for the plot.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from gradserve.client import Client, Function
from gradserve.ir.records import dataclass

Array: TypeAlias = Any
Gradient: TypeAlias = Callable[[Array, int], tuple[Array, float]]
"""The gradient at a point in step k, exact or not, and the evaluations that it took."""

STEP = 1e-4
"""How far differences move along a direction."""
TARGET = 1e-2
"""A descent has arrived at this part of the loss that it began with."""
MOST = 50_000
LATE = 60
"""The step of an exact descent whose loss a random one is to reach."""
EXACT, CENTRAL, TWO_POINT = "exact gradients", "central differences", "two-point estimates"


@dataclass(frozen=True)
class Problem:
    """A loss and where descents on it begin."""

    name: str
    loss: Callable[[Array], Any]
    start: Array
    minimum: Array
    """Where they should end."""


@dataclass(frozen=True)
class Descent:
    """The losses on the way, and the evaluations spent before each."""

    losses: Array
    evaluations: Array

    @property
    def steps(self) -> int:
        """Steps taken."""
        return len(self.losses) - 1


def quadratic(n: int, seed: int) -> Problem:
    """A sum of squares with curvatures from 1/4 to 1, the same share of each in every dimension."""
    curvatures = np.linspace(0.25, 1.0, n)
    start = np.random.default_rng(seed).choice([-1.0, 1.0], n)
    return Problem("quadratic", lambda w: 0.5 * np.sum(curvatures * w * w), start, np.zeros(n))


def scaling(n: int, seed: int) -> Problem:
    """Multidimensional scaling of n/2 points of a circle, from places near theirs."""
    angles = 4 * np.pi * np.arange(n // 2) / n
    places = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    wanted = np.sum((places[:, None] - places[None]) ** 2, axis=2)

    def loss(w: Array) -> Any:
        lengths = np.sum(w * w, axis=1)
        return np.sum((lengths[:, None] + lengths[None] - 2 * w @ w.T - wanted) ** 2)

    start = places + 0.1 * np.random.default_rng(seed).standard_normal(places.shape)
    return Problem("multidimensional scaling", loss, start, places)


def flat(n: int, seed: int) -> Problem:
    """A sum of squares with curvatures down to 1e-5, evenly in their logarithm: f falls like 1/k before it is flat."""
    curvatures = np.logspace(-5, 0, n)
    start = np.random.default_rng(seed).choice([-1.0, 1.0], n)
    return Problem("convex", lambda w: 0.5 * np.sum(curvatures * w * w), start, np.zeros(n))


def gradients(function: Function, start: Array, seed: int) -> dict[str, Gradient]:
    """The ways to a gradient, by name."""
    explained = function.explain(start)
    exact_cost = explained.flops / explained.loss_flops

    def exact(w: Array, k: int) -> tuple[Array, float]:
        del k
        return function.grad(w), exact_cost

    def central(w: Array, k: int) -> tuple[Array, float]:
        del k
        found = function.zero_order_gradient(w, sampler="basis", step=STEP)
        return found.values, found.evaluations

    def two_point(w: Array, k: int) -> tuple[Array, float]:
        found = function.zero_order_gradient(w, max_probes=1, step=STEP, seed=(seed << 32) + k)
        return found.values, found.evaluations

    return {EXACT: exact, CENTRAL: central, TWO_POINT: two_point}


def rate(function: Function, problem: Problem, name: str) -> float:
    """The step of a descent: the reciprocal of the largest eigenvalue of the Hessian.

    Two-point estimates have n + 2 times the length of gradients, in mean square, and so many times shorter steps.
    """
    steepest = function.hessian_eigenpairs(problem.minimum, count=1, tol=1e-3).values[0]
    return float(1 / (steepest * (problem.start.size + 2 if name == TWO_POINT else 1)))


def descend(
    function: Function, problem: Problem, name: str, seed: int, target: float = TARGET, most: int = MOST
) -> Descent:
    """Steps against the gradient until the loss is `target` times what it was."""
    w, gradient = problem.start, gradients(function, problem.start, seed)[name]
    size, losses, spent = rate(function, problem, name), [float(function(problem.start))], [0.0]
    while losses[-1] > target * losses[0] and len(losses) <= most:
        found, evaluations = gradient(w, len(losses))
        w = w - size * found
        losses.append(float(function(w)))
        spent.append(spent[-1] + evaluations)
    return Descent(np.array(losses), np.array(spent))


def exponent(x: Array, y: Array) -> float:
    """The power of x that y grows with, by least squares."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def compared(
    client: Client, make: Callable[[int, int], Problem], sizes: Sequence[int], seeds: Sequence[int]
) -> dict[tuple[str, int], list[Descent]]:
    """Descents by the way to a gradient and by the dimension, one for each seed; of exact ways the first seed alone."""
    found: dict[tuple[str, int], list[Descent]] = {}
    for n in sizes:
        for seed in seeds:
            problem = make(n, seed)
            function = client.function(problem.loss)
            for name in (EXACT, CENTRAL, TWO_POINT) if seed == seeds[0] else (TWO_POINT,):
                found.setdefault((name, n), []).append(descend(function, problem, name, seed))
    return found


def steps_of(descents: dict[tuple[str, int], list[Descent]], name: str, sizes: Sequence[int]) -> list[float]:
    """The mean number of steps in each dimension."""
    return [float(np.mean([descent.steps for descent in descents[name, n]])) for n in sizes]


def linear_rates(descents: dict[tuple[str, int], list[Descent]], name: str, sizes: Sequence[int]) -> list[float]:
    """By how much the logarithm of the loss falls in a step, in each dimension: strongly convex losses fall so."""

    def fall(descent: Descent) -> float:
        late = descent.losses[len(descent.losses) // 4 :]
        return -float(np.polyfit(np.arange(len(late)), np.log(late), 1)[0])

    return [float(np.mean([fall(descent) for descent in descents[name, n]])) for n in sizes]


def advantage(descents: dict[tuple[str, int], list[Descent]], n: int) -> float:
    """The evaluations of a random descent, by those that an exact one is worth."""
    (exact, *_), random = descents[EXACT, n], descents[TWO_POINT, n]
    return float(np.mean([descent.evaluations[-1] for descent in random]) / exact.evaluations[-1])


def contraction(client: Client, n: int, steps: int, seed: int) -> tuple[float, float]:
    """The mean factor by which one step of 1/n on |x|^2 / 2 changes |x|^2, and its standard error."""
    function, x = client.function(lambda x: 0.5 * np.sum(x * x)), np.ones(n)
    factors = []
    for k in range(steps):
        g = function.zero_order_gradient(x, max_probes=1, step=STEP, seed=(seed << 32) + k).values
        factors.append(float(np.sum((x - g / n) ** 2) / np.sum(x * x)))
        x = x - g / n
    return float(np.mean(factors)), float(np.std(factors) / np.sqrt(steps))


def convex_exponents(client: Client, n: int, seed: int) -> tuple[float, float, float]:
    """The powers of the step with which the loss falls, exactly and at random, and how much later the random one is.

    The last is the steps of the random descent to the same loss as some of the exact one, by their number times n.
    """
    problem = flat(n, seed)
    function = client.function(problem.loss)
    exact = descend(function, problem, EXACT, seed, target=0.0, most=2 * LATE).losses
    random = descend(function, problem, TWO_POINT, seed, target=float(exact[LATE] / exact[0])).losses
    window, later = np.arange(10, 2 * LATE), np.unique(np.geomspace(10 * n, len(random) - 1, 50).astype(int))
    return (
        exponent(window, exact[window]),
        exponent(later, random[later]),
        (len(random) - 1) / (LATE * n),
    )


def drawn(axes: Any, descents: dict[tuple[str, int], list[Descent]], sizes: Sequence[int], spent: bool) -> None:
    """Losses against steps, or against evaluations: a colour for each way, lighter for fewer dimensions."""
    for colour, name in enumerate((EXACT, CENTRAL, TWO_POINT)):
        for k, n in enumerate(sizes):
            descent = descents[name, n][0]
            x = 1 + (descent.evaluations if spent else np.arange(len(descent.losses)))
            axes.loglog(
                x, descent.losses / descent.losses[0], color=f"C{colour}", linewidth=3 - colour,
                alpha=0.3 + 0.7 * (k + 1) / len(sizes), label=f"{name}, n = {n}",
            )  # fmt: skip
    axes.set_xlabel("1 + evaluations of the loss" if spent else "1 + steps")
    axes.set_ylabel("loss / first loss")


def drawn_steps(axes: Any, descents: dict[tuple[str, int], list[Descent]], sizes: Sequence[int]) -> None:
    """Steps against the dimension, with the powers that fit."""
    for colour, name in enumerate((EXACT, CENTRAL, TWO_POINT)):
        steps = steps_of(descents, name, sizes)
        label = f"{name}, n^{exponent(sizes, steps):.2f}"
        axes.loglog(sizes, steps, "o-", color=f"C{colour}", linewidth=3 - colour, label=label)
    axes.set_xlabel("dimensions n")
    axes.set_ylabel("steps")
    axes.legend(fontsize="x-small")


def picture(found: dict[str, dict[tuple[str, int], list[Descent]]], sizes: Sequence[int]) -> Any:
    """The figure of the descents on every loss."""
    from matplotlib import pyplot

    figure, grid = pyplot.subplots(len(found), 3, figsize=(15, 4 * len(found)), layout="constrained", squeeze=False)
    for row, (name, descents) in zip(grid, found.items(), strict=True):
        drawn(row[0], descents, sizes[::2], spent=False)
        drawn(row[1], descents, sizes[::2], spent=True)
        drawn_steps(row[2], descents, sizes)
        row[0].set_title(name)
    grid[0, 0].legend(fontsize="x-small")
    return figure


def main() -> None:
    """Runs all of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--address", metavar="HOST:PORT", help="a service (default: compute in this process)")
    options.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the descents into this file")
    options.add_argument("--largest", type=int, default=128, metavar="N", help="the most dimensions (default 128)")
    options.add_argument("--seeds", type=int, default=3, metavar="N", help="random descents of each (default 3)")
    given = options.parse_args()
    sizes = [n for n in (16, 32, 64, 128, 256, 512, 1024) if n <= max(given.largest, 32)]
    found = {}
    with Client(given.address, timeout=600) as client:
        for name, make in (("quadratic", quadratic), ("multidimensional scaling", scaling)):
            descents = found[name] = compared(client, make, sizes, range(given.seeds))
            for way in (EXACT, CENTRAL, TWO_POINT):
                steps = steps_of(descents, way, sizes)
                told = ", ".join(f"{k:.0f}" for k in steps)
                print(f"{name}, {way}: {told} steps for n = {sizes}, like n^{exponent(sizes, steps):.3f}")
            for way in (EXACT, TWO_POINT):
                told = ", ".join(f"{rate:.2g}" for rate in linear_rates(descents, way, sizes))
                power = exponent(sizes, linear_rates(descents, way, sizes))
                print(f"{name}, {way}: the logarithm of the loss falls by {told} a step, like n^{power:.3f}")
            print(f"{name}, n = {sizes[-1]}: {advantage(descents, sizes[-1]):.0f} times the evaluations at random")
        for n in sizes[:2]:
            factor, error = contraction(client, n, 500, 0)
            print(f"|x|^2 / 2, n = {n}: a step contracts by {factor:.4f} ± {error:.4f}, in theory {1 - 1 / n:.4f}")
        delays = []
        for n in sizes[:3]:
            exact, random, delay = convex_exponents(client, n, 0)
            delays.append(delay * n)
            print(f"convex, n = {n}: exact k^{exact:.2f}, at random k^{random:.2f} and {delay:.2f} n steps for one")
        print(f"convex: at random like (n/k) with n^{exponent(sizes[:3], delays):.2f}")
    if given.plot:
        picture(found, sizes).savefig(given.plot)
        print(f"drawn into {given.plot}")


if __name__ == "__main__":
    main()
