"""From what a caller says to questions, and from answers to trees: by what the records of derivations say."""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np

from gradserve.client.tracing.signature import Bound, Form, Names, names_of
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.types import TensorType, type_of
from gradserve.questions.asked import Answer
from gradserve.questions.call import AtKinks, Batch, Call, Options, Placement, Reduction, Transport
from gradserve.questions.derivations import COTANGENTS, DERIVATIONS, TANGENTS, Derivation, Evaluate, Hvp
from gradserve.questions.derivatives import Derivatives, Differentiate
from gradserve.questions.estimated import ESTIMATES
from gradserve.questions.estimates import BY_GROUP
from gradserve.questions.explanation import Explain
from gradserve.questions.matrices import Group, OfMatrix
from gradserve.questions.options import Option, options_of
from gradserve.questions.shown import Converging
from gradserve.questions.solve import SolveHessian
from gradserve.questions.spectra import SPECTRA

E = TypeVar("E", bound=enum.StrEnum)

KEYWORDS = {TANGENTS: "tangent", COTANGENTS: "cotangent"}
"""What a caller says for the vectors that a derivation takes."""
_ALWAYS: Mapping[type[Derivation], Mapping[str, Any]] = {Hvp: {"product_only": True}}
"""How functions of this client ask."""


def choice(kind: type[E], word: str, what: str) -> E:
    """The member of that name.

    Raises:
        InvalidRequest: there is none.
    """
    try:
        return kind(word)
    except ValueError:
        raise InvalidRequest(f"there is no {what} {word!r}; there are {', '.join(kind)}") from None


def call_of(
    bound: Bound,
    reduction: str = "none",
    placement: str = "auto",
    count_kinks: bool = True,
    executor: str = "",
    kinks: str = "convention",
    transport: str = "exact",
) -> Call:
    """The call of a graph with its arguments.

    Raises:
        InvalidRequest: there is no such reduction, placement, transport or way with kinks, or nothing to reduce.
    """
    reduced = choice(Reduction, reduction, "reduction")
    if reduced is not Reduction.NONE and not bound.batch:
        raise InvalidRequest(f"reduction={reduction!r} is over the points of a batch, and there is none")
    batch = Batch(bound.batch, reduced) if bound.batch else None
    options = _options(placement, count_kinks, executor, kinks, transport)
    return Call(bound.traced.graph, bound.arguments, batch, options)


@functools.lru_cache(maxsize=64)
def _options(placement: str, count_kinks: bool, executor: str, kinks: str, transport: str) -> Options:
    placed, at_kinks = choice(Placement, placement, "placement"), choice(AtKinks, kinks, "way with kinks")
    travels = choice(Transport, transport, "transport")
    return Options(executor, placed, count_kinks=count_kinks, kinks=at_kinks, transport=travels)


