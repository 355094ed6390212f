"""Losses of trades that use what is rare elsewhere: eigenvalues of general matrices, profiles, quantiles, tails."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg as la
import scipy.special as sc
import scipy.stats as st
from scipy.special import ellipk, lambertw, voigt_profile, wofz
from scipy.stats import gamma, genextreme, genpareto
from scipy.stats import t as student

_rng = np.random.default_rng(5)
LOSSES: dict[str, tuple[Any, Any]] = {}
"""By trade: the loss, and a point."""


def _loss(point: Any) -> Any:
    def enter(function: Any) -> Any:
        LOSSES[function.__name__] = function, np.asarray(point, float)
        return function

    return enter


# ---- macroeconomics: a vector autoregression, kept stationary by its spectral radius

SERIES = 0.1 * _rng.normal(size=(50, 2)).cumsum(0)


@_loss([0.5, 0.1, -0.2, 0.3, 0.1, -0.1, 0.2])
def vector_autoregression(theta):
    A = theta[:4].reshape(2, 2)
    L = np.zeros((2, 2))
    L[np.tril_indices(2)] = theta[4:]
    L = L + np.eye(2)
    errors = SERIES[1:] - SERIES[:-1] @ A.T
    radius = np.max(np.abs(la.eigvals(A)))
    return -st.multivariate_normal.logpdf(errors, mean=[0, 0], cov=L @ L.T).sum() + 10 * np.maximum(radius - 0.1, 0)


# ---- epidemiology: the next generation matrix, of rank one


@_loss([0.9, 0.3, 0.1])
def next_generation(p):
    b, s, g = p
    F = np.array([[0, b, b / 2], [0, 0, 0], [0, 0, 0]])
    V = np.array([[s, 0, 0], [-s, g, 0], [0, -g / 2, g]])
    return (np.max(np.abs(np.linalg.eigvals(F @ np.linalg.inv(V)))) - 2.0) ** 2


# ---- ecology: growth and stable ages, by an eigenvector that argmax finds


@_loss([0.5, 0.8, 0.9, 0.3, 1.2, 0.9])
def age_structure(p):
    w, v = np.linalg.eig(la.leslie(np.r_[0, p[3:]], p[:3]))
    i = np.argmax(w.real)
    age = np.abs(v[:, i])
    age /= age.sum()
    return np.log(w[i].real) ** 2 + np.dot(age, np.arange(4))


# ---- computer vision: the distance of rotations by la.logm


def _hat(w):
    return np.array([[0, -w[2], w[1]], [w[2], 0, -w[0]], [-w[1], w[0], 0]])


@_loss([0.3, -0.2, 0.5])
def attitude(p):
    return np.linalg.norm(la.logm(la.expm(_hat(p)).T @ la.expm(_hat(np.array([0.2, 0.1, -0.3])))), "fro") ** 2


# ---- quantum computing: gates as exponentials of complex matrices

X, Y, Z = np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])
CNOT = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
ENERGY = np.kron(Z, Z) + 0.5 * np.kron(X, np.eye(2)) + 0.3 * np.kron(np.eye(2), X)


@_loss([0.3, 0.7, -0.4, 1.1])
def variational_circuit(angles):
    gates = [la.expm(-0.5j * a * P) for a, P in zip(angles, (Y, Y, X, Z), strict=True)]
    psi = np.kron(gates[2], gates[3]) @ (CNOT @ (np.kron(gates[0], gates[1]) @ np.array([1, 0, 0, 0], complex)))
    return (psi.conj() @ ENERGY @ psi).real


# ---- spectroscopy: a line of Voigt's profile, and Faddeeva's function by its own name

SPEEDS = np.linspace(-5, 5, 41)
LINE = 3 * voigt_profile(SPEEDS, 0.6, 0.4) + 0.1


@_loss([0.2, -0.4, -0.8, 1.0, 0.05])
def line_profile(p):
    centre, log_sigma, log_gamma, log_area, offset = p
    sigma, width = np.exp(log_sigma), np.exp(log_gamma)
    model = np.exp(log_area) * voigt_profile(SPEEDS - centre, sigma, width) + offset
    z = (SPEEDS - centre + 1j * width) / (sigma * np.sqrt(2))
    return np.sum((model - LINE) ** 2) + 0.01 * wofz(z).real.sum()


# ---- phylogenetics: a tree with three leaves, frequencies and rates of one matrix

TRANSITIONS = np.array([[0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 0]], bool)


@_loss([0.3, 0.5, 0.2, 0.4, -0.2, 0.1, 0.3])
def substitutions(p):
    frequencies = sc.softmax(np.r_[p[:3], 0])
    Q = np.where(TRANSITIONS, np.exp(p[3]), 1.0) * frequencies
    Q = Q - np.diag(np.diag(Q))
    Q = Q - np.diag(Q.sum(1))
    Q /= -(frequencies * np.diag(Q)).sum()
    partials = [la.expm(Q * np.exp(b)) @ np.eye(4)[s] for b, s in zip(p[4:], (0, 2, 1), strict=True)]
    return -np.log(frequencies @ reduce(np.multiply, partials))


# ---- reliability: lifetimes of a gamma distribution, some of them censored

HOURS, FAILED = np.array([3, 5, 6, 6, 8, 9, 11.0]), np.array([1, 1, 0, 1, 1, 0, 1])


@_loss([1.2, 0.5])
def lifetimes(p):
    a, scale = np.exp(p)
    failed = gamma.logpdf(HOURS[FAILED == 1], a, scale=3 * scale).sum()
    return -failed - gamma.logsf(HOURS[FAILED == 0], a, scale=3 * scale).sum()


# ---- finance: a copula of Student's distribution with its degrees of freedom

RANKS = st.norm.cdf(_rng.normal(size=(30, 2)))


@_loss([0.4, 1.5])
def copula(p):
    rho, nu = np.tanh(p[0]), 2 + np.exp(p[1])
    x, R = student.ppf(RANKS, nu), np.array([[1, rho], [rho, 1]])
    squares = np.einsum("ni,ij,nj->n", x, np.linalg.inv(R), x)
    size = sc.gammaln((nu + 2) / 2) + sc.gammaln(nu / 2) - 2 * sc.gammaln((nu + 1) / 2)
    joint = size - 0.5 * np.linalg.slogdet(R)[1] - (nu + 2) / 2 * np.log1p(squares / nu)
    return -np.sum(joint + ((nu + 1) / 2 * np.log1p(x**2 / nu)).sum(1))


# ---- hydrology: floods over a threshold and yearly maxima

FLOODS = _rng.gumbel(10, 2, 20)


@_loss([10.0, 0.7, -0.1, 0.2])
def floods(p):
    yearly = genextreme.logpdf(FLOODS, c=p[2], loc=p[0], scale=np.exp(p[1])).sum()
    over = genpareto.logpdf(FLOODS[FLOODS > 10] - 10, p[3], scale=np.exp(p[1])).sum()
    return -yearly - over + genpareto.ppf(0.99, p[3], scale=np.exp(p[1])) / 100


# ---- electronics: a diode with a resistor in series, by Lambert's function


@_loss([0.3, 0.2])
def diode(p):
    saturation, resistance = np.exp(p)
    volts = np.linspace(0, 0.8, 9)
    drive = saturation * resistance / 0.5 * np.exp((volts + saturation * resistance) / 0.5)
    amperes = lambertw(drive).real * 0.5 / resistance - saturation
    return np.mean((amperes - volts) ** 2)


# ---- mechanics: a pendulum that swings far


class Swing(NamedTuple):
    angle: Any
    length: Any


@_loss([0.5, 1.2])
def pendulum(p):
    swing = Swing(*p)
    period = 4 * np.sqrt(swing.length / 9.81) * ellipk(np.sin(swing.angle / 2) ** 2)
    sn, cn, dn, _ = sc.ellipj(np.linspace(0, 2, 6) * np.sqrt(9.81 / swing.length), 0.3)
    return (period - 2.2) ** 2 + np.sum(sn**2 * dn + cn)


# ---- control: a regulator by Riccati's equation, and the damping of what it regulates


@_loss([0.5, -0.2, 0.1, 0.3])
def regulator(p):
    A, B = np.array([[0, 1.0], [p[0], p[1]]]), np.array([[0.0], [1.0]])
    cost = la.solve_continuous_are(A, B, np.diag(np.exp(p[2:])), np.eye(1))
    return np.trace(cost) + np.max(la.eigvals(A - B @ (B.T @ cost)).real)


# ---- speech: linear prediction, with the roots of its polynomial

SPEECH = _rng.normal(size=80)


@_loss([0.5, -0.3, 0.1])
def prediction(a):
    lagged = np.stack([SPEECH[2 - k : -1 - k] for k in range(3)], axis=1)
    return np.mean((SPEECH[3:] - lagged @ a) ** 2) + 0.01 * np.sum(np.abs(np.roots(np.r_[1, -a])) ** 2)


# ---- optics: diffraction by slits, apertures and edges, and polynomials of a pupil

RADII = np.linspace(0.1, 1, 7)


@_loss([0.3, 1.2, -0.1, 0.2])
def diffraction(p):
    width, wave = np.abs(p[0]) + 0.2, p[1]
    angles = np.linspace(-1, 1, 15) - p[2]
    phase = np.pi * width * np.sin(angles) / wave
    sine, cosine = sc.fresnel(angles)
    pupil = p[3] * sc.eval_jacobi(1, 0, 1, 2 * RADII**2 - 1) + p[0] * sc.eval_legendre([[2], [3]], RADII)
    ring = (2 * sc.j1(phase) / phase) ** 2 - np.sinc(phase / np.pi) ** 2
    return np.sum(ring**2) + np.sum(np.hypot(sine + 0.5, cosine + 0.5)) - np.abs(np.mean(np.exp(1j * pupil))) ** 2


# ---- chemistry: orbitals in a basis that overlaps, by la.sqrtm


@_loss([0.4, 0.9])
def orbitals(p):
    charge, overlap = np.exp(p), np.array([[1, 0.6], [0.6, 1]])
    core = np.array([[-charge[0], -0.9], [-0.9, -charge[1]]])
    root, density = la.sqrtm(np.linalg.inv(overlap)), np.zeros((2, 2))
    for _ in range(4):
        fock = core + 0.3 * density * np.array([[1, 0.5], [0.5, 1]])
        _, vectors = la.eigh(root.T @ fock @ root)
        filled = root @ vectors[:, 0]
        density = 2 * np.outer(filled, filled)
    return np.sum(density * (core + fock)) / 2 + math.pi


# ---- circuits: nodes by la.lu_factor, whose diagonal gives the determinant as well


@_loss([1.0, 0.3, 0.2, 0.1])
def nodes(p):
    lu, piv = la.lu_factor(la.toeplitz(p) + np.diag([1, 2, 3, 4.0]))
    volts = la.lu_solve((lu, piv), np.ones(4))
    return np.sum(np.log(np.abs(np.diag(lu)))) + volts @ volts
