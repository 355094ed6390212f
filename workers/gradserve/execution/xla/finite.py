"""The routines of `ops.linalg.finite` for arrays that JAX traces: what XLA calls is LAPACK as well."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import jax.scipy.linalg

from gradserve.ops.linalg.finite import where_finite


def _of_finite(compute: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(compute)
    def of_finite(a: Any, **options: Any) -> Any:
        return where_finite(jnp, functools.partial(compute, **options), a)

    return of_finite


svd = _of_finite(jnp.linalg.svd)
svdvals = _of_finite(jnp.linalg.svdvals)
eigh = _of_finite(jnp.linalg.eigh)
eigvalsh = _of_finite(jnp.linalg.eigvalsh)
qr = _of_finite(jnp.linalg.qr)
expm = _of_finite(jax.scipy.linalg.expm)
