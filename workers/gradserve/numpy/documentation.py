"""The documentation of all that can be traced, made from the table and its implementations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from gradserve.ir.op import Op
from gradserve.numpy.mirrored import OF_CLIENT
from gradserve.numpy.table import FUNCTIONS, OWN, PACKAGE, SCIPY, SPECIAL, UFUNC_METHODS, UFUNCS, numpy_names
from gradserve.ops import OP_SET

OF_FUNCTIONS = {
    "checkpoint(function)": (
        "The function, of which derivatives keep nothing but arguments and results: they compute the rest again."
    ),
    "cond(predicate, then, otherwise, *operands)": (
        "What `then(*operands)` returns if the predicate is true, and else what `otherwise(*operands)` does."
    ),
    "custom_derivative(function, rule)": (
        "The function, with the derivative that `rule(primals, result, tangents)` gives."
    ),
    "fixed_point(function, guess, *arguments, tol=None, most=1000, on_most='refuse')": (
        "The x that is `function(x, *arguments)`, by doing that again and again, as long as it moves x."
    ),
    "grad(function, wrt=0, mode='reverse')": (
        "A function that returns the gradient of `function`, a real scalar, in the arguments `wrt`; see value_and_grad."
    ),
    "hessian(function, wrt=0)": (
        "A function that returns the Hessian of `function`, a real scalar, in the arguments `wrt`."
    ),
    "hvp(function, primals, tangents)": (
        "The Hessian of the function, a real scalar, at the primals times the tangents."
    ),
    "jacobian(function, wrt=0, mode='auto')": (
        "A function that returns the Jacobian of `function` in the arguments `wrt`."
    ),
    "jvp(function, primals, tangents)": (
        "What the function returns at the primals, and the derivative there along the tangents."
    ),
    "minimize(function, guess, *arguments, method='newton', tol=None, most=None, on_most='refuse')": (
        "A local minimum of `function(x, *arguments)`, a real scalar, over x."
    ),
    "odeint(function, y, t, *arguments, rtol=1e-08, atol=1e-10, method='dopri5', adjoint='loop', most=1000, "
    "on_most='refuse')": (
        "The states at the times t of what begins at t[0] in the state y and moves by `function(y, t, *arguments)`."
    ),
    "quad(function, a, b, *arguments, rtol=1e-10, atol=1e-12, most=50, on_most='refuse')": (
        "The integral of `function(x, *arguments)` over x from a to b."
    ),
    "root(function, guess, *arguments, tol=None, most=50, on_most='refuse')": (
        "The x at which `function(x, *arguments)` is 0, by Newton's method with steps halved until the residual falls."
    ),
    "scan(function, init, rows=None, length=None, reverse=False)": (
        "The last carry and the stacked rows of `carry, row = function(carry, row)`, done once for each row given."
    ),
    "stop_gradient(tree)": "The tree of arrays, taken as constants: their derivatives are 0.",
    "value_and_grad(function, wrt=0, mode='reverse')": (
        "A function that returns what `function` does, a real scalar, and its gradient in the arguments `wrt`."
    ),
    "vjp(function, *primals)": "What the function returns at the primals, and its pullback there.",
    "while_loop(go_on, function, init, most, on_most='refuse')": (
        "The last carry and the number of steps of `carry = function(carry)`, done as long as `go_on(carry)` is true."
    ),
}
"""Our functions of Python functions. They are the client's, since nothing below it calls an author's code."""
_HEAD = """# What can be traced

Made by `python -m gradserve.numpy`; do not edit.

