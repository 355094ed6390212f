"""Losses as people of many trades write them: each by habits of its own, none of them for a tracer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.integrate
import scipy.interpolate
import scipy.linalg
import scipy.ndimage
import scipy.signal
import scipy.sparse
import scipy.spatial.distance
import scipy.special
import scipy.stats
from scipy import special, stats

_rng = np.random.default_rng(2024)
sparse: Any = scipy.sparse

LOSSES: dict[str, tuple[Callable[..., Any], Any]] = {}
"""By trade: the loss, and a point."""


def _loss(point: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        LOSSES[function.__name__] = function, np.asarray(point, float)
        return function

    return enter


RETURNS = _rng.normal(0.001, 0.02, (60, 4))


@_loss([0.3, 0.2, 0.4, 0.1])
def portfolio(w):
    w = w / np.sum(w)
    mu = RETURNS.mean(axis=0)
    cov = np.cov(RETURNS, rowvar=False)
    sharpe = np.dot(w, mu) / np.sqrt(np.dot(w.T, np.dot(cov, w)))
    drawdown = np.maximum.accumulate(np.cumsum(RETURNS @ w)) - np.cumsum(RETURNS @ w)
    return -sharpe + 0.1 * np.mean(drawdown)


PRICES = _rng.normal(0.0, 1.0, 80)


@_loss([0.1, 0.15, 0.7])
def garch(theta):
    omega, alpha, beta = theta
    sigma2 = [np.var(PRICES)]
    for t in range(1, 20):
        sigma2.append(omega + alpha * PRICES[t - 1] ** 2 + beta * sigma2[-1])
    return -np.sum(stats.norm.logpdf(PRICES[:20], loc=0, scale=np.sqrt(np.array(sigma2))))


HOURS = np.array([0.25, 0.5, 1, 2, 4, 8, 12, 24.0])
LEVELS = np.array([1.2, 2.3, 3.1, 3.0, 2.1, 1.0, 0.55, 0.1])


@_loss([0.1, -1.8, 1.0, -1.5])
def pharmacokinetics(log_params):
    ka, ke, volume, sigma = np.exp(log_params)
    concentration = 10.0 * ka / (volume * 3 * (ka - ke)) * (np.exp(-ke * HOURS) - np.exp(-ka * HOURS))
    return -np.sum(stats.lognorm.logpdf(LEVELS, s=sigma, scale=concentration))


MILLER = np.array([[1, 0, 0], [1, 1, 0], [2, 1, 0], [2, 1, 1], [3, 0, 1]])
AMPLITUDES = np.array([3.1, 2.2, 1.7, 2.9, 0.8])


@_loss(_rng.uniform(0, 1, (3, 3)))
def crystallography(atoms):
    phase = 2 * np.pi * np.dot(MILLER, atoms.T)
    real, imaginary = np.cos(phase).sum(1), np.sin(phase).sum(1)
    calculated = np.hypot(real, imaginary)
    scale = np.sum(AMPLITUDES * calculated) / np.sum(calculated**2)
    return np.sum(np.abs(AMPLITUDES - scale * calculated)) / np.sum(AMPLITUDES)


STATIONS = np.c_[_rng.uniform(-10, 10, (6, 2)), np.zeros(6)]
ARRIVALS = _rng.uniform(1, 3, 6)


@_loss([1.0, -2.0, 6.0, 0.4])
def seismology(source):
    travel = scipy.spatial.distance.cdist(np.atleast_2d(source[:3]), STATIONS)[0] / 5.8
    return np.sum(special.huber(0.5, ARRIVALS - (source[3] + travel)))


CASES = np.array([1, 3, 6, 11, 24, 40, 61, 70, 66, 48.0])


@_loss([-0.2, -1.2, 2.0])
def epidemiology(theta):
    beta, gamma, k = np.exp(theta)
    state = np.array([990.0, 10.0, 0.0])
    expected = []
    for _ in CASES:
        infections = beta * state[0] * state[1] / 1000.0
        recoveries = gamma * state[1]
        state = state + np.array([-infections, infections - recoveries, recoveries])
        expected.append(infections)
    mu = np.array(expected)
    return -stats.nbinom.logpmf(CASES, k, k / (k + mu)).sum()


@_loss([0.3, 0.5, -0.4])
def robotics(q):
    lengths = [1.0, 0.8, 0.5]
    pose = np.eye(3)
    for angle, length in zip(q, lengths, strict=True):
        c, s = np.cos(angle), np.sin(angle)
        pose = pose @ np.array([[c, -s, length * c], [s, c, length * s], [0, 0, 1]])
    target = np.array([1.2, 0.9])
    return np.linalg.norm(pose[:2, 2] - target) ** 2 + 0.01 * np.sum(np.square(q))


ROAD = sparse.random(30, 12, 0.3, format="csr", random_state=5)
DELAYS = _rng.normal(size=30)
ROUGH = sparse.diags([np.ones(11), -2 * np.ones(12), np.ones(11)], [-1, 0, 1]).tocsr()


@_loss(_rng.normal(size=12))
def tomography(slowness):
    residual = ROAD @ slowness - DELAYS
    return 0.5 * residual @ residual + 0.1 * np.sum((ROUGH @ slowness) ** 2)


COUNTS = np.array([4, 0, 2, 7, 1, 3])
DESIGN = np.column_stack([np.ones(6), np.linspace(-1, 1, 6)])


@_loss([0.5, 0.3])
def poisson_regression(beta):
    return -np.sum(scipy.stats.poisson(np.exp(DESIGN @ beta)).logpmf(COUNTS))


GROUPS = np.array([0, 0, 1, 2, 2, 1, 0, 2])
SCORES = _rng.normal(size=8)


@_loss([0.1, -0.4, 0.7, -0.2, 0.3])
def hierarchical(theta):
    mu, log_tau, *effects = theta
    effects = np.asarray(effects)
    prior = stats.norm.logpdf(effects, mu, np.exp(log_tau)).sum() + stats.halfnorm.logpdf(np.exp(log_tau))
    return -(prior + stats.t.logpdf(SCORES - effects[GROUPS], df=4).sum())


TIMES = np.sort(_rng.uniform(0, 5, 10))
SEEN = _rng.normal(size=10)


@_loss([0.2, -0.3, -1.0])
def gaussian_process(h):
    amplitude, length, noise = np.exp(h)
    d2 = scipy.spatial.distance.cdist(TIMES[:, None], TIMES[:, None], "sqeuclidean")
    K = amplitude**2 * np.exp(-0.5 * d2 / length**2) + noise**2 * np.eye(10)
    L, lower = scipy.linalg.cho_factor(K, lower=True)
    alpha = scipy.linalg.cho_solve((L, lower), SEEN)
    return 0.5 * SEEN @ alpha + np.sum(np.log(np.diag(L))) + 5 * np.log(2 * np.pi)


@_loss([0.3, 0.9, 0.2, 0.5])
def kalman(theta):
    F = np.array([[1.0, theta[0]], [0.0, theta[1]]])
    Q, R = np.diag(np.exp(theta[2:])), 0.4
    m, P, H = np.zeros(2), np.eye(2), np.array([[1.0, 0.0]])
    total = 0.0
    for y in SEEN:
        m, P = F @ m, F @ P @ F.T + Q
        S = (H @ P @ H.T)[0, 0] + R
        gain = (P @ H.T)[:, 0] / S
        total += 0.5 * (np.log(2 * np.pi * S) + (y - m[0]) ** 2 / S)
        m, P = m + gain * (y - m[0]), P - np.outer(gain, H @ P)
    return total


WAVE = _rng.normal(size=40)


@_loss([0.4, -0.3, 0.6, 0.2])
def system_identification(theta):
    predicted = scipy.signal.lfilter(theta[:2], np.r_[1.0, theta[2:]], WAVE)
    return np.mean((predicted[1:] - WAVE[:-1]) ** 2)


IMAGE = _rng.uniform(size=(8, 9))


@_loss(IMAGE + 0.1)
def deblurring(image):
    blurred = scipy.ndimage.gaussian_filter(image, sigma=1.0, mode="nearest")
    variation = np.sqrt(np.diff(image, axis=0)[:, :-1] ** 2 + np.diff(image, axis=1)[:-1] ** 2 + 1e-3)
    return 0.5 * ((blurred - IMAGE) ** 2).sum() + 0.05 * variation.sum()


@_loss([0.1, 0.2, -0.3])
def registration(t):
    rows, columns = np.mgrid[1:6, 1:7].astype(float)
    places = np.array([rows + t[0] + 0.01 * t[2] * columns, columns + t[1]])
    return np.sum((scipy.ndimage.map_coordinates(IMAGE, places, order=1) - IMAGE[1:6, 1:7]) ** 2)


YIELD_TIMES = np.array([0.5, 1, 2, 5, 10, 30.0])
QUOTES = np.array([0.021, 0.022, 0.024, 0.028, 0.031, 0.033])


@_loss([0.03, -0.01, 0.01, 0.5])
def yield_curve(theta):
    b0, b1, b2, log_tau = theta
    x = YIELD_TIMES / np.exp(log_tau)
    slope = special.exprel(-x)
    return 1e4 * np.mean((b0 + b1 * slope + b2 * (slope - np.exp(-x)) - QUOTES) ** 2)


@_loss([100.0, 0.2])
def option_pricing(theta):
    spot, sigma = theta
    strikes, maturity, rate = np.array([90, 95, 100, 105, 110.0]), 0.5, 0.02
    d1 = (np.log(spot / strikes) + (rate + 0.5 * sigma**2) * maturity) / (sigma * np.sqrt(maturity))
    d2 = d1 - sigma * np.sqrt(maturity)
    price = spot * stats.norm.cdf(d1) - strikes * np.exp(-rate * maturity) * stats.norm.cdf(d2)
    return np.sum((price - [13, 9, 6, 4, 2.5]) ** 2)


@_loss([0.7, -0.2, 0.4])
def mixture(theta):
    weight, mean, log_scale = special.expit(theta[0]), theta[1], theta[2]
    terms = np.stack(
        [
            np.log(weight) + stats.norm.logpdf(SEEN, mean, np.exp(log_scale)),
            np.log1p(-weight) + stats.cauchy.logpdf(SEEN),
        ]
    )
    return -np.sum(special.logsumexp(terms, axis=0))


@_loss([1.2, 0.4])
def survival(theta):
    shape, scale = np.exp(theta)
    died = np.array([1, 0, 1, 1, 0, 1, 1, 0], bool)
    law = stats.weibull_min(shape, scale=scale)
    times = np.linspace(0.2, 3.0, 8)
    return -np.sum(np.where(died, law.logpdf(times), law.logsf(times)))


SHARES = np.array([[0.2, 0.5, 0.3], [0.1, 0.6, 0.3], [0.3, 0.3, 0.4]])


@_loss([0.1, 0.7, 0.3])
def compositions(log_alpha):
    return -np.sum([stats.dirichlet.logpdf(row, np.exp(log_alpha)) for row in SHARES])


@_loss([0.2, 0.1, 0.5, -0.3, 0.4])
def spectroscopy(theta):
    x = np.linspace(-3, 3, 25)
    baseline = np.polynomial.chebyshev.chebval(x / 3, theta[:3])
    peak = np.exp(theta[4]) * np.exp(-0.5 * (x - theta[3]) ** 2)
    area = scipy.integrate.trapezoid(baseline + peak, x)
    return np.sum((baseline + peak - 1 / (1 + x**2)) ** 2) + (area - 2.5) ** 2


HEIGHTS = np.array([0.0, 0.5, 1.1, 1.9, 2.4, 3.2])


@_loss(_rng.normal(size=6) * 0.2)
def atmosphere(profile):
    at = np.linspace(0.1, 3.0, 9)
    temperature = np.interp(at, HEIGHTS, profile)
    density = np.exp(-at) / (1 + temperature**2)
    optical = scipy.integrate.cumulative_trapezoid(density, at, initial=0)
    return np.sum((np.exp(-optical) - 0.8) ** 2)


@_loss(_rng.normal(size=(5, 2)))
def embedding(points):
    target = scipy.spatial.distance.squareform(np.arange(1.0, 11.0))
    distances = scipy.spatial.distance.squareform(scipy.spatial.distance.pdist(points))
    i, j = np.triu_indices(5, 1)
    stress = distances[i, j] - target[i, j]
    stress *= stress
    return stress.sum()


@dataclass
class Ranking:
    """Games, and who won them."""

    winners: Any
    losers: Any

    def __call__(self, skill):
        gaps = skill[self.winners] - skill[self.losers]
        return -special.log_ndtr(gaps).sum() - stats.multivariate_normal.logpdf(skill, mean=np.zeros(4), cov=np.eye(4))


LOSSES["ranking"] = Ranking([0, 1, 2, 0], [1, 2, 3, 3]), np.array([0.4, 0.1, -0.2, -0.5])
