"""Losses of further trades, written with habits that are odd but usual: none of them was written for a tracer."""

from __future__ import annotations

import functools
import math
import operator
from collections import namedtuple
from dataclasses import dataclass, field
from functools import partial, reduce
from itertools import accumulate, pairwise, product
from math import exp, log, pi, sqrt
from typing import Any

import numpy as np
import scipy.constants
import scipy.fft
import scipy.optimize
import scipy.sparse as sp
from numpy import array, einsum, newaxis, trapezoid
from numpy.linalg import norm as length
from numpy.polynomial import Polynomial
from scipy.integrate import cumulative_trapezoid, simpson
from scipy.linalg import block_diag, cho_factor, cho_solve, eigh, solve_banded, toeplitz
from scipy.sparse.linalg import factorized, spsolve
from scipy.special import expit, gammaln, logsumexp, xlogy
from scipy.stats import beta as beta_law
from scipy.stats import gamma, multivariate_normal, norm

_rng = np.random.default_rng(77)
LOSSES: dict[str, tuple[Any, Any]] = {}
"""By trade: the loss, and a point."""


def _loss(point: Any) -> Any:
    def enter(function: Any) -> Any:
        LOSSES[function.__name__] = function, np.asarray(point, float)
        return function

    return enter


# ---- oceanography: tides by harmonics, with f-strings for logging and a dict comprehension

HOURS = np.linspace(0.0, 72.0, 60)
SPEEDS = {"M2": 28.984, "S2": 30.0, "K1": 15.041}
LEVELS = 1.2 * np.cos(np.deg2rad(28.984 * HOURS - 40)) + 0.1 * _rng.normal(size=60)


@_loss([1.0, 30.0, 0.4, 10.0, 0.2, 80.0])
def tides(theta):
    amplitudes, phases = theta[::2], theta[1::2]
    constituents = dict(zip(SPEEDS, zip(amplitudes, phases, strict=False), strict=False))
    heights = {name: a * np.cos(np.deg2rad(SPEEDS[name] * HOURS - g)) for name, (a, g) in constituents.items()}
    level = sum(heights.values())
    message = f"fitting {len(heights)} constituents to {level!r}"
    assert "constituents" in message
    return np.linalg.norm(level - LEVELS) ** 2 / HOURS.size


# ---- heat conduction: implicit steps, tridiagonal systems

PROFILE = np.sin(np.linspace(0, np.pi, 20))


@_loss([0.4, 0.1])
def conduction(theta):
    k, loss = theta
    n = len(PROFILE)
    u = PROFILE
    ab = np.zeros((3, n))
    ab = array([np.full(n, -k), np.full(n, 1 + 2 * k + loss), np.full(n, -k)])
    for _ in range(4):
        u = solve_banded((1, 1), ab, u)
    return trapezoid((u - 0.4 * PROFILE) ** 2, dx=1 / n)


# ---- structural engineering: springs on a sparse frame, scattered with np.add.at

NODES = 150
BARS = np.array([(i, i + 1) for i in range(NODES - 1)] + [(i, i + 7) for i in range(NODES - 7)])
FRAME = sp.csc_matrix(
    (
        np.ones(4 * len(BARS)) * np.tile([1, 1, -1, -1], len(BARS)),
        (BARS[:, [0, 1, 0, 1]].ravel(), BARS[:, [0, 1, 1, 0]].ravel()),
    ),
    shape=(NODES, NODES),
) + 0.1 * sp.eye(NODES)
SOLVE = factorized(sp.csc_matrix(FRAME))


@_loss([0.3, -1.0, 0.5])
def structure(loads):
    force = np.concatenate([np.zeros(50), loads[0] * np.ones(50), np.linspace(loads[1], loads[2], 50)])
    bent = SOLVE(force)
    stretched = bent[BARS[:, 0]] - bent[BARS[:, 1]]
    return 0.5 * np.sum(stretched**2) + force @ spsolve(FRAME, force) / 100


