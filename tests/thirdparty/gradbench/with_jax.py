"""The same losses in JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from tests.thirdparty.gradbench.library import Library, Slope


def _while_loop(go_on: Callable[[Any], Any], function: Callable[[Any], Any], init: Any, most: int) -> Any:
    return lax.while_loop(go_on, function, init)


def _forward(loss: Callable[[Any], Any]) -> Slope:
    """Value and gradient, a direction at a time."""

    def slope(x: Any) -> tuple[Any, Any]:
        def along(tangent: Any) -> tuple[Any, Any]:
            found: tuple[Any, Any] = jax.jvp(loss, (x,), (tangent,))
            return found

        basis = jnp.reshape(jnp.eye(jnp.size(x)), (jnp.size(x), *jnp.shape(x)))
        values, slopes = jax.vmap(along)(basis)
        return values[0], jnp.reshape(slopes, jnp.shape(x))

    return slope


JAX = Library(jnp, lax.scan, _while_loop, {"f": _forward, "r": jax.value_and_grad})
