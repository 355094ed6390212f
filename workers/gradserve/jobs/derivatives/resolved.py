"""Derivatives at one point on kinks, as limits: what follows conventions there, where all around it does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, TypeAlias

import numpy as np

from gradserve.autodiff.derivation import Curvature
from gradserve.ir.errors import InvalidRequest, NotDifferentiable, Violation, listed
from gradserve.ir.records import dataclass, once
from gradserve.ir.types import Array
from gradserve.jobs.derivatives import dense, derivative
from gradserve.jobs.sweeps.context import Context
from gradserve.questions.call import AtKinks, Batch, Call, arrays_of
from gradserve.questions.derivations import Derivation, Evaluate, Gradient, Hvp
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.report import Kinks, Report
from gradserve.runtime.control import Control
from gradserve.verification.directions import Layout
from gradserve.verification.limits import displacements, limit

Refusal: TypeAlias = Callable[[Sequence[Violation]], NotDifferentiable]
"""The error that tells of some violations, and of the nodes on kinks."""
NAMED = 8
"""The most points, and elements, that a refusal names."""
_VALUES = ("value", "order0")
"""The roles of what is no derivative: at the point itself it is what it is there."""
_AT_ONCE = 1 << 20
"""Numbers in the points around that are looked at together, about."""


def by_convention(context: Context, question: Differentiate, control: Control) -> Derivatives:
    """The answer in which each op follows its convention."""
    page = dense.answers if question.derivation.dense else derivative.answers
    return next(page(context, question, control))


def without_kinks(call: Call) -> Call:
    """The call for whoever looks at kinks by other means."""
    return replace(call, options=replace(call.options, count_kinks=False, kinks=AtKinks.CONVENTION))


@dataclass(eq=False)
class Resolved:
    """Limits of derivatives at the point of a call without a batch."""

    context: Context
    call: Call
    wrt: tuple[str, ...]
    control: Control
    refusal: Refusal
    nodes: int = 1
    """How many nodes are on kinks."""
    bound: float = 0.0
    """The largest error bound so far."""
    report: Report = field(default_factory=Report)
    """What has been run."""
    _has_gradient: bool = False

    def __post_init__(self) -> None:
        """Refuses complex numbers, which have no order in which limits could lie between others."""
        types = {**self.call.graph.output_types, **{name: self.call.graph.input_types[name] for name in self.wrt}}
        found = [f"{name}: {type_}" for name, type_ in types.items() if type_.is_complex]
        if found:
            text = (
                f"limits are of real numbers, and there is {listed(found)}; take parts, or leave kinks to conventions"
            )
            raise InvalidRequest("the request does not fit", [Violation("call.options.kinks", "K5", text)])

    def derivatives(self, derivation: Derivation, vectors: Mapping[str, Array]) -> tuple[Any, Any]:
        """Arrays by role and name, without values, and blocks of matrices. The function must tend to its value.

        Raises:
            NotDifferentiable: limits from different directions differ or cannot be found.
        """
        self._require_gradient(derivation)
        each = {name: np.broadcast_to(vector, (len(self._moved), *vector.shape)) for name, vector in vectors.items()}
        around = self._ask(Differentiate(self._around, derivation, each))
        blocks = {
            row: {column: self._limit(f"{row}:{column}", block) for column, block in columns.items()}
            for row, columns in around.blocks.items()
        }
        return self._limits(around.arrays), blocks

    def products(self, derivation: Derivation, vectors: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
        """Arrays by role and name of a derivation that takes tangents, for each of many: with a leading axis of these.

        Raises:
            NotDifferentiable: limits from different directions differ or cannot be found.
        """
        self._require_gradient(derivation)
        group, count = max(1, _AT_ONCE // max(1, self._moved.size)), len(next(iter(vectors.values())))
        found = [
            self._products(derivation, {name: rows[first : first + group] for name, rows in vectors.items()})
            for first in range(0, count, group)
        ]
        return {
            role: {name: np.concatenate([part[role][name] for part in found]) for name in named}
            for role, named in found[0].items()
        }

    def spent(self) -> Report:
        """What has been run since this was asked for the last time."""
        report, self.report = self.report, Report()
        return replace(report, kinks=Kinks(self.nodes, 1, self.bound))

    def _products(self, derivation: Derivation, vectors: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
        """Those of vectors that are looked at together: at every point around all of them."""
        points, count = len(self._moved), len(next(iter(vectors.values())))
        given = arrays_of(self._around.arguments)
        arguments = dict(given) | {name: np.repeat(given[name], count, axis=0) for name in self.wrt}
        each = {name: np.tile(rows, (points, *[1] * (rows.ndim - 1))) for name, rows in vectors.items()}
        around = self._ask(Differentiate(replace(self._around, arguments=arguments), derivation, each))
        return self._limits(
            {
                role: {name: array.reshape(points, count, *array.shape[1:]) for name, array in named.items()}
                for role, named in around.arrays.items()
            }
        )

    def _require_gradient(self, derivation: Derivation) -> None:
        """Sees that there is a gradient, once, where second derivatives are asked for without one."""
        alone = isinstance(derivation, Curvature) or (isinstance(derivation, Hvp) and derivation.product_only)
        if self._has_gradient or not alone:
            return
        self._has_gradient = True
        self._limits(self._ask(Differentiate(self._around, Gradient(self.wrt))).arrays)

    @once
    def _moved(self) -> Array:
        """The points around, (points, entries)."""
        point = self._layout.pack(arrays_of(self.call.arguments))
        return np.asarray(point + displacements(point))

    @once
    def _layout(self) -> Layout:
        return Layout({name: arrays_of(self.call.arguments)[name].shape for name in self.wrt})

    @once
    def _around(self) -> Call:
        """The call at all of them, as a batch."""
        own = arrays_of(self.call.arguments)
        parts = [self._layout.unpack(row) for row in self._moved]
        arguments = dict(own) | {n: np.stack([p[n] for p in parts]).astype(own[n].dtype) for n in self.wrt}
        return replace(self.call, arguments=arguments, batch=Batch(self.wrt))

    @once
    def _here(self) -> Mapping[str, Array]:
        """The outputs at the point itself."""
        return self._ask(Differentiate(self.call, Evaluate())).arrays["value"]

    def _ask(self, question: Differentiate) -> Derivatives:
        answer = by_convention(self.context, question, self.control)
        # Of the first piece of work, executor and placement; of all of them the rest.
        self.report = self.report + answer.report if self.report.executor else answer.report
        return answer

    def _limits(self, around: Mapping[str, Mapping[str, Array]]) -> dict[str, dict[str, Array]]:
        """The limits of what are derivatives; values must tend to those at the point."""
        for name, values in [each for role in _VALUES for each in around.get(role, {}).items()]:
            if values.dtype.kind == "f":
                self._require_continuity(name, self._here[name], values)
        return {
            role: {name: self._limit(f"{role}:{name}", array) for name, array in named.items()}
            for role, named in around.items()
            if role not in _VALUES
        }

    def _require_continuity(self, name: str, here: Array, values: Array) -> None:
        """Refuses where the function jumps.

        Raises:
            NotDifferentiable: it does not tend to its value.
        """
        found = limit(values, float(np.finfo(values.dtype).eps))
        jumps = np.argwhere(~(np.abs(found.value - here) <= found.bound) | np.isinf(found.bound))
        if len(jumps):
            index = tuple(map(int, jumps[0]))
            told = f"the output {name} is {float(here[index]):.9g} and tends to {float(found.low[index]):.9g} along one"
            text = f"{told} direction and to {float(found.high[index]):.9g} along another"
            raise self.refusal([Violation(f"value:{name}", "K3", text)])

    def _limit(self, name: str, array: Array) -> Array:
        """The limit of an array from its values around.

        Raises:
            NotDifferentiable: there is none.
        """
        found = limit(array, float(np.finfo(array.dtype).eps))
        failed = np.argwhere(~np.isfinite(found.bound))
        if len(failed):
            raise self.refusal([_apart(name, tuple(map(int, index)), found) for index in failed[:NAMED]])
        self.bound = max(self.bound, float(found.bound.max(initial=0.0)))
        return found.value.astype(array.dtype)


def _apart(name: str, index: tuple[int, ...], found: Any) -> Violation:
    """Says that the limits of one element differ."""
    entry = f"{name}[{','.join(map(str, index))}]" if index else name
    low, high = float(found.low[index]), float(found.high[index])
    text = f"{entry} tends to {low:.9g} along one direction and to {high:.9g} along another"
    return Violation(name, "K3", text if abs(high - low) > 0 else f"{entry} has no limit that can be told")
