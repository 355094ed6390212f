"""NumPy in the place of XLA: all digits arrive, whatever thread XLA calls from."""

import jax
import numpy as np
import pytest

from gradserve.execution.xla.callbacks import called_back
from gradserve.ir.types import type_of

NUMBERS = {
    "float64": np.array([[0.1, np.pi, 5e-324], [np.nan, -0.0, 1e300]]),
    "int64": np.array([2**53 + 1, -(2**63)]),
    "complex128": np.array([0.1 + 1e-300j, np.inf - 1j]),
    "float32": np.array([0.1], np.float32),
    "complex64": np.array([[0.1 + 2j]], np.complex64),
    "bool": np.array([True, False]),
    "a scalar": np.array(0.1),
    "nothing": np.zeros((2, 0)),
}


@pytest.fixture(autouse=True)
def _numbers_of_32_bits():
    """JAX's own default, which other tests of this process may have changed, is what threads of XLA's know."""
    before = jax.config.values["jax_enable_x64"]
    jax.config.update("jax_enable_x64", False)
    yield
    jax.config.update("jax_enable_x64", before)


def compiled(function, x):
    """A function compiled for numbers of 64 bits, and called where JAX knows none, as in threads of XLA's own."""
    with jax.enable_x64(True):
        given = jax.numpy.asarray(x)
        run = jax.jit(function).lower(given).compile()
    return np.asarray(run(given))


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_arrive_to_the_bit(name):
    x = NUMBERS[name]
    seen = []

    def kernel(given):
        seen.append(given)
        return given

    found = compiled(lambda given: called_back(kernel, [type_of(x)], [given])[0], x)
    assert (found.dtype, found.shape, found.tobytes()) == (x.dtype, x.shape, x.tobytes())
    assert [(each.dtype, each.tobytes()) for each in seen] == [(x.dtype, x.tobytes())] * bool(x.size)


def test_planted_numbers_as_they_are_would_lose_digits():
    def plain(x):
        return jax.pure_callback(lambda given: np.asarray(given), jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    with pytest.raises(jax.errors.JaxRuntimeError, match="dtype"):
        compiled(plain, NUMBERS["float64"])
