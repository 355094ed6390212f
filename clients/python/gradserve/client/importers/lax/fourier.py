"""XLA's discrete Fourier transforms, which are those of the last axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradserve.client.importers.lax.elements import Operand
from gradserve.ir.builder import Builder, Value
from gradserve.numpy import fourier
from gradserve.numpy.arguments import Unsupported

KINDS: dict[str, Callable[[Builder, Value, Sequence[int], Sequence[int]], Value]] = {
    "FFT": lambda g, x, lengths, axes: fourier.fftn(x, axes=axes),
    "IFFT": lambda g, x, lengths, axes: fourier.ifftn(x, axes=axes),
    "RFFT": lambda g, x, lengths, axes: fourier.rfftn(x, axes=axes),
    "IRFFT": lambda g, x, lengths, axes: fourier.irfftn(x, lengths, axes=axes),
}
"""By their names: from the builder, numbers, the lengths of what is real of them, and axes."""


def fft(g: Builder, x: Operand, kind: str, lengths: Sequence[int]) -> Value:
    """The transform along as many of the last axes as there are lengths.

    Raises:
        Unsupported: there is no transform of that kind.
    """
    transform = KINDS.get(kind)
    if transform is None:
        raise Unsupported(f"{kind!r} is no transform", f"use one of {', '.join(KINDS)}")
    return transform(g, x.value, tuple(lengths), tuple(range(x.rank - len(lengths), x.rank)))