Functions of NumPy and SciPy are called by their own names and arguments. An argument that is missing here is refused
while tracing, with the line and what to write instead. The [last section](#kinks) says which number is taken where a
function has no derivative.

Lists with traced arrays in them are arrays to `np.array`, `np.sum` and their like, and captured arrays take traced
indices. Matrices of scipy.sparse are multiplied, `A @ w`, and solved with, as are factors by `splu` and `factorized`.
Their places are known, and their elements may be traced, `csr_matrix((w, (rows, columns)))`, `A.multiply(w)`,
`A + w * B`: derivatives are at these places alone. Names may be imported in any way, `scipy.linalg.solve(A, w)` as well
as `from scipy.linalg import solve`; only where a function is kept in a default argument, in a partial or in an object
of compiled code, it cannot see traced arrays: import it from `gradserve.client.scipy.linalg` there. All that this page
has of SciPy is in `gradserve.client.scipy`, for numbers as well, and SciPy need not be installed for tracing it, but
for sparse matrices. Functions of `math` are NumPy's of traced numbers: NaN where those of `math` raise.

Code that chooses by numbers, `if x > 0:`, is run once for each way through it, for up to 64 choices in all. Only what
is chosen is computed; after 8 choices of one way, as in a loop that `break`s, all that may follow. Where one way goes
on after all these, or ends in an error of the author's, as `assert` does, numbers that lead there are refused. A choice
for each of many elements is `np.where`. `float`, `complex`, `max`, `min`, `sorted`, `isinstance`, `hasattr` and `type`
know traced arrays; `int` and `range` need numbers.

Assignments to elements, in-place operators, `out=`, `np.add.at`, `np.copyto` and their like write to arrays that the
function makes by `np.zeros`, `np.array`, `x.copy()` and the like; elements of arguments, which are the caller's arrays,
are not assigned. What is selected by numbers and slices is a part: what is written to it is written to the whole, and
the other way round. Other views of what was written to, such as `x.T`, are refused from then on.

What a traced mask selects, `x[x > 0]`, is not counted before there are numbers. Functions of single elements take it,
and so do sums, means, extremes, variances, medians, norms and products. It is assigned where the same mask holds,
`x[mask] = np.log(x[mask])`, `x[mask] *= 2`. Whatever needs its length is refused. Extremes of nothing are infinite,
where NumPy raises.

`np.polynomial`, functions and classes of all bases, takes traced coefficients and points; `np.apply_along_axis`,
`np.apply_over_axes`, `np.vectorize`, `np.fromiter` and, by known conditions, `np.piecewise` take traced arrays.

Arguments of int8, int16, uint8 and uint16 become int32, those of uint32 int64, and those of float16 float32: they do
not overflow as narrow ones do in NumPy.
"""
_KINKS = """
## Kinks

Where an op has no derivative, as |x| at 0, its derivative follows one convention, given here by op; functions made of
ops inherit theirs. `f.last_report.kinks` tells of every derivative how many nodes sit on a kink at the points
asked for, and `f.inspect(w).kinks` names them. They count where an op has no derivative even if the function has one,
as `np.where(x > 0, x**2, 0)` has at 0. `f.kinks = "resolve"` takes derivatives there as limits from several directions,
within the bound `f.last_report.kinks.bound`, and refuses where these differ; `"refuse"` refuses.

What algebra knows to be smooth is differentiated as such: `np.linalg.norm(w)**2`, `np.abs(w)**2`, the cosine of a norm,
`np.sign(w) * np.abs(w)`, and `np.where(t == 0, 1, np.sin(t) / np.where(t == 0, 1, t))` of a norm. Values stay NumPy's.

What is not chosen contributes nothing to a derivative: a zero stays zero, though it meets partials that are infinite or
NaN. So `np.sum(np.where(w > 1, np.log(w), 0))` and `np.nansum` have the derivatives that one expects. A zero that
is not chosen but computed, as that of `np.arccos(w)**2` at 1, stays as well, and counts as one more node on a kink.

| op | has no derivative |
| --- | --- |"""
_COMPLEX = """
## Complex numbers

Arrays of complex64 and complex128 are parameters, data and values like others. Derivatives follow JAX's convention:

- The gradient of a real loss f in z = x + iy is g = df/dx - i df/dy. So df is the real part of the sum of g dz, and a
  descent steps along -conj(g). `f.vjp` is J^T u: no conjugates; `f.jvp` moves both parts; `f.hvp` is the change of
  the gradient along the tangent.
- A complex scalar has a gradient, and complex values have a Jacobian in complex parameters, where there are complex
  derivatives: say `holomorphic=True`. That of a function through `np.conj`, `np.real`, `np.abs` and the like is
  refused, with the line. Without it, real values have a Jacobian in complex parameters, each row a gradient, and
  complex values one in real parameters.
- Hessians, their traces and spectra, Gauss-Newton products, Taylor models and limits at kinks are asked of real
  parameters: write `lambda x, y: loss(x + 1j * y)`. `f.verify` and `f.verify_symmetry` do so by themselves.
- |z| at 0 is a kink, with the derivative 0. On a branch cut, as that of `np.log` below 0, derivatives are those of the
  side that the value is on.
- Eigenvectors of a complex Hermitian matrix have any phase: a gradient that depends on it is refused, and so are
  derivatives of single eigenvalues and of vectors in a cluster. Their tangents have no part along the vector itself.
  So it is with pairs of singular vectors, which are NaN where a singular value is 0.

Pseudoinverses, least squares, Sylvester's equation and functions of complex matrices are computed as those of real
matrices of twice the size. Within a loss, `grad`, `value_and_grad`, `jvp` and `vjp` take complex arguments, `root`,
`fixed_point`, `minimize` and `odeint` complex unknowns, and `quad` complex integrands; `jacobian` is of complex results
in real arguments, or of real results in complex ones. Of both, and of Hessians, write it in real and imaginary parts.
Of special functions, those of errors and normal laws, `wofz`, `lambertw`, gamma functions, integrals of sines and
exponentials, Airy's and Bessel's functions take complex numbers. What needs an order, as `np.max` and `np.sort`, is
refused.

Eigenvalues of general matrices, `np.linalg.eig`, `eigvals` and `np.roots`, are complex of real matrices as well: NumPy
looks at the numbers first. A derivative that depends on one that is equal to another, or defective, is refused; others
have theirs all the same, such as the largest of a matrix of rank one.
"""
_SECTIONS = {
    "np": "NumPy",
    "np.linalg": "Linear algebra",
    "np.fft": "Fourier transforms",
    "np.lib.stride_tricks": "Windows as views",
    "scipy.special": "scipy.special",
    "scipy.fft": "scipy.fft",
    "scipy.linalg": "scipy.linalg",
    "scipy.stats": "scipy.stats",
    "scipy.spatial": "scipy.spatial",
    "scipy.spatial.distance": "scipy.spatial.distance",
    "scipy.spatial.transform": "scipy.spatial.transform",
    "scipy.signal": "scipy.signal",
    "scipy.ndimage": "scipy.ndimage",
    "scipy.interpolate": "scipy.interpolate",
    "scipy.integrate": "scipy.integrate",
    "scipy.optimize": "scipy.optimize",
    "scipy.sparse": "scipy.sparse",
    "scipy.sparse.linalg": "scipy.sparse.linalg",
    PACKAGE: "Functions that NumPy lacks",
}


def supported_names() -> list[str]:
    """Every function that can be traced, under each of its names, such as `np.linalg.norm`; sorted."""
    return sorted(name.partition("(")[0] for name in _rows())


def documentation() -> str:
    """The documentation as Markdown."""
    rows = _rows()
    parts = [_HEAD]
    for section, title in _SECTIONS.items():
        named = [name for name in sorted(rows) if _section(name.partition("(")[0]) == section]
        parts += [f"\n## {title}\n", *_table((name, rows[name]) for name in named)]
    methods = {f"np.{u.__name__}.{method}": _summary(entry.call) for (u, method), entry in UFUNC_METHODS.items()}
    parts += ["\n## Methods of ufuncs\n", *_table(sorted(methods.items()))]
    parts += [
        _COMPLEX,
        _KINKS,
        *(f"| {', '.join(ops)} | {convention} |" for convention, ops in kink_conventions().items()),
    ]
    return "\n".join(parts) + "\n"


def _rows() -> dict[str, str]:
    """What each function gives, by its name and the arguments that can be given; those of ufuncs are their operands."""
    rows = {}
    for name, member in numpy_names():
        if member in FUNCTIONS:
            call = FUNCTIONS[member].call
            rows[f"{name}({', '.join(map(_bare, _parameters(call)))})"] = _summary(call)
        else:
            rows[name] = _summary(UFUNCS[member])
    rows |= {f"scipy.special.{name}": _summary(call) for name, call in SPECIAL.items()}
    import gradserve.numpy.scipy  # noqa: F401  # which is imported where SciPy is, or is asked for

    rows |= {f"{name}({', '.join(map(_bare, _parameters(e.call)))})": _summary(e.call) for name, e in SCIPY.items()}
    rows |= OF_CLIENT
    for name, entry in OWN.items():
        rows[f"{PACKAGE}.{name}({', '.join(map(_shown, _parameters(entry.call)))})"] = _summary(entry.call)
    return rows | {f"{PACKAGE}.{call}": gives for call, gives in OF_FUNCTIONS.items()}


def _section(name: str) -> str:
    """Where a name belongs: methods of distributions and curves, where these do."""
    module = name.rpartition(".")[0]
    return module if module in _SECTIONS else module.rpartition(".")[0]


def kink_conventions() -> dict[str, list[str]]:
    """Ops with kinks by where these are and what is taken there, as their rules say."""
    conventions: dict[str, list[str]] = {}
    for op in sorted(OP_SET, key=lambda op: op.name):
        if op.kink is not Op.kink:
            conventions.setdefault(_summary(op.kink), []).append(f"`{op.name}`")
    return conventions


def _table(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield "| name | gives |"
    yield "| --- | --- |"
    for name, gives in rows:
        yield f"| `{name}` | {gives} |"


def _parameters(call: Callable[..., Any]) -> list[inspect.Parameter]:
    """The function's own arguments, without the builder."""
    return list(inspect.signature(call).parameters.values())[1:]


def _bare(parameter: inspect.Parameter) -> str:
    return f"{'*' * (parameter.kind is parameter.VAR_POSITIONAL)}{parameter.name}"


def _shown(parameter: inspect.Parameter) -> str:
    default = f"={parameter.default!r}" if parameter.default is not parameter.empty else ""
    return f"{_bare(parameter)}{default}"


def _summary(implementation: Callable[..., Any]) -> str:
    """The first paragraph of the documentation, on one line."""
    return " ".join((inspect.getdoc(implementation) or "").split("\n\n")[0].split()).replace("|", "\\|")
