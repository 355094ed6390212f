"""Losses of complex numbers, in NumPy's or JAX's functions: phases from intensities, spectra, quantum states."""

from __future__ import annotations

from typing import Any

import numpy as np

RNG = np.random.default_rng(11)


def draw(*shape: int) -> Any:
    """Complex numbers whose parts are normal."""
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


MASKS, IMAGE = np.exp(1j * RNG.uniform(0, 6, (3, 4, 6))), draw(4, 6)
INTENSITIES = np.abs(np.fft.fft2(MASKS * draw(4, 6))) ** 2
TIMES, SIGNAL = np.arange(16.0), RNG.standard_normal(16)
RATES, AMPLITUDES = draw(3) * 0.1 - 0.2, draw(3)
STATE, TARGET = draw(8), draw(8)
HAMILTONIAN = (lambda a: a + a.conj().T)(draw(8, 8))
ANGLES = RNG.uniform(-1, 1, (2, 3))
PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


def phase_retrieval(np: Any) -> Any:
    """Coded diffraction: intensities of Fourier transforms, without phases (E. Candes et al., Wirtinger flow, 2015)."""

    def loss(image: Any) -> Any:
        return np.mean((np.abs(np.fft.fft2(MASKS * image, norm="ortho")) ** 2 - INTENSITIES / 24) ** 2)

    return loss


def spectral_fitting(np: Any) -> Any:
    """Damped exponentials fitted to a signal by its spectrum: two complex parameters of a tree."""

    def loss(modes: Any) -> Any:
        model = np.real(np.exp(TIMES[:, None] * modes["rates"]) @ modes["amplitudes"])
        apart = np.fft.rfft(model - SIGNAL)
        return np.sum(np.abs(apart) ** 2 / (1.0 + np.arange(9.0))) + np.var(np.fft.irfft(apart * 1j, n=15))

    return loss


def infidelity(np: Any) -> Any:
    """One less the fidelity of a state with another, and the energy, of a vector that is not of length 1."""

    def loss(state: Any) -> Any:
        unit = state / np.linalg.norm(state)
        return 1.0 - np.abs(np.vdot(TARGET, unit)) ** 2 + 0.1 * np.real(np.vdot(unit, HAMILTONIAN @ unit))

    return loss


def circuit(np: Any) -> Any:
    """The energy of a circuit of rotations about y and z and of entanglers on three qubits, in its real angles."""
    diagonal = np.exp(1j * 0.3 * np.arange(8.0))

    def rotation(angle: Any, axis: int) -> Any:
        return np.cos(angle / 2) * np.eye(2) - 1j * np.sin(angle / 2) * PAULI[axis]

    def loss(angles: Any) -> Any:
        state = np.ones(8) / np.sqrt(8.0) + 0j
        for layer in range(2):
            gates = [rotation(angles[layer, k], 1) @ rotation(angles[layer, k] ** 2, 2) for k in range(3)]
            state = np.kron(np.kron(gates[0], gates[1]), gates[2]) @ state * diagonal
        return np.real(np.vdot(state, HAMILTONIAN @ state))

    return loss


def density(np: Any) -> Any:
    """Of a matrix made of a factor: its entropy, the overlaps of its eigenvectors, a solve, singular values."""
    shift = np.diag(np.arange(1.0, 9.0))

    def loss(factor: Any) -> Any:
        matrix = factor[:, None] * np.conj(factor) + shift
        w, q = np.linalg.eigh(matrix)
        overlaps = np.abs(np.conj(q.T) @ TARGET) ** 2
        solved = np.real(np.vdot(TARGET, np.linalg.solve(matrix, TARGET)))
        lower = np.linalg.cholesky(matrix)
        wide = matrix[:5] * factor
        singular = np.linalg.norm(wide, "nuc") + np.sum(np.linalg.svdvals(wide)[:3] ** 2 * np.arange(3.0))
        traces = np.sum(w * np.log(w)) + np.sum(overlaps * w**2) + np.linalg.slogdet(matrix)[1]
        return traces + solved + np.sum(np.abs(lower)) + singular

    return loss


LOSSES = {
    "phase_retrieval": (phase_retrieval, IMAGE),
    "spectral_fitting": (spectral_fitting, {"rates": RATES, "amplitudes": AMPLITUDES}),
    "infidelity": (infidelity, STATE),
    "circuit": (circuit, ANGLES),
    "density": (density, STATE),
}
"""Each with the point at which it is differentiated."""
