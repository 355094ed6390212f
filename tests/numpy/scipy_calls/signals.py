"""Functions of scipy.signal called as their authors do, by the names that SciPy gives them."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from scipy import integrate, ndimage, signal

from tests.numpy.scipy_calls.values import BEYOND, IMAGE, LONG, SECTIONS, P, T, V, Y, parts_of


def _spectra(x: Any, y: Any) -> list[Any]:
    spectra: Any = signal
    return [
        spectra.welch(x, 10.0, nperseg=8, noverlap=2, nfft=11, detrend="linear", scaling="spectrum"),
        spectra.welch(np.stack([x, y], 1), nperseg=8, axis=0, average="median", window="hamming"),
        spectra.welch(x, window=np.hanning(7), detrend=False, return_onesided=False),
        *(spectra.periodogram(x, 2.0, window=w, nfft=n) for w, n in (("hann", 9), ("blackman", 32), (None, None))),
        *(_real_parts(spectra.csd(x, y, nperseg=8)), spectra.coherence(x, y, nperseg=8)),
    ]


def _short_times(x: Any) -> list[Any]:
    signals: Any = signal
    found = [
        signals.stft(x, 2.0, nperseg=16),
        signals.stft(x, 2.0, nperseg=8, noverlap=6, nfft=11, scaling="psd", detrend="constant", window="hamming"),
        signals.stft(x, nperseg=9, boundary=None, padded=False, return_onesided=False),
        signals.stft(np.stack([x, x**2], 1), nperseg=8, axis=0),
    ]
    again = signals.istft(found[0][2], 2.0, nperseg=16)[1]
    return [*(part for _, _, z in found for part in parts_of(z)), again[: x.size] - x, x[0] * found[0][1]]


def _signals(x: Any) -> list[Any]:
    spectra, signals = x + 1j * x[::-1], cast(Any, signal)
    return [
        signals.istft(spectra, 2.0)[1],
        signals.istft(spectra, 2.0, nperseg=9, noverlap=6, boundary=False, scaling="psd", window=np.hanning(11)[1:-1])[
            1
        ],
        signals.istft(spectra.T, time_axis=0, freq_axis=1)[1],
        *parts_of(signals.istft(spectra, noverlap=3, input_onesided=False)[1]),
        x[0, 0] * signals.istft(spectra, 3.0)[0],
    ]


CALLS: dict[str, tuple[Any, ...]] = {
    "savgol_filter": (
        lambda x: [
            *(signal.savgol_filter(x, 5, 2, deriv=d, delta=0.3) for d in (0, 1, 2)),
            *(signal.savgol_filter(x, 4, 3, axis=0, mode=m) for m in ("interp", "mirror", "constant")),
        ],
        IMAGE,
    ),
    "filtfilt": (
        lambda x: [
            *(signal.filtfilt([0.2, 0.3], [1.0, -0.5, 0.1], x, 0, p, 3) for p in ("odd", "even", "constant", None)),
            signal.filtfilt([0.5, 0.5], [2.0], x),
        ],
        IMAGE,
    ),
    "filtfilt of its coefficients": (lambda b, a: signal.filtfilt(b, a, LONG), P[:2], P[:3] + 4 * (T[:3] == 0)),
    "sosfilt": (lambda x: [signal.sosfilt(SECTIONS, x), signal.sosfiltfilt(SECTIONS, x)], LONG),
    "sosfilt of sections": (
        lambda s: [
            signal.sosfilt(s * (np.arange(6) != 3) + (np.arange(6) == 3), LONG),
            signal.sosfiltfilt(s * (np.arange(6) != 3) + (np.arange(6) == 3), LONG, padlen=5),
            signal.sosfilt_zi(s * (np.arange(6) != 3) + (np.arange(6) == 3)),
        ],
        SECTIONS,
    ),
    "lfilter_zi": (lambda b, a: signal.lfilter_zi(b, a), P[:2], P[:4]),
    "resample": (
        lambda x: [signal.resample(x, n, axis=1) for n in (4, 5, 7, 10, 11)],
        IMAGE,
    ),
    "resample of an even number": (lambda x: [signal.resample(x, n) for n in (3, 4, 6, 8, 9)], V),
    "resample with times": (lambda x: [*signal.resample(x, 4, T * 2)], V),
    "hilbert": (lambda x: [f for n in (None, 9) for f in parts_of(signal.hilbert(x, n), signal.hilbert(x[:5]))], V),
    "sobel, prewitt": (lambda x: [f(x, a) for f in (ndimage.sobel, ndimage.prewitt) for a in (0, 1)], IMAGE),
    "laplace": (
        lambda x: [
            ndimage.laplace(x, mode="wrap"),
            ndimage.gaussian_laplace(x, 0.8),
            ndimage.gaussian_gradient_magnitude(x, (0.6, 1.1)),
        ],
        IMAGE,
    ),
    "ndimage of kernels": (
        lambda x, w: [f(x, w[:k]) for f in (ndimage.convolve, ndimage.correlate) for k in (2, 3)],
        IMAGE,
        Y,
    ),
    "shift": (
        lambda x, s: [ndimage.shift(x, s, order=1), ndimage.shift(x, s[0], order=1, mode="nearest")],
        IMAGE,
        V[:2],
    ),
    "zoom": (lambda x: [ndimage.zoom(x, z, order=1) for z in (1.7, (0.8, 2.0))], IMAGE),
    "splines of images": (
        lambda x, c: [ndimage.map_coordinates(x, 3.0 * c - 4.137, order=k, mode=m, cval=0.3) for k, m in BEYOND],
        IMAGE,
        np.stack([P * 3, P * 4]),
    ),
    "splines of images beyond edges": (
        lambda x, c: [
            ndimage.map_coordinates(x, 2.0 * c - 3.137, order=3, mode="grid-constant", cval=0.3),
            ndimage.map_coordinates(x, c, order=3, mode="nearest", prefilter=False),
            # SciPy's own coefficients for this mode are off by 0.27^(2 n - 1).
            ndimage.map_coordinates(np.concatenate([x, x, x]), c - 0.7, order=3, mode="reflect"),
        ],
        np.concatenate([IMAGE, IMAGE], axis=1),
        np.stack([P * 3, P * 4]),
    ),
    "images moved by splines": (
        lambda x, s: [
            *(ndimage.shift(x, s), ndimage.zoom(x, 1.3, order=2)),
            ndimage.affine_transform(x, np.eye(2) + 0.1 * s, s, order=3, mode="nearest"),
            ndimage.affine_transform(x, 1.0 + 0.1 * s, 0.2, (3, 3), order=2),
            ndimage.affine_transform(x, np.c_[np.eye(2), s], order=1),
        ],
        IMAGE,
        V[:2],
    ),
    "short times": (_short_times, np.cos(np.arange(37.0) ** 1.3)),
    "signals of short times": (_signals, np.cos(np.arange(45.0) ** 1.3).reshape(5, 9)),
    "spectra": (_spectra, np.cos(np.arange(20.0) ** 1.3), np.sin(np.arange(20.0) ** 1.2)),
    "ranks of neighbours": (
        lambda x: [
            *(ndimage.maximum_filter(x, 3), ndimage.minimum_filter(x, (2, 3), mode="constant", origin=(0, 1))),
            *(ndimage.median_filter(x, 2, mode="mirror"), ndimage.median_filter(x, footprint=[[0, 1], [1, 1]])),
            *(ndimage.percentile_filter(x, p, size=3, mode="wrap") for p in (30, -10, 100)),
            *(ndimage.rank_filter(x, -2, size=3), ndimage.maximum_filter1d(x, 4, 0), ndimage.minimum_filter1d(x, 3)),
        ],
        IMAGE + 0.01 * np.arange(IMAGE.size).reshape(IMAGE.shape) ** 1.5,
    ),
    "cumulative_simpson": (
        lambda y, x: [
            *(integrate.cumulative_simpson(y[:k], x=x[:k], initial=0.3) for k in (2, 3, 5)),
            *(integrate.cumulative_simpson(y, dx=0.3), integrate.cumulative_simpson(y[:4])),
        ],
        V,
        T,
    ),
}


def _real_parts(spectrum: Any) -> list[Any]:
    return [spectrum[0], *parts_of(spectrum[1])]
