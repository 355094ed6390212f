"""Distances of all pairs of rows by a function of the author's own, which is called pair by pair."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gradserve.client.scipy.mirror import member
from gradserve.client.tracing.names import Place, first_tracer


def pairs(distance: Any) -> Iterator[Place]:
    """SciPy's functions of pairs, with metrics that may read traced arrays."""
    for name, of_metric in (("cdist", _of_two), ("pdist", _of_one)):
        yield distance, name, _aware(getattr(distance, name), member(f"scipy.spatial.distance.{name}"), of_metric)


def _aware(own: Callable[..., Any], ours: Callable[..., Any], of_metric: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(own)
    def call(*args: Any, metric: Any = "euclidean", **named: Any) -> Any:
        rows = args[: 1 if of_metric is _of_one else 2]
        chosen = args[len(rows)] if len(args) > len(rows) else metric
        if callable(chosen):
            return of_metric(*rows, functools.partial(chosen, **named))
        found = own if first_tracer((args, named)) is None else ours
        return found(*rows, chosen, *args[len(rows) + 1 :], **named)

    return call


def _of_two(rows: Any, others: Any, metric: Callable[..., Any]) -> Any:
    return np.array([[metric(u, v) for v in others] for u in rows])


def _of_one(rows: Any, metric: Callable[..., Any]) -> Any:
    return np.array([metric(rows[i], rows[j]) for i in range(len(rows)) for j in range(i + 1, len(rows))])
