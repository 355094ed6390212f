"""What of SciPy is not made of functions on values: where a traced function calls it, and what there is for it."""

from __future__ import annotations

_PLACES = "The places of elements are known while tracing, and the elements traced."
_BETWEEN = "The root between two points where a function has different signs."
OF_CLIENT: dict[str, str] = {
    **{
        f"scipy.sparse.{format}_{kind}": f"A sparse matrix in the format {format}. {_PLACES}"
        for format in ("bsr", "coo", "csc", "csr", "dia")
        for kind in ("array", "matrix")
    },
    **{
        f"scipy.sparse.{format}_{kind}": "A sparse matrix that is made by assigning traced numbers to elements."
        for format in ("dok", "lil")
        for kind in ("array", "matrix")
    },
    **dict.fromkeys(("scipy.sparse.block_array", "scipy.sparse.bmat"), "The matrix of blocks, None for zeros."),
    "scipy.sparse.block_diag": "Matrices along the diagonal.",
    **dict.fromkeys(("scipy.sparse.diags", "scipy.sparse.diags_array"), "The matrix with diagonals, by their offsets."),
    "scipy.sparse.hstack": "Matrices beside each other.",
    "scipy.sparse.kron": "Blocks: each element of A times B.",
    "scipy.sparse.kronsum": "kron(I, A) + kron(B, I), of square matrices.",
    "scipy.sparse.spdiags": "The matrix with diagonals, element (i, j) of each in column j.",
    "scipy.sparse.tril": "What is not above a diagonal.",
    "scipy.sparse.triu": "What is not below a diagonal.",
    "scipy.sparse.vstack": "Matrices below each other.",
    "scipy.spatial.transform.Rotation": "Rotations, by from_quat, from_rotvec, from_euler and from_matrix of traced "
    "numbers, and their as_quat, as_matrix, as_rotvec, as_euler, magnitude, apply, inv and products.",
    "scipy.sparse.linalg.factorized": "What solves systems of a sparse matrix; as splu.",
    "scipy.sparse.linalg.splu": "What solves systems of a sparse matrix, whose factors are made for each solution.",
    "scipy.integrate.odeint": "States at times, one row each; explicit steps first, implicit ones if it is stiff.",
    "scipy.integrate.solve_ivp": "In columns: at t_eval, by sol, or the last step; to 1e-6 unless told; no events.",
    "scipy.integrate.quad": "The integral of a function, and an estimate of its error; points, but no weight.",
    "scipy.integrate.quad_vec": "The same of a function that returns arrays.",
    "scipy.integrate.fixed_quad": "The integral by the rule of Gauss.",
    **dict.fromkeys(
        ("scipy.integrate.dblquad", "scipy.integrate.tplquad", "scipy.integrate.nquad"),
        "The integral over several numbers, between limits that may be functions of the others.",
    ),
    **{f"scipy.optimize.{name}": _BETWEEN for name in ("bisect", "brenth", "brentq", "ridder", "toms748")},
    "scipy.optimize.root_scalar": "The root in a bracket, or near a number.",
    "scipy.optimize.newton": "The roots near numbers.",
    **{f"scipy.optimize.{name}": "The roots of as many equations as unknowns." for name in ("fsolve", "root")},
    "scipy.optimize.fixed_point": "What a function leaves as it is.",
    "scipy.optimize.minimize": "A local minimum, whatever the method is called; no bounds, no constraints.",
    "scipy.optimize.minimize_scalar": "A local minimum over a number, also between bounds.",
    **{
        f"scipy.optimize.{name}": "Where a sum of squares is smallest; no bounds."
        for name in ("least_squares", "leastsq")
    },
    "scipy.optimize.lsq_linear": "What between bounds fits best: a linear sum of squares is smallest there.",
    "scipy.optimize.nnls": "What of 0 and more fits best, a linear sum of squares being smallest, and what is left.",
    "scipy.optimize.curve_fit": "The parameters of the curve that fits best, and their covariance; no bounds.",
}
"""Classes and functions of the client's own, by SciPy's names, and what they give."""
_OWN = "gradserve.client.functions"
_ROOT = f"write {_OWN}.root(function, guess).x, which has the derivative of the solution in all that moves it"
_MINIMUM = f"write {_OWN}.minimize(function, guess).x, which has the derivative of the minimum in all that moves it"
_SQUARES = f"write {_OWN}.minimize(lambda x: np.sum(residuals(x) ** 2), guess).x"
_QUANTILE = f"write {_OWN}.root(lambda x: law.cdf(x, *shapes) - q, guess).x, of a law whose cdf can be traced"
_BASIS = (
    "its columns may be turned at will, so they have no derivative; write the projection, np.linalg.pinv(A) @ A for "
    "the rows, A @ np.linalg.pinv(A) for the columns, and np.eye(n) less the former for the null space"
)
_FORM = (
    "its factors may be changed at will, so they have no derivative; write what is made of them, by np.linalg.solve, "
    "np.linalg.eigvalsh, scipy.linalg.expm or np.linalg.qr"
)
_SECOND_KIND = (
    "SciPy's has few digits or none; write the solution of its differential equation, "
    f"{_OWN}.odeint(function, y, t).y, from a known point on"
)
_PARAMETER = f"write {_OWN}.root(lambda v: probability(v) - p, guess).x, of a probability that can be traced"
INSTEAD: dict[str, str] = {
    **{f"scipy.special.{kind}_{what}": _SECOND_KIND for kind in ("pro", "obl") for what in ("rad2", "rad2_cv")},
    **{
        f"scipy.special.{kind}_{what}_cv": f"write scipy.special.{kind}_{what}(m, n, c, x), which finds the value cv"
        for kind in ("pro", "obl")
        for what in ("ang1", "rad1")
    },
    **{
        f"scipy.special.{name}": _PARAMETER
        for name in (
            "fdtridfd",
            "stdtridf",
            "chndtridf",
            "ncfdtridfd",
            "ncfdtridfn",
            "ncfdtrinc",
            "nctdtridf",
            "nctdtrinc",
        )
    },
    **{f"scipy.optimize.{name}": _ROOT for name in ("broyden1", "newton_krylov")},
    **{f"scipy.optimize.{name}": _MINIMUM for name in ("fmin", "fmin_bfgs", "fmin_cg", "fmin_l_bfgs_b")},
    "scipy.integrate.romberg": f"write {_OWN}.quad(function, a, b).value",
    "scipy.stats.ppf": _QUANTILE,
    "scipy.stats.isf": _QUANTILE.replace("cdf(x", "sf(x"),
    "scipy.linalg.cossin": (
        "its factors may be changed at will, so they have no derivative; the cosines are "
        "np.linalg.svd(x[:p, :q], compute_uv=False)"
    ),
    **dict.fromkeys(("scipy.linalg.null_space", "scipy.linalg.orth"), _BASIS),
    **dict.fromkeys(("scipy.linalg.schur", "scipy.linalg.qz", "scipy.linalg.hessenberg", "scipy.linalg.ldl"), _FORM),
}
"""Functions that are refused where traced arrays take part, and what to write instead."""
