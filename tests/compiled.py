"""JAX's derivatives as one program each: op by op, JAX compiles every step of forward and backward passes alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

Function = Callable[..., Any]


def grad(function: Function, *which: Any, **options: Any) -> Function:
    """As `jax.grad`."""
    return jax.jit(jax.grad(function, *which, **options))  # type: ignore[no-any-return]


def value_and_grad(function: Function, *which: Any, **options: Any) -> Function:
    """As `jax.value_and_grad`."""
    return jax.jit(jax.value_and_grad(function, *which, **options))  # type: ignore[no-any-return]


def hessian(function: Function, *which: Any, **options: Any) -> Function:
    """As `jax.hessian`."""
    return jax.jit(jax.hessian(function, *which, **options))  # type: ignore[no-any-return]


def jacfwd(function: Function, *which: Any, **options: Any) -> Function:
    """As `jax.jacfwd`."""
    return jax.jit(jax.jacfwd(function, *which, **options))  # type: ignore[no-any-return]


def jacrev(function: Function, *which: Any, **options: Any) -> Function:
    """As `jax.jacrev`."""
    return jax.jit(jax.jacrev(function, *which, **options))  # type: ignore[no-any-return]


def jvp(function: Function, primals: Any, tangents: Any) -> tuple[Any, Any]:
    """As `jax.jvp`."""
    return jax.jit(lambda x, v: jax.jvp(function, x, v))(primals, tangents)  # type: ignore[no-any-return]


def vjp(function: Function, *primals: Any) -> tuple[Any, Function]:
    """As `jax.vjp`."""
    pulled = jax.jit(lambda x, u: jax.vjp(function, *x)[1](u))
    return jax.jit(function)(*primals), lambda cotangent: pulled(primals, cotangent)
