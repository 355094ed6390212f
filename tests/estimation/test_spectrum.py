"""Spectra by stochastic Lanczos quadrature, against closed forms of known eigenvalues."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from gradserve.client import Client
from gradserve.estimation import quadrature
from gradserve.estimation.spectrum import SpectrumSoFar
from gradserve.questions.report import Report
from gradserve.questions.spectrum import SpectrumEstimate, TraceOf
from tests.estimation.spectra import EPSILON, eigenvalues, signs, tridiagonal, with_eigenvalues

N, STEPS, PROBES, RUNS = 100, 40, 8, 40
SPECTRA = eigenvalues(N)


def estimate(
    matrix: np.ndarray, probes: int = PROBES, seed: int = 0, damping: float = 0.0, steps: int = STEPS, points=200
):
    found = SpectrumSoFar(len(matrix), EPSILON, seed, steps, damping, 0.95, points, 0.05)
    for k in range(probes):
        found = found.with_probe(tridiagonal(matrix, signs(len(matrix), 1000 * seed + k), steps))
    answer: SpectrumEstimate = found.answer(True, Report())
    return answer


def truth(values: np.ndarray) -> dict[str, float]:
    """What is estimated, by its name."""
    moments = {"A": 1, "A^2": 2, "A^3": 3, "A^4": 4}
    exact = {f"tr {name} / n": float(np.mean(values**p)) for name, p in moments.items()}
    exact |= {"tr exp A": float(np.exp(values).sum()), "|A|_F": float(np.linalg.norm(values))}
    if values.min() > 0:
        exact |= {"log det A": float(np.log(values).sum()), "tr A^-1": float((1 / values).sum())}
    return exact


@pytest.fixture(scope="module")
def coverage():
    """By spectrum and by name, the estimates of many seeds and the truth."""
    rows: dict[tuple[str, str], list[tuple[TraceOf, float]]] = {}
    for name, values in SPECTRA.items():
        shifted = values + 0.2 if name != "hessian" else values
        matrix, exact = with_eigenvalues(shifted), truth(shifted)
        answers = [estimate(matrix, 6, seed, steps=25, points=2) for seed in range(RUNS)]
        for each in [(*a.moments, *a.functions) for a in answers]:
            for found in each:
                if found.name in exact:
                    rows.setdefault((name, found.name), []).append((found, exact[found.name]))
    return rows


def share(rows, factor=1.0):
    half = [(f.upper - f.lower) / 2 * factor for f, _ in rows]
    middle = [(f.upper + f.lower) / 2 for f, _ in rows]
    return np.mean([abs(m - t) <= h for (_, t), m, h in zip(rows, middle, half, strict=True)])


def test_intervals_cover(coverage):
    """Each with probability 95 %: of 40 seeds all but 6 at most miss, which chance leaves in one of 100 cases."""
    assert len(coverage) == 4 * 6 + 3 * 2
    assert {key: share(rows) for key, rows in coverage.items() if share(rows) < 0.85} == {}


def test_narrower_intervals_would_not(coverage):
    """A planted fault: a third of the width."""
    assert np.mean([share(rows, 1 / 3) for rows in coverage.values()]) < 0.85


@pytest.mark.parametrize("name", SPECTRA)
def test_density_and_distribution(name):
    """They are those of the eigenvalues, smoothed, within their intervals at nearly all points; the integral is 1."""
    values = SPECTRA[name]
    found = estimate(with_eigenvalues(values), probes=12)
    away = (found.points[:, None] - values) / found.width
    density = np.mean(np.exp(-0.5 * away**2), axis=1) / (found.width * math.sqrt(2 * math.pi))
    inside = np.abs(found.density - density) <= found.density_half_widths + 1e-12
    assert inside.mean() > 0.9
    assert (np.abs(found.cumulative - np.mean(ndtr(away), axis=1)) <= found.cumulative_half_widths + 1e-12).mean() > 0.9
    assert np.trapezoid(found.density, found.points) == pytest.approx(1, abs=1e-3)
    assert not (np.abs(found.density - np.roll(density, 20)) <= found.density_half_widths).mean() > 0.9


def test_the_ends_of_a_spectrum():
    values = SPECTRA["hessian"]
    found = estimate(with_eigenvalues(values))
    assert found.largest == pytest.approx(values.max(), abs=1e-12)
    assert abs(found.smallest - values.min()) < 2e-3
    assert found.smallest >= values.min() - 1e-12
    assert np.min(np.abs(values - found.smallest)) <= found.smallest_error


@pytest.mark.parametrize("seed", range(4))
def test_the_ends_of_a_spectrum_that_is_known_as_a_whole_are_right_to_rounding(seed):
    values = SPECTRA["hessian"]
    found = estimate(with_eigenvalues(values), probes=1, steps=N, seed=seed)
    assert abs(found.smallest - values.min()) <= found.smallest_error < 1e-12
    assert abs(found.largest - values.max()) <= found.largest_error < 1e-12


def test_a_multiple_of_the_identity_is_exact():
    """All probes agree, and so does the truth."""
    found = estimate(3 * np.eye(20), probes=2)
    for each, exact in zip((*found.moments, *found.functions), (3, 9, 27, 81, 20 * math.log(3)), strict=False):
        assert each.lower <= exact <= each.upper
        assert each.upper - each.lower < 1e-10 * exact
    assert np.isfinite(found.density).all()


def test_one_probe_promises_nothing():
    found = estimate(with_eigenvalues(SPECTRA["tail"]), probes=1)
    assert all(not math.isfinite(each.upper) for each in found.moments)


def test_functions_without_a_value():
    matrix = with_eigenvalues(SPECTRA["hessian"])
    logarithm, inverse, *_ = estimate(matrix).functions
    assert math.isnan(logarithm.value)
    assert "-0.05 is not above 0; give a damping" in inverse.remark
    damped = estimate(matrix, damping=0.5, seed=3).functions[0]
    assert damped.lower <= np.log(SPECTRA["hessian"] + 0.5).sum() <= damped.upper
    *_, exponential, _ = estimate(1000 * matrix).functions
    assert exponential.remark.startswith("it overflows")


def test_too_few_steps_are_in_the_interval():
    """The inverse at 6 steps is far from the truth for any number of probes; and without its share it would miss."""
    values = 0.9 ** np.arange(N) + 1e-3
    found = estimate(with_eigenvalues(values), probes=30, steps=6).functions[1]
    exact = float((1 / values).sum())
    assert found.lower <= exact <= found.upper or found.quadrature > 0.1 * found.value
    narrow = replace(found, lower=found.lower + found.quadrature, upper=found.upper - found.quadrature)
    assert not narrow.lower <= exact <= narrow.upper


@pytest.mark.parametrize("decades", [6, 8, 12])
@pytest.mark.parametrize("steps", [10, 20, 40])
def test_what_steps_do_not_resolve_has_no_bound(decades, steps):
    """The inverse grows with every step by more than before: an interval of what was left out so far would miss."""
    values = np.logspace(0, -decades, N)
    found = estimate(with_eigenvalues(values), probes=8, steps=steps)
    log, inverse = found.functions[:2]
    assert log.lower <= np.log(values).sum() <= log.upper
    assert inverse.lower == 0
    assert math.isinf(inverse.upper)
    assert inverse.remark.startswith("so few steps do not resolve it")
    assert inverse.value < 0.5 * (1 / values).sum()


def test_without_seeing_that_it_grows_the_interval_would_miss(monkeypatch):
    """The planted fault: what the last steps changed, whatever those before did."""
    monkeypatch.setattr(quadrature, "_left_out", lambda last, before: last)
    values = np.logspace(0, -12, N)
    inverse = estimate(with_eigenvalues(values), probes=8, steps=40).functions[1]
    assert inverse.upper < 0.5 * (1 / values).sum()


def test_a_function_of_ones_own():
    values = SPECTRA["flat"]
    found = estimate(with_eigenvalues(values), probes=30)
    assert found.trace_of(np.sqrt) == pytest.approx(np.sqrt(values).sum(), rel=0.02)


@pytest.mark.parametrize("steps", [6, 12])
def test_a_large_network_costs_its_products_and_the_vectors_of_one_probe(steps):
    """100,000 parameters: operations of 1.2 Hessian products for each step of each probe, memory of one probe's."""
    size, probes = 316, 3
    rng = np.random.default_rng(0)
    rows, w = rng.standard_normal((8, size)), rng.standard_normal((size, size)) / 18
    vectors = 8 * w.size * (steps + 16)
    with Client(threads=1) as client:
        f = client.function(lambda w: np.mean(np.tanh(rows @ w) ** 2), w)
        product = f.explain(w, derivation="hvp").flops
        f.hessian_spectrum(w, probes=1, steps=2)
        tracemalloc.start()
        try:
            found = f.hessian_spectrum(w, probes=probes, steps=steps)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert found.size == w.size
    assert found.report.batch_size <= 1.2 * probes * steps
    assert probes * steps <= found.report.flops / product <= 1.2 * probes * steps
    assert vectors / 2 < peak < vectors
    assert vectors / 2 < found.report.peak_bytes < vectors


