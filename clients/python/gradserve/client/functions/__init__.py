"""Functions that NumPy lacks, or that SciPy has where no tracer can see them: of arrays, traced or not.

NumPy passes traced arrays on to the tracer, and so do SciPy's ufuncs; what is a plain Python function in SciPy asks for
numbers instead. Here are those among them that losses need, with SciPy's arguments; arrays with some elements replaced,
in place of assignments; choices and loops within the graph; and what networks compute from the windows of an array.
"""

from gradserve.client.functions.control import cond, scan, while_loop
from gradserve.client.functions.linalg import (
    cho_solve,
    expm,
    funm_sym,
    logm,
    polar,
    solve_sylvester,
    solve_triangular,
    sqrtm,
)
from gradserve.client.functions.special import log_softmax, logsumexp, multigammaln, polygamma, softmax, softplus
from gradserve.client.functions.updates import add_at, put, put_along_axis, set_at
from gradserve.client.functions.windows import convolution, convolve, max_pool, mean_pool, windows

__all__ = [
    "add_at",
    "cho_solve",
    "cond",
    "convolution",
    "convolve",
    "expm",
    "funm_sym",
    "log_softmax",
    "logm",
    "logsumexp",
    "max_pool",
    "mean_pool",
    "multigammaln",
    "polar",
    "polygamma",
    "put",
    "put_along_axis",
    "scan",
    "set_at",
    "softmax",
    "softplus",
    "solve_sylvester",
    "solve_triangular",
    "sqrtm",
    "while_loop",
    "windows",
]
