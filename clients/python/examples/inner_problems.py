"""Losses that solve something inside: a weight decay chosen by its effect, and the rates of an equation from data.

First a logistic regression is fitted to some samples with a decay for each feature, and the loss on other samples is a
function of these decays: through the inner minimum, by the implicit function theorem. Descending along its gradient
finds the features that say nothing. Then the four rates of Lotka's and Volterra's equations are found from noisy counts
of prey and hunters, by the derivative of the solution in the rates.

    python clients/python/examples/inner_problems.py [--address HOST:PORT]

Prints both descents. Takes some seconds. It needs SciPy, which comes with pip install 'gradserve[local]'.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize

from gradserve.client import Client, Function
from gradserve.client.functions import minimize as inner_minimum
from gradserve.client.functions import odeint

FEATURES, USEFUL, SAMPLES = 8, 3, 150
RATES = np.array([1.1, 0.4, 0.4, 0.1])
"""Of births, of being eaten, of deaths, and of births by eating."""
COUNTS = np.array([10.0, 5.0])
WEEKS = np.linspace(0.0, 12.0, 13)
NOISE = 0.03


class Samples(NamedTuple):
    """Features and labels."""

    x: Any
    y: Any


def samples(seed: int) -> Samples:
    """Some of which the first features say something about the labels."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((SAMPLES, FEATURES))
    weights = np.where(np.arange(FEATURES) < USEFUL, 2.0, 0.0)
    return Samples(x, rng.uniform(size=SAMPLES) < 1.0 / (1.0 + np.exp(-x @ weights)))


def mistakes(weights: Any, of: Samples) -> Any:
    """The mean of the negative logarithm of what a regression gives to the labels."""
    scores = of.x @ weights
    return np.mean(np.logaddexp(0.0, scores) - of.y * scores)


def chosen_decay(client: Client) -> tuple[Function, Any]:
    """The loss on other samples as a function of the logarithms of the decays, and where it is small."""
    fitted, others = samples(0), samples(1)

    def loss(decay: Any) -> Any:
        def regularised(weights: Any) -> Any:
            return mistakes(weights, fitted) + 0.5 * np.sum(np.exp(decay) * weights**2)

        return mistakes(inner_minimum(regularised, np.zeros(FEATURES)).x, others)

    f = client.function(loss, np.zeros(FEATURES))
    found = minimize(f.value_and_grad, np.full(FEATURES, -2.0), jac=True, bounds=[(-8.0, 3.0)] * FEATURES)
    return f, found.x


def populations(rates: Any) -> Any:
    """Prey and hunters, week by week."""

    def rate(y: Any, _: Any) -> Any:
        births, eaten, deaths, fed = rates
        meetings = y[0] * y[1]
        return np.stack([births * y[0] - eaten * meetings, fed * meetings - deaths * y[1]])

    return odeint(rate, COUNTS, WEEKS, most=1000, rtol=1e-7, adjoint="equation").y


def fitted_rates(client: Client) -> tuple[Function, Any]:
    """How badly logarithms of rates explain the noisy counts, and the rates that do it best."""
    truth = client.function(populations, RATES)(RATES)
    counted = truth * np.exp(NOISE * np.random.default_rng(2).standard_normal(truth.shape))
    f = client.function(lambda logs: np.mean((np.log(populations(np.exp(logs))) - np.log(counted)) ** 2), RATES)
    first = np.log(RATES * 1.2)
    found = minimize(f.value_and_grad, first, jac=True, bounds=[(x - 1.0, x + 1.0) for x in first])
    return f, np.exp(found.x)


def main() -> None:
    """Prints what both find."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--address", help="of a service; in this process without it")
    with Client(parser.parse_args().address) as client:
        loss, decay = chosen_decay(client)
        print(f"loss on other samples with equal decays {loss(np.full(FEATURES, -2.0)):.4f}, chosen {loss(decay):.4f}")
        print(
            "decays", *(f"{each:.3g}" for each in np.exp(decay)), f"(of {FEATURES} features the first {USEFUL} matter)"
        )
        misfit, rates = fitted_rates(client)
        before, after = misfit(np.log(RATES * 1.2)), misfit(np.log(rates))
        print(f"misfit at first {before:.4f}, at last {after:.5f} with noise of {NOISE**2:.5f}")
        print("rates", *(f"{each:.4f}" for each in rates), "instead of", *RATES)


if __name__ == "__main__":
    main()