def at_scale(power: int) -> dict[str, TraceOf]:
    """What is told of a matrix times a power of two, by its name."""
    values = np.ldexp(np.linspace(1.0, 3.0, 20), power)
    answer = estimate(np.diag(values), 6, steps=12)
    return {each.name: each for each in (*answer.moments, *answer.functions)}


def scaled_back(found: TraceOf, power: int) -> list[float]:
    return [math.ldexp(x, -power) for x in (found.value, found.lower, found.upper)]


@pytest.mark.parametrize("power", [-996, -500, 500, 990])
def test_numbers_that_cannot_be_squared_are_told_as_well_as_others(power):
    plain, other = at_scale(0), at_scale(power)
    for name, degree in {"tr A / n": 1, "|A|_F": 1, "tr A^-1": -1}.items():
        expected = [plain[name].value, plain[name].lower, plain[name].upper]
        np.testing.assert_allclose(scaled_back(other[name], degree * power), expected, rtol=1e-12, err_msg=name)
        assert all(map(math.isfinite, expected))


def test_without_powers_of_two_deviations_would_vanish(monkeypatch):
    """The planted fault: what is squared as it is."""
    monkeypatch.setattr(quadrature, "_powers", lambda values: np.zeros((len(values[0]), 1), int))
    found = at_scale(-996)["tr A / n"]
    assert found.upper > 1e100 * found.value