# ---- hydrology: a bucket model with np.clip, loops over rows and reduce

RAIN = _rng.gamma(0.7, 4.0, 40)
FLOW = _rng.gamma(2.0, 1.0, 40)


@_loss([30.0, 0.2, 0.3])
def hydrology(theta):
    capacity, drain, evaporation = theta

    def day(state, rain):
        store, flows = state
        store = store + rain * (1 - expit((store - capacity) / 5))
        quick = drain * store
        return store - quick - evaporation * np.tanh(store), [*flows, quick]

    start: tuple[Any, list[Any]] = (theta[0] / 2, [])
    flows = np.array(reduce(day, RAIN, start)[1])
    return 1 - (1 - np.sum((flows - FLOW) ** 2) / np.sum((FLOW - FLOW.mean()) ** 2))


# ---- psychometrics: item response, einsum with ellipses, named tuples

ANSWERS = _rng.integers(0, 2, (30, 5))
Items = namedtuple("Items", "slope level guess")


@_loss(np.r_[np.ones(5), np.linspace(-1, 1, 5), np.full(5, -2.0)])
def item_response(theta):
    items = Items(*np.split(theta, 3))
    nodes, weights = np.polynomial.hermite_e.hermegauss(7)
    z = einsum("...i,q->...qi", items.slope, nodes) - (items.slope * items.level)[newaxis]
    p = expit(items.guess) + (1 - expit(items.guess)) * expit(z)
    loglike = einsum("ni,...qi->n...q", ANSWERS, np.log(p)) + einsum("ni,...qi->n...q", 1 - ANSWERS, np.log1p(-p))
    return -np.sum(logsumexp(loglike, axis=-1, b=weights / weights.sum()))


# ---- astronomy: an orbit by Newton's iterations for Kepler's equation, math on single numbers

TIMES = np.linspace(0.0, 3.0, 12)
SEEN = np.cos(2 * TIMES) + 0.02 * _rng.normal(size=12)


@_loss([1.1, 0.3, 2.0])
def orbit(theta):
    a, e, n = theta

    def anomaly(m):
        x = m
        for _ in range(8):
            x = x - (x - e * math.sin(x) - m) / (1 - e * math.cos(x))
        return x

    xs = [a * (math.cos(anomaly(n * t)) - e) for t in TIMES]
    return sum((x - s) ** 2 for x, s in zip(xs, SEEN, strict=False)) / len(xs)


# ---- chemistry: rate laws by np.piecewise, np.select and np.interp of a table

TEMPERATURES = np.linspace(280, 420, 15)
RATES = np.exp(-3000 / TEMPERATURES) * (1 + 0.05 * _rng.normal(size=15))


@_loss([3.1, 1.2, 0.4])
def kinetics(theta):
    energy, pre, tunnel = theta
    arrhenius = np.exp(pre - energy * 1000 / TEMPERATURES)
    low = np.piecewise(
        TEMPERATURES * energy,
        [TEMPERATURES < 320, TEMPERATURES >= 380],
        [lambda x: tunnel * x / 1000, 0.1, lambda x: np.sqrt(x) / 100],
    )
    band = np.select([TEMPERATURES < 300, TEMPERATURES < 350], [arrhenius * tunnel, arrhenius], default=energy)
    table = np.interp(TEMPERATURES / 3, np.array([90.0, 110.0, 145.0]), np.array([tunnel, 1.0, pre]))
    return np.nansum((np.where(RATES > 0, arrhenius - RATES, np.nan)) ** 2) + low.mean() + band.sum() / 90 + table.var()


# ---- image processing: gradients, convolutions in rows, apply_along_axis

PICTURE = _rng.normal(size=(6, 8))
KERNEL = np.array([0.25, 0.5, 0.25])


