"""Operations and calls that no graph has, and what to write instead."""

from __future__ import annotations

_DEVICES = "export the function of one device, and give a batch of points"
_LENGTHS = "export it for known lengths"
_HOST = "compute it beforehand, and give it as an argument"
_RANDOM = "draw by keys of threefry, JAX's default, or give the numbers as an argument"
_GENERAL = "use jnp.linalg.eig, or eigh of a Hermitian matrix: Schur's factors are not determined"
_FACTORS = "use jnp.linalg.solve, det, inv, cholesky, qr, eigh or svd"
_REALS = "compute with real numbers, and round the result"
_PROCESSORS = "export it for processors, as by jax.export.export(jax.jit(f), platforms=['cpu'])"
OTHERWISE = "write it by other operations, or import the function itself, as from_jax does"
WAYS_ROUND: dict[str, str] = {
    **dict.fromkeys(("all_gather", "all_reduce", "all_to_all", "collective_broadcast", "collective_permute"), _DEVICES),
    **dict.fromkeys(("partition_id", "replica_id", "reduce_scatter"), _DEVICES),
    **dict.fromkeys(("set_dimension_size", "stablehlo.dynamic_approx_top_k"), _LENGTHS),
    **dict.fromkeys(("infeed", "outfeed", "recv", "send"), _HOST),
    **dict.fromkeys(("rng", "rng_bit_generator"), _RANDOM),
    **dict.fromkeys(("uniform_dequantize", "uniform_quantize"), _REALS),
    **dict.fromkeys(("Eigh", "LuDecomposition", "ProductOfElementaryHouseholderReflectors", "Qr"), _PROCESSORS),
    **{f"lapack_{kind}gees_ffi": _GENERAL for kind in "sdcz"},
    **{f"lapack_{kind}{name}_ffi": _FACTORS for kind in "sdcz" for name in ("gehrd", "geqp3")},
    **{f"lapack_{name}_ffi": _FACTORS for name in ("sormqr", "dormqr", "cunmqr", "zunmqr", "ssytrd", "dsytrd")},
}
"""By the name of the operation, without the dialect, or of the function that a `custom_call` calls."""
_ACCELERATED = ("cu_", "cublas", "cudnn", "cusolver", "hip_", "hipblas", "hipsolver", "rocsolver", "__cu", "__gpu")
"""How the names of functions begin that JAX calls on graphics processors."""


def way_round(name: str) -> str:
    """What to do instead of an operation, or of a call."""
    return WAYS_ROUND.get(name, _PROCESSORS if name.startswith(_ACCELERATED) else OTHERWISE)
