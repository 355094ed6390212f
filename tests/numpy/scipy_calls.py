"""Functions of SciPy called as their authors do, by the names that SciPy gives them."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from scipy import fft, integrate, interpolate, linalg, ndimage, signal, sparse, special, stats
from scipy.spatial import distance
from scipy.spatial import distance_matrix as distances_by_powers

from tests.numpy import curve_calls, response_calls, solver_calls

_RNG = np.random.default_rng(7)
V = _RNG.normal(size=6)
P = np.array([0.3, 1.7, 2.2, 0.9, 4.1, 1.2])
K = np.array([0.0, 1.0, 2.0, 5.0, 3.0, 1.0])
S = np.array([0.1, 0.25, 0.9, 0.6, 0.4, 0.33])
A = _RNG.normal(size=(4, 4))
D = A @ A.T + 4 * np.eye(4)
B = _RNG.normal(size=(4, 3))
X = _RNG.normal(size=(5, 3))
Y = _RNG.normal(size=(4, 3))
T = np.array([0.0, 0.7, 1.1, 2.0, 2.6, 3.3])
AT = np.array([-0.4, 0.05, 0.8, 1.5, 2.3, 3.6])
IMAGE = _RNG.normal(size=(5, 7))
BEYOND: list[Any] = [(2, "constant"), (3, "nearest"), (3, "mirror"), (4, "wrap"), (5, "grid-wrap")]
SPARSE: Any = sparse.random(5, 4, 0.5, format="csr", random_state=3)
DEFINITE = sparse.csc_matrix(sparse.random(6, 6, 0.4, random_state=4) + 6 * sparse.eye(6))
MANY = sparse.csc_matrix(sparse.random(150, 150, 0.03, random_state=4) + 6 * sparse.eye(150))
SYSTEMS: Any = sparse.linalg
ARE = (A, B, D, B[:3])
LONG = _RNG.normal(size=30)
SECTIONS = np.array([[0.2, 0.3, 0.1, 1.0, -0.5, 0.2], [1.0, 0.4, 0.0, 1.0, 0.3, 0.0]])
MANY_B = _RNG.normal(size=(150, 2))
MANY_LU: Any = sparse.linalg.splu(MANY)
MANY_SOLVED: Any = sparse.linalg.factorized(MANY)
LU = linalg.lu_factor(A)
FROZEN: Any = stats.multivariate_normal(V[:4], D)
KERNELS: Any = stats.gaussian_kde(P)
PLANE: Any = stats.gaussian_kde(IMAGE[:2])
CURVE = interpolate.CubicSpline(T, V)
LINE = interpolate.interp1d(T, V, fill_value="extrapolate")
PLACES = (T[:5], np.arange(7.0) ** 1.5)
GRID: Any = interpolate.RegularGridInterpolator(PLACES, IMAGE)
GRID_AT = np.array([[0.1, 3.3], [1.7, 0.2], [2.5, 14.0]])
SPLINE = interpolate.make_interp_spline(T, V)


def _spectra(x: Any, y: Any) -> list[Any]:
    spectra: Any = signal
    return [
        spectra.welch(x, 10.0, nperseg=8, noverlap=2, nfft=11, detrend="linear", scaling="spectrum"),
        spectra.welch(np.stack([x, y], 1), nperseg=8, axis=0, average="median", window="hamming"),
        spectra.welch(x, window=np.hanning(7), detrend=False, return_onesided=False),
        *(spectra.periodogram(x, 2.0, window=w, nfft=n) for w, n in (("hann", 9), ("blackman", 32), (None, None))),
        *(_real_parts(spectra.csd(x, y, nperseg=8)), spectra.coherence(x, y, nperseg=8)),
    ]


def _short_times(x: Any) -> list[Any]:
    signals: Any = signal
    found = [
        signals.stft(x, 2.0, nperseg=16),
        signals.stft(x, 2.0, nperseg=8, noverlap=6, nfft=11, scaling="psd", detrend="constant", window="hamming"),
        signals.stft(x, nperseg=9, boundary=None, padded=False, return_onesided=False),
        signals.stft(np.stack([x, x**2], 1), nperseg=8, axis=0),
    ]
    again = signals.istft(found[0][2], 2.0, nperseg=16)[1]
    return [*(part for _, _, z in found for part in _parts_of(z)), again[: x.size] - x, x[0] * found[0][1]]


def _signals(x: Any) -> list[Any]:
    spectra, signals = x + 1j * x[::-1], cast(Any, signal)
    return [
        signals.istft(spectra, 2.0)[1],
        signals.istft(spectra, 2.0, nperseg=9, noverlap=6, boundary=False, scaling="psd", window=np.hanning(11)[1:-1])[
            1
        ],
        signals.istft(spectra.T, time_axis=0, freq_axis=1)[1],
        *_parts_of(signals.istft(spectra, noverlap=3, input_onesided=False)[1]),
        x[0, 0] * signals.istft(spectra, 3.0)[0],
    ]


LINALG: dict[str, tuple[Any, ...]] = {
    "solve": (lambda a, b: linalg.solve(a, b), A, B),
    "solve of a definite one": (lambda a, b: linalg.solve(a, b, assume_a="pos"), D, B),
    "solve transposed": (lambda a, b: linalg.solve(a, b, transposed=True), A, B[:, 0]),
    "inv, det, pinv": (lambda a: [linalg.inv(a), linalg.det(a), linalg.pinv(a)], A),
    "norm": (lambda a: [linalg.norm(a), linalg.norm(a, 2), linalg.norm(a[0], 1)], A),
    "cholesky": (lambda a: [linalg.cholesky(a), linalg.cholesky(a, lower=True)], D),
    "cho_solve": (lambda a, b: linalg.cho_solve(linalg.cho_factor(a), b, check_finite=False), D, B),
    "cho_solve lower": (lambda a, b: linalg.cho_solve(linalg.cho_factor(a, lower=True), b), D, B[:, 1]),
    "lu_solve": (lambda b: [linalg.lu_solve(LU, b), linalg.lu_solve(LU, b, trans=1)], B),
    "solve_triangular": (lambda a, b: linalg.solve_triangular(a, b, lower=True), D, B),
    "rq": (lambda a: [*linalg.rq(a), *linalg.rq(a[:2], mode="economic"), linalg.rq(a, mode="r")], A),
    "expm, polar": (lambda a: [linalg.expm(a), *linalg.polar(a)], A),
    "eigh": (lambda a: linalg.eigh(a, eigvals_only=True) + linalg.eigvalsh(a, lower=False), D),
    "eigh of a pair": (
        lambda a, b: linalg.eigh(a, b @ b.T + a)[0] + linalg.eigvalsh(a, np.diag(P[:4]), lower=False),
        D,
        A,
    ),
    "vectors of a pair": (lambda a: np.abs(linalg.eigh(A + A.T, a, subset_by_index=[1, 2])[1]), D),
    "eigvalsh_tridiagonal": (lambda d, e: linalg.eigvalsh_tridiagonal(d, e), P, V[:5]),
    "eig_banded": (lambda b: [linalg.eigvals_banded(b), np.abs(linalg.eig_banded(b, lower=True)[1])], B.T),
    "a unit diagonal": (lambda a, b: linalg.solve_triangular(a, b, trans=1, unit_diagonal=True), A, B),
    "svdvals": (lambda a: linalg.svdvals(a), B),
    "qr": (lambda a: linalg.qr(a, mode="economic"), A),
    "lstsq": (lambda a, b: linalg.lstsq(a, b)[0], B, V[:4]),
    "block_diag": (lambda a, b: linalg.block_diag(a, b, [[1.0]]), A, B),
    "toeplitz": (lambda c: [linalg.toeplitz(c), linalg.toeplitz(c, c[:3] * 2)], V),
    "hankel": (lambda c: [linalg.hankel(c), linalg.hankel(c, c[:3] * 2)], V),
    "circulant, companion": (lambda c: [linalg.circulant(c), linalg.companion(c)], V),
    "toeplitz solved": (lambda c, b: linalg.solve_toeplitz(c, b) + linalg.matmul_toeplitz(c, b), P + 9 * (T == 0), V),
    "solve_banded": (lambda r, b: linalg.solve_banded((1, 2), r, b), A + 9 * (np.arange(4) == 2)[:, None], B),
    "solveh_banded": (lambda r, b: linalg.solveh_banded(r, b), np.abs(A[:2]) + np.array([[0], [9]]), B),
    "solveh_banded lower": (
        lambda r, b: linalg.solveh_banded(r, b[:, 0], lower=True),
        np.abs(A[:3]) + np.array([[9], [0], [0]]),
        B,
    ),
    "solve_banded of three": (
        lambda r, b: linalg.solve_banded((1, 1), r, b[:, 1]),
        A[:3] + 9 * (np.arange(3) == 1)[:, None],
        B,
    ),
    "eigh_tridiagonal": (lambda d, e: linalg.eigh_tridiagonal(d, e, eigvals_only=True), P, V[:5]),
    "expm_frechet": (lambda a, e: linalg.expm_frechet(a, e)[1] + linalg.expm_frechet(a, e, compute_expm=False), A, D),
    "cosm, sinm, tanm": (lambda a: [linalg.cosm(a), linalg.sinm(a), linalg.tanm(0.3 * a)], A),
    "coshm, sinhm, tanhm": (lambda a: [linalg.coshm(a), linalg.sinhm(a), linalg.tanhm(a)], A),
    "solve_discrete_lyapunov": (
        lambda a, q: [linalg.solve_discrete_lyapunov(0.2 * a, q, method=m) for m in (None, "bilinear")],
        A,
        D,
    ),
    "pinvh": (lambda a: [linalg.pinvh(a), linalg.pinvh(a, lower=False)], D),
    "orthogonal_procrustes": (lambda a, b: linalg.orthogonal_procrustes(a, b), A, D),
    "khatri_rao": (lambda a, b: linalg.khatri_rao(a, b[:2]), A, D),
    "leslie, fiedler": (lambda f: [linalg.leslie(f, f[1:]), linalg.fiedler(f)], V),
    "convolution_matrix": (lambda a: [linalg.convolution_matrix(a, 4, m) for m in ("full", "same", "valid")], V),
    "solve_circulant": (lambda c, b: linalg.solve_circulant(c, b), P + 9 * (T == 0), V),
    "cholesky_banded": (
        lambda r, b: [
            linalg.cho_solve_banded((linalg.cholesky_banded(r), False), b),
            linalg.cholesky_banded(r[::-1], lower=True)[0],
        ],
        np.abs(A[:2]) + np.array([[0], [9]]),
        B,
    ),
    "cho_solve_banded": (
        lambda c, b: [linalg.cho_solve_banded((c, False), b), linalg.cho_solve_banded((c[::-1], True), b[:, 0])],
        np.abs(A[:2]) + np.array([[0], [9]]),
        B,
    ),
    "eig": (lambda a: _parts_of(linalg.eig(a)[0], linalg.eig(a)[1], linalg.eigvals(a, D)), A),
    "eig right": (lambda a: _parts_of(linalg.eig(a, right=False)), A),
    "sqrtm": (lambda a: linalg.sqrtm(a @ D), D),
    "logm": (lambda a: [linalg.logm(a @ D), linalg.fractional_matrix_power(a @ D, 0.3)], D),
    "a whole power": (lambda a: linalg.fractional_matrix_power(a, 3), A),
    "lu": (lambda a: [*linalg.lu(a)[1:], *linalg.lu(a, permute_l=True), linalg.lu(a, p_indices=True)[1]], A),
    "lu_factor": (lambda a: linalg.lu_factor(a)[0], A),
    "lu_solve of traced factors": (
        lambda a, b: [linalg.lu_solve(linalg.lu_factor(a), b, trans=k) for k in (0, 1)] + [linalg.lu_factor(a)[0]],
        A,
        B,
    ),
    "solve_continuous_are": (lambda a, b, q, r: linalg.solve_continuous_are(a, b, q @ q.T, r @ r.T + D[:3, :3]), *ARE),
    "solve_discrete_are": (lambda a, b, q, r: linalg.solve_discrete_are(a, b, q @ q.T, r @ r.T + D[:3, :3]), *ARE),
    "sylvester": (lambda a, q: linalg.solve_sylvester(a, a, q) + linalg.solve_continuous_lyapunov(a, q), D, A),
}
_PLAIN: tuple[Any, ...] = (
    *(stats.norm, stats.expon, stats.laplace, stats.cauchy, stats.uniform, stats.logistic, stats.halfnorm),
    *(stats.gumbel_r, stats.gumbel_l, stats.rayleigh, stats.halfcauchy),
)
_SHAPED: tuple[Any, ...] = (stats.lognorm, stats.weibull_min, stats.pareto, stats.lomax, stats.fisk)
STATS: dict[str, tuple[Any, ...]] = {
    "norm": (lambda x, s: [f(x, 0.3, s) for f in _all(stats.norm)], V, P),
    "norm frozen": (lambda x, s: stats.norm(loc=0.3, scale=s).logpdf(x), V, P),
    "t": (lambda x, s: [f(x, 3.7, 0.3, s) for f in _all(stats.t)], V, P),
    "t of df": (lambda x, df: stats.t.logpdf(x, df=df), V, P),
    "gamma": (lambda x, s: [f(x, 1.7, scale=s) for f in _all(stats.gamma)], P, S),
    "gamma of a": (lambda x, a: stats.gamma.logpdf(x, a), P, P[::-1].copy()),
    "beta": (lambda x: [f(x, 1.7, 0.6) for f in _all(stats.beta)], S),
    "beta of shapes": (lambda x, a, b: stats.beta.logpdf(x, a, b), S, P, P[::-1].copy()),
    "chi2": (lambda x: [f(x, 2.6) for f in _all(stats.chi2)], P),
    "rice": (lambda x, b: [f(x, 3.0 * b, scale=1.4) for f in _all(stats.rice)], P, S),
    "rice's quantiles": (lambda q, b: [f(q, b, 0.3, 1.4) for f in (stats.rice.ppf, stats.rice.isf)], S, P),
    "medfilt": (lambda x: [signal.medfilt(x), signal.medfilt(x, [1, 5])], IMAGE),
    "expon": (lambda x, s: [f(x, scale=s) for f in _all(stats.expon)], P, S),
    "laplace": (lambda x, s: [f(x, 0.1, s) for f in _all(stats.laplace)], V, S),
    "cauchy": (lambda x, s: [f(x, 0.1, s) for f in _all(stats.cauchy)], V, S),
    "lognorm": (lambda x, s: [f(x, s, scale=2.0) for f in _all(stats.lognorm)], P, S),
    "weibull_min": (lambda x, c: [f(x, c, scale=2.0) for f in _all(stats.weibull_min)], P, P[::-1].copy()),
    "uniform": (lambda x, s: [f(x, -0.5, s) for f in _all(stats.uniform)], S, P + 1),
    "logistic": (lambda x, s: [f(x, 0.2, s) for f in _all(stats.logistic)], V, P),
    "halfnorm": (lambda x, s: [f(x, scale=s) for f in _all(stats.halfnorm)], P, P[::-1].copy()),
    "invgamma": (lambda x, s: [f(x, 2.5, scale=s) for f in _all(stats.invgamma)], P, S),
    "pareto": (lambda x, b: [f(x, b, scale=0.2) for f in _all(stats.pareto)], P, S),
    "gumbel_r": (lambda x, s: [f(x, 0.2, s) for f in _all(stats.gumbel_r)], V, P),
    "rayleigh": (lambda x, s: [f(x, scale=s) for f in _all(stats.rayleigh)], P, P[::-1].copy()),
    "skewnorm": (lambda x, a, s: [f(x, a, 0.1, s) for f in (stats.skewnorm.pdf, stats.skewnorm.logpdf)], V, V[::-1], P),
    "invgauss": (lambda x, m, s: [f(x, m, scale=s) for f in _all(stats.invgauss)], P, S, P[::-1].copy()),
    "truncnorm": (lambda x, a, s: [f(x, a - 3, 4.0, 0.1, s) for f in _all(stats.truncnorm)], S, S, P + 0.1),
    "truncnorm in a tail": (lambda x, a: [f(x + 7, a + 5, np.inf) for f in _all(stats.truncnorm)], P, S),
    "f": (lambda x, s: [f(x, 3.2, 5.1, scale=s) for f in _all(stats.f)], P, S),
    "f of degrees": (lambda x, n, m: stats.f.logpdf(x, n, m), P, P[::-1].copy(), P + 1),
    "genextreme": (lambda x, c: [f(x, c - 0.5, 0.3, 2.0) for f in _all(stats.genextreme)], V, S),
    "genextreme at c = 0": (lambda x, c: [f(x, c * 1e-9, 0.3, 2.0) for f in _all(stats.genextreme)], V, S),
    "genpareto": (lambda x, c: [f(x, c - 0.3, scale=3.0) for f in _all(stats.genpareto)], P, S),
    "chi, nakagami": (lambda x, a: [f(x, a) for k in (stats.chi, stats.nakagami) for f in _all(k)], P, P[::-1].copy()),
    "gennorm, exponnorm": (
        lambda x, a: [f(x, a, 0.1) for k in (stats.gennorm, stats.exponnorm) for f in _all(k)],
        V,
        P + 0.5,
    ),
    "johnsonsu": (lambda x, a, b: [f(x, a, b, 0.1, 1.3) for f in _all(stats.johnsonsu)], V, S, P),
    "triang, powerlaw": (
        lambda x, c: [f(x, c) for k in (stats.triang, stats.powerlaw) for f in _all(k)],
        S,
        S[::-1] * 0.7,
    ),
    "genlogistic": (lambda x, c: [f(x, c) for f in _all(stats.genlogistic)], V, P),
    "levy, laplace_asymmetric": (
        lambda x, k: [*(f(x) for f in _all(stats.levy)), stats.laplace_asymmetric.logpdf(x, k)],
        P,
        S + 0.5,
    ),
    "gompertz, invweibull": (
        lambda x, c: [f(x, c) for k in (stats.gompertz, stats.invweibull) for f in _all(k)],
        P / 2,
        P[::-1].copy(),
    ),
    "burr12": (lambda x, c: [f(x, c, c + 1.0) for f in _all(stats.burr12)], P, S),
    "quantiles of families": (
        lambda q, c: (
            [
                f(q, c, 0.3, 1.4)
                for k in (stats.genextreme, stats.genpareto, stats.chi, stats.powerlaw, stats.nakagami, stats.gompertz)
                for f in (k.ppf, k.isf)
            ]
            + [stats.johnsonsu.ppf(q, c, 1.3), stats.johnsonsu.isf(q, c, 1.3), stats.invweibull.ppf(q, c)]
        ),
        S,
        S[::-1] + 0.3,
    ),
    "gumbel_l": (lambda x, s: [f(x, 0.2, s) for f in _all(stats.gumbel_l)], V, P),
    "lomax": (lambda x, c: [f(x, c, scale=0.7) for f in _all(stats.lomax)], P, S),
    "weibull_max, loguniform": (
        lambda x, c: [
            *(f(-x, c, scale=0.7) for f in _all(stats.weibull_max)),
            *(f(x, 0.2, 5.0 + c) for f in (stats.loguniform.logpdf, stats.reciprocal.cdf)),
            stats.weibull_max.ppf(x / 9, c),
            stats.loguniform.ppf(x / 9, 0.2, 5.0 + c),
        ],
        P,
        S,
    ),
    "elementary densities": (
        lambda x, c: [
            *(law.logpdf(x, c) for law in (stats.dweibull, stats.dgamma, stats.fatiguelife, stats.foldnorm)),
            *(law.logpdf(x, c) for law in (stats.loggamma,)),
            *(law.logpdf(x, c, 1.3) for law in (stats.gengamma, stats.betaprime)),
            *(law.logpdf(x, 0.1, c) for law in (stats.halflogistic, stats.hypsecant, stats.moyal, stats.wald)),
            *(stats.gibrat.logpdf(x, 0.1, c), stats.truncexpon.logpdf(x, c + 5.0)),
        ],
        P,
        S,
    ),
    "fisk": (lambda x, c: [f(x, c, scale=0.7) for f in _all(stats.fisk)], P, P[::-1].copy()),
    "halfcauchy": (lambda x, s: [f(x, scale=s) for f in _all(stats.halfcauchy)], P, P[::-1].copy()),
    "maxwell": (lambda x, s: [f(x, scale=s) for f in _all(stats.maxwell)], P, P[::-1].copy()),
    "betabinom": (lambda a, b: [f(K, 7, a, b) for f in (stats.betabinom.pmf, stats.betabinom.logpmf)], P, S),
    "quantiles": (lambda q, s: [f(q, 0.3, s) for law in _PLAIN for f in (law.ppf, law.isf)], S, P),
    "quantiles by a shape": (lambda q, c: [f(q, c, 0.3, 1.4) for law in _SHAPED for f in (law.ppf, law.isf)], S, P),
    "quantiles of tails": (
        lambda q, a: [
            f(q, a, 0.3, 1.4) for law in (stats.t, stats.gamma, stats.chi2, stats.invgamma) for f in (law.ppf, law.isf)
        ],
        S,
        P + 0.5,
    ),
    "quantiles of beta": (lambda q, a, b: [stats.beta.ppf(q, a, b), stats.beta.isf(q, a, b)], S, P, P[::-1].copy()),
    "probabilities by shapes": (
        lambda a, b: [
            stats.gamma.cdf(P, a),
            stats.t.sf(V, b),
            stats.beta.cdf(S, a, b),
            stats.chi2.sf(P, b),
            stats.poisson.cdf(K, a),
            stats.f.cdf(P, a, b),
            stats.binom.cdf(K, 7, S),
            stats.nbinom.cdf(K, a, S),
        ],
        P,
        P[::-1].copy(),
    ),
    "quantiles frozen": (lambda q, s: stats.norm(0.3, s).ppf(q) + stats.expon(scale=s).isf(q), S, P),
    "vonmises": (lambda x, k: stats.vonmises.logpdf(x, k), V, P),
    "poisson": (lambda m: [f(K, m) for f in _all(stats.poisson)], P),
    "binom": (lambda p: stats.binom.logpmf(K, 7, p) + stats.binom.pmf(K, 7, p) + stats.binom.cdf(K, 7, p), S),
    "nbinom": (lambda n, p: stats.nbinom.logpmf(K, n, p), P, S),
    "bernoulli": (lambda p: stats.bernoulli.logpmf(K > 1, p), S),
    "geom": (lambda p: [f(K + 1, p) for f in _all(stats.geom)], S),
    "multivariate_normal": (lambda x, m, c: stats.multivariate_normal.logpdf(x, m, c @ c.T), X, X[0], X.T @ X),
    "multivariate_normal of variances": (lambda x, v: stats.multivariate_normal.logpdf(x, X[1], v), X, P[:3]),
    "multivariate_normal of one": (lambda x, v: stats.multivariate_normal.pdf(x, 0.5, v), V, P[0]),
    "multivariate_normal entropy": (lambda c: stats.multivariate_normal.entropy(cov=c @ c.T), X.T @ X),
    "dirichlet": (lambda a: stats.dirichlet.logpdf(S[:3] / S[:3].sum(), a), P[:3]),
    "multinomial": (lambda p: stats.multinomial.logpmf([1, 2, 0, 3], 6, p / p.sum()), P[:4]),
    "multinomial frozen": (lambda p: stats.multinomial(6, p / p.sum()).pmf([1, 2, 0, 3]), P[:4]),
    "multivariate_normal frozen": (
        lambda x, m: [
            stats.multivariate_normal(m, D).logpdf(x),
            FROZEN.pdf(x),
            stats.multivariate_normal(V[:4]).pdf(x),
        ],
        V[:4],
        P[:4],
    ),
    "dirichlet frozen": (lambda a: stats.dirichlet(a).logpdf(S[:3] / S[:3].sum()), P[:3]),
    "wishart": (lambda x, s: stats.wishart.logpdf(x @ x.T, 5.5, s @ s.T), D, D),
    "zscore": (lambda x: [stats.zscore(x), stats.zscore(x, 1, 1), stats.zscore(x, None)], IMAGE),
    "skew, kurtosis": (
        lambda x: [f(x, a, bias=b) for f in (stats.skew, stats.kurtosis) for a in (0, None) for b in (True, False)],
        IMAGE,
    ),
    "pearsonr": (lambda x, y: [*stats.pearsonr(x, y)], V, P),
    "entropy": (lambda p, q: [stats.entropy(p), stats.entropy(p, q, 2.0), stats.entropy(X**2, axis=1)], P, S),
    "gaussian_kde": (lambda x: [KERNELS(x), KERNELS.logpdf(x), KERNELS.pdf(x), PLANE(x.reshape(2, 3))], V),
    "gaussian_kde of a sample": (
        lambda s: [
            stats.gaussian_kde(s, "silverman")(AT),
            stats.gaussian_kde(s, 0.4, P).logpdf(AT),
            stats.gaussian_kde(s.reshape(2, 3)).evaluate(IMAGE[:2]),
        ],
        V,
    ),
    "wishart frozen": (lambda x: [stats.wishart(5.5, D).logpdf(x @ x.T), stats.wishart(9, D).pdf(x @ x.T)], D / 4),
}
CURVES: dict[str, tuple[Any, ...]] = {
    "piecewise at": (
        lambda x: [f(x) for f in (interpolate.PPoly(CURVE.c, CURVE.x), interpolate.PPoly(CURVE.c, CURVE.x, False))],
        AT[1:5],
    ),
    "curve at": (lambda x: [CURVE(x), CURVE(x, 1), CURVE(x, nu=2)], AT),
    "line at": (lambda x: LINE(x), AT),
    "spline at": (lambda x: SPLINE(x), AT),
    "spline's derivatives": (lambda x: [SPLINE(x, 1), SPLINE(x, nu=2)], AT),
    "spline through": (lambda y: _curves(interpolate.make_interp_spline(T, y, k=3)), V),
    "cubic through": (lambda x, y: _curves(interpolate.CubicSpline(x, y)), T, V),
    "cubic's integrals": (
        lambda x, y, b: [
            interpolate.CubicSpline(x, y).integrate(0.3, b),
            interpolate.CubicSpline(x, y).antiderivative()(AT),
            interpolate.CubicSpline(x, y).antiderivative(2)(AT),
            interpolate.CubicSpline(x, y).derivative(2)(AT),
        ],
        T,
        V,
        np.array(2.9),
    ),
    "pchip through": (lambda x, y: [interpolate.PchipInterpolator(x, y)(AT, k) for k in (0, 1, 2)], T, V),
    "pchip through points that rise": (lambda y: _curves(interpolate.PchipInterpolator(T, np.cumsum(y))), P),
    "hermite through": (lambda y, d: _curves(interpolate.CubicHermiteSpline(T, y, d)), V, P),
    "grid at": (lambda x: [GRID(x), interpolate.interpn(PLACES, IMAGE, x)], GRID_AT),
    "grid of": (lambda v, x: interpolate.RegularGridInterpolator(PLACES, v, fill_value=None)(x), IMAGE, GRID_AT),
    "grid of the nearest": (
        lambda v: interpolate.RegularGridInterpolator(PLACES, v, method="nearest", bounds_error=False, fill_value=2.0)(
            2 * GRID_AT
        ),
        IMAGE,
    ),
}
OTHERS: dict[str, tuple[Any, ...]] = {
    "special": (
        lambda x: [
            special.logsumexp(x),
            special.softmax(x),
            special.log_softmax(x),
            special.polygamma(1, x),
            special.multigammaln(x + 2, 3),
        ],
        P,
    ),
    "special ufuncs": (
        lambda x: [special.exprel(x), special.cosm1(x), special.powm1(x, 0.3), special.exprel(-x / 9)],
        P,
    ),
    "spherical": (
        lambda x: [
            f(n, x, d)
            for f in (special.spherical_jn, special.spherical_yn, special.spherical_in, special.spherical_kn)
            for n in (0, 2)
            for d in (False, True)
        ],
        P,
    ),
    "lambertw": (lambda x: _parts_of(special.lambertw(x), special.lambertw(-x / 20, -1)), P),
    "harmonics": (
        lambda x: [
            *(np.real(special.sph_harm_y(2, 1, x, 0.3)), special.sph_legendre_p(2, 1, x)),
            *(special.legendre_p(2, x), special.assoc_legendre_p(2, 1, x / 9)),
        ],
        S,
    ),
    "diric": (lambda x: [special.diric(np.append(x, [0.0, 2 * np.pi, -4 * np.pi]), n) for n in (1, 2, 5, 8)], V),
    "perm, zeta": (lambda x: [special.perm(7, 3 * x), special.zeta(2.5, x), special.zeta([2, 3, 4], x[:3])], S),
    "betaincc, comb, factorial": (
        lambda x: [special.betaincc(1.5, 2.5, x), special.comb(7, 3 * x), special.factorial(x)],
        S,
    ),
    "distance_matrix": (lambda x, y: [distances_by_powers(x, y, p) for p in (1, 2, 3)], X, Y),
    "cdist": (
        lambda x, y: [distance.cdist(x, y, m) for m in ("euclidean", "sqeuclidean", "cityblock", "cosine", "canberra")],
        X,
        Y,
    ),
    "cdist of others": (
        lambda x, y: [
            distance.cdist(x, y, "minkowski", p=3),
            distance.cdist(x, y, "chebyshev"),
            distance.cdist(x, y, "correlation"),
            distance.cdist(x, y, "mahalanobis", VI=D[:3, :3]),
            distance.cdist(x, y, "seuclidean", V=P[:3]),
            distance.cdist(x, y, metric="braycurtis"),
        ],
        X,
        Y,
    ),
    "jensenshannon": (
        lambda x, y: [
            distance.cdist(x**2 + 0.1, y**2 + 0.2, "jensenshannon"),
            distance.jensenshannon(x**2 + 0.1, y[:1] ** 2 + 0.2, 2.0, axis=1),
        ],
        X,
        X[::-1] + 0.3,
    ),
    "pdist": (lambda x: [distance.pdist(x), distance.squareform(distance.pdist(x, "sqeuclidean"))], X),
    "distances": (lambda x, y: distance.euclidean(x, y) + distance.cosine(x, y) + distance.cityblock(x, y), X[0], Y[0]),
    "convolve": (lambda x, y: [signal.convolve(x, y, m) for m in ("full", "same", "valid")], V, P[:3]),
    "fftconvolve": (lambda x, y: signal.fftconvolve(x, y, "same") + signal.oaconvolve(x, y, "same"), IMAGE, Y),
    "convolve2d": (lambda x, y: signal.convolve2d(x, y) + signal.correlate2d(x, y), IMAGE, Y),
    "convolve2d beyond edges": (
        lambda x, y: [
            f(x, z, m, boundary=b, **more)
            for f in (getattr(signal, name) for name in ("convolve2d", "correlate2d"))
            for z in (y, y[:2, :2])
            for m in ("full", "same", "valid")
            for b, more in (("wrap", {}), ("symm", {}), ("fill", {"fillvalue": 1.5}))
        ],
        IMAGE,
        Y,
    ),
    "correlate of complex numbers": (
        lambda x, y: [
            part(f(x * (1 + 2j), z * (2 - 1j), m))
            for part in (np.real, np.imag)
            for f, z in ((signal.correlate, y), (signal.correlate2d, y[:2, :2]))
            for m in ("full", "same", "valid")
        ],
        IMAGE,
        Y,
    ),
    "correlate": (lambda x, y: [signal.correlate(x, y, m) for m in ("full", "same", "valid")], V, P[:3]),
    "lfilter": (lambda b, a, x: signal.lfilter(b, a, x), P[:3], P[:4], V),
    "lfilter of rows": (lambda a, x: signal.lfilter([1.0, 0.5], a, x, axis=0), P[:3], IMAGE),
    "lfilter without feedback": (lambda b, x: signal.lfilter(b, [2.0], x), P[:3], IMAGE),
    "lfilter with a state": (lambda x, z: signal.lfilter([1.0, 0.5], [1.0, -0.3, 0.2], x, zi=z), V, P[:2]),
    "detrend": (lambda x: [signal.detrend(x), signal.detrend(x, axis=0, type="constant")], IMAGE),
    "gaussian_filter": (lambda x: [ndimage.gaussian_filter(x, s) for s in (0.7, (1.5, 0.4), 2.5)], IMAGE),
    "gaussian_filter edges": (
        lambda x: [ndimage.gaussian_filter(x, 0.8, mode=m) for m in ("mirror", "nearest", "wrap", "constant")],
        IMAGE,
    ),
    "gaussian_filter1d": (lambda x: [ndimage.gaussian_filter1d(x, 1.2, axis=0, order=k) for k in (0, 1, 2)], IMAGE),
    "correlate1d": (
        lambda x, w: [ndimage.correlate1d(x, w[:k], axis=0) + ndimage.convolve1d(x, w[:k], axis=0) for k in (3, 4)],
        IMAGE,
        V,
    ),
    "uniform_filter": (
        lambda x: [ndimage.uniform_filter(x, 3), ndimage.uniform_filter(x, (2, 4)), ndimage.uniform_filter1d(x, 3)],
        IMAGE,
    ),
    "map_coordinates beyond edges": (
        lambda x, c: [
            ndimage.map_coordinates(x, 3.0 * c - 4.137, order=1, mode=m, cval=0.3)
            for m in ("reflect", "grid-mirror", "mirror", "wrap", "grid-wrap", "grid-constant")
        ],
        IMAGE,
        np.stack([P * 3, P * 4]),
    ),
    "map_coordinates": (
        lambda x, c: [ndimage.map_coordinates(x, c, order=1, mode=m) for m in ("constant", "nearest")],
        IMAGE,
        np.array([[0.3, 1.2, 3.9, -0.5], [2.2, 5.9, 0.1, 3.3]]),
    ),
    "trapezoid": (
        lambda y, x: integrate.trapezoid(y, x) + integrate.trapezoid(y, dx=0.1) + integrate.cumulative_trapezoid(y, x),
        V,
        T,
    ),
    "cumulative_trapezoid": (lambda y: integrate.cumulative_trapezoid(y, T[:5], axis=0, initial=0), IMAGE),
    "simpson": (lambda y: [integrate.simpson(y, x=T), integrate.simpson(y[:5], dx=0.3), integrate.simpson(y)], V),
    "sparse": (lambda w: [SPARSE @ w, SPARSE.tocsc() @ w, SPARSE.tobsr() @ w, SPARSE.todia().dot(w)], P[:4]),
    "sparse transposed": (lambda w: [SPARSE.T @ w, w @ SPARSE, w @ sparse.coo_array(SPARSE), SPARSE.T * w], P[:5]),
    "sparse and a matrix": (lambda w: [SPARSE @ w, w.T @ SPARSE.T], B),
    "spsolve": (lambda b: sparse.linalg.spsolve(DEFINITE, b), V),
    "spsolve of many": (lambda b: sparse.linalg.spsolve(MANY, b[:, :1]) + sparse.linalg.spsolve(MANY, b[:, 1]), MANY_B),
    "splu": (lambda b: [SYSTEMS.splu(MANY).solve(b, t) for t in ("N", "T", "H")], MANY_B),
    "splu captured": (lambda b: [MANY_LU.solve(b), MANY_LU.solve(b[:, 0], trans="T")], MANY_B),
    "factorized": (lambda b: [MANY_SOLVED(b), sparse.linalg.factorized(MANY)(b[:, 1])], MANY_B),
    "iterated": (
        lambda b: [
            getattr(SYSTEMS, name)(DEFINITE + DEFINITE.T, b, rtol=1e-14)[0]
            for name in ("bicg", "bicgstab", "cg", "cgs", "gcrotmk", "gmres", "lgmres", "minres", "qmr", "tfqmr")
        ],
        V,
    ),
    "spsolve_triangular": (
        lambda b: [
            sparse.linalg.spsolve_triangular(MANY_LU.U, b, lower=False),
            sparse.linalg.spsolve_triangular(MANY_LU.L, b[:, 0], unit_diagonal=True),
        ],
        MANY_B,
    ),
}
FOURIER: dict[str, tuple[Any, ...]] = {
    "fft": (lambda x: _parts_of(fft.fft(x), fft.ifft(x, 5, 0, "ortho"), fft.ihfft(x, axis=0, workers=1)), IMAGE),
    "rfft": (lambda x: _parts_of(fft.rfft(x, n=9), fft.irfft(x * (1 + 0.3j), norm="forward"), fft.hfft(x)), IMAGE),
    "fft2": (lambda x: _parts_of(fft.fft2(x), fft.ifft2(x), fft.rfft2(x, s=(4, 6)), fft.irfft2(x)), IMAGE),
    "fftn": (lambda x: _parts_of(fft.fftn(x), fft.ifftn(x, axes=0), fft.rfftn(x, norm="ortho"), fft.irfftn(x)), IMAGE),
    "hfftn": (lambda x: _parts_of(fft.hfftn(x * (1 - 0.2j)), fft.hfft2(x, norm="ortho"), fft.hfftn(x, axes=1)), IMAGE),
    "ihfftn": (lambda x: _parts_of(fft.ihfftn(x), fft.ihfft2(x, norm="forward"), fft.ihfftn(x, axes=0)), IMAGE),
    "fftshift": (lambda x: [fft.fftshift(x), fft.ifftshift(x, axes=1)], IMAGE),
    "fftfreq": (lambda d: [fft.fftfreq(7, d), fft.rfftfreq(6, d=d)], np.array(0.3)),
    "dct": (lambda x: [fft.dct(x, t, n, norm=m) for t in (1, 2, 3, 4) for n in (4, 9) for m in (None, "ortho")], V),
    "idct": (
        lambda x: [fft.idct(x, t, axis=0, norm=m) for t in (1, 2, 3, 4) for m in (None, "ortho", "forward")],
        IMAGE,
    ),
    "dst": (lambda x: [fft.dst(x, t, n, norm=m) for t in (1, 2, 3, 4) for n in (4, 9) for m in (None, "ortho")], V),
    "idst": (
        lambda x: [fft.idst(x, t, axis=0, norm=m) for t in (1, 2, 3, 4) for m in (None, "ortho", "forward")],
        IMAGE,
    ),
    "dct by halves": (
        lambda x: [f(x, t, orthogonalize=o) for f in (fft.dct, fft.dst) for t in (1, 2, 3) for o in (True, False)],
        V,
    ),
    "dctn": (
        lambda x: [fft.dctn(x), fft.idctn(x, norm="ortho"), fft.dstn(x, 3, axes=0), fft.idstn(x, s=(3, 8))],
        IMAGE,
    ),
    "dct of one": (lambda x: [f(x[:1], t) for f in (fft.dct, fft.dst, fft.idct, fft.idst) for t in (2, 3, 4)], V),
}
SIGNALS: dict[str, tuple[Any, ...]] = {
    "savgol_filter": (
        lambda x: [
            *(signal.savgol_filter(x, 5, 2, deriv=d, delta=0.3) for d in (0, 1, 2)),
            *(signal.savgol_filter(x, 4, 3, axis=0, mode=m) for m in ("interp", "mirror", "constant")),
        ],
        IMAGE,
    ),
    "filtfilt": (
        lambda x: [
            *(signal.filtfilt([0.2, 0.3], [1.0, -0.5, 0.1], x, 0, p, 3) for p in ("odd", "even", "constant", None)),
            signal.filtfilt([0.5, 0.5], [2.0], x),
        ],
        IMAGE,
    ),
    "filtfilt of its coefficients": (lambda b, a: signal.filtfilt(b, a, LONG), P[:2], P[:3] + 4 * (T[:3] == 0)),
    "sosfilt": (lambda x: [signal.sosfilt(SECTIONS, x), signal.sosfiltfilt(SECTIONS, x)], LONG),
    "sosfilt of sections": (
        lambda s: [
            signal.sosfilt(s * (np.arange(6) != 3) + (np.arange(6) == 3), LONG),
            signal.sosfiltfilt(s * (np.arange(6) != 3) + (np.arange(6) == 3), LONG, padlen=5),
            signal.sosfilt_zi(s * (np.arange(6) != 3) + (np.arange(6) == 3)),
        ],
        SECTIONS,
    ),
    "lfilter_zi": (lambda b, a: signal.lfilter_zi(b, a), P[:2], P[:4]),
    "resample": (
        lambda x: [signal.resample(x, n, axis=1) for n in (4, 5, 7, 10, 11)],
        IMAGE,
    ),
    "resample of an even number": (lambda x: [signal.resample(x, n) for n in (3, 4, 6, 8, 9)], V),
    "resample with times": (lambda x: [*signal.resample(x, 4, T * 2)], V),
    "hilbert": (lambda x: [f for n in (None, 9) for f in _parts_of(signal.hilbert(x, n), signal.hilbert(x[:5]))], V),
    "sobel, prewitt": (lambda x: [f(x, a) for f in (ndimage.sobel, ndimage.prewitt) for a in (0, 1)], IMAGE),
    "laplace": (
        lambda x: [
            ndimage.laplace(x, mode="wrap"),
            ndimage.gaussian_laplace(x, 0.8),
            ndimage.gaussian_gradient_magnitude(x, (0.6, 1.1)),
        ],
        IMAGE,
    ),
    "ndimage of kernels": (
        lambda x, w: [f(x, w[:k]) for f in (ndimage.convolve, ndimage.correlate) for k in (2, 3)],
        IMAGE,
        Y,
    ),
    "shift": (
        lambda x, s: [ndimage.shift(x, s, order=1), ndimage.shift(x, s[0], order=1, mode="nearest")],
        IMAGE,
        V[:2],
    ),
    "zoom": (lambda x: [ndimage.zoom(x, z, order=1) for z in (1.7, (0.8, 2.0))], IMAGE),
    "splines of images": (
        lambda x, c: [ndimage.map_coordinates(x, 3.0 * c - 4.137, order=k, mode=m, cval=0.3) for k, m in BEYOND],
        IMAGE,
        np.stack([P * 3, P * 4]),
    ),
    "splines of images beyond edges": (
        lambda x, c: [
            ndimage.map_coordinates(x, 2.0 * c - 3.137, order=3, mode="grid-constant", cval=0.3),
            ndimage.map_coordinates(x, c, order=3, mode="nearest", prefilter=False),
            # SciPy's own coefficients for this mode are off by 0.27^(2 n - 1).
            ndimage.map_coordinates(np.concatenate([x, x, x]), c - 0.7, order=3, mode="reflect"),
        ],
        np.concatenate([IMAGE, IMAGE], axis=1),
        np.stack([P * 3, P * 4]),
    ),
    "images moved by splines": (
        lambda x, s: [
            *(ndimage.shift(x, s), ndimage.zoom(x, 1.3, order=2)),
            ndimage.affine_transform(x, np.eye(2) + 0.1 * s, s, order=3, mode="nearest"),
            ndimage.affine_transform(x, 1.0 + 0.1 * s, 0.2, (3, 3), order=2),
            ndimage.affine_transform(x, np.c_[np.eye(2), s], order=1),
        ],
        IMAGE,
        V[:2],
    ),
    "short times": (_short_times, np.cos(np.arange(37.0) ** 1.3)),
    "signals of short times": (_signals, np.cos(np.arange(45.0) ** 1.3).reshape(5, 9)),
    "spectra": (_spectra, np.cos(np.arange(20.0) ** 1.3), np.sin(np.arange(20.0) ** 1.2)),
    "ranks of neighbours": (
        lambda x: [
            *(ndimage.maximum_filter(x, 3), ndimage.minimum_filter(x, (2, 3), mode="constant", origin=(0, 1))),
            *(ndimage.median_filter(x, 2, mode="mirror"), ndimage.median_filter(x, footprint=[[0, 1], [1, 1]])),
            *(ndimage.percentile_filter(x, p, size=3, mode="wrap") for p in (30, -10, 100)),
            *(ndimage.rank_filter(x, -2, size=3), ndimage.maximum_filter1d(x, 4, 0), ndimage.minimum_filter1d(x, 3)),
        ],
        IMAGE + 0.01 * np.arange(IMAGE.size).reshape(IMAGE.shape) ** 1.5,
    ),
    "cumulative_simpson": (
        lambda y, x: [
            *(integrate.cumulative_simpson(y[:k], x=x[:k], initial=0.3) for k in (2, 3, 5)),
            *(integrate.cumulative_simpson(y, dx=0.3), integrate.cumulative_simpson(y[:4])),
        ],
        V,
        T,
    ),
}
CALLS = (
    LINALG | STATS | OTHERS | CURVES | SIGNALS | FOURIER | curve_calls.CALLS | solver_calls.CALLS | response_calls.CALLS
)


def _curves(curve: Any) -> list[Any]:
    return [curve(AT), curve(AT, 1), curve.derivative()(AT)]


def _real_parts(spectrum: Any) -> list[Any]:
    return [spectrum[0], *_parts_of(spectrum[1])]


def _parts_of(*arrays: Any) -> list[Any]:
    return [part for array in arrays for part in (array.real, array.imag)]


def _all(law: Any) -> list[Any]:
    names = ("pdf", "logpdf") if hasattr(law, "pdf") else ("pmf", "logpmf")
    return [getattr(law, name) for name in (*names, "cdf", "sf", "logcdf", "logsf")]
