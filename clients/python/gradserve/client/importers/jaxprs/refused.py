"""Primitives that no graph has, and what to write instead."""

from __future__ import annotations

_SCHUR = "use jnp.linalg.eig, or eigh of a Hermitian matrix: Schur's factors are not determined"
_FACTORS = (
    "use jnp.linalg.solve, det, slogdet or inv, which need no factors, or cholesky, qr, eigh or svd; "
    "of lineax's solvers LU, Cholesky, SVD, CG or BiCGStab"
)
_HOST = (
    "compute it beforehand, and give it as an argument; what equinox and its kin check is left away "
    "if EQX_ON_ERROR=off is in the environment when they are imported"
)
WAYS_ROUND: dict[str, str] = {
    "schur": _SCHUR,
    **dict.fromkeys(("geqrf", "geqp3", "householder_product", "ormqr"), _FACTORS),
    **dict.fromkeys(("hessenberg", "tridiagonal"), _FACTORS),
    **dict.fromkeys(("pure_callback", "io_callback", "ffi_call"), _HOST),
    **dict.fromkeys(
        ("psum", "pmax", "pmin", "all_gather", "all_to_all", "ppermute", "axis_index", "shard_map"),
        "import the function of one device, and give a batch of points",
    ),
    **dict.fromkeys(("rng_bit_generator", "rng_uniform"), "draw by keys of threefry, JAX's default"),
    **dict.fromkeys(
        ("new_ref", "empty_ref", "get", "swap", "addupdate", "freeze", "run_state"),
        "keep arrays, not references to them, and write x = x.at[k].set(y)",
    ),
}
"""What to write instead of primitives that cannot be imported."""
