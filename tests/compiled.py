"""JAX's derivatives as one program each: op by op, JAX compiles every step of forward and backward passes alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

Function = Callable[..., Any]


def grad(function: Function, *which: Any, **options: Any) -> Function:
    """As `jax.grad`."""
    made: Function = jax.jit(jax.grad(function, *which, **options))
    return made


def value_and_grad(function: Function, *which: Any, **options: Any) -> Function:
    """As `jax.value_and_grad`."""
    made: Function = jax.jit(jax.value_and_grad(function, *which, **options))
    return made


def hessian(function: Function, *which: Any, **options: Any) -> Function:
    """As `jax.hessian`."""
    made: Function = jax.jit(jax.hessian(function, *which, **options))
    return made


def jacfwd(function: Function, *which: Any, **options: Any) -> Function:
    """As `jax.jacfwd`."""
    made: Function = jax.jit(jax.jacfwd(function, *which, **options))
    return made


def jacrev(function: Function, *which: Any, **options: Any) -> Function:
    """As `jax.jacrev`."""
    made: Function = jax.jit(jax.jacrev(function, *which, **options))
    return made


def jvp(function: Function, primals: Any, tangents: Any) -> tuple[Any, Any]:
    """As `jax.jvp`."""
    found: tuple[Any, Any] = jax.jit(lambda x, v: jax.jvp(function, x, v))(primals, tangents)
    return found


def vjp(function: Function, *primals: Any) -> tuple[Any, Function]:
    """As `jax.vjp`."""
    pulled = jax.jit(lambda x, u: jax.vjp(function, *x)[1](u))
    return jax.jit(function)(*primals), lambda cotangent: pulled(primals, cotangent)