@_loss(0.3 * _rng.normal(size=48))
def denoising(pixels):
    image = pixels.reshape(6, 8)
    gy, gx = np.gradient(image)
    smooth = np.apply_along_axis(lambda row: np.convolve(row, KERNEL, mode="same"), 1, image)
    tv = np.sum(np.sqrt(gx**2 + gy**2 + 1e-3))
    curvature = np.linalg.norm(np.diff(image, n=2, axis=0), ord=2, axis=1).sum()
    return length(smooth - PICTURE) + 0.1 * tv + 0.05 * curvature


# ---- queues: birth and death rates as a matrix made by np.fromfunction and np.diag


@_loss([1.3, 2.0])
def queue(theta):
    arrive, serve = np.exp(theta / 4)
    n = 6
    up = np.fromfunction(lambda i, j: (j == i + 1) * 1.0, (n, n))
    generator = arrive * up + serve * up.T
    generator = generator - np.diag(generator.sum(axis=1))
    a = np.vstack([generator.T[:-1], np.ones(n)])
    stationary = np.linalg.solve(a, np.eye(n)[-1])
    return stationary @ np.arange(n) + 0.1 * np.dot(stationary, np.log(stationary))


# ---- actuaries: chain ladder with a triangle of NaN, masks and np.nanmean

_paid = np.cumsum(_rng.gamma(5.0, 20.0, (6, 6)), axis=1)
TRIANGLE = np.where(np.add.outer(np.arange(6), np.arange(6)) < 6, _paid, np.nan)


@_loss(np.r_[np.full(6, 5.0), np.linspace(-1, 0, 6)])
def reserves(theta):
    rows, columns = np.array_split(theta, 2)
    expected = np.exp(np.add.outer(rows, columns))
    mask = ~np.isnan(TRIANGLE)
    deviance = np.where(mask, expected - xlogy(np.nan_to_num(TRIANGLE), expected), 0.0)
    seen = np.nanmean(np.where(mask, np.log(expected), np.nan), axis=0)
    return deviance[mask].sum() / 1000 + np.ptp(seen) ** 2 + np.nanstd(TRIANGLE * expected.mean() / 1e4)


# ---- acoustics: impulse responses by scipy.fft, cosines of logarithms, decibels

ECHO = np.exp(-np.arange(64) / 9.0) * _rng.normal(size=64)


@_loss([0.1, 0.02, 1.5])
def acoustics(theta):
    gain, damping, tilt = theta
    n = scipy.fft.next_fast_len(100)
    response = gain * np.exp(-damping * np.arange(64)) * ECHO
    spectrum = scipy.fft.rfft(response, n=n)
    frequencies = scipy.fft.rfftfreq(n, d=1 / 8000)
    decibels = 20 * np.log10(np.abs(spectrum) + 1e-6) - tilt * np.log2(1 + frequencies / 1000)
    cepstrum = scipy.fft.dct(decibels, type=2, norm="ortho")[:13]
    return np.mean(np.square(cepstrum)) / 1000


# ---- ecology: mark and recapture, a matrix product over seasons, accumulate

CAUGHT = [(3, 7), (2, 9), (5, 6)]


@dataclass(frozen=True)
class Survey:
    detect: Any = 0.4
    stay: Any = 0.8
    effort: dict[str, float] = field(default_factory=lambda: {"spring": 1.0, "autumn": 0.5})


@_loss([0.2, 0.9])
def ecology(theta):
    survey = Survey(detect=expit(theta[0]), stay=expit(theta[1]))
    total = 0.0
    for season, (again, marked) in zip(("spring", "autumn", "spring"), CAUGHT, strict=False):
        p = 1 - (1 - survey.detect) ** survey.effort.get(season, 1.0)
        total -= again * log(p) + (marked - again) * log(1 - p)
    states = list(
        accumulate(
            range(4), lambda v, _: v @ np.array([[survey.stay, 1 - survey.stay], [0, 1]]), initial=np.array([1.0, 0.0])
        )
    )
    return total - np.log(states[-1][0]) + sum(abs(a[0] - b[0]) for a, b in pairwise(states))


