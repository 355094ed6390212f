"""Sparse arrays of JAX: their products and derivatives are those of matrices with zeros."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import sparse

from gradserve.client.importers import from_jax

jax.config.update("jax_enable_x64", True)
RNG = np.random.default_rng(8)
SHAPE = (4, 6)
ROWS, COLUMNS = np.nonzero(RNG.random(SHAPE) > 0.6)
DATA, X, MANY = RNG.normal(size=len(ROWS)), RNG.normal(size=6), RNG.normal(size=(6, 3))
PLACES = np.stack([ROWS, COLUMNS], 1)
STARTS = np.searchsorted(ROWS, np.arange(5))


def bcoo(data):
    return sparse.BCOO((data, jnp.asarray(PLACES)), shape=SHAPE)


PRODUCTS = {
    "BCOO": lambda data, x: bcoo(data) @ x,
    "BCSR": lambda data, x: sparse.BCSR.from_bcoo(bcoo(data)) @ x,
    "COO": lambda data, x: sparse.COO((data, jnp.asarray(ROWS), jnp.asarray(COLUMNS)), shape=SHAPE) @ x,
    "CSR": lambda data, x: sparse.CSR((data, jnp.asarray(COLUMNS), jnp.asarray(STARTS)), shape=SHAPE) @ x,
    "transposed": lambda data, x: (x.T @ bcoo(data).T).T,
    "sparsified": lambda data, x: sparse.sparsify(lambda a, b: (a * 2 - a) @ b)(bcoo(data), x),
    "made dense": lambda data, x: bcoo(data).todense() @ x,
    "of a dense one": lambda data, x: sparse.BCOO.fromdense(bcoo(data).todense(), nse=len(DATA) + 3) @ x,
}


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("x", [X, MANY], ids=["vector", "matrix"])
def test_products_are_those_of_matrices_with_zeros(embedded, name, x):
    loss = embedded.load(from_jax(lambda data, x: jnp.sum(jnp.tanh(PRODUCTS[name](data, x))), DATA, x))
    dense = np.zeros(SHAPE)
    dense[ROWS, COLUMNS] = DATA
    value, gradient = loss.value_and_grad(DATA, x)
    made = np.tanh(dense @ x)
    slope = 1 - made**2
    np.testing.assert_allclose(value, made.sum(), rtol=1e-13)
    wanted = np.reshape(slope, (4, -1)) @ np.reshape(x, (6, -1)).T
    np.testing.assert_allclose(gradient["data"], wanted[ROWS, COLUMNS], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(gradient["x"], dense.T @ slope, rtol=1e-12, atol=1e-14)
    along = {"data": RNG.normal(size=len(DATA)), "x": RNG.normal(size=x.shape)}
    product, step = loss.hvp(DATA, x, tangent=along), 1e-5
    ahead, behind = (loss.grad(DATA + sign * step * along["data"], x + sign * step * along["x"]) for sign in (1, -1))
    for part in ("data", "x"):
        by_steps = (ahead[part] - behind[part]) / (2 * step)
        np.testing.assert_allclose(product[part], by_steps, rtol=1e-6, atol=1e-8)
