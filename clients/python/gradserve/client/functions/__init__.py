"""Functions that NumPy lacks, or that SciPy has where no tracer can see them: of arrays, traced or not.

NumPy passes traced arrays on to the tracer, and so do SciPy's ufuncs; what is a plain Python function in SciPy asks for
numbers instead. Here are those among them that losses need, with SciPy's arguments; arrays with some elements replaced,
in place of assignments; choices, loops, derivatives, solvers and integrals within the graph; and what networks
compute from the windows of an array.
"""

from gradserve.client.functions.control import cond, scan, while_loop
from gradserve.client.functions.custom import checkpoint, custom_derivative, stop_gradient
from gradserve.client.functions.derivatives import grad, hessian, hvp, jacobian, jvp, value_and_grad, vjp
from gradserve.client.functions.implicit import fixed_point, root
from gradserve.client.functions.minima import minimize
from gradserve.client.functions.odes import odeint
from gradserve.client.functions.of_arrays import of_arrays
from gradserve.client.functions.quadrature import quad

add_at = of_arrays("add_at")
cho_solve = of_arrays("cho_solve")
convolution = of_arrays("convolution")
convolve = of_arrays("convolve")
expm = of_arrays("expm")
funm_sym = of_arrays("funm_sym")
log_softmax = of_arrays("log_softmax")
logm = of_arrays("logm")
logsumexp = of_arrays("logsumexp")
max_pool = of_arrays("max_pool")
mean_pool = of_arrays("mean_pool")
multigammaln = of_arrays("multigammaln")
polar = of_arrays("polar")
polygamma = of_arrays("polygamma")
put = of_arrays("put")
put_along_axis = of_arrays("put_along_axis")
set_at = of_arrays("set_at")
softmax = of_arrays("softmax")
softplus = of_arrays("softplus")
solve_sylvester = of_arrays("solve_sylvester")
solve_triangular = of_arrays("solve_triangular")
sqrtm = of_arrays("sqrtm")
windows = of_arrays("windows")

__all__ = [
    "add_at",
    "checkpoint",
    "cho_solve",
    "cond",
    "convolution",
    "convolve",
    "custom_derivative",
    "expm",
    "fixed_point",
    "funm_sym",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "log_softmax",
    "logm",
    "logsumexp",
    "max_pool",
    "mean_pool",
    "minimize",
    "multigammaln",
    "odeint",
    "polar",
    "polygamma",
    "put",
    "put_along_axis",
    "quad",
    "root",
    "scan",
    "set_at",
    "softmax",
    "softplus",
    "solve_sylvester",
    "solve_triangular",
    "sqrtm",
    "stop_gradient",
    "value_and_grad",
    "vjp",
    "while_loop",
    "windows",
]