# ---- geodesy: trilateration with broadcasting, hypot and partial

STATIONS = np.array([[0.0, 0.0], [10.0, 1.0], [3.0, 8.0], [7.0, 9.0]])
RANGES = np.array([5.1, 6.4, 4.9, 6.2])


def _misfit(point, stations, ranges, *, weight=1.0):
    distance = np.hypot(*(stations - point).T)
    return weight * (distance - ranges)


@_loss([4.0, 3.5, 0.1])
def geodesy(theta):
    *point, clock = theta
    residual = partial(_misfit, stations=STATIONS, ranges=RANGES - clock, weight=2.0)
    return np.sum(np.square(residual(np.array(point)))) + np.max(np.abs(residual(np.stack(point)))) ** 2


# ---- genetics: likelihood over a pedigree, products over itertools, log-beta

LETTERS = "ACGT"
READS = ["ACGA", "ACCA", "TCGA"]


@_loss([0.1, -0.2, 0.3, 0.0, -1.0])
def genetics(theta):
    frequencies = dict(zip(LETTERS, np.exp(theta[:4]) / np.exp(theta[:4]).sum(), strict=False))
    error = expit(theta[4])
    total = 0
    for position in range(4):
        terms = []
        for truth in LETTERS:
            chance = math.prod(1 - error if read[position] == truth else error / 3 for read in READS)
            terms.append(frequencies[truth] * chance)
        total += np.log(functools.reduce(operator.add, terms))
    pairs = sum(frequencies[a] * frequencies[b] for a, b in product(LETTERS, repeat=2) if a < b)
    return -total + pairs - beta_law.logpdf(error, 2, 20)


# ---- optics: thin films, two by two matrices of complex numbers, np.linalg.multi_dot

WAVES = np.linspace(400, 700, 9)


@_loss([90.0, 120.0, 1.38, 2.1])
def thin_film(theta):
    thickness, index = theta[:2], theta[2:]
    reflected = []
    for wave in WAVES:
        layers = []
        for d, n in zip(thickness, index, strict=False):
            phase = 2 * pi * n * d / wave
            layers.append(np.array([[np.cos(phase), 1j * np.sin(phase) / n], [1j * n * np.sin(phase), np.cos(phase)]]))
        b, c = np.linalg.multi_dot([*layers, np.array([1.0, 1.52])])
        reflected.append(abs((b - c) / (b + c)) ** 2)
    return np.mean(reflected)


# ---- meteorology: an ensemble filter, np.cov, np.outer, cho_solve, block_diag

MEMBERS = _rng.normal(size=(8, 4))


@_loss([0.5, 1.2, 0.3])
def assimilation(theta):
    inflation, noise, radius = np.exp(theta)
    spread = np.cov(MEMBERS.T) * toeplitz(np.exp(-np.arange(4) / radius))
    system = inflation * spread + noise * np.eye(4)
    innovation = np.array([0.3, -0.2, 0.5, 0.1])
    factor = cho_factor(system, lower=True)
    cost = innovation @ cho_solve(factor, innovation) + 2 * np.sum(np.log(np.diag(factor[0])))
    both = block_diag(system, noise)
    return 0.5 * cost + eigh(both, eigvals_only=True)[0] - multivariate_normal(np.zeros(4), system).logpdf(innovation)


# ---- calibration: polynomials, np.polynomial.Polynomial of traced coefficients, Simpson's rule

GRID = np.linspace(-1, 1, 21)


@_loss([0.5, -1.0, 0.3])
def calibration(theta):
    curve = Polynomial(theta)
    basis = np.polynomial.polynomial.polyvander(GRID, 2)
    legendre = np.polynomial.legendre.legval(GRID, theta)
    fitted = basis @ theta
    area = simpson(fitted**2, x=GRID) + cumulative_trapezoid(legendre, GRID)[-1]
    return area + np.polyval(theta[::-1], 0.3) ** 2 + curve(0.5) ** 2 + np.sum(curve.deriv()(GRID) ** 2) / 21