def options_from(kind: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a question by the names of its fields, from what is given by keyword; takes others as they are.

    Raises:
        InvalidRequest: a word is none of those that there are, or a value is of another kind.
    """
    found = dict(given)
    for option in _options_of(kind) if found else ():
        if option.keyword in found:
            found[option.name] = _option(option.default, found.pop(option.keyword), option.keyword)
    return found


@functools.cache
def _options_of(kind: Any) -> tuple[Option, ...]:
    return options_of(kind)


def whole(value: Any, keyword: str) -> int:
    """A whole number that is given by keyword.

    Raises:
        InvalidRequest: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InvalidRequest(f"{keyword} is {value!r}; it must be a whole number")
    return int(value)


def _option(default: Any, value: Any, keyword: str) -> Any:
    """The value of an option, whose default says what it is: a choice by its word, a switch or a number."""
    if isinstance(default, enum.StrEnum):
        return choice(type(default), value, keyword)
    if isinstance(default, bool):
        if not isinstance(value, bool | np.bool):
            raise InvalidRequest(f"{keyword} is {value!r}; write True or False")
        return bool(value)
    if isinstance(default, int):
        return whole(value, keyword)
    if isinstance(default, float):
        if isinstance(value, bool) or not isinstance(value, Real):
            raise InvalidRequest(f"{keyword} is {value!r}; it must be a number")
        return float(value)
    return value


def groups_of(bound: Bound, groups: Mapping[str, Names] | None) -> tuple[Group, ...]:
    """The groups of inputs, each given by names of parameters, or of what lies in them: `params.layers.0`.

    Raises:
        InvalidRequest: they are no mapping, or name what there is not.
    """
    if groups is None:
        return ()
    if not isinstance(groups, Mapping):
        raise InvalidRequest(f"groups is {groups!r:.80}; write a dict from names to names of parameters")
    inputs = bound.real_inputs()
    return tuple(Group(str(name), _under(inputs, names, f"groups[{name!r}]")) for name, names in groups.items())


def _under(inputs: Sequence[str], names: Names, option: str) -> tuple[str, ...]:
    """The inputs that are, or lie in, what the names say."""
    under = {name: [i for i in inputs if i == name or i.startswith(f"{name}.")] for name in _prefixes(inputs)}
    chosen = {each for name in names_of(names, under, option) for each in under[name]}
    return tuple(each for each in inputs if each in chosen)


def _prefixes(inputs: Sequence[str]) -> list[str]:
    parts = [each.split(".") for each in inputs]
    return list(dict.fromkeys(".".join(each[:k]) for each in parts for k in range(1, len(each) + 1)))


def token_of(resume: Any) -> bytes:
    """The token to go on with: itself, or that of an answer; none for None.

    Raises:
        InvalidRequest: there is none.
    """
    token = getattr(resume, "token", resume)
    if token is None:
        return b""
    if not isinstance(token, bytes) or not token:
        text = "write an answer on the way or its .token; one whose work takes more than 32 MiB to tell has none"
        raise InvalidRequest(f"resume is {resume!r:.80}; {text}")
    return token


def require_callable(progress: Any) -> None:
    """Sees that progress can be told.

    Raises:
        InvalidRequest: it is no function.
    """
    if progress is not None and not callable(progress):
        raise InvalidRequest(
            f"progress is {progress!r}; write a function, which is called with every answer on the way"
        )


def derivation_of(kind: type[Derivation], bound: Bound, options: Mapping[str, Any]) -> Derivation:
    """The derivation in the parameters to differentiate.

    Raises:
        InvalidRequest: an option has no such value, or there is nothing to differentiate.
    """
    chosen = options_from(kind, {**_ALWAYS.get(kind, {}), **options})
    return kind(wrt=() if kind is Evaluate else bound.real_inputs(), **chosen)


def vectors_of(kind: type[Derivation], bound: Bound, tree: Any) -> dict[str, Any]:
    """The vectors that a derivation takes, by input or by output, from a tree.

    Raises:
        InvalidRequest: it has not the structure of the parameters, or of the value.
    """
    if kind.takes == TANGENTS:
        return bound.vectors(tree, KEYWORDS[TANGENTS])
    return bound.cotangents(tree) if kind.takes == COTANGENTS else {}


def vector_types(kind: type[Derivation], bound: Bound) -> dict[str, TensorType]:
    """The types of the vectors that a derivation would take."""
    if kind.takes == TANGENTS:
        return {name: type_of(bound.arguments[name]) for name in bound.real_inputs()}
    if kind.takes == COTANGENTS:
        points = (bound.batch_size,) if bound.batch else ()
        types = bound.concrete().traced.graph.output_types
        return {name: t.with_shape((*points, *t.shape)) for name, t in types.items() if t.is_float}
    return {}


def explained(name: str, bound: Bound, call: Call) -> Explain:
    """The question to explain a derivation or an estimate, as a function of this client would ask it.

    Raises:
        InvalidRequest: there is nothing of that name, or nothing to differentiate.
    """
    if name in ESTIMATES:
        return Explain(ESTIMATES[name](call, bound.real_inputs()))
    if name in SPECTRA:
        return Explain(_of_matrix(SPECTRA[name], bound, call))
    if name not in DERIVATIONS:
        known = ", ".join([*DERIVATIONS, *ESTIMATES, *SPECTRA])
        raise InvalidRequest(f"there is no derivation {name!r}; there are {known}")
    kind = DERIVATIONS[name]
    return Explain(Differentiate(call, derivation_of(kind, bound, {}), vector_types(kind, bound)))


def _of_matrix(kind: type[OfMatrix], bound: Bound, call: Call) -> OfMatrix:
    """The question about a matrix; a system's right-hand side has the type of the inputs."""
    wrt = bound.real_inputs()
    if kind is SolveHessian:
        return SolveHessian(call, wrt, right={name: type_of(bound.arguments[name]) for name in wrt})
    return kind(call, wrt)


def trees_of(kind: type[Derivation], form: Form) -> Callable[[Derivatives], Any]:
    """What makes trees of what a derivation gives: a tuple if it is several things. Of a dense one the matrix alone.

    Values and gradients that were left out are left out.
    """
    roles = tuple(kind.gives.values())
    if kind.dense:
        matrix = form.hessian if "gradient" in roles else form.jacobian
        return lambda found: matrix(found.blocks)
    always = [role not in ("value", "gradient") for role in roles]
    makers = [form.outputs if role in ("value", "tangent") else form.parameters for role in roles]
    parts = [*zip(roles, always, makers, strict=True)]

    def trees(found: Derivatives) -> Any:
        arrays, given = found.arrays, []
        for role, needed, tree in parts:
            leaves = arrays.get(role)
            if leaves or needed:
                given.append(tree(leaves or {}))
        return given[0] if len(given) == 1 else tuple(given)

    return trees


def in_parameters(bound: Bound, answer: Answer, groups: Sequence[str] = ()) -> Answer:
    """An estimate, what it has for each input in the structure of the parameters, and for groups in their order."""
    assert is_dataclass(answer)
    named = {field.name: getattr(answer, field.name) for field in fields(answer)}
    mappings = {name: each for name, each in named.items() if isinstance(each, Mapping) and each}
    trees = {
        name: {group: each[group] for group in groups} if groups and name in BY_GROUP else bound.parameters(each)
        for name, each in mappings.items()
    }
    return replace(answer, **trees) if trees and not isinstance(answer, type) else answer


class Told:
    """Tells the answers of a stream in the structure of the parameters, estimates with all that was said before."""

    def __init__(self, bound: Bound, groups: Sequence[str], progress: Callable[[Any], object] | None) -> None:
        """Nothing has been said."""
        self._bound, self._groups, self._progress = bound, groups, progress
        self.last: dict[tuple[int, str], Any] = {}
        """The last answer at each point about each group."""

    def __call__(self, answer: Answer) -> None:
        """Tells the next one."""
        found: Any = in_parameters(self._bound, answer, self._groups)
        about = getattr(found, "point", 0), getattr(found, "group", "")
        self.last[about] = found.after(self.last.get(about)) if isinstance(found, Converging) else found
        if self._progress is not None:
            self._progress(self.last[about])


def by_group(found: Sequence[Any], points: bool, groups: bool) -> Any:
    """The last answers about several matrices: a dict by group if there are such, at each of several points a list."""
    by_point: dict[int, dict[str, Any]] = {}
    for each in found:
        by_point.setdefault(each.point, {})[each.group] = each
    rows = [named if groups else named[""] for named in by_point.values()]
    return rows if points else rows[0]
