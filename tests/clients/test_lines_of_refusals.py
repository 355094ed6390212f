"""Where a solver of SciPy is refused, the line that the refusal names has SciPy's value and its derivative."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.optimize

from gradserve.client import Untraceable, functions

optimize: Any = scipy.optimize
POINT = np.array([0.4, 1.3])


def test_the_line_that_a_refusal_names_works(embedded):
    def refused(p):
        return np.sum(optimize.fmin(lambda x: (x[0] - p[0]) ** 2 + p[1] * np.sum(x**2), [0.0, 1.0], disp=False))

    def written(p):
        return np.sum(functions.minimize(lambda x: (x[0] - p[0]) ** 2 + p[1] * np.sum(x**2), np.ones(2)).x)

    with pytest.raises(Untraceable, match=r"functions.minimize\(function, guess\).x"):
        embedded.function(refused).grad(POINT)
    value, gradient = embedded.function(written).value_and_grad(POINT)
    a, b = POINT
    assert value == pytest.approx(a / (1 + b), rel=1e-9)
    np.testing.assert_allclose(gradient, [1 / (1 + b), -a / (1 + b) ** 2], rtol=1e-9)


def test_compiled_code_of_another_library_is_told_by_its_name(embedded):
    """It has no frame: what it asks of a traced array looks as if the author had asked."""
    torch: Any = ModuleType("torch")
    torch.tensor, torch.as_tensor = len, float
    for loss, called in (
        (lambda w: torch.tensor(w[0]), "torch.tensor"),
        (lambda w: torch.as_tensor(w), "torch.as_tensor"),
    ):
        with pytest.raises(Untraceable) as refusal:
            embedded.function(loss).grad(POINT)
        assert f"{called} is given a traced array, which torch does not know; import it" in str(refusal.value)
        assert str(refusal.value).startswith("test_lines_of_refusals.py:")
    with pytest.raises(Untraceable, match="a scalar has no length"):
        embedded.function(lambda w: len(w[0])).grad(POINT)
