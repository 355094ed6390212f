"""The example of losses that solve something inside: its gradients against differences, and what it finds."""

from __future__ import annotations

import numpy as np
import pytest

from tests.clients.examples_of_use import loaded

example = loaded("inner_problems")


def test_decays_are_chosen_by_what_they_do(embedded):
    loss, decay = example.chosen_decay(embedded)
    assert loss.verify(np.full(example.FEATURES, -2.0)).verdict == "agrees"
    assert loss(decay) < 0.8 * loss(np.full(example.FEATURES, -2.0))
    slopes, free = loss.grad(decay), np.abs(decay + 2.5) < 5.4
    assert np.max(np.abs(slopes[free])) < 1e-3
    useful = np.arange(example.FEATURES) < example.USEFUL
    assert np.mean(decay[useful]) < np.mean(decay[~useful]) - 2.0


def test_rates_are_found_from_noisy_counts(embedded):
    misfit, rates = example.fitted_rates(embedded)
    np.testing.assert_allclose(rates, example.RATES, rtol=0.02)
    assert misfit(np.log(rates)) == pytest.approx(example.NOISE**2, rel=0.5)
