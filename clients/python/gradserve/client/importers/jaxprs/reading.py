"""Equations of a jaxpr, read one after the other into the nodes of a graph."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
    seen,
    shaped,
    types_of,
)
from gradserve.client.importers.jaxprs.primitives import ARRAYS, MOVEMENTS
from gradserve.client.importers.jaxprs.refused import WAYS_ROUND
from gradserve.client.importers.lax.activity import Activity
from gradserve.client.importers.lax.elements import HALVES, Operand, computed, half_note, require_no_bits
from gradserve.ir.builder import Value
from gradserve.ir.errors import Untraceable
from gradserve.ir.graph import Origin
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder

JAX = str(PurePath(jax.__file__).parent)
_LOOPS = str(PurePath(JAX) / "_src" / "lax" / "control_flow")
_HERE = str(PurePath(__file__).parents[2])
Rule = Callable[["Reader", Recorder, Any, Sequence[Known]], Sequence[Known]]
RULES: dict[str, Rule] = {}
"""What becomes of primitives that call functions or make random numbers, by their names."""
MOST_OF_JAX = 2000
"""Steps of loops in functions of JAX: of its series, `hyp1f1` takes up to 500, and others fewer."""
MOST_ORDERS = 3
"""Up to derivatives of this order rules are imported: most of them call the function again that they are of."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """A decorator that enters what becomes of these primitives."""

    def enter(apply: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, apply))
        return apply

    return enter


class Reader:
    """Reads jaxprs into graphs."""

    def __init__(self, most: int | None, of_others: Rule) -> None:
        """`most` bounds the steps of loops that nothing else does; `of_others` reads primitives that JAX has not."""
        self._most, self._of_others = most, of_others
        self.notes: list[str] = []
        self.activity = Activity()
        self.orders: int | None = MOST_ORDERS
        """Of how many more derivatives the rules are imported; None where nothing is derived."""
        self.tangents: Activity | None = None
        """What the tangents of a rule lead to, which must be linear in them; None outside of rules."""
        self._around: Origin | None = None
        self._in_jax = False

    def bound_of(self, body: Any) -> int | None:
        """Of the steps of a loop that nothing else bounds: known for JAX's own, which are series and iterations."""
        own = is_of_jax(body) and not _file_of(body).startswith(_LOOPS)  # where loops of authors are written anew
        return self._most or (MOST_OF_JAX if self._in_jax or own else None)

    @contextmanager
    def of_order(self, orders: int | None) -> Iterator[None]:
        """A context in which rules of so many more derivatives are imported."""
        before, self.orders = self.orders, orders
        try:
            yield
        finally:
            self.orders = before

    @contextmanager
    def along(self, tangents: Sequence[Operand] | None) -> Iterator[None]:
        """A context of a rule with these tangents, or outside of rules."""
        before = self.tangents
        self.tangents = None if tangents is None else Activity([x.value for x in tangents])
        try:
            yield
        finally:
            self.tangents = before

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

        self._note(jaxpr.invars)
        for equation in jaxpr.eqns:
            self._note(equation.outvars)
            results = self._results(g, equation, [look(atom) for atom in equation.invars])
            known |= zip(equation.outvars, results, strict=True)
        return [look(atom) for atom in jaxpr.outvars]

    def _note(self, variables: Sequence[Any]) -> None:
        halves = (str(dtype) for each in variables if str(dtype := getattr(each.aval, "dtype", "")) in HALVES)
        self.notes += map(half_note, halves)

    @staticmethod
    def adopted(g: Recorder, operand: Known) -> Known:
        """The operand as one of this graph."""
        if isinstance(operand, Keys):
            return Keys(tuple(Operand(g.adopt(word.value), word.dtype) for word in operand.words))
        return operand if isinstance(operand, Refused) else Operand(g.adopt(operand.value), operand.dtype)

    def called(self, g: Recorder, equation: Any, body: Any, operands: Sequence[Known]) -> list[Known]:
        """The results of a function that an equation calls: a jaxpr, with constants of its own or without.

        JAX remembers what it has traced, and where it did so first. So what a function of JAX does stands, for its
        author, where that is called.
        """
        before = self._around, self._in_jax
        self._around, self._in_jax = self.origin_of(equation), self._in_jax or is_of_jax(body)
        try:
            return self.closed(g, body, operands) if hasattr(body, "consts") else self.read(g, body, [], operands)
        finally:
            self._around, self._in_jax = before

    def origin_of(self, equation: Any) -> Origin | None:
        """The author's nearest line behind an equation."""
        return self._around if self._in_jax else origin_of(equation) or self._around

    def _results(self, g: Recorder, equation: Any, operands: Sequence[Known]) -> Sequence[Known]:
        """The results of an equation; what cannot be imported is an error only where something needs it."""
        name, origin = equation.primitive.name, self.origin_of(equation)
        apply = self._of_others if computed_by(equation.primitive) else RULES.get(name)
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
        require_no_bits(name, (x.aval.dtype for x in (*equation.invars, *equation.outvars) if hasattr(x.aval, "dtype")))
        avals = [seen(variable.aval) for variable in equation.outvars]
        arrays = flat(operands)
        compute = ARRAYS.get(name)
        if compute is None:
            raise refusal(name, operands, self.origin_of(equation), "no graph has it", WAYS_ROUND.get(name, REWRITE))
        if any(isinstance(operand, Keys) for operand in operands):
            return self._of_words(g, equation, operands)
        made = compute(g, _plain(equation.params), arrays, avals)
        values = [made] if isinstance(made, Value) else list(made)
        types = [each for aval in avals for each in types_of(aval)]
        for value, (type_, _) in zip(values, types, strict=True):
            if value.type != type_:
                raise Unsupported(f"it would give {value.type}, not {type_}", REWRITE)
        return shaped(avals, [Operand(value, dtype) for value, (_, dtype) in zip(values, types, strict=True)])

    def _of_words(self, g: Recorder, equation: Any, operands: Sequence[Known]) -> list[Known]:
        """What moves keys moves their words."""
        name = equation.primitive.name
        if name not in MOVEMENTS:
            raise refusal(name, operands, self.origin_of(equation), "it computes with keys", "use jax.random.key_data")
        compute, results = ARRAYS[name], []
        for word in range(2):
            arrays = [x.words[word] if isinstance(x, Keys) else x for x in operands if not isinstance(x, Refused)]
            made = compute(g, equation.params, arrays, [variable.aval for variable in equation.outvars])
            results.append([made] if isinstance(made, Value) else list(made))
        dtype = np.dtype(np.uint32)
        return [Keys((Operand(a, dtype), Operand(b, dtype))) for a, b in zip(*results, strict=True)]


