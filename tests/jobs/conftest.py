"""A context on threads of this process."""

import pytest

from gradserve.jobs.sweeps.context import Context
from gradserve.pools.local.pool import LocalPool


@pytest.fixture(scope="session")
def context():
    pool = LocalPool(2)
    yield Context(pool)
    pool.close()