# ---- thermodynamics: constants, in place on plain arrays, priors by scipy.stats

PRESSURES = np.array([1.0, 1.8, 2.4, 3.9])


@_loss([1.4, 0.04])
def equation_of_state(theta):
    a, b = theta
    volume = np.array([25.0, 14.0, 11.0, 7.0])
    residual = PRESSURES - (scipy.constants.R * 3 / (volume - b) - a / volume**2)
    residual *= 2.0
    residual -= np.mean(residual)
    prior = gamma.logpdf(a, 2.0, scale=1.5) + norm.logpdf(b, loc=0.05, scale=sqrt(0.01))
    return residual @ residual - prior + gammaln(a) * exp(b) / 10


# ---- networks: messages added at the ends of edges


EDGES = np.array([[0, 1], [1, 2], [2, 0], [3, 1], [3, 2]])


@_loss([0.2, -0.3, 0.5, 0.1])
def network(x):
    sent = np.tanh(x[EDGES[:, 0]])
    received = np.bincount(EDGES[:, 1], weights=sent, minlength=4)
    degree = np.bincount(EDGES.ravel(), minlength=4)
    return np.sum((received / degree - x) ** 2) + np.average(x**2, weights=degree)


# ---- genomics: an elastic net, with the methods of arrays

MARKERS = _rng.normal(size=(30, 6))
TRAIT = MARKERS.dot([1.0, 0, -2.0, 0, 0, 0.5]) + 0.1 * _rng.normal(size=30)


@_loss([0.9, 0.1, -1.5, 0.2, -0.1, 0.3])
def elastic_net(b):
    r = TRAIT - MARKERS.dot(b)
    return 0.5 * r.dot(r) / len(r) + 0.1 * (0.5 * np.abs(b).sum() + 0.25 * (b**2).sum())


# ---- astronomy: radial velocities, with np.vectorize of a function that reads parameters

EPOCHS = np.linspace(0.0, 6.0, 9)
SPEEDS_SEEN = 3.0 * np.cos(EPOCHS) + 0.1 * _rng.normal(size=9)


@_loss([0.3, 2.8, 0.2])
def radial_velocity(theta):
    eccentricity, amplitude, angle = theta

    @np.vectorize
    def anomaly(mean):
        e = mean
        for _ in range(12):
            e = e - (e - eccentricity * np.sin(e) - mean) / (1 - eccentricity * np.cos(e))
        return 2 * np.arctan(np.sqrt((1 + eccentricity) / (1 - eccentricity)) * np.tan(e / 2))

    true = anomaly(EPOCHS)
    return np.sum((amplitude * (np.cos(true + angle) + eccentricity * np.cos(angle)) - SPEEDS_SEEN) ** 2)


# ---- geophysics: resistivities of cells, by a sparse operator that is made of them and solved with

_sparse: Any = sp
CELLS = 130
GRADIENT: Any = _sparse.diags([-np.ones(CELLS), np.ones(CELLS)], [0, 1], shape=(CELLS, CELLS + 1)).tocsr()
CURRENT = np.zeros(CELLS + 1)
CURRENT[[20, 90]] = 1.0, -1.0
ELECTRODES = [10, 40, 70, 110]


@_loss([0.5, -0.3, 0.2])
def resistivity(theta):
    depth = np.linspace(-1, 1, CELLS)
    conductivity = np.exp(theta[0] + theta[1] * depth + theta[2] * depth**2)
    stiffness = GRADIENT.T @ sp.diags(conductivity) @ GRADIENT + 1e-3 * sp.eye(CELLS + 1)
    potential = spsolve(stiffness.tocsc(), CURRENT)
    return np.sum(np.diff(potential[ELECTRODES]) ** 2)
