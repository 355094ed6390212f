"""scipy.stats: tests of means by Student's distribution, and straight lines through points."""

from __future__ import annotations

from typing import Any, NamedTuple

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported, refuse, to_real
from gradserve.numpy.reductions import sum as sum_along
from gradserve.numpy.scipy.summaries import Correlation, centered
from gradserve.numpy.shaping import ravel
from gradserve.numpy.statistics import mean, root, var
from gradserve.numpy.table import SCIPY, implements_scipy


class Line(NamedTuple):
    """A straight line through points, its correlation, and how certain it is."""

    slope: Value
    intercept: Value
    rvalue: Value
    pvalue: Value
    stderr: Value

    @property
    def intercept_stderr(self) -> Value:
        """Not among what SciPy's result is unpacked to.

        Raises:
            Unsupported: always.
        """
        raise Unsupported(
            "intercept_stderr of what scipy.stats.linregress gives cannot be traced",
            "write result.stderr * np.sqrt(np.mean(x**2))",
        )


def _judged(g: Builder, t: Value, df: Any, alternative: str) -> Value:
    """How likely a number of Student's distribution is that far out."""
    cdf = SCIPY["scipy.stats.t.cdf"].call
    match alternative:
        case "two-sided":
            return g.mul(cdf(g, g.neg(g.abs(t)), df), 2.0)
        case "less":
            return cdf(g, t, df)  # type: ignore[no-any-return]
        case "greater":
            return cdf(g, g.neg(t), df)  # type: ignore[no-any-return]
    raise ValueError("`alternative` must be 'less', 'greater', or 'two-sided'.")


@implements_scipy("stats.linregress")
def linregress(g: Builder, x: Any, y: Any, alternative: str = "two-sided") -> Line:
    """The line through points by least squares: slope, intercept, correlation, its probability, standard error."""
    (u, _), (v, _) = (centered(g, a, 0, "linregress") for a in (x, y))
    if u.type.rank != 1 or u.type.shape != v.type.shape or u.type.size < 3:
        refuse(g, "linregress", f"{u.type} and {v.type} are no three points or more")
    df = u.type.size - 2.0
    of_x, of_y, both = (sum_along(g.mul(a, b)) for a, b in ((u, u), (v, v), (u, v)))
    slope, r = g.div(both, of_x), g.div(both, g.sqrt(g.mul(of_x, of_y)))
    center = mean(to_real(g, x, "linregress"))
    intercept = g.sub(mean(to_real(g, y, "linregress")), g.mul(slope, center))
    rest = g.mul(g.sub(1.0, r), g.add(1.0, r))
    pvalue = _judged(g, g.mul(r, g.sqrt(g.div(df, rest))), df, alternative)
    error = root(g.div(g.mul(rest, of_y), g.mul(of_x, df)))
    return Line(slope, intercept, r, pvalue, error)


@implements_scipy("stats.ttest_1samp")
def ttest_1samp(g: Builder, a: Any, popmean: Any, axis: Any = 0, *, alternative: str = "two-sided") -> Correlation:
    """How many standard errors the mean of a sample is from a number, and how likely that is."""
    x = to_real(g, a, "ttest_1samp")
    x, axis = (ravel(x), 0) if axis is None else (x, axis)
    n = x.shape[axis]
    error = root(g.mul(var(x, axis, ddof=1), 1 / n))
    t = g.div(g.sub(mean(x, axis), to_real(g, popmean, "ttest_1samp")), error)
    return Correlation(t, _judged(g, t, n - 1.0, alternative))


@implements_scipy("stats.ttest_rel")
def ttest_rel(g: Builder, a: Any, b: Any, axis: Any = 0, *, alternative: str = "two-sided") -> Correlation:
    """The same of the differences of two samples in pairs, from 0."""
    first, second = (to_real(g, x, "ttest_rel") for x in (a, b))
    return ttest_1samp(g.sub(first, second), 0.0, axis, alternative=alternative)


@implements_scipy("stats.ttest_ind")
def ttest_ind(
    g: Builder, a: Any, b: Any, *, axis: Any = 0, equal_var: bool = True, alternative: str = "two-sided"
) -> Correlation:
    """How many standard errors the means of two samples are apart, and how likely that is; or Welch's test."""
    first, second = (to_real(g, x, "ttest_ind") for x in (a, b))
    if axis is None:
        first, second, axis = ravel(first), ravel(second), 0
    n, m = first.shape[axis], second.shape[axis]
    u, v = (g.mul(var(x, axis, ddof=1), 1 / count) for x, count in ((first, n), (second, m)))
    both = g.add(u, v)
    df: Any = n + m - 2.0
    if equal_var:
        pooled = g.add(g.mul(u, (n - 1.0) * n), g.mul(v, (m - 1.0) * m))
        error = root(g.mul(pooled, (1 / n + 1 / m) / df))
    else:
        error = root(both)
        df = g.div(g.mul(both, both), g.add(g.mul(g.mul(u, u), 1 / (n - 1)), g.mul(g.mul(v, v), 1 / (m - 1))))
    t = g.div(g.sub(mean(first, axis), mean(second, axis)), error)
    return Correlation(t, _judged(g, t, df, alternative))
