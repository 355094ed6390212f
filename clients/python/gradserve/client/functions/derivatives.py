"""Derivatives within a graph: of functions that a traced function calls, nested to any depth and inside loops.

Each function is traced once, at the types of its arguments, and one node of the graph names its derivative. The service
writes that out before it does anything else, so that derivatives of derivatives are as any others. What a function
captures does not move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from gradserve.client.functions.closed import Tree
from gradserve.client.functions.parts import Parts, flat_parts, has_complex, joined
from gradserve.client.functions.points import Point, Wrt, positions
from gradserve.client.tracing.origins import untraceable
from gradserve.client.tracing.trees import Structure, kept_beside
from gradserve.ir.builder import Value
from gradserve.ir.types import TensorType
from gradserve.numpy.indexing import getitem
from gradserve.numpy.recorder import Recorder
from gradserve.ops.control.derivatives import Jvp, Vjp
from gradserve.ops.linalg.triangles import on_diagonal

Mode: TypeAlias = Literal["auto", "forward", "reverse"]


def value_and_grad(
    function: Callable[..., Any], wrt: Wrt = 0, mode: Literal["reverse", "forward"] = "reverse"
) -> Callable[..., tuple[Any, Any]]:
    """A function that returns what `function` does, a real scalar, and its gradient in the arguments `wrt`.

    The gradient has the structure of the argument; if `wrt` lists several, it is a tuple. Forward mode takes a product
    for each of its elements, and keeps nothing of loops. More may be returned beside the scalar, in a pair with a dict.

    Raises:
        Untraceable: when called: no function is being traced, the result is no real scalar, or what moves is not real.
        ValueError: there is no such mode.
    """
    _require_mode(mode, "reverse", "forward")

    def both(*arguments: Any) -> tuple[Any, Any]:
        chosen = positions(function, wrt, len(arguments))
        if has_complex([arguments[k] for k in chosen]):
            parts = Parts(arguments)
            inner = value_and_grad(lambda *apart: function(*parts.together(apart)), chosen, mode)
            value, found = inner(*parts.apart(arguments))
            slopes = Parts([arguments[k] for k in chosen]).together(found, -1.0)
            return value, slopes[0] if isinstance(wrt, int | str) else slopes
        point = Point(function, arguments, wrt, "a gradient")
        if kept_beside(point.closed.structure):
            inner = value_and_grad(lambda *given: function(*given)[0], wrt, mode)
            return function(*arguments), inner(*arguments)[1]
        point.require_real_results()
        if [type_.rank for type_ in point.results] != [0]:
            shown = ", ".join(map(str, point.results)) or "nothing"
            raise untraceable(f"a gradient is of one number, and the function returns {shown}", "reduce it, or use vjp")
        if mode == "forward":
            values, (gradient,) = _rows_by_columns(point)
        else:
            found = point.apply(Vjp, lambda g: [g.full(point.results[0], 1)], stacked=False)
            values, gradient = found[:1], found[1:]
        return point.returned(values), point.in_arguments(gradient)

    return both


def grad(
    function: Callable[..., Any], wrt: Wrt = 0, mode: Literal["reverse", "forward"] = "reverse"
) -> Callable[..., Any]:
    """A function that returns the gradient of `function`, a real scalar, in the arguments `wrt`; see value_and_grad."""
    both = value_and_grad(function, wrt, mode)
    return lambda *arguments: both(*arguments)[1]


def jvp(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """What the function returns at the primals, and the derivative there along the tangents.

    Args:
        function: of trees of arrays.
        primals: its arguments.
        tangents: for each of them one of the same structure, shapes and types; None for one that does not move.

    Raises:
        Untraceable: no function is being traced, something is not real, or tangents do not fit.
    """
    wrt = _with_tangents(primals, tangents)
    if has_complex([primals[k] for k in wrt]):
        return _jvp_by_parts(function, primals, tangents)
    point = Point(function, primals, wrt, "a derivative")
    point.require_real_results()
    structures = [Tree.of(primals[k], "").structure for k in wrt]
    vectors = _vectors([tangents[k] for k in wrt], structures, point.moving, "a tangent")
    results = point.apply(Jvp, vectors, stacked=False)
    count = len(point.results)
    return point.returned(results[:count]), point.returned(results[count:])


def vjp(function: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """What the function returns at the primals, and its pullback there.

    That takes a cotangent, of the structure, shapes and types of what the function returns, and returns a tuple: the
    cotangent of each of the primals, all of which are real.

    Raises:
        Untraceable: no function is being traced, something is not real, or the cotangent does not fit.
    """
    if has_complex(primals):
        return _vjp_by_parts(function, primals)
    point = Point(function, primals, range(len(primals)), "a pullback")
    point.require_real_results()

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        vectors = _vectors([cotangent], [point.closed.structure], point.results, "the cotangent")
        found: tuple[Any, ...] = point.in_arguments(point.apply(Vjp, vectors, stacked=False)[len(point.results) :])
        return found

    return function(*primals), pullback


def _jvp_by_parts(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The same in complex arguments."""
    parts, of_result = Parts(primals), Parts([function(*primals)])
    found = jvp(
        lambda *apart: of_result.apart([function(*parts.together(apart))])[0],
        parts.apart(primals),
        parts.apart(tangents),
    )
    value, tangent = (of_result.together([each])[0] for each in found)
    return value, tangent


