"""Complex numbers from their parts, for arrays that JAX traces."""

from jax.lax import complex as from_parts

__all__ = ["from_parts"]
