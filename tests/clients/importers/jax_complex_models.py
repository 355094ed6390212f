"""Models with complex numbers in them, as physicists and engineers write them in JAX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
RNG = np.random.default_rng(31)
MASKS = np.exp(1j * RNG.uniform(0, 6, (3, 6, 5)))
INTENSITIES = RNG.random((3, 6, 5)) * 20
IMAGE = RNG.standard_normal((6, 5)) + 1j * RNG.standard_normal((6, 5))
SIGNAL = np.cos(0.7 * np.arange(16.0)) + 0.3 * np.sin(1.9 * np.arange(16.0))
TIMES = np.arange(12.0)
DECAY = np.exp((-0.1 + 0.8j) * TIMES) + 0.4 * np.exp((-0.05 - 1.3j) * TIMES)
STEERED = np.exp(1j * np.outer(np.arange(4), [0.3, 1.1, -0.8]))
SNAPSHOTS = RNG.standard_normal((4, 8)) + 1j * RNG.standard_normal((4, 8))
PAULI_X, PAULI_Z = np.array([[0, 1], [1, 0]], complex), np.diag([1.0 + 0j, -1.0])
GRID = np.linspace(-4.0, 4.0, 16, endpoint=False)
MOMENTA = 2 * np.pi * np.fft.fftfreq(16, GRID[1] - GRID[0])


def phase_retrieval(image: Any) -> Any:
    """Intensities of masked Fourier transforms, without their phases."""
    return jnp.mean((jnp.abs(jnp.fft.fft2(MASKS * image)) ** 2 - INTENSITIES) ** 2)


def spectral_fit(signal: Any) -> Any:
    """A signal whose spectrum is small where another one's is, and which lies near it."""
    spectrum = jnp.fft.rfft(signal)
    weights = 1.0 / (1.0 + np.abs(np.fft.rfft(SIGNAL)) ** 2)
    return jnp.sum(weights * jnp.abs(spectrum) ** 2) + jnp.sum((signal - SIGNAL) ** 2)


def fourier_layer(p: Any) -> Any:
    """The layer of a Fourier neural operator: weights on the lowest frequencies, a bypass, and a nonlinearity."""
    x = jnp.stack([SIGNAL, SIGNAL**2])
    lowest = jnp.einsum("ck,cdk->dk", jnp.fft.rfft(x)[:, :4], p["w"])
    y = jnp.fft.irfft(jnp.pad(lowest, ((0, 0), (0, 5))), 16) + p["bypass"] @ x
    return jnp.mean(jax.nn.gelu(y) ** 2)


def quantum_circuit(angles: Any) -> Any:
    """The energy of three qubits behind layers of rotations and controlled phases."""
    state = jnp.zeros((2, 2, 2), complex).at[0, 0, 0].set(1.0)
    for layer in angles:
        for qubit in range(3):
            cos, sin = jnp.cos(layer[qubit, 0] / 2), jnp.sin(layer[qubit, 0] / 2)
            phase = jnp.exp(0.5j * layer[qubit, 1])
            gate = jnp.array([[cos * phase.conj(), -sin * phase], [sin * phase.conj(), cos * phase]])
            state = jnp.moveaxis(jnp.tensordot(gate, state, (1, qubit)), 0, qubit)
        state = state.at[1, 1].multiply(-1).at[:, 1, 1].multiply(-1)
    energy = jnp.zeros(())
    for qubit, pauli in ((0, PAULI_Z), (1, PAULI_X), (2, PAULI_Z)):
        moved = jnp.moveaxis(jnp.tensordot(pauli, state, (1, qubit)), 0, qubit)
        energy += jnp.vdot(state, moved).real
    return energy


def ground_state(psi: Any) -> Any:
    """Rayleigh's quotient of an oscillator with a quartic term, the kinetic energy by Fourier transforms."""
    kinetic = jnp.sum(MOMENTA**2 * jnp.abs(jnp.fft.fft(psi)) ** 2) / 16
    potential = jnp.sum((GRID**2 + 0.1 * GRID**4) * jnp.abs(psi) ** 2)
    return 0.5 * (kinetic + potential) / jnp.vdot(psi, psi).real


def split_steps(pulse: Any) -> Any:
    """How much of a wave packet a pulse of forces brings to the right, by ten split steps."""
    psi = jnp.exp(-((GRID + 1.0) ** 2) / 2).astype(complex)
    target = np.exp(-((GRID - 1.0) ** 2) / 2)
    psi /= jnp.linalg.norm(psi)

    def step(psi: Any, force: Any) -> Any:
        psi = psi * jnp.exp(-0.05j * (GRID**2 / 2 - force * GRID))
        psi = jnp.fft.ifft(jnp.exp(-0.05j * MOMENTA**2) * jnp.fft.fft(psi))
        return psi * jnp.exp(-0.05j * (GRID**2 / 2 - force * GRID)), None

    psi, _ = jax.lax.scan(step, psi, pulse)
    return 1 - jnp.abs(jnp.vdot(target / np.linalg.norm(target), psi)) ** 2


def harmonic_inversion(p: Any) -> Any:
    """A signal as a sum of damped oscillations, with complex frequencies and amplitudes."""
    made = jnp.exp(jnp.outer(TIMES, p["frequencies"])) @ p["amplitudes"]
    return jnp.sum(jnp.abs(made - DECAY) ** 2)


def beamformer(loading: Any) -> Any:
    """The power that Capon's beamformer lets pass, by solutions with the covariance of snapshots."""
    covariance = SNAPSHOTS @ SNAPSHOTS.conj().T / 8 + jnp.exp(loading) * jnp.eye(4)
    weights = jnp.linalg.solve(covariance, STEERED)
    return jnp.sum(jnp.log(1.0 / jnp.sum(STEERED.conj() * weights, axis=0).real))


def unitary_gate(h: Any) -> Any:
    """How far the gate exp(-iH) of a Hermitian H is from a given one."""
    hermitian = (h + h.conj().T) / 2
    energies, vectors = jnp.linalg.eigh(hermitian)
    gate = vectors @ (jnp.exp(-1j * energies)[:, None] * vectors.conj().T)
    wanted = np.fft.fft(np.eye(4)) / 2
    return 1 - jnp.abs(jnp.trace(wanted.conj().T @ gate)) ** 2 / 16


def _complex(*shape: int) -> Any:
    return 0.4 * (RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape))


Model = tuple[Callable[..., Any], tuple[Any, ...]]
COMPLEX_MODELS: Mapping[str, Model] = {
    "phase retrieval": (phase_retrieval, (IMAGE,)),
    "spectral fit": (spectral_fit, (SIGNAL + 0.1 * np.sin(TIMES.sum() * np.arange(16.0)),)),
    "Fourier neural operator": (fourier_layer, ({"w": _complex(2, 2, 4), "bypass": _complex(2, 2).real},)),
    "quantum circuit": (quantum_circuit, (RNG.uniform(0, 3, (2, 3, 2)),)),
    "ground state": (ground_state, (np.exp(-(GRID**2) / 2) + _complex(16),)),
    "split steps": (split_steps, (RNG.standard_normal(10),)),
    "harmonic inversion": (
        harmonic_inversion,
        ({"frequencies": np.array([-0.12 + 0.75j, -0.02 - 1.2j]), "amplitudes": _complex(2)},),
    ),
    "beamformer": (beamformer, (np.array(-1.0),)),
    "unitary gate": (unitary_gate, (_complex(4, 4),)),
}
