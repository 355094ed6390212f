"""Distributions of scipy.stats fitted to samples, where the likelihood is greatest at a known place."""

from __future__ import annotations

import math
from typing import Any

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import to_real
from gradserve.numpy.quantiles import median
from gradserve.numpy.reductions import max as greatest
from gradserve.numpy.reductions import min as least
from gradserve.numpy.statistics import mean, root
from gradserve.numpy.table import implements_scipy


@implements_scipy("stats.norm.fit")
def normal(g: Builder, data: Any, *, floc: Any = None, fscale: Any = None) -> tuple[Value, Value]:
    """The mean and the standard deviation of a sample, unless they are given."""
    x = to_real(g, data, "norm.fit")
    loc = mean(x) if floc is None else to_real(g, floc, "norm.fit")
    apart = g.sub(x, loc)
    return loc, root(mean(g.mul(apart, apart))) if fscale is None else to_real(g, fscale, "norm.fit")


@implements_scipy("stats.expon.fit")
def exponential(g: Builder, data: Any, *, floc: Any = None, fscale: Any = None) -> tuple[Value, Value]:
    """The least element of a sample, and how far its mean is above, unless they are given."""
    x = to_real(g, data, "expon.fit")
    loc = least(x) if floc is None else to_real(g, floc, "expon.fit")
    return loc, g.sub(mean(x), loc) if fscale is None else to_real(g, fscale, "expon.fit")


@implements_scipy("stats.uniform.fit")
def uniform(g: Builder, data: Any) -> tuple[Value, Value]:
    """The least element of a sample, and how far the greatest is above."""
    x = to_real(g, data, "uniform.fit")
    return least(x), g.sub(greatest(x), least(x))


@implements_scipy("stats.laplace.fit")
def laplace(g: Builder, data: Any, *, floc: Any = None, fscale: Any = None) -> tuple[Value, Value]:
    """The median of a sample, and the mean distance from it, unless they are given."""
    x = to_real(g, data, "laplace.fit")
    loc = median(x) if floc is None else to_real(g, floc, "laplace.fit")
    return loc, mean(g.abs(g.sub(x, loc))) if fscale is None else to_real(g, fscale, "laplace.fit")


@implements_scipy("stats.rayleigh.fit")
def rayleigh(g: Builder, data: Any, *, floc: Any) -> tuple[Value, Value]:
    """The given floc, and the root of half of the mean square above it."""
    x = to_real(g, data, "rayleigh.fit")
    loc = to_real(g, floc, "rayleigh.fit")
    apart = g.sub(x, loc)
    return loc, g.mul(root(mean(g.mul(apart, apart))), math.sqrt(0.5))
