"""What NumPy computes in XLA's place, called from the compiled program."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradserve.ir.types import Array, TensorType

_WORD = np.dtype(np.uint32)
"""What numbers of 64 bits travel in. XLA calls from threads of its own, where JAX takes such for numbers of 32."""


def called_back(kernel: Callable[..., Any], types: Sequence[TensorType], operands: Sequence[Any]) -> Sequence[Any]:
    """The results of a NumPy kernel, of these types, while the compiled program waits.

    NaN where the kernel refuses: an exception would end the program without a word of where, which the guards have.
    """
    given = [(np.dtype(x.dtype), tuple(x.shape)) for x in operands]
    wanted = [(t.element_type.dtype, t.lengths) for t in types]

    def compute(*words: Any) -> tuple[Array, ...]:
        arrays = [_numbers(np.asarray(own), *of) for own, of in zip(words, given, strict=True)]
        try:
            with np.errstate(all="ignore"):
                found = kernel(*arrays)
        except (np.linalg.LinAlgError, IndexError, ValueError):
            found = tuple(np.full(shape, np.nan, dtype) for dtype, shape in wanted)
        results = found if isinstance(found, tuple) else (found,)
        return tuple(_words(np.asarray(r, dtype), dtype) for r, (dtype, _) in zip(results, wanted, strict=True))

    described: Any = jax.ShapeDtypeStruct  # which carries no annotations
    shapes = tuple(described((*shape, *_apart(dtype)), _WORD if _apart(dtype) else dtype) for dtype, shape in wanted)
    found: Sequence[Any] = jax.pure_callback(compute, shapes, *[_traced_words(x) for x in operands])
    return [_traced_numbers(own, dtype) for own, (dtype, _) in zip(found, wanted, strict=True)]


def _apart(dtype: np.dtype[Any]) -> tuple[int, ...]:
    """The axes of the words of a number; none if it travels as it is."""
    if dtype.kind == "c":
        return (2, 2) if dtype.itemsize == 16 else ()
    return (2,) if dtype.itemsize == 8 else ()


def _numbers(words: Array, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """The array that these words say."""
    return np.ascontiguousarray(words).reshape(math.prod(words.shape)).view(dtype).reshape(shape)


def _words(numbers: Array, dtype: np.dtype[Any]) -> Array:
    """The words of an array."""
    if not _apart(dtype):
        return numbers
    flat = np.ascontiguousarray(numbers).reshape(numbers.size)
    return flat.view(_WORD).reshape(*numbers.shape, *_apart(dtype))


def _traced_words(numbers: Any) -> Any:
    """The words of an array of JAX's."""
    dtype = np.dtype(numbers.dtype)
    if not _apart(dtype):
        return numbers
    parts = jnp.stack([numbers.real, numbers.imag], axis=-1) if dtype.kind == "c" else numbers
    return jax.lax.bitcast_convert_type(parts, _WORD)


def _traced_numbers(words: Any, dtype: np.dtype[Any]) -> Any:
    """The array of JAX's that these words say."""
    if not _apart(dtype):
        return words
    if dtype.kind != "c":
        return jax.lax.bitcast_convert_type(words, dtype)
    parts = jax.lax.bitcast_convert_type(words, np.dtype(np.float64))
    return jax.lax.complex(parts[..., 0], parts[..., 1])
