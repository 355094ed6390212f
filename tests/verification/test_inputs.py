"""Inputs share directions: many cost no more than one, faults in each are named, and loud ones hide no quiet ones."""

import numpy as np
import pytest

from gradserve.questions.verdicts import Verdict
from gradserve.verification import inputs
from tests.verification.driver import verified

COUNTS = (2, 3, 8, 16)


def model(count, seed):
    """A loss of several inputs that all meet in one square: its vector, gradient and shapes."""
    rng = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {f"p{k}": (int(rng.integers(2, 30)),) for k in range(count)}
    n = sum(length for (length,) in shapes.values())
    a, x = rng.standard_normal((2, n))
    return (lambda y: float(a @ np.sin(y) + (a @ y) ** 2 / n)), x, a * np.cos(x) + 2 * (a @ x) * a / n, shapes


def spans(shapes):
    ends = np.cumsum([length for (length,) in shapes.values()])
    return {name: slice(end - shape[0], end) for (name, shape), end in zip(shapes.items(), ends, strict=True)}


def disagreeing(report):
    return [row.input for row in report.inputs if row.verdict is Verdict.DISAGREES]


@pytest.mark.parametrize("count", COUNTS)
def test_right_gradients_in_many_inputs_take_the_evaluations_of_one(count):
    loss, x, gradient, shapes = model(count, count)
    found = verified(loss, x, gradient, shapes)
    assert found.report.passed
    assert found.evaluations <= 60
    assert [row.input for row in found.report.inputs] == list(shapes)
    for row in found.report.inputs:
        assert row.shared
        assert abs(row.claimed - row.measured) <= row.error_bound < 1e-6 * abs(row.claimed)


@pytest.mark.parametrize("count", COUNTS)
def test_one_wrong_entry_is_named_with_its_input(count):
    loss, x, gradient, shapes = model(count, count)
    for name, span in spans(shapes).items():
        wrong = gradient.copy()
        position = span.start + int(np.argmax(np.abs(gradient[span])))
        wrong[position] *= 1 + 1e-5
        found = verified(loss, x, wrong, shapes)
        assert disagreeing(found.report) == [name]
        assert [(entry.input, entry.index) for entry in found.report.entries] == [(name, (position - span.start,))]
        assert found.evaluations <= 60 + 4 * np.log2(len(x))
        for row in found.report.inputs:
            true = row.claimed - (wrong - gradient)[position] * (row.input == name) * component(found, wrong, gradient)
            assert abs(row.measured - true) <= 4 * row.error_bound


def component(found, wrong, gradient):
    """The component of the first direction in the one wrong entry, from the error along it."""
    (error,) = (wrong - gradient)[wrong != gradient]
    return (found.report.directions[0].claimed - found.report.directions[0].measured) / error


@pytest.mark.parametrize("fault", [lambda g: -g, lambda g: g[::-1], lambda g: 1.001 * g, lambda g: 0 * g])
def test_inputs_that_are_wrong_as_a_whole_are_named(fault):
    loss, x, gradient, shapes = model(8, 1)
    for name in ("p0", "p5"):
        wrong = gradient.copy()
        wrong[spans(shapes)[name]] = fault(gradient[spans(shapes)[name]])
        report = verified(loss, x, wrong, shapes).report
        assert disagreeing(report) == [name]
        assert not any(row.shared for row in report.inputs)


QUIET: dict[str, tuple[int, ...]] = {"loud": (50,), "quiet": (10,), "silent": (4,)}
POINT = np.full(64, 0.3)
RIGHT = np.r_[np.cos(POINT[:50]), 1e-9 * np.cos(POINT[50:60]), np.zeros(4)]


def with_quiet_inputs(y):
    return float(np.sum(np.sin(y[:50])) + 1e-9 * np.sum(np.sin(y[50:60])))


def quiet_fault():
    """What is said where 1e-14 is claimed wrongly in an input of 1e-9 beside one of 1."""
    wrong = RIGHT.copy()
    wrong[50] *= 0.9
    return verified(with_quiet_inputs, POINT, wrong, QUIET).report


def test_faults_of_quiet_inputs_are_heard():
    right = verified(with_quiet_inputs, POINT, RIGHT, QUIET)
    assert right.report.passed
    assert not any(row.shared for row in right.report.inputs[1:])
    report = quiet_fault()
    assert disagreeing(report) == ["quiet"]
    assert [(entry.input, entry.index) for entry in report.entries] == [("quiet", (0,))]


def test_a_fault_beside_one_that_is_heard_is_heard_as_well():
    wrong = RIGHT.copy()
    wrong[[7, 50]] *= 0.9
    report = verified(with_quiet_inputs, POINT, wrong, QUIET).report
    assert disagreeing(report) == ["loud", "quiet"]
    assert {(entry.input, entry.index) for entry in report.entries} == {("loud", (7,)), ("quiet", (0,))}


def test_where_loud_inputs_are_not_kept_still_nothing_is_heard(monkeypatch):
    """The planted fault: every input counts as heard."""
    monkeypatch.setattr(inputs, "_is_hidden", lambda *_: False)
    assert quiet_fault().passed
