"""Random probes that any worker can make again, bit for bit, from their index alone."""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from gradserve.ir.types import Array, ElementType

BLOCK_WORDS = 4
"""64-bit words that one value of the Philox counter yields."""
BLOCK_SIGNS = 64 * BLOCK_WORDS
_COUNTERS = 1 << 256
_WORD = (1 << 64) - 1


def signs(seed: int, purpose: str, start: int, stop: int, shape: tuple[int, ...], element_type: ElementType) -> Array:
    """Rademacher probes `start` to `stop`: independent +1 and -1 with equal chance, shape (stop - start, *shape).

    Bits come from Philox4x64-10 (Salmon et al. 2011) with key (seed, hash of purpose). A probe takes a whole number of
    counter values, so probes lie one after the other and each depends on seed, purpose, its index and its size only.
    Different purposes or seeds give independent probes. Bit 0 is +1, bit 1 is -1.
    """
    size = math.prod(shape)
    count = stop - start
    blocks = -(-size // BLOCK_SIGNS)
    if not count or not size:
        return np.empty((count, *shape), element_type.dtype)
    words = philox_words(seed, purpose, start * blocks, count * blocks)
    # One look-up of eight signs for each random byte; little endian, so that every machine reads the same bits.
    octets = words.astype("<u8", copy=False).view(np.uint8).reshape(count, -1)[:, : -(-size // 8)]
    drawn = np.take(_EIGHT_SIGNS.astype(element_type.dtype), octets, axis=0).reshape(count, -1)
    return np.ascontiguousarray(drawn[:, :size]).reshape(count, *shape)


def normals(seed: int, purpose: str, start: int, stop: int, shape: tuple[int, ...]) -> Array:
    """Standard normal vectors `start` to `stop`, by the words of the same counter and by Box and Muller's formula."""
    size, count = math.prod(shape), stop - start
    blocks = -(-size // BLOCK_WORDS)
    if not count or not size:
        return np.empty((count, *shape))
    words = philox_words(seed, purpose, start * blocks, count * blocks).reshape(count, -1, 2)
    # The 53 upper bits, moved from 0 up to half a step, so that the logarithm is finite.
    lengths, angles = np.moveaxis(((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53, -1, 0)
    radius, turn = np.sqrt(-2 * np.log(lengths)), 2 * np.pi * angles
    pairs = np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=-1)
    return np.ascontiguousarray(pairs.reshape(count, -1)[:, :size]).reshape(count, *shape)


def philox_words(seed: int, purpose: str, first_block: int, blocks: int) -> NDArray[np.uint64]:
    """The random words of counter values `first_block` to `first_block + blocks`, four for each."""
    # NumPy steps the counter before it draws, so the stream that begins with block c starts at c - 1.
    counter = (first_block - 1) % _COUNTERS
    key = (seed & _WORD) | purpose_tag(purpose) << 64
    return np.random.Philox(counter=counter, key=key).random_raw(blocks * BLOCK_WORDS)


def purpose_tag(purpose: str) -> int:
    """The 64 bits that stand for a purpose in the key."""
    return int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "little")


_EIGHT_SIGNS = 1 - 2 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").astype(np.int8)
