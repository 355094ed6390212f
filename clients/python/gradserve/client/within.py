"""Questions that are asked while another function is traced."""

from __future__ import annotations

from typing import Any

from gradserve.client.tracing.trees import flatten


def refuse_traced(arguments: tuple[Any, ...]) -> None:
    """Refuses arrays that are traced, which no question can be asked about.

    Raises:
        Untraceable: there are some.
    """
    from gradserve.client.tracing.origins import untraceable  # with which all ops come
    from gradserve.client.tracing.tracer import Tracer

    if any(isinstance(leaf, Tracer) for _, leaf in flatten(arguments, "argument")[0]):
        raise untraceable(
            "derivatives, batches and estimates are questions of their own, and here arrays are traced",
            "call the function itself, or write grad(f)(w), jvp(f, (w,), (v,)) and the like with the functions of "
            "gradserve.client.functions; several points go by np.vectorize",
        )
