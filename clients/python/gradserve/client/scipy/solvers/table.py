"""Solvers by SciPy's names."""

from __future__ import annotations

from collections.abc import Mapping

from gradserve.client.scipy.solvers import bounded, integrals, minima, odes, roots
from gradserve.client.scipy.solvers.given import Solver

_BRACKETED = Solver(roots.brentq, "f a b args xtol rtol maxiter full_output disp")
_TOMS748 = Solver(roots.brentq, "f a b args k xtol rtol maxiter full_output disp")
_OF_INTEGRALS = {
    "odeint": Solver(
        odes.odeint,
        "func y0 t args Dfun col_deriv full_output ml mu rtol atol tcrit h0 hmax hmin ixpr mxstep mxhnil mxordn mxords "
        "printmessg tfirst",
    ),
    "solve_ivp": Solver(
        odes.solve_ivp,
        "fun t_span y0 method t_eval dense_output events vectorized args",
        "rtol atol first_step max_step min_step jac jac_sparsity lband uband",
    ),
    "quad": Solver(
        integrals.quad,
        "func a b args full_output epsabs epsrel limit points weight wvar wopts maxp1 limlst complex_func",
    ),
    "quad_vec": Solver(
        integrals.quad_vec,
        "f a b epsabs epsrel norm cache_size limit workers points quadrature full_output",
        "args",
    ),
    "fixed_quad": Solver(integrals.fixed_quad, "func a b args n"),
    "dblquad": Solver(integrals.dblquad, "func a b gfun hfun args epsabs epsrel"),
    "tplquad": Solver(integrals.tplquad, "func a b gfun hfun qfun rfun args epsabs epsrel"),
    "nquad": Solver(integrals.nquad, "func ranges args opts full_output"),
}
_OF_OPTIMIZE = {
    **dict.fromkeys(("bisect", "brenth", "brentq", "ridder"), _BRACKETED),
    "toms748": _TOMS748,
    "newton": Solver(roots.newton, "func x0 fprime args tol maxiter fprime2 x1 rtol full_output disp"),
    "root_scalar": Solver(roots.root_scalar, "f args method bracket fprime fprime2 x0 x1 xtol rtol maxiter options"),
    "fsolve": Solver(roots.fsolve, "func x0 args fprime full_output col_deriv xtol maxfev band epsfcn factor diag"),
    "root": Solver(roots.root, "fun x0 args method jac tol callback options"),
    "fixed_point": Solver(roots.fixed_point, "func x0 args xtol maxiter method"),
    "minimize": Solver(minima.minimize, "fun x0 args method jac hess hessp bounds constraints tol callback options"),
    "minimize_scalar": Solver(minima.minimize_scalar, "fun bracket bounds args method tol options"),
    "least_squares": Solver(
        minima.least_squares,
        "fun x0 jac bounds method ftol xtol gtol x_scale loss f_scale diff_step tr_solver tr_options jac_sparsity "
        "max_nfev verbose args kwargs callback workers",
    ),
    "nnls": Solver(bounded.nnls, "A b", "maxiter atol"),
    "lsq_linear": Solver(
        bounded.lsq_linear, "A b bounds method tol lsq_solver lsmr_tol max_iter verbose", "lsmr_maxiter"
    ),
    "leastsq": Solver(
        minima.leastsq, "func x0 args Dfun full_output col_deriv ftol xtol gtol maxfev epsfcn factor diag"
    ),
    "curve_fit": Solver(
        minima.curve_fit,
        "f xdata ydata p0 sigma absolute_sigma check_finite bounds method jac",
        "full_output nan_policy ftol xtol gtol maxfev max_nfev epsfcn factor diag",
    ),
}
SOLVERS: Mapping[str, Solver] = {
    **{f"scipy.integrate.{name}": each for name, each in _OF_INTEGRALS.items()},
    **{f"scipy.optimize.{name}": each for name, each in _OF_OPTIMIZE.items()},
}
