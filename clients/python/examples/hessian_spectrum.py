"""How training changes the spectrum of a Hessian: a residual network on images of handwritten digits.

Before training the Hessian of the loss has large negative eigenvalues: the loss curves down in many directions. After
training they are gone, and a few large positive ones stand out from a bulk near 0.

    python clients/python/examples/hessian_spectrum.py [--address HOST:PORT] [--plot spectrum.png]

Takes about a minute on one processor. It needs scikit-learn for the images, and Matplotlib for the plot.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from sklearn.datasets import load_digits

from gradserve.client import Client, Eigenpairs, Function, SpectrumEstimate
from gradserve.client.functions import convolution, logsumexp

Array: TypeAlias = Any
Parameters: TypeAlias = dict[str, Array]
End: TypeAlias = Literal["largest", "smallest"]

CHANNELS, BLOCKS = 4, 2
GAIN = 2.0
"""The variance of random weights, times the number of what they are applied to."""
BATCH = 100
"""Images of the Hessian, and of a step of training."""
STEPS, RATE = 200, 0.01


def images(seed: int) -> tuple[Array, Array]:
    """All images in random order as (count, 1, 8, 8), of mean 0 and variance 1; and their digits as rows of ones."""
    data, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(data))
    scaled = (data - data.mean()) / data.std()
    return scaled[order].reshape(-1, 1, 8, 8), np.eye(10)[digits[order]]


def network(seed: int) -> Parameters:
    """Random kernels and weights, by name."""
    rng = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {"first": (CHANNELS, 1, 3, 3)}
    shapes |= {f"{part}{k}": (CHANNELS, CHANNELS, 3, 3) for k in range(BLOCKS) for part in ("inner", "outer")}
    shapes["dense"] = (10, CHANNELS * 64)
    return {n: rng.standard_normal(s) * np.sqrt(GAIN / np.prod(s[1:])) for n, s in shapes.items()}


def loss(parameters: Parameters, x: Array, y: Array) -> Any:
    """The cross-entropy of a network in which each block adds two convolutions to what it is given."""
    h = np.tanh(convolution(x, parameters["first"], padding="same"))
    for k in range(BLOCKS):
        inside = np.tanh(convolution(h, parameters[f"inner{k}"], padding="same"))
        h = h + convolution(inside, parameters[f"outer{k}"], padding="same")
    logits = np.reshape(np.tanh(h), (len(x), -1)) @ parameters["dense"].T
    return np.mean(logsumexp(logits, axis=1) - np.sum(y * logits, axis=1))


def trained(function: Function, parameters: Parameters, x: Array, y: Array, seed: int) -> Parameters:
    """The parameters after some steps of Adam, each on other images."""
    rng = np.random.default_rng(seed)
    mean, square = ({name: np.zeros_like(w) for name, w in parameters.items()} for _ in range(2))
    for step in range(1, STEPS + 1):
        rows = rng.choice(len(x), BATCH, replace=False)
        value, gradient = function.value_and_grad(parameters, x[rows], y[rows], wrt="parameters")
        rate = RATE * (1 - step / (STEPS + 1))
        for name, g in gradient.items():
            mean[name] += 0.1 * (g - mean[name])
            square[name] += 0.01 * (g * g - square[name])
        far = {n: np.sqrt(square[n] / (1 - 0.99**step)) + 1e-8 for n in square}
        parameters = {n: w - rate * mean[n] / (1 - 0.9**step) / far[n] for n, w in parameters.items()}
        if step in (1, STEPS) or step % 100 == 0:
            print(f"  step {step:3d}  loss {value:.4f}")
    return parameters


def looked_at(name: str, function: Function, parameters: Parameters, x: Array, y: Array) -> SpectrumEstimate:
    """The spectrum, told together with the eigenvalues at both of its ends."""

    def ends(end: End) -> Eigenpairs:
        pairs: Eigenpairs = function.hessian_eigenpairs(parameters, x, y, wrt="parameters", count=3, end=end, tol=1e-4)
        return pairs

    spectrum: SpectrumEstimate = function.hessian_spectrum(
        parameters, x, y, wrt="parameters", probes=4, steps=40, width=0.005
    )
    low, high = ends("smallest"), ends("largest")
    print(f"{name}: {spectrum}")
    for pairs in (low, high):
        told = ", ".join(f"{v:.5g} ± {r:.0e}" for v, r in zip(pairs.values, pairs.residuals, strict=True))
        print(f"  {pairs.end} eigenvalues  {told}")
    print(f"  smallest / largest  {low.values[0] / high.values[0]:.4f}\n")
    return spectrum


def main() -> None:
    """Runs all of it."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--address", metavar="HOST:PORT", help="a service (default: compute in this process)")
    options.add_argument("--plot", type=Path, metavar="FILE.png", help="draw both spectra into this file")
    options.add_argument("--seed", type=int, default=0, metavar="N", help="of network and images (default 0)")
    given = options.parse_args()
    x, y = images(given.seed)
    before = network(given.seed)
    with Client(given.address, timeout=600) as client:
        function = client.function(loss)
        first = looked_at("before training", function, before, x[:BATCH], y[:BATCH])
        after = trained(function, before, x, y, given.seed)
        second = looked_at("after training", function, after, x[:BATCH], y[:BATCH])
    if given.plot:
        axes = first.plot()
        second.plot(axes)
        axes.legend(axes.get_lines(), ["before training", "after training"])
        axes.figure.savefig(given.plot)
        print(f"drawn into {given.plot}")


if __name__ == "__main__":
    main()
