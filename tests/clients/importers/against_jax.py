"""JAX's own answers about a function: its values, and gradient and H v of a weighted sum of what is real in them.

Compiling all of that takes JAX half a minute, so its answers lie in files beside this one, which

    python -m tests.clients.importers.against_jax

writes anew, as after every change of a program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

TOLERANCE = 1e-10
HERE = Path(__file__).parent
Programs = Mapping[str, tuple[Callable[..., Any], tuple[Any, ...]]]


@dataclass(frozen=True)
class Answers:
    """What JAX says at one point."""

    values: list[Any]
    gradient: list[Any]
    """By leaf of the arguments; empty where nothing real depends on anything real."""
    product: list[Any]


def is_moved(leaf: Any) -> bool:
    """Whether an argument has derivatives: it is real or complex."""
    return np.result_type(leaf).kind in "fc"


def weights_of(values: Any) -> list[Any]:
    """What each real result is weighted by: numbers that no symmetry cancels."""
    return [np.cos(np.arange(np.size(x)) + 1.0).reshape(np.shape(x)) for x in values]


def weighted(xp: Any, values: Any) -> Any:
    """What is differentiated: a single number itself, or else a weighted sum of numbers and their squares.

    Of complex numbers both parts are such.
    """
    parts = (part for x in values for part in ((x.real, x.imag) if x.dtype.kind == "c" else (x,)))
    real = [x for x in parts if x.dtype.kind == "f"]
    if len(real) == 1 and not np.shape(real[0]):
        return real[0]
    return sum((xp.sum((x + x * x) * w) for x, w in zip(real, weights_of(real), strict=True)), xp.zeros(()))


def tangents_of(leaves: Any) -> list[Any]:
    """A direction for each leaf; of complex ones in both parts."""
    numbers = [(np.arange(np.size(x)) + 0.5, np.result_type(x).kind == "c", np.shape(x)) for x in leaves]
    return [(np.sin(n) + (1j * np.cos(n * n) if both else 0)).reshape(shape) for n, both, shape in numbers]


def recorded(name: str) -> dict[str, Answers]:
    """JAX's answers in the file of that name."""
    found: dict[str, Answers] = {}
    with np.load(HERE / f"{name}.npz") as file:
        for key in file.files:
            program, part, _ = key.split(":")
            getattr(found.setdefault(program, Answers([], [], [])), part).append(file[key])
    return found


def record(name: str, programs: Programs) -> None:
    """Writes JAX's answers to the file of that name."""
    arrays = {
        f"{program}:{part}:{k}": array
        for program, found in answers(programs).items()
        for part, given in vars(found).items()
        for k, array in enumerate(given)
    }
    np.savez_compressed(HERE / f"{name}.npz", **arrays)


def answers(programs: Programs) -> dict[str, Answers]:
    """JAX's answers for all of them, compiled together."""

    def one(function: Callable[..., Any], arguments: Any) -> Any:
        leaves, tree = jax.tree.flatten(arguments)
        moved = [k for k, leaf in enumerate(leaves) if is_moved(leaf)]

        def loss(real: Any) -> Any:
            given = list(leaves)
            for k, leaf in zip(moved, real, strict=True):
                given[k] = leaf
            found = [jnp.asarray(x) for x in jax.tree.leaves(function(*jax.tree.unflatten(tree, given)))]
            return weighted(jnp, found), found

        real = [jnp.asarray(leaves[k]) for k in moved]
        if not real:
            return loss([])[1], [], []
        gradient = jax.grad(loss, has_aux=True)
        tangents = [jnp.asarray(t, x.dtype) for t, x in zip(tangents_of(real), real, strict=True)]
        (first, values), (product, _) = jax.jvp(gradient, (real,), (tangents,))
        return values, first, product

    def every(given: Any) -> Any:
        return {name: one(function, given[name]) for name, (function, _) in programs.items()}

    options: dict[str, str | bool] = {"xla_backend_optimization_level": "0", "xla_llvm_disable_expensive_passes": True}
    given = {name: arguments for name, (_, arguments) in programs.items()}
    found = jax.jit(every).lower(given).compile(compiler_options=options)(given)
    return {name: Answers(*jax.tree.map(np.asarray, each)) for name, each in found.items()}


if __name__ == "__main__":
    from tests.clients.importers.jax_models import MODELS
    from tests.clients.importers.jax_programs import PROGRAMS, STAND_INS

    record("models", MODELS)

    record("primitives", {name: (STAND_INS.get(name, function), given) for name, (function, given) in PROGRAMS.items()})
