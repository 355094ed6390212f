"""Responses of filters, decimated signals and their like called as their authors do, by the names SciPy gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.integrate
import scipy.linalg
import scipy.signal
import scipy.spatial

signal: Any = scipy.signal
integrate: Any = scipy.integrate
spatial: Any = scipy.spatial
_RNG = np.random.default_rng(9)
B = np.array([0.4, 0.3, -0.2])
A = np.array([1.1, -0.5, 0.2, 0.1])
AT = np.array([0.1, 0.9, 2.5])
SECTIONS: Any = signal.butter(5, 0.3, output="sos")
WAVE = np.cos(np.arange(90.0) ** 1.2)
IMAGE = _RNG.normal(size=(5, 7))
MATRIX = _RNG.normal(size=(4, 4)) + np.diag([3.0, -4.0, 5.0, -6.0])
POINTS = _RNG.normal(size=(5, 2))
OTHERS = _RNG.normal(size=(5, 2))


def _parts(h: Any) -> list[Any]:
    return [h.real, h.imag]


def _sections(s: Any) -> Any:
    return np.concatenate([s[:, :3], np.ones((3, 1)), s[:, 3:]], axis=1)


def _responses(b: Any, a: Any, w: Any) -> list[Any]:
    found = [
        signal.freqz(b, a, 9),
        signal.freqz(b, a, 8, whole=True, fs=20.0),
        signal.freqz(b, 1, 9, include_nyquist=True),
        signal.freqz(b, a, worN=[0.3, 1.1]),
        signal.freqz(b, a, w, fs=7.0),
        signal.freqz(b[0], a),
        signal.freqz(b * (1 + 0.5j), a, w),
    ]
    return [*(part for _, h in found for part in _parts(h)), *(b[0] * shown for shown, _ in found[:-1])]


CALLS: dict[str, tuple[Any, ...]] = {
    "freqz": (_responses, B, A, AT),
    "freqz_sos, sosfreqz": (
        lambda s, w: [
            *_parts(signal.freqz_sos(_sections(s), 9, whole=True)[1]),
            *_parts(signal.sosfreqz(_sections(s), worN=w, fs=9.0)[1]),
            s[0, 0] * signal.sosfreqz(_sections(s), 5, fs=3.0)[0],
        ],
        np.delete(SECTIONS, 3, axis=1),
        AT,
    ),
    "decimate": (
        lambda x: [
            signal.decimate(x, 3),
            signal.decimate(x, 2, 4, zero_phase=False),
            signal.decimate(x, 4, ftype="fir"),
            signal.decimate(x, 2, 11, "fir", zero_phase=False),
            signal.decimate(x.reshape(45, 2), 2, 3, axis=0),
        ],
        WAVE,
    ),
    "wiener": (lambda x: [signal.wiener(x), signal.wiener(x, (3, 5), 0.4), signal.wiener(x[0], 3)], IMAGE),
    "romb": (
        lambda y, h: [
            *(integrate.romb(y[:, : 2**k + 1], dx=h) for k in (0, 1, 2)),
            *(integrate.romb(y[:5], axis=0), integrate.romb(np.outer(y[:3], y[:3])[0, :17], 0.1)),
        ],
        IMAGE,
        np.array(0.3),
    ),
    "signm": (lambda a: [scipy.linalg.signm(a), scipy.linalg.signm(a @ a.T)], MATRIX),
    "procrustes": (lambda x, y: list(spatial.procrustes(x, y)), POINTS, OTHERS),
}