def _vjp_by_parts(function: Callable[..., Any], primals: Sequence[Any]) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """The same in complex arguments: a cotangent u of a result z is of a loss that changes by the real part of u dz."""
    value, parts = function(*primals), Parts(primals)
    of_result = Parts([value])
    _, pull = vjp(lambda *apart: of_result.apart([function(*parts.together(apart))])[0], *parts.apart(primals))
    return value, lambda cotangent: parts.together(pull(of_result.apart([cotangent], -1.0)[0]), -1.0)


def hvp(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The Hessian of the function, a real scalar, at the primals times the tangents.

    It has the structure of the primal that moves; a tuple if several do. See `jvp`.
    """
    wrt = _with_tangents(primals, tangents)
    return jvp(grad(function, wrt[0] if len(wrt) == 1 else wrt), primals, tangents)[1]


def jacobian(function: Callable[..., Any], wrt: Wrt = 0, mode: Mode = "auto") -> Callable[..., Any]:
    """A function that returns the Jacobian of `function` in the arguments `wrt`.

    For each leaf that the function returns, of shape s, it has the structure of the arguments, with arrays of shape
    (*s, *t) for leaves of shape t. Forward mode takes a product for each element of the arguments, reverse mode one for
    each of the results; `auto` takes the fewer. Complex results have one in real arguments, and real results one in
    complex arguments, whose rows are gradients, df/dx - i df/dy.

    Raises:
        Untraceable: when called: no function is being traced, or results are complex and arguments as well.
        ValueError: there is no such mode.
    """
    _require_mode(mode, "auto", "forward", "reverse")

    def dense(*arguments: Any) -> Any:
        chosen = positions(function, wrt, len(arguments))
        if has_complex([arguments[k] for k in chosen]):
            return _dense_by_parts(function, arguments, chosen, mode, isinstance(wrt, int | str))
        point = Point(function, arguments, wrt, "a Jacobian")
        if any(type_.is_complex for type_ in point.results):
            return _dense_by_parts(function, arguments, chosen, mode, isinstance(wrt, int | str))
        point.require_real_results()
        forward = mode == "forward" or (mode == "auto" and _count(point.moving) <= _count(point.results))
        rows = _rows_by_columns(point)[1] if forward else _rows(point)
        return point.returned([point.in_arguments(row) for row in rows])

    return dense


def _dense_by_parts(
    function: Callable[..., Any], arguments: Sequence[Any], chosen: Sequence[int], mode: Mode, is_one: bool
) -> Any:
    """The same of complex results in real arguments, or of real results in complex ones: rows df/dx - i df/dy."""
    moving, result = [arguments[k] for k in chosen], function(*arguments)
    if has_complex(moving) and has_complex([result]):
        raise untraceable(
            "a Jacobian of complex results in complex arguments is asked for, and that takes two",
            "write that of np.real and that of np.imag of the results, each of which has rows df/dx - i df/dy",
        )
    parts, of_moving = Parts(arguments), Parts(moving)
    flat = flat_parts(lambda *apart: function(*parts.together(apart)))
    rows = jacobian(flat, chosen, mode)(*parts.apart(arguments))
    found = [of_moving.together(row, -1.0) for row in rows]
    return joined(result, [row[0] if is_one else row for row in found])


def hessian(function: Callable[..., Any], wrt: Wrt = 0) -> Callable[..., Any]:
    """A function that returns the Hessian of `function`, a real scalar, in the arguments `wrt`.

    It is the Jacobian of the gradient: for parameters of shapes s and t, an array of shape (*s, *t).

    Raises:
        Untraceable: when called: no function is being traced, or arguments are complex.
    """
    dense = jacobian(grad(function, wrt), wrt, mode="forward")

    def second(*arguments: Any) -> Any:
        if has_complex([arguments[k] for k in positions(function, wrt, len(arguments))]):
            raise untraceable(
                "a Hessian in complex arguments is asked for, and a gradient there has two derivatives",
                "write functions.hessian(lambda x, y: f(x + 1j * y), (0, 1))(z.real, z.imag), or functions.hvp",
            )
        return dense(*arguments)

    return second


def _require_mode(mode: str, *known: str) -> None:
    if mode not in known:
        raise ValueError(f"mode={mode!r} is none of {', '.join(map(repr, known))}")


def _with_tangents(primals: Sequence[Any], tangents: Sequence[Any]) -> list[int]:
    """The positions of the primals that move."""
    wrt = [k for k, tangent in enumerate(tangents) if tangent is not None]
    if len(primals) != len(tangents) or not wrt:
        text = f"{len(tangents)} tangents, of which {len(wrt)} move anything, are given for {len(primals)} primals"
        raise untraceable(text, "give one for each primal, and None for those that do not move")
    return wrt


def _vectors(
    trees: Sequence[Any], structures: Sequence[Structure], types: Sequence[TensorType], what: str
) -> Callable[[Recorder], list[Value]]:
    """The leaves of vectors as values of the types that they belong to."""
    found = [Tree.of(tree, what) for tree in trees]
    if [tree.structure for tree in found] != [*structures]:
        shown, wanted = (", ".join(map(str, each)) for each in ([tree.structure for tree in found], structures))
        raise untraceable(f"{what} is {shown} where {wanted} belongs", "give it the structure of what it belongs to")
    adapted = Tree(tuple(leaf for tree in found for leaf in tree.leaves), found[0].structure).adapted(types)
    for (path, _), given, wanted_type in zip(adapted.leaves, adapted.types, types, strict=True):
        if given != wanted_type:
            raise untraceable(f"{path} is {given} where {wanted_type} belongs", "reshape or convert it")
    return adapted.values


def _count(types: Sequence[TensorType]) -> int:
    return sum(type_.size for type_ in types)


def _bases(types: Sequence[TensorType]) -> Callable[[Recorder], list[Value]]:
    """All vectors with one 1 in them, stacked: of each leaf its part."""

    def made(g: Recorder) -> list[Value]:
        count, start, found = _count(types), 0, []
        for type_ in types:
            identity = on_diagonal(g, count, type_.element_type)
            columns = getitem(g, identity, (slice(None), slice(start, start + type_.size)))
            found.append(g.reshape(columns, (count, *type_.shape)))
            start += type_.size
        return found

    return made


def _parts(stack: Any, types: Sequence[TensorType]) -> Iterator[Any]:
    """Of a last axis over all elements that of each leaf."""
    start = 0
    for type_ in types:
        yield stack[..., start : start + type_.size]
        start += type_.size


def _rows_by_columns(point: Point) -> tuple[list[Any], list[list[Any]]]:
    """What the function returns, and for each leaf of that its derivatives in all that moves, by forward mode."""
    count, rows = len(point.results), []
    found = point.apply(Jvp, _bases(point.moving), stacked=True)
    for type_, columns in zip(point.results, found[count:], strict=True):
        parts = _parts(np.moveaxis(columns, 0, -1), point.moving)
        rows.append([x.reshape(type_.shape + t.shape) for x, t in zip(parts, point.moving, strict=True)])
    return found[:count], rows


def _rows(point: Point) -> Iterator[list[Any]]:
    """The same by reverse mode."""
    found = point.apply(Vjp, _bases(point.results), stacked=True)[len(point.results) :]
    parts = zip(*(_parts(np.moveaxis(rows, 0, -1), point.results) for rows in found), strict=True)
    for type_, row in zip(point.results, parts, strict=True):
        blocks = (np.moveaxis(x, -1, 0).reshape(type_.shape + t.shape) for x, t in zip(row, point.moving, strict=True))
        yield [*blocks]