REWRITE = "write it by other functions of jax.numpy"


def computed_by(primitive: Any) -> Callable[..., Any] | None:
    """What a primitive computes, if it is none of JAX's, or one of sparse arrays, which JAX writes by others."""
    function = getattr(primitive.impl, "func", primitive.impl)
    module = str(getattr(function, "__module__", "")).partition(".")[0]
    return of_sparse(primitive) if module in ("jax", "jaxlib") else primitive.impl


def of_sparse(primitive: Any) -> Callable[..., Any] | None:
    """What a primitive of JAX's sparse arrays computes, which its module has by the name of the primitive."""
    name = str(primitive.name)
    module = sys.modules.get(f"jax.experimental.sparse.{name.partition('_')[0]}")
    return getattr(module, f"_{name}_impl", None)


def is_of_jax(body: Any) -> bool:
    """Whether a function that was traced is one of JAX's."""
    return _file_of(body).startswith(JAX)


def _file_of(body: Any) -> str:
    """Where a function that was traced is written."""
    info = getattr(getattr(body, "jaxpr", body), "debug_info", None)
    return str(getattr(info, "func_filename", None) or "")


def _plain(given: Any) -> Any:
    """Parameters with Python's numbers in the place of NumPy's, and with the elements that are computed."""
    if isinstance(given, dict):
        return {name: _plain(value) for name, value in given.items()}
    if type(given) is tuple:
        return tuple(map(_plain, given))
    if isinstance(given, np.dtype):
        return computed(given)
    return int(given) if isinstance(given, np.integer) else given


def origin_of(equation: Any) -> Origin | None:
    """The nearest line behind an equation that is neither JAX's nor ours."""
    trace = equation.source_info.traceback
    for frame in trace.frames if trace is not None else ():
        inside = frame.file_name.startswith((JAX, _HERE, "<"))
        if not inside:
            return Origin(PurePath(frame.file_name).name, frame.line_num)
    return None


def avals_of(variables: Sequence[Any]) -> list[Any]:
    """The types of variables."""
    return [variable.aval for variable in variables]
