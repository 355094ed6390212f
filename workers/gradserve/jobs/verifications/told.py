"""The numbers that a verification was told, in their order: with them it comes to where it stood without computing."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradserve.ir.types import Array
from gradserve.jobs.verifications.losses import Losses
from gradserve.questions.resuming import Standing, State, refuse_token
from gradserve.verification.measure import Stage
from gradserve.verification.symmetry import Product, Products


class Told:
    """What was told so far, and at first what was told before and is to be told again."""

    def __init__(self, stood: Standing | None) -> None:
        """`stood` is where the verification stood; None if it begins."""
        names = () if stood is None else [f"told:{k}" for k in range(len(stood.state))]
        self._before = deque(stood.numbers(name, None) for name in names if stood is not None)
        self._told: list[Array] = []

    @property
    def goes_on(self) -> bool:
        """Whether something was told before that has not been told again."""
        return bool(self._before)

    def numbers(self, wanted: Stage | Products, losses: Losses) -> Sequence[Any]:
        """What a dialogue wants: losses along the vectors of a stage, or products."""
        if isinstance(wanted, Products):
            return self._products(wanted, losses)
        each = math.prod(losses.shape)
        lengths = [len(steps) * each for steps in wanted.steps]
        if self._before:
            losses.count(wanted)
            told = self._again(sum(lengths))
        else:
            told = np.concatenate([np.empty(0), *(values.ravel() for values in losses.at(wanted))])
        self._told.append(told)
        parts = [told[stop - length : stop] for stop, length in zip(np.cumsum(lengths), lengths, strict=True)]
        return [part.reshape(-1, *losses.shape) for part in parts]

    def _products(self, wanted: Products, losses: Losses) -> list[Product]:
        shape = len(wanted.vectors), 1 + losses.layout.size
        if self._before:
            rows = self._again(shape[0] * shape[1]).reshape(shape)
            if losses.limits_at_kinks:
                losses.bound = max(losses.bound or 0.0, *rows[:, 0].tolist())
        else:
            rows = np.array([[each.bound, *each.value] for each in losses.products(wanted.vectors)]).reshape(shape)
        self._told.append(rows.ravel())
        return [Product(row[1:], float(row[0])) for row in rows]

    def _again(self, count: int) -> Array:
        told = self._before.popleft()
        if len(told) != count:
            refuse_token("the losses")
        return told

    def state(self) -> State:
        """All of it."""
        return {f"told:{k}": told for k, told in enumerate(self._told)}
