"""Functions of scipy.stats called as their authors do, by the names that SciPy gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import signal, stats

from tests.numpy.scipy_calls.values import AT, FROZEN, IMAGE, KERNELS, PLANE, D, K, P, S, V, X

_PLAIN: tuple[Any, ...] = (
    *(stats.norm, stats.expon, stats.laplace, stats.cauchy, stats.uniform, stats.logistic, stats.halfnorm),
    *(stats.gumbel_r, stats.gumbel_l, stats.rayleigh, stats.halfcauchy),
)
_SHAPED: tuple[Any, ...] = (stats.lognorm, stats.weibull_min, stats.pareto, stats.lomax, stats.fisk)
CALLS: dict[str, tuple[Any, ...]] = {
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


def _all(law: Any) -> list[Any]:
    names = ("pdf", "logpdf") if hasattr(law, "pdf") else ("pmf", "logpmf")
    return [getattr(law, name) for name in (*names, "cdf", "sf", "logcdf", "logsf")]
