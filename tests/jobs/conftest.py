"""A context on threads of this process."""

import pytest

from gradserve.jobs.context import Context
from gradserve.workers.local_pool import LocalPool


@pytest.fixture(scope="session")
def context():
    pool = LocalPool(2)
    yield Context(pool)
    pool.close()
