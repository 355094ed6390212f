"""Equations of a jaxpr, read one after the other into the nodes of a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Any

import jax
import numpy as np

from gradserve.client.importers.imported import at, refusal
from gradserve.client.importers.jaxprs.operands import (
    Keys,
    Known,
    Refused,
    constant_of,
    flat,
    shaped,
    types_of,
)
from gradserve.client.importers.jaxprs.primitives import ARRAYS, MOVEMENTS, WAYS_ROUND
from gradserve.client.importers.lax.elements import Operand
from gradserve.ir.builder import Value
from gradserve.ir.errors import Untraceable
from gradserve.ir.graph import Origin
from gradserve.numpy.recorder import Recorder

JAX = str(PurePath(jax.__file__).parent)
_HERE = str(PurePath(__file__).parents[2])
Rule = Callable[["Reader", Recorder, Any, Sequence[Known]], Sequence[Known]]
RULES: dict[str, Rule] = {}
"""What becomes of primitives that call functions or make random numbers, by their names."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """A decorator that enters what becomes of these primitives."""

    def enter(apply: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, apply))
        return apply

    return enter


class Reader:
    """Reads jaxprs into graphs."""

    def __init__(self, most: int | None) -> None:
        """`most` bounds the steps of loops that nothing else does."""
        self.most = most
        self.notes: list[str] = []

    def closed(self, g: Recorder, jaxpr: Any, operands: Sequence[Known]) -> list[Known]:
        """The results of a jaxpr with its constants."""
        return self.read(g, jaxpr.jaxpr, [constant_of(g, each) for each in jaxpr.consts], operands)

    def read(self, g: Recorder, jaxpr: Any, constants: Sequence[Known], operands: Sequence[Known]) -> list[Known]:
        """The results of a jaxpr."""
        known: dict[Any, Known] = {}
        known |= zip(jaxpr.constvars, constants, strict=True)
        known |= zip(jaxpr.invars, [self.adopted(g, operand) for operand in operands], strict=True)

        def look(atom: Any) -> Known:
            return known[atom] if not hasattr(atom, "val") else constant_of(g, np.asarray(atom.val, atom.aval.dtype))

        for equation in jaxpr.eqns:
            results = self._results(g, equation, [look(atom) for atom in equation.invars])
            known |= zip(equation.outvars, results, strict=True)
        return [look(atom) for atom in jaxpr.outvars]

    @staticmethod
    def adopted(g: Recorder, operand: Known) -> Known:
        """The operand as one of this graph."""
        if isinstance(operand, Keys):
            return Keys(tuple(Operand(g.adopt(word.value), word.dtype) for word in operand.words))
        return operand if isinstance(operand, Refused) else Operand(g.adopt(operand.value), operand.dtype)

    def _results(self, g: Recorder, equation: Any, operands: Sequence[Known]) -> Sequence[Known]:
        """The results of an equation; what cannot be imported is an error only where something needs it."""
        name, origin = equation.primitive.name, origin_of(equation)
        apply = RULES.get(name)
        refused = next((operand for operand in operands if isinstance(operand, Refused)), None)
        if apply is None and refused is not None:
            return [refused] * len(equation.outvars)
        try:
            with at(g, name, [x for x in operands if not isinstance(x, Refused)], origin):
                if apply is not None:
                    return apply(self, g, equation, operands)
                return self._arrays(g, equation, operands)
        except Untraceable as error:
            return [Refused(error)] * len(equation.outvars)

    def _arrays(self, g: Recorder, equation: Any, operands: Sequence[Known]) -> list[Known]:
        """The results of a primitive of arrays, seen to have the types that JAX says."""
        name = equation.primitive.name
        avals = [variable.aval for variable in equation.outvars]
        arrays = flat(operands)
        compute = ARRAYS.get(name)
        if compute is None:
            raise refusal(name, operands, origin_of(equation), "no graph has it", WAYS_ROUND.get(name, _REWRITE))
        if any(isinstance(operand, Keys) for operand in operands):
            return self._of_words(g, equation, operands)
        made = compute(g, equation.params, arrays, avals)
        values = [made] if isinstance(made, Value) else list(made)
        types = [each for aval in avals for each in types_of(aval)]
        for value, (type_, _) in zip(values, types, strict=True):
            assert value.type == type_, f"{name} gives {value.type}, not {type_}"
        return shaped(avals, [Operand(value, dtype) for value, (_, dtype) in zip(values, types, strict=True)])

    def _of_words(self, g: Recorder, equation: Any, operands: Sequence[Known]) -> list[Known]:
        """What moves keys moves their words."""
        name = equation.primitive.name
        if name not in MOVEMENTS:
            raise refusal(name, operands, origin_of(equation), "it computes with keys", "use jax.random.key_data")
        compute, results = ARRAYS[name], []
        for word in range(2):
            arrays = [x.words[word] if isinstance(x, Keys) else x for x in operands if not isinstance(x, Refused)]
            made = compute(g, equation.params, arrays, [variable.aval for variable in equation.outvars])
            results.append([made] if isinstance(made, Value) else list(made))
        dtype = np.dtype(np.uint32)
        return [Keys((Operand(a, dtype), Operand(b, dtype))) for a, b in zip(*results, strict=True)]


_REWRITE = "write it by other functions of jax.numpy"


def origin_of(equation: Any) -> Origin | None:
    """The author's nearest line behind an equation."""
    trace = equation.source_info.traceback
    for frame in trace.frames if trace is not None else ():
        inside = frame.file_name.startswith((JAX, _HERE, "<"))
        if not inside:
            return Origin(PurePath(frame.file_name).name, frame.line_num)
    return None


def avals_of(variables: Sequence[Any]) -> list[Any]:
    """The types of variables."""
    return [variable.aval for variable in variables]
