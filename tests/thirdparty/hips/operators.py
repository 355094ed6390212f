"""The operators of HIPS autograd, on graphs: each takes a function and which arguments it is differentiated in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.client.tracing.trees import flatten, unflatten
from tests.thirdparty.hips.tracing import Traced

Function = Callable[..., Any]


def in_argument(operator: Function) -> Function:
    """The operator of a function of one tree, for functions of several arguments: one of them, or a tuple."""

    def choose(function: Function, argnum: Any = 0, **options: Any) -> Function:
        @functools.wraps(operator)
        def at(*args: Any, **named: Any) -> Any:
            several = isinstance(argnum, tuple | list)
            numbers = tuple(argnum) if several else (argnum,)

            def of_chosen(x: Any) -> Any:
                given = list(args)
                for k, part in zip(numbers, x if several else (x,), strict=True):
                    given[k] = part
                return function(*given, **named)

            point = tuple(args[k] for k in numbers)
            of_chosen.__name__ = getattr(function, "__name__", "function")
            return operator(of_chosen, point if several else point[0], **options)

        return at

    return choose


def filled(tree: Any, number: float) -> Any:
    """The tree with one number everywhere."""
    leaves, structure = flatten(tree)
    return unflatten(structure, [np.full(np.shape(leaf), number, np.result_type(leaf)) for _, leaf in leaves])


def vjp(function: Function, x: Any) -> tuple[Function, Any]:
    """The pullback at x, and the value there."""
    traced = Traced(function, x)
    return traced.pulled, traced.value()


def jvp(function: Function, x: Any) -> Function:
    """The function of a tangent that gives the value at x and its tangent."""
    traced = Traced(function, x)
    return lambda v: (traced.value(), traced.pushed(v))


def _loss(function: Function, x: Any) -> tuple[Any, Any]:
    traced = Traced(function, x)
    value = traced.value()
    if np.size(value) != 1 or np.result_type(value).kind != "f":
        raise TypeError("the function's result is not one real number")
    return value, traced.pulled(filled(value, 1.0))


make_vjp = in_argument(vjp)
make_jvp = in_argument(jvp)
value_and_grad = in_argument(_loss)
grad = in_argument(lambda function, x: _loss(function, x)[1])
deriv = in_argument(lambda function, x: jvp(function, x)(filled(x, 1.0))[1])
make_hvp = in_argument(lambda function, x: vjp(grad(function), x))


@in_argument
def elementwise_grad(function: Function, x: Any) -> Any:
    """The sums of the columns of the Jacobian."""
    pull, value = vjp(function, x)
    return pull(filled(value, 1.0))


@in_argument
def jacobian(function: Function, x: Any) -> Any:
    """The Jacobian, row by row."""
    pull, value = vjp(function, x)
    rows = [pull(np.reshape(row, np.shape(value))) for row in np.eye(np.size(value))]
    return np.reshape(np.stack(rows), np.shape(value) + np.shape(x))


@in_argument
def grad_and_aux(function: Function, x: Any) -> Any:
    """The gradient of the first of two results, and the second."""
    pull, (value, beside) = vjp(function, x)
    return pull((filled(value, 1.0), filled(beside, 0.0))), beside


hessian = in_argument(lambda function, x: jacobian(jacobian(function))(x))


def tensor_jacobian_product(function: Function, argnum: int = 0) -> Function:
    """The contraction of a last argument with the Jacobian."""

    def product(*args: Any) -> Any:
        return jacobian(lambda *x: np.tensordot(args[-1], function(*x), np.ndim(args[-1])), argnum)(*args[:-1])

    return product


def hessian_tensor_product(function: Function, argnum: int = 0) -> Function:
    """The contraction of the Hessian with a last argument."""

    def product(*args: Any) -> Any:
        slope = grad(function, argnum)
        return grad(lambda *x: np.tensordot(slope(*x), args[-1], np.ndim(args[-1])), argnum)(*args[:-1])

    return product


def make_ggnvp(function: Function, outer: Function | None = None, f_argnum: int = 0) -> Function:
    """The product with J^T H J, J the Jacobian of the function and H the Hessian of what is applied to it."""
    applied = outer or (lambda y: 0.5 * np.sum(y**2, axis=-1))

    def at(f: Function, x: Any) -> Function:
        inner = Traced(f, x)
        curvature = Traced(grad(applied), inner.value())
        return lambda v: inner.pulled(curvature.pulled(inner.pushed(v)))

    return in_argument(at)(function, f_argnum)  # type: ignore[no-any-return]
