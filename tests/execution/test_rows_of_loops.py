"""Rows that loops stack as machine code."""

import numpy as np

from gradserve.client import Client, functions


def test_rows_of_one_number_stay_until_they_are_read():
    def rows(x):
        def step(carry, row):
            return carry, (np.broadcast_to(row[0], (20,)), row * 2.0)

        _, (same, twice) = functions.scan(step, np.zeros(20), x)
        return np.dot(np.dot(twice, x.T), same)

    x = np.random.default_rng(1).standard_normal((6, 20))
    with Client(threads=1) as client:
        f = client.function(rows)
        f.executor = "fused"
        np.testing.assert_allclose(f(x), 2 * x @ x.T @ np.repeat(x[:, :1], 20, axis=1), rtol=1e-11)
