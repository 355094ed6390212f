"""Control flow within a graph: a choice, a loop over rows, and a loop with an end that depends on numbers.

A Python `if` on a traced array has the whole function run once for each answer, and a Python loop writes its body down
once for each step. These functions take Python functions instead, trace each once, and put the choice or the loop into
the graph as one node. What the functions capture, arrays and traced arrays, is passed to them by itself.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, overload
from typing import Literal as Word

import numpy as np

from gradserve.client.functions.closed import Closed, Tree, applied, around
from gradserve.client.tracing.origins import untraceable
from gradserve.client.tracing.recording import traced
from gradserve.client.tracing.trees import Branch, Structure, unflatten
from gradserve.ir.builder import Value
from gradserve.ir.graph import Literal
from gradserve.ir.types import ElementType, TensorType
from gradserve.numpy.recorder import Recorder
from gradserve.ops.control.cond import Cond
from gradserve.ops.control.scan import Scan


class Scanned(NamedTuple):
    """What a scan returns."""

    carry: Any
    """What the last step carries on."""
    rows: Any
    """What the steps have made, stacked along a new first axis."""


class Ended(NamedTuple):
    """What a while loop returns."""

    carry: Any
    """What the last step carries on."""
    steps: Any
    """How many steps were done, an int64."""


class Reported(NamedTuple):
    """What a while loop returns that may be cut off."""

    carry: Any
    """What the last step carries on."""
    steps: Any
    """How many steps were done, an int64."""
    ended: Any
    """Whether the condition ended it; false where the loop would go on after `most` steps."""


def cond(predicate: Any, then: Callable[..., Any], otherwise: Callable[..., Any], *operands: Any) -> Any:
    """What `then(*operands)` returns if the predicate is true, and else what `otherwise(*operands)` does.

    Only the chosen function is computed. The derivative is that of the chosen function; of the predicate there is none.

    Args:
        predicate: a truth value, a scalar.
        then: a function of the operands, which are trees of arrays; it may capture others.
        otherwise: one that returns a tree of the same structure and types.
        operands: trees of arrays, given to both.

    Raises:
        Untraceable: the functions return different structures or types.
    """
    outer = around()
    trees = [Tree.of(operand, f"operands.{k}") for k, operand in enumerate(operands)]
    arguments = [(tree.structure, tree.types) for tree in trees]
    first, second = (Closed(outer, function, *arguments) for function in (then, otherwise))

    def emit(g: Any) -> Any:
        truth = _scalar(g, predicate, "the predicate")
        return chosen_of(g, truth, first, second, [v for tree in trees for v in tree.values(g)])

    return traced(outer, "cond", emit)


def chosen_of(g: Recorder, truth: Value, then: Closed, otherwise: Closed, operands: Sequence[Value] = ()) -> Any:
    """What one of two functions of the operands returns in a graph, by a truth value.

    Raises:
        Untraceable: they return different structures or types.
    """
    _require_alike(then, otherwise)
    both = (then, otherwise)
    captured = [*{value.index: value for closed in both for value in closed.reads(closed.outputs)}.values()]
    op = Cond(*(closed.graph(closed.outputs, captured) for closed in both))
    truth = g.convert(g.adopt(truth), ElementType.BOOL)
    return unflatten(then.structure, applied(g, op, [truth, *operands, *captured]))


def scan(
    function: Callable[[Any, Any], Any], init: Any, rows: Any = None, length: int | None = None, reverse: bool = False
) -> Scanned:
    """The last carry and the stacked rows of `carry, row = function(carry, row)`, done once for each row given.

    Args:
        function: from a carry and a row of `rows` to the next carry, of the same structure and types, and a row of what
            is returned; each is a tree of arrays, and None is a tree without any.
        init: the first carry.
        rows: a tree of arrays with as many rows, along their first axes; None if all steps are alike.
        length: the number of steps; needed without `rows`.
        reverse: whether to begin with the last row.

    Raises:
        Untraceable: the function does not return a pair, or changes the carry's structure or types.
        ValueError: the arrays have different numbers of rows.
    """
    outer = around()
    first, scanned = Tree.of(init, "init"), Tree.of(rows, "rows")
    length = _length(scanned, length)
    row_types = [t.with_shape(t.shape[1:]) for t in scanned.types]
    first, body, split = _traced_body(outer, _paired(function), first, (scanned.structure, row_types))
    captured = body.reads(body.outputs)
    op = Scan(body.graph(body.outputs, captured), length, split, len(row_types), reverse, stops=False)

    def emit(g: Any) -> list[Any]:
        return applied(g, op, [g.constant(length, ElementType.INT64), *first.values(g), *scanned.values(g), *captured])

    results = traced(outer, "scan", emit)
    assert isinstance(body.structure, Branch)
    _, stacked = body.structure.children
    return Scanned(unflatten(first.structure, results[:split]), unflatten(stacked, results[split:]))


@overload
def while_loop(
    go_on: Callable[[Any], Any], function: Callable[[Any], Any], init: Any, most: int, on_most: Word["refuse"] = ...
) -> Ended: ...
@overload
def while_loop(
    go_on: Callable[[Any], Any], function: Callable[[Any], Any], init: Any, most: int, on_most: Word["report"]
) -> Reported: ...
def while_loop(
    go_on: Callable[[Any], Any], function: Callable[[Any], Any], init: Any, most: int, on_most: str = "refuse"
) -> Ended | Reported:
    """The last carry and the number of steps of `carry = function(carry)`, done as long as `go_on(carry)` is true.

    It is differentiated in both modes; reverse mode keeps what it needs of `most` steps, so choose a close bound. A
    loop that would go on after `most` steps has no result: the call is refused, with what the condition compares,
    unless `on_most="report"` asks for the carry as it is, and for a truth value `ended` that says so.

    Args:
        go_on: from a carry to a truth value, a scalar.
        function: from a carry to the next, of the same structure and types.
        init: the first carry, a tree of arrays.
        most: the largest number of steps.
        on_most: what becomes of a loop that would go on, `refuse` or `report`.

    Raises:
        NumericalFailure: the condition still holds after `most` steps of numbers; of traced arrays, the call raises it.
        ValueError: `most` is negative, or there is no such `on_most`.
        Untraceable: the function changes the carry's structure or types, or `go_on` returns no truth value.
    """
    if on_most not in ("refuse", "report") or operator.index(most) < 0:
        raise ValueError(f"most={most!r} is a number of steps and on_most={on_most!r} one of 'refuse' and 'report'")
    return _refusing(go_on, function, init, most) if on_most == "refuse" else _reporting(go_on, function, init, most)


def _refusing(go_on: Callable[[Any], Any], function: Callable[[Any], Any], init: Any, most: int) -> Ended:
    """A loop that its condition ends."""
    outer = around()

    def step(carry: Any, _: Any) -> tuple[Any, Any]:
        following = function(carry)
        return following, go_on(following)

    first, body, split = _traced_body(outer, step, Tree.of(init, "init"), (Tree.of(None, "").structure, []))
    if len(body.outputs) != split + 1 or body.outputs[-1].type.rank:
        raise untraceable("go_on returns no scalar", "reduce it, such as by np.all or np.any")
    outputs = [body.recorder.convert(body.outputs[-1], ElementType.BOOL), *body.outputs[:-1]]
    captured = body.reads(outputs)
    op = Scan(body.graph(outputs, captured), most, split, 0, reverse=False, stops=True)
    begins = go_on(unflatten(first.structure, [leaf for _, leaf in first.leaves]))

    def emit(g: Any) -> list[Any]:
        truth = g.convert(_scalar(g, begins, "what go_on returns"), ElementType.BOOL)
        return applied(g, op, [_steps(g, truth, most), *first.values(g), *captured])

    steps, *carries = traced(outer, "while_loop", emit)
    return Ended(unflatten(first.structure, carries), steps)


def _reporting(go_on: Callable[[Any], Any], function: Callable[[Any], Any], init: Any, most: int) -> Reported:
    """A loop that a count of its steps may end as well, which is carried with what the condition says."""

    def goes_on(state: Any) -> Any:
        _, wanted, left = state
        return np.logical_and(wanted, left > 0)

    def step(state: Any) -> Any:
        carry, _, left = state
        following = function(carry)
        return following, np.not_equal(go_on(following), False), left - 1

    (_, wanted, _), steps = (found := _refusing(goes_on, step, (init, np.not_equal(go_on(init), False), most), most))
    return Reported(found.carry[0], steps, np.logical_not(wanted))


def _paired(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], tuple[Any, Any]]:
    """The function, seen to return a pair."""

    def pair(carry: Any, row: Any) -> tuple[Any, Any]:
        result = function(carry, row)
        if type(result) is not tuple or len(result) != 2:
            shown = f"{len(result)} things" if type(result) is tuple else f"a {type(result).__name__}"
            raise untraceable(f"the function of a scan returns {shown}", "return a pair, the carry and a row (or None)")
        return result

    return pair


def _traced_body(
    outer: Recorder,
    step: Callable[[Any, Any], tuple[Any, Any]],
    first: Tree,
    rows: tuple[Structure, Sequence[TensorType]],
) -> tuple[Tree, Closed, int]:
    """The first carry, the traced step, and how many of its outputs belong to the carry.

    Python's numbers become what the step makes of them: a loop that begins with 0 may go on with real numbers.
    """
    body = Closed(outer, step, (first.structure, first.types), rows)
    carried = _carried(first, body)
    adapted = first.adapted(carried)
    if adapted.types != first.types:
        first, body = adapted, Closed(outer, step, (adapted.structure, adapted.types), rows)
        carried = _carried(first, body)
    for (path, _), before, after in zip(first.leaves, first.types, carried, strict=True):
        if before != after:
            raise untraceable(
                f"the carry's {path} is {before} before a step and {after} after it",
                "begin with an array of the type that a step makes, or convert what it makes",
            )
    return first, body, len(first.leaves)


def _carried(first: Tree, body: Closed) -> list[TensorType]:
    """The types of the carry after a step."""
    assert isinstance(body.structure, Branch)
    after = body.structure.children[0]
    if after != first.structure:
        raise untraceable(
            f"the carry is {first.structure} before a step and {after} after it", "return it in the same structure"
        )
    return body.types[: len(first.leaves)]


def _length(scanned: Tree, length: int | None) -> int:
    """The number of steps, on which all rows agree."""
    lengths = {} if length is None else {"length": operator.index(length)}
    for (path, _), type_ in zip(scanned.leaves, scanned.types, strict=True):
        if not type_.rank:
            raise ValueError(f"{path} is a scalar and has no rows; give arrays, np.array(...) of a list")
        lengths[path] = type_.lengths[0]
    if not lengths:
        raise ValueError("a scan without rows needs its length")
    if len(set(lengths.values())) > 1:
        raise ValueError("numbers of rows differ: " + ", ".join(f"{path} {n}" for path, n in lengths.items()))
    return next(iter(lengths.values()))


def _require_alike(then: Closed, otherwise: Closed) -> None:
    if then.structure != otherwise.structure:
        raise untraceable(
            f"one function returns {then.structure}, the other {otherwise.structure}", "return the same structure"
        )
    for path, one, other in zip(then.paths, then.types, otherwise.types, strict=True):
        if one != other:
            raise untraceable(
                f"{path} is {one} in one function and {other} in the other", "return the same types from both"
            )


def _scalar(g: Recorder, truth: Any, what: str) -> Value:
    (value,) = Tree.of(truth, what).values(g)
    if value.type.rank:
        raise untraceable(f"{what} is {value.type}, no scalar", "reduce it, such as by np.all or np.any")
    return value


def _steps(g: Recorder, begins: Value, most: int) -> Value:
    """The bound, or 0 if the loop does not begin; one that would begin without any step has one to do."""
    most = max(most, 1)
    known = g.literal(begins)
    if isinstance(known, Literal):
        return g.constant(most if known.array else 0, ElementType.INT64)
    return g.select(begins, g.constant(most, ElementType.INT64), g.constant(0, ElementType.INT64))
