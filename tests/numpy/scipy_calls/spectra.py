"""Functions of scipy.fft called as their authors do, by the names that SciPy gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import fft

from tests.numpy.scipy_calls.values import IMAGE, V, parts_of

CALLS: dict[str, tuple[Any, ...]] = {
    "fft": (lambda x: parts_of(fft.fft(x), fft.ifft(x, 5, 0, "ortho"), fft.ihfft(x, axis=0, workers=1)), IMAGE),
    "rfft": (lambda x: parts_of(fft.rfft(x, n=9), fft.irfft(x * (1 + 0.3j), norm="forward"), fft.hfft(x)), IMAGE),
    "fft2": (lambda x: parts_of(fft.fft2(x), fft.ifft2(x), fft.rfft2(x, s=(4, 6)), fft.irfft2(x)), IMAGE),
    "fftn": (lambda x: parts_of(fft.fftn(x), fft.ifftn(x, axes=0), fft.rfftn(x, norm="ortho"), fft.irfftn(x)), IMAGE),
    "hfftn": (lambda x: parts_of(fft.hfftn(x * (1 - 0.2j)), fft.hfft2(x, norm="ortho"), fft.hfftn(x, axes=1)), IMAGE),
    "ihfftn": (lambda x: parts_of(fft.ihfftn(x), fft.ihfft2(x, norm="forward"), fft.ihfftn(x, axes=0)), IMAGE),
    "fftshift": (lambda x: [fft.fftshift(x), fft.ifftshift(x, axes=1)], IMAGE),
    "fftfreq": (lambda d: [fft.fftfreq(7, d), fft.rfftfreq(6, d=d)], np.array(0.3)),
    "dct": (lambda x: [fft.dct(x, t, n, norm=m) for t in (1, 2, 3, 4) for n in (4, 9) for m in (None, "ortho")], V),
    "idct": (
        lambda x: [fft.idct(x, t, axis=0, norm=m) for t in (1, 2, 3, 4) for m in (None, "ortho", "forward")],
        IMAGE,
    ),
    "dst": (lambda x: [fft.dst(x, t, n, norm=m) for t in (1, 2, 3, 4) for n in (4, 9) for m in (None, "ortho")], V),
    "idst": (
        lambda x: [fft.idst(x, t, axis=0, norm=m) for t in (1, 2, 3, 4) for m in (None, "ortho", "forward")],
        IMAGE,
    ),
    "dct by halves": (
        lambda x: [f(x, t, orthogonalize=o) for f in (fft.dct, fft.dst) for t in (1, 2, 3) for o in (True, False)],
        V,
    ),
    "dctn": (
        lambda x: [fft.dctn(x), fft.idctn(x, norm="ortho"), fft.dstn(x, 3, axes=0), fft.idstn(x, s=(3, 8))],
        IMAGE,
    ),
    "dct of one": (lambda x: [f(x[:1], t) for f in (fft.dct, fft.dst, fft.idct, fft.idst) for t in (2, 3, 4)], V),
}
