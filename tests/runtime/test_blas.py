"""One BLAS thread while chunks run."""

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from gradserve.runtime.blas import OneBlasThread


def blas_threads():
    return {info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"}


def test_the_limit_holds_inside_and_the_setting_comes_back():
    np.dot(np.ones(2), np.ones(2))  # so that a BLAS is loaded
    one_thread = OneBlasThread()  # not the process's own, which an open pool elsewhere may have entered
    with threadpool_limits(2, "blas"):
        assert blas_threads() == {2}
        with one_thread:
            assert blas_threads() == {1}
            with one_thread:
                assert blas_threads() == {1}
            assert blas_threads() == {1}
        assert blas_threads() == {2}
