"""The transforms of functions that are called once: some with a derivative of their author's, some computed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gradserve.autodiff import rules
from gradserve.autodiff.control.differential import differential_of
from gradserve.autodiff.control.functions import (
    absorbing,
    call,
    function,
    kinking,
    names_of,
    numbered,
    parameters,
    with_hits,
)
from gradserve.autodiff.control.pullback import pullback
from gradserve.autodiff.vmap import vmap
from gradserve.autodiff.walk import reachable
from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import ConstraintError
from gradserve.ir.graph import Graph
from gradserve.ir.op import Absorbed, Unknown
from gradserve.ops import builder
from gradserve.ops.control.calling import output_types
from gradserve.ops.control.custom_derivative import CustomDerivative
from gradserve.ops.control.linear_call import LinearCall
from gradserve.ops.control.linear_solve import LinearSolve
from gradserve.ops.control.once import Checkpoint, Once
from gradserve.ops.family import total, with_batch


@rules.push.register
def push_checkpoint(
    op: Checkpoint, g: Builder, primals: Sequence[Value], tangents: Sequence[Value | None]
) -> tuple[tuple[Value, ...], tuple[Value | None, ...]]:
    """The function, and its differential as another one that computes the values again."""
    outputs = g.apply(op, primals)
    differential = differential_of(op.function, [tangent is not None for tangent in tangents])
    moved = [k for k, moves in enumerate(differential.moves) if moves]
    if not moved:
        return outputs, (None,) * len(outputs)
    given = [*differential.inputs, *differential.tangents.values()]
    linear = Checkpoint(differential.cut(given, [differential.dot(k) for k in moved]))
    operands = [*primals, *(tangent for tangent in tangents if tangent is not None)]
    pushed = dict(zip(moved, g.apply(linear, operands), strict=True))
    return outputs, tuple(pushed.get(k) for k in range(len(outputs)))


@rules.push.register
def push_custom(
    op: CustomDerivative, g: Builder, primals: Sequence[Value], tangents: Sequence[Value | None]
) -> tuple[tuple[Value, ...], tuple[Value | None, ...]]:
    """The function, and its rule written in place."""
    for k, tangent in enumerate(tangents):
        if tangent is not None and k not in op.moved:
            text = "depends on a parameter that its function captures, of which its rule has no tangent"
            raise ConstraintError("D1", f"it {text}; pass it as an argument, or take stop_gradient(...) of it outside")
    outputs = g.apply(op, primals)
    found = iter(_by_rule(op, g, outputs, primals, [tangents[k] for k in op.moved]))
    return outputs, tuple(next(found) if y.type.is_float else None for y in outputs)


def _by_rule(
    op: CustomDerivative,
    g: Builder,
    outputs: Sequence[Value],
    primals: Sequence[Value],
    tangents: Sequence[Value | None],
) -> list[Value | None]:
    """What the rule gives, without what is zero because a tangent is."""
    rule, types = op.rule, op.rule.value_types
    linear = reachable(rule, [rule.inputs[k].name for k in op.tangents])
    values: list[Value | None] = [*outputs, *tangents, *primals, *map(g.constant, rule.constants)]

    def filled(k: int) -> Value:
        return values[k] or g.zeros(types[k])

    for node in rule.nodes:
        moves = any(linear[k] and values[k] is not None for k in node.operands)
        if not moves and any(values[k] is None for k in node.operands) and not node.op.functions:
            values += [None] * len(node.types)
        else:
            g.origin = node.origin
            values += g.apply(node.op, [filled(k) for k in node.operands])
    return [values[o.value] if linear[o.value] else None for o in rule.outputs]


@rules.push.register
def push_linear(
    op: LinearCall, g: Builder, primals: Sequence[Value], tangents: Sequence[Value | None]
) -> tuple[tuple[Value, ...], tuple[Value | None, ...]]:
    """The function of the tangents of what it is linear in, and its differential in all else."""
    first, others = tangents[: op.linear], tangents[op.linear :]
    outputs = g.apply(op, primals)
    _, found = push_checkpoint(Checkpoint(op.function), g, primals, [*[None] * op.linear, *others])
    if any(tangent is not None for tangent in first):
        filled = [tangent or g.zeros(x.type) for tangent, x in zip(first, primals, strict=False)]
        moved = g.apply(op, [*filled, *primals[op.linear :]])
        found = tuple(total(g, pair) for pair in zip(moved, found, strict=True))
    return outputs, found


@rules.push.register
def push_solve(
    op: LinearSolve, g: Builder, primals: Sequence[Value], tangents: Sequence[Value | None]
) -> tuple[tuple[Value, ...], tuple[Value | None, ...]]:
    """From A x = b: A dx = db - dA x."""
    first, others, known = tangents[: op.linear], tangents[op.linear :], primals[op.linear :]
    outputs = g.apply(op, primals)
    _, turned = push_checkpoint(Checkpoint(op.matrix), g, [*outputs, *known], [*[None] * op.linear, *others])
    right = [total(g, [b, x and g.neg(x)]) for b, x in zip(first, turned, strict=True)]
    if all(b is None for b in right):
        return outputs, (None,) * len(outputs)
    filled = [b or g.zeros(x.type) for b, x in zip(right, outputs, strict=True)]
    return outputs, g.apply(op, [*filled, *known])


@rules.pull.register
def pull_linear(
    op: LinearCall, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
) -> tuple[Value | None, ...]:
    """The transpose, of which the function is the transpose."""
    types = output_types(op.function)
    seeds = [ct or g.zeros(type_) for ct, type_ in zip(cotangents, types, strict=True)]
    known = [operand for operand in operands[op.linear :] if isinstance(operand, Value)]
    found = g.apply(_turned(op), [*seeds, *known])
    leaving = (x if isinstance(operand, Unknown) else None for x, operand in zip(found, operands, strict=False))
    return (*leaving, *[None] * len(known))


def _turned(op: LinearCall) -> LinearCall:
    """The transpose."""
    if not isinstance(op, LinearSolve):
        return LinearCall(op.transposed, op.function, len(op.function.outputs))
    inputs = op.matrix.inputs
    back = pullback(op.matrix, [k < op.linear for k in range(len(inputs))], range(op.linear))
    inner = builder()
    own = parameters(inner, [i.type for i in inputs])
    matrix = function(inner, call(inner, back, [*own[op.linear :], *own[: op.linear]]))
    return LinearSolve(op.transposed, op.function, op.linear, matrix)


@rules.pull.register
def pull(
    op: Once, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
) -> tuple[Value | None, ...]:
    """The transpose of the function, which computes again what it reads."""
    unknown = [isinstance(operand, Unknown) for operand in operands]
    seeded = [k for k, ct in enumerate(cotangents) if ct is not None]
    back = Checkpoint(numbered(pullback(op.function, unknown, seeded)))
    given = [operand for operand in operands if isinstance(operand, Value)]
    found = iter(g.apply(back, [*given, *(ct for ct in cotangents if ct is not None)]))
    return tuple(next(found) if is_unknown else None for is_unknown in unknown)


@rules.pull.register
def pull_custom(
    op: CustomDerivative, g: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value | Unknown]
) -> tuple[Value | None, ...]:
    """The transpose of the function, which moves with what is known as the rule says."""
    unknown = [isinstance(operand, Unknown) for operand in operands]
    known = [k for k, is_unknown in enumerate(unknown) if not is_unknown]
    moved = [k for k in op.moved if k in known]
    if not moved:
        return pull(op, g, cotangents, operands)
    seeded = [k for k, ct in enumerate(cotangents) if ct is not None]
    back = numbered(pullback(op.function, unknown, seeded))
    turned = _moved_transpose(op, unknown, moved, seeded)
    first = len(known)
    moving = [*(known.index(k) for k in moved), *range(first, first + len(seeded))]
    inner, inputs = builder(), [i.type for i in back.inputs]
    results = output_types(back)
    given = parameters(inner, [*results, *(inputs[k] for k in moving), *inputs])
    tangents, own = given[len(results) : -len(inputs)], given[-len(inputs) :]
    of_known, of_cotangents = tangents[: len(moved)], tangents[len(moved) :]
    pairs = zip(
        call(inner, back, [*own[:first], *of_cotangents]),
        call(inner, turned, [*own[:first], *of_known, *own[first:]]),
        strict=True,
    )
    rule = function(inner, [inner.add(one, other) for one, other in pairs])
    values = [operands[k] for k in known] + [ct for ct in cotangents if ct is not None]
    found = iter(g.apply(CustomDerivative(back, rule, tuple(moving)), [x for x in values if isinstance(x, Value)]))
    return tuple(next(found) if is_unknown else None for is_unknown in unknown)


def _moved_transpose(
    op: CustomDerivative, unknown: Sequence[bool], moved: Sequence[int], seeded: Sequence[int]
) -> Graph:
    """The transpose, in what is unknown, of how the function moves with what is known.

    It takes what is known, the tangents of what moves there, and cotangents.
    """
    inner, types = builder(), [i.type for i in op.function.inputs]
    given = parameters(inner, [*types, *(types[k] for k in moved)])
    operands, tangents = given[: len(types)], dict(zip(moved, given[len(types) :], strict=True))
    results = call(inner, op.function, operands)
    along = [tangents.get(k) or inner.zeros(types[k]) for k in op.moved]
    differential = function(inner, call(inner, op.rule, [*results, *along, *operands]))
    real = [k for k, type_ in enumerate(output_types(op.function)) if type_.is_float]
    return numbered(pullback(differential, [*unknown, *[False] * len(moved)], [real.index(k) for k in seeded]))


@rules.spread.register
def spread_checkpoint(
    op: Checkpoint, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int
) -> tuple[Value, ...]:
    """The batched function."""
    return g.apply(Checkpoint(vmap(op.function, names_of(op.function, batched), size)), operands)


@rules.spread.register
def spread_custom(
    op: CustomDerivative, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int
) -> tuple[Value, ...]:
    """The batched function with the batched rule."""
    inside = [*[True] * len(op.function.outputs), *(batched[k] for k in op.moved), *batched]
    both = (vmap(op.function, names_of(op.function, batched), size), vmap(op.rule, names_of(op.rule, inside), size))
    return g.apply(CustomDerivative(*both, op.moved), operands)


@rules.spread.register
def spread_linear(
    op: LinearCall, g: Builder, operands: Sequence[Value], batched: Sequence[bool], size: int
) -> tuple[Value, ...]:
    """The batched function with the batched transpose, both linear in batches."""
    first = [with_batch(g, x, b, size) for x, b in zip(operands[: op.linear], batched, strict=False)]
    rest = batched[op.linear :]
    count = {"transposed": len(op.function.outputs)}

    def whole(name: str, graph: Graph) -> Graph:
        return vmap(graph, names_of(graph, [*[True] * count.get(name, op.linear), *rest]), size)

    functions: dict[str, Any] = {name: whole(name, graph) for name, graph in op.functions.items()}
    return g.apply(replace(op, **functions), [*first, *operands[op.linear :]])


@rules.absorb.register
def absorb(op: Once, g: Builder, operands: Sequence[Value], reach: Sequence[Value | None]) -> Absorbed:
    """The function in which zeros absorb."""
    linear = [own is not None for own in reach]
    marks = reachable(op.function, names_of(op.function, linear))
    results = g.apply(Checkpoint(absorbing(op.function, linear)), operands)
    return with_hits(g, results, [marks[output.value] for output in op.function.outputs])


@rules.kink.register
def kink(
    op: Checkpoint, g: Builder, operands: Sequence[Value], _outputs: Sequence[Value], moving: Sequence[bool]
) -> Value | None:
    """Whether the function sits on one."""
    found = kinking(op.function, moving)
    return None if found is None else g.apply(Checkpoint(found), operands)[0]
