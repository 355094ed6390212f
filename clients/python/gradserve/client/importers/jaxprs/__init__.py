"""JAX functions as graphs: by their jaxprs, equation by equation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradserve.client.importers.imported import Imported


def from_jax(function: Callable[..., Any], /, *examples: Any, most: int | None = None, **named: Any) -> Imported:
    """The graph of a JAX function, for arguments of the types of these examples; `Client.load` makes a function of it.

    The examples are trees of arrays and numbers, as those of `Client.function`; parameters and their trees keep their
    names. Types are those that JAX gives: float64 where `jax_enable_x64` is on, and float32 otherwise. Keys of
    `jax.random` are data: give the result `jax.random.key_data(key)` for a parameter that was one.

    Functions with derivatives of their own (`jax.custom_jvp`, `jax.custom_vjp`) keep them up to the third order. The
    result's `notes` name those whose rule is no derivative, or cannot be imported: they are what they compute.

    Args:
        function: a JAX function of arrays, jitted or not.
        examples: of its parameters, by position.
        most: a bound on the steps of loops whose number of steps depends on numbers.
        named: examples of its parameters, by name.

    Raises:
        Untraceable: a primitive that no graph can say; names it, what it is applied to, the line, and a way round.
        InvalidRequest: an example is not a tree of arrays and numbers.
        ImportError: JAX is not installed (`pip install 'gradserve[jax]'`).
    """
    try:
        from gradserve.client.importers.jaxprs.tracing import traced
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "jax":
            raise
        raise ImportError("from_jax needs JAX: pip install 'gradserve[jax]'") from error
    return traced(function, examples, named, most)
