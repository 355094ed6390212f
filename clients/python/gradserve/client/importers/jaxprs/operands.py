"""What equations of a jaxpr read: arrays, keys of random numbers, and what could not be imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from gradserve.client.importers.lax.elements import HALVES, Operand, computed, constant, held_type
from gradserve.client.importers.lax.movement import part
from gradserve.ir.builder import Builder
from gradserve.ir.errors import Untraceable
from gradserve.ir.records import dataclass
from gradserve.ir.types import TensorType

WORDS = 2
"""Of 32 bits, in a key of threefry."""


@dataclass(frozen=True)
class Keys:
    """An array of keys: the array of their first words, and that of their second ones."""

    words: tuple[Operand, ...]

    def __str__(self) -> str:
        return f"keys[{','.join(map(str, self.words[0].shape))}]"


@dataclass(frozen=True)
class Refused:
    """The result of an equation that cannot be imported: an error as soon as anything reads it."""

    error: Untraceable


Known: TypeAlias = Operand | Keys | Refused


def is_key(aval: Any) -> bool:
    """Whether a type is one of keys."""
    return bool(jnp.issubdtype(aval.dtype, jax.dtypes.prng_key))


def types_of(aval: Any) -> Iterator[tuple[TensorType, np.dtype[Any]]]:
    """The types of the arrays that hold one of this type, and what they hold."""
    dtype = np.dtype(np.uint32) if is_key(aval) else computed(aval.dtype)
    for _ in range(WORDS if is_key(aval) else 1):
        yield held_type(dtype, tuple(aval.shape)), dtype


def seen(aval: Any) -> Any:
    """The type with the elements that it is computed in."""
    return aval if is_key(aval) or str(aval.dtype) not in HALVES else aval.update(dtype=computed(aval.dtype))


def constant_of(g: Builder, array: Any) -> Operand | Keys:
    """A constant of a jaxpr."""
    if hasattr(array, "dtype") and is_key(array):
        return split(g, constant(g, np.asarray(jax.random.key_data(array))))
    return constant(g, np.asarray(array))


def split(g: Builder, data: Operand) -> Keys:
    """Keys of an array whose last axis has their words."""
    last = data.rank - 1
    words = (g.reshape(part(g, data.value, last, k, k + 1), data.shape[:-1]) for k in range(WORDS))
    return Keys(tuple(Operand(word, data.dtype) for word in words))


def joined(g: Builder, keys: Keys) -> Operand:
    """The array of their words."""
    columns = (g.reshape(word.value, (*word.shape, 1)) for word in keys.words)
    first = keys.words[0]
    return Operand(g.emit("concatenate", *columns, axis=first.rank), first.dtype)


def flat(operands: Sequence[Known]) -> list[Operand]:
    """All arrays, the words of keys one after the other.

    Raises:
        Untraceable: one of them was refused.
    """
    found: list[Operand] = []
    for operand in operands:
        if isinstance(operand, Refused):
            raise operand.error.with_traceback(None)
        found += operand.words if isinstance(operand, Keys) else (operand,)
    return found


def shaped(avals: Sequence[Any], arrays: Sequence[Operand]) -> list[Known]:
    """The same put together again."""
    given = iter(arrays)
    return [Keys((next(given), next(given))) if is_key(aval) else next(given) for aval in avals]
