"""The laws that every op keeps. Each takes a sample and raises AssertionError where the op breaks it there."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

from gradserve.autodiff import kinks, linearize, transpose, vmap
from gradserve.execution.numpy import schedule as lower
from gradserve.execution.numpy.kernels.table import entry
from gradserve.ir.errors import ConstraintError, InvalidGraph, NotDifferentiable
from gradserve.ir.graph import Graph
from gradserve.ir.op import Op, Sample
from gradserve.ir.types import Array, ElementType, TensorType, type_of
from gradserve.ops import OP_SET
from gradserve.optimize import optimize
from gradserve.questions.derivations import Gradient, Hvp, Vjp
from gradserve.text.parsing import parse
from gradserve.text.printing import to_text
from gradserve.wire import decode_graph, encode_graph
from tests.laws import support
from tests.laws.derived import Derived
from tests.laws.support import (
    Arrays,
    arguments,
    cotangents,
    directions,
    evaluate,
    graph_of,
    has_derivative,
    inner,
    prefixed,
    real_inputs,
)
from tests.running import kernel_of, prepared

BATCH = 3
SINGLE = 2e-4
"""The error to be allowed in single precision, relative to the largest number."""


def infer_agrees_with_impl(sample: Sample, derived: Derived) -> None:
    """The types foretold are those of the arrays computed, in double and in single precision."""
    for chosen in (sample, support.narrowed(sample)):
        foretold = chosen.op.infer(*(type_of(x) for x in chosen.operands))
        computed = tuple(type_of(y) for y in support.results_of(chosen.op, chosen.operands))
        assert foretold == computed


def kernel_agrees_with_impl(sample: Sample, derived: Derived) -> None:
    """The specialised callable gives the same up to rounding, also into given memory; so do operands that broadcast."""
    for chosen in (sample, support.narrowed(sample)):
        expected = support.results_of(chosen.op, chosen.operands)
        kernel = kernel_of(chosen.op, [type_of(x) for x in chosen.operands])
        with np.errstate(all="ignore"):
            results = kernel(*chosen.operands)
            _same(results if isinstance(results, tuple) else (results,), expected)
            if entry(type(chosen.op)).overwrites and expected[0].shape:
                memory = np.empty_like(expected[0])
                kernel(*chosen.operands, out=memory)
                _same([memory], expected)
    if entry(type(sample.op)).broadcasts and len(sample.operands) > 1:
        first, *rest = sample.operands
        single = first[(slice(0, 1),) * first.ndim]
        spread = np.broadcast_to(single, first.shape)
        _same(support.results_of(sample.op, [single, *rest]), support.results_of(sample.op, [spread, *rest]))


def misuse_breaks_a_numbered_constraint(sample: Sample, derived: Derived) -> None:
    """Other operand types are taken, or refused by a constraint that the op declares."""
    types = [type_of(x) for x in sample.operands]
    attempts = [types[:-1], [*types, TensorType(ElementType.BOOL, (2,))]]
    for k, type_ in enumerate(types):
        others = [type_.with_element_type(t) for t in ElementType]
        longer = tuple(n + 1 for n in type_.lengths)
        others += [type_.with_shape(shape) for shape in ((*type_.shape, 2), type_.shape[1:], longer)]
        attempts += [[*types[:k], other, *types[k + 1 :]] for other in others]
    broken = {_broken_constraint(sample.op, attempt) for attempt in attempts}
    assert broken - {None} <= set(sample.op.constraints)


def jvp_agrees_with_differences(sample: Sample, derived: Derived) -> None:
    """The differential is the limit of difference quotients, for all operands together and for each alone."""
    if not (sample.differentiable and has_derivative(sample)):
        return
    graph = graph_of(sample)
    names = real_inputs(sample)
    step, tolerance = _precision(sample)
    for wrt in {names, *((name,) for name in names)}:
        moving = {name: v for name, v in directions(sample).items() if name in wrt}
        pushed = evaluate(derived.jvp(graph, wrt), arguments(sample) | prefixed("tangent", moving))
        quotients = support.difference_quotient(lambda x: evaluate(graph, x), arguments(sample), moving, step)
        _close(prefixed("tangent", quotients), pushed, tolerance)


def transpose_keeps_inner_products(sample: Sample, derived: Derived) -> None:
    """<u, J v> = <J^T u, v>."""
    if not has_derivative(sample):
        return
    graph, names = graph_of(sample), real_inputs(sample)
    u, v = cotangents(graph), directions(sample)
    linearized = linearize(graph, names)
    pushed = evaluate(linearized.graph, arguments(sample) | prefixed("tangent", v))
    pulled = evaluate(transpose(linearized), arguments(sample) | prefixed("cotangent", u))
    there = inner(prefixed("tangent", u), _only("tangent", pushed))
    back = inner(_only("cotangent", pulled), prefixed("cotangent", v))
    if sample.differentiable or (np.isfinite(there) and np.isfinite(back)):
        assert np.isclose(there, back, rtol=_precision(sample)[1], atol=_precision(sample)[1]), (there, back)


def transpose_is_linear(sample: Sample, derived: Derived) -> None:
    """J^T (2 u - 3 w) = 2 J^T u - 3 J^T w."""
    if not has_derivative(sample):
        return
    graph = graph_of(sample)
    pulled = derived.derive(graph, Vjp(real_inputs(sample)))
    u, w = cotangents(graph, seed=3), cotangents(graph, seed=4)
    both = {name: 2 * u[name] - 3 * w[name] for name in u}
    of_u, of_w, of_both = (
        _only("cotangent", evaluate(pulled, arguments(sample) | prefixed("cotangent", c))) for c in (u, w, both)
    )
    if sample.differentiable:
        _close({name: 2 * of_u[name] - 3 * of_w[name] for name in of_u}, of_both, _precision(sample)[1])


def derivatives_keep_types(sample: Sample, derived: Derived) -> None:
    """Tangents and cotangents have the types of what they belong to, in single precision as well."""
    for chosen in (sample, support.narrowed(sample)):
        if has_derivative(chosen):
            graph, names = graph_of(chosen), real_inputs(chosen)
            pushed, pulled = derived.jvp(graph, names), derived.derive(graph, Vjp(names))
            for name in support.real_outputs(graph):
                assert pushed.output_types[f"tangent:{name}"] == graph.output_types[name]
            for name in names:
                assert pulled.output_types[f"cotangent:{name}"] == graph.input_types[name]


def single_precision_agrees_with_double(sample: Sample, derived: Derived) -> None:
    """Values, tangents, cotangents and Hessian-vector products of float32 are those of float64 up to its rounding."""
    if not (sample.differentiable and has_derivative(sample)):
        return
    narrow = support.narrowed(sample)
    for found, wanted in zip(
        _derived_with_vectors(narrow, derived), _derived_with_vectors(support.widened(narrow), derived), strict=True
    ):
        _close(evaluate(*wanted), evaluate(*found), SINGLE)


def _derived_with_vectors(sample: Sample, derived: Derived) -> Iterator[tuple[Graph, Arrays]]:
    """The graphs of derivatives of both modes and orders, each with its arguments."""
    graph, names = graph_of(sample), real_inputs(sample)
    tangents = arguments(sample) | prefixed("tangent", directions(sample))
    yield derived.jvp(graph, names), tangents
    yield derived.derive(graph, Vjp(names)), arguments(sample) | prefixed("cotangent", cotangents(graph))
    yield derived.derive(support.loss_of(sample), Hvp(names)), tangents


def missing_derivatives_are_refused(sample: Sample, derived: Derived) -> None:
    """A derivative in an operand in which the op has none to give is refused, never zero."""
    for k in sample.op.refuses:
        try:
            derived.jvp(graph_of(sample), (f"x{k}",))
        except NotDifferentiable:
            continue
        raise AssertionError(f"{sample.op.name} gave a derivative in operand {k}")


def kinks_are_where_it_is_not_smooth(sample: Sample, derived: Derived) -> None:
    """No element sits on a kink where the op is smooth; of the samples where it is not, some show one."""
    if not real_inputs(sample):
        return
    on_kinks = _on_kinks(sample)
    if sample.differentiable:
        assert on_kinks == 0
    elif on_kinks == 0 and type(sample.op).kink is not Op.kink:
        others = [other for other in type(sample.op).samples() if real_inputs(other)]
        assert any(_on_kinks(other) for other in others), f"no sample of {sample.op.name} sits on a kink"


def _on_kinks(sample: Sample) -> int:
    """How many elements of the sample sit on a kink."""
    counts = evaluate(kinks(graph_of(sample), real_inputs(sample)), arguments(sample))
    return sum(int(count) for count in counts.values())


def analytic_ops_are_linear_over_complex_numbers(sample: Sample, derived: Derived) -> None:
    """J(i v) = i J(v) for complex v, of ops that say to have complex derivatives."""
    if not (sample.differentiable and sample.op.analytic and has_derivative(sample)):
        return
    graph, names = graph_of(sample), real_inputs(sample)
    if not all(graph.input_types[name].is_complex for name in names):
        return
    pushed, v = derived.jvp(graph, names), directions(sample)
    along, turned = (
        _only("tangent", evaluate(pushed, arguments(sample) | prefixed("tangent", {n: c * x for n, x in v.items()})))
        for c in (1.0, 1j)
    )
    kept = {name: np.asarray(1j * x).astype(x.dtype) for name, x in along.items() if np.iscomplexobj(x)}
    assert kept.keys() == along.keys()
    _close(kept, turned, _precision(sample)[1])


def second_derivative_agrees_with_differences(sample: Sample, derived: Derived) -> None:
    """The Hessian-vector product is the limit of difference quotients of the gradient."""
    if not (sample.differentiable and has_derivative(sample)):
        return
    loss, names = support.loss_of(sample), real_inputs(sample)
    step, tolerance = _precision(sample)
    gradient = derived.derive(loss, Gradient(names))
    v = directions(sample)
    products = evaluate(derived.derive(loss, Hvp(names)), arguments(sample) | prefixed("tangent", v))
    quotients = support.difference_quotient(
        lambda x: _only("gradient", evaluate(gradient, x)), arguments(sample), v, step
    )
    _close({name.replace("gradient", "product"): q for name, q in quotients.items()}, products, tolerance)


def vmap_agrees_with_loop(sample: Sample, derived: Derived) -> None:
    """A batch is computed as its examples are one by one, whichever operands carry it; so are derivatives."""
    graph = graph_of(sample)
    given = arguments(sample)
    for count in range(1, len(given) + 1):
        for names in itertools.combinations(given, count):
            _check_batch(graph, given, names)
    if sample.differentiable and has_derivative(sample):
        pulled = derived.derive(graph, Vjp(real_inputs(sample)))
        given = given | prefixed("cotangent", cotangents(graph))
        _check_batch(pulled, given, tuple(given))


def text_round_trip(sample: Sample, derived: Derived) -> None:
    """The text form tells a graph and its derivative wholly."""
    for graph in _with_derivative(sample, derived):
        assert parse(to_text(graph), OP_SET) == graph


def proto_round_trip(sample: Sample, derived: Derived) -> None:
    """The message tells a graph and its derivative wholly, unless an op in it is internal: then it is refused."""
    for each in _with_derivative(sample, derived):
        graph = _as_sent(each)
        if any(node.op.internal for part in (graph, *graph.functions) for node in part.nodes):
            with pytest.raises(InvalidGraph, match="internal"):
                decode_graph(encode_graph(graph), OP_SET)
            continue
        decoded = decode_graph(encode_graph(graph), OP_SET)
        assert decoded == graph
        assert decoded.digest == graph.digest


def executor_agrees_with_impl(sample: Sample, derived: Derived) -> None:
    """Plans compute what the ops do one by one, of a graph and of its derivative, also where memory is used again."""
    for graph in _with_derivative(sample, derived):
        given = arguments(sample) | prefixed("cotangent", cotangents(graph_of(sample)))
        given = {i.name: given[i.name] for i in graph.inputs}
        expected = evaluate(graph, given)
        for smallest in (lower.REUSE_BYTES, 2 * np.dtype(np.float64).itemsize):
            with mock.patch.object(lower, "REUSE_BYTES", smallest):
                program = prepared(graph)
            _close(expected, program(given), 2e-6 if support.is_single(sample.operands) else 1e-12)


def optimize_keeps_results(sample: Sample, derived: Derived) -> None:
    """The optimised graph computes the same, of a graph and of its derivative."""
    for graph in _with_derivative(sample, derived):
        given = arguments(sample) | prefixed("cotangent", cotangents(graph_of(sample)))
        if sample.differentiable or "value:y0" not in graph.output_types:
            _close(evaluate(graph, given), evaluate(optimize(graph), given), _precision(sample)[1])


def cost_is_not_negative(sample: Sample, derived: Derived) -> None:
    """FLOPs and bytes are numbers that are not negative."""
    operands = [type_of(x) for x in sample.operands]
    cost = sample.op.cost(operands, sample.op.infer(*operands))
    for number in (cost.flops, cost.bytes):
        assert isinstance(number, float)
        assert 0.0 <= number < np.inf


LAWS: Mapping[str, Callable[[Sample, Derived], None]] = {
    law.__name__: law
    for law in (
        infer_agrees_with_impl,
        kernel_agrees_with_impl,
        misuse_breaks_a_numbered_constraint,
        jvp_agrees_with_differences,
        transpose_keeps_inner_products,
        transpose_is_linear,
        derivatives_keep_types,
        kinks_are_where_it_is_not_smooth,
        single_precision_agrees_with_double,
        missing_derivatives_are_refused,
        analytic_ops_are_linear_over_complex_numbers,
        second_derivative_agrees_with_differences,
        vmap_agrees_with_loop,
        text_round_trip,
        proto_round_trip,
        executor_agrees_with_impl,
        optimize_keeps_results,
        cost_is_not_negative,
    )
}


def _broken_constraint(op: Op, types: Sequence[TensorType]) -> str | None:
    try:
        op.infer(*types)
    except ConstraintError as error:
        return error.constraint
    return None


def _precision(sample: Sample) -> tuple[float, float]:
    """The step for difference quotients, and the error to be allowed."""
    single = support.is_single([*sample.operands, *support.results_of(sample.op, sample.operands)])
    return (2.0**-4, 1e-3) if single else (2.0**-10, 1e-8)


def _with_derivative(sample: Sample, derived: Derived) -> list[Graph]:
    graph = graph_of(sample)
    return [graph, derived.derive(graph, Vjp(real_inputs(sample)))] if has_derivative(sample) else [graph]


def _as_sent(graph: Graph) -> Graph:
    """The graph under names that clients may use, which have no colon."""
    inputs = tuple(replace(i, name=i.name.replace(":", ".")) for i in graph.inputs)
    outputs = tuple(replace(o, name=o.name.replace(":", ".")) for o in graph.outputs)
    return replace(graph, inputs=inputs, outputs=outputs)


def _only(role: str, arrays: Arrays) -> dict[str, Array]:
    return {name: array for name, array in arrays.items() if name.startswith(f"{role}:")}


def _check_batch(graph: Graph, given: Arrays, names: tuple[str, ...]) -> None:
    examples = [{k: _varied(x, position) if k in names else x for k, x in given.items()} for position in range(BATCH)]
    expected = [evaluate(graph, example) for example in examples]
    stacked = {k: np.stack([example[k] for example in examples]) if k in names else x for k, x in given.items()}
    together = evaluate(vmap(graph, names, BATCH), stacked)
    _close({name: np.stack([one[name] for one in expected]) for name in graph.output_types}, together, 1e-10)


def _varied(x: Array, position: int) -> Array:
    """Another array of the same kind: reals shrunk, which keeps domains and definite matrices, others rolled."""
    return x * x.dtype.type(1 - position / 16) if x.dtype.kind in "fc" else np.roll(x, position)


def _same(found: Sequence[Array], expected: Sequence[Array]) -> None:
    for left, right in zip(found, expected, strict=True):
        left = np.asarray(left)
        assert left.dtype == right.dtype
        rounding = 16 * float(np.finfo(right.dtype).eps) if right.dtype.kind in "fc" else 0.0
        scale = float(np.max(np.abs(right), initial=0.0, where=np.isfinite(right)))
        np.testing.assert_allclose(left, right, rtol=rounding, atol=rounding * scale)


def _close(expected: Arrays, found: Arrays, tolerance: float) -> None:
    for name, array in expected.items():
        scale = max(1.0, float(np.max(np.abs(array[np.isfinite(array)]), initial=0.0)))
        assert found[name].shape == array.shape
        np.testing.assert_allclose(found[name], array, rtol=tolerance, atol=tolerance * scale, err_msg=name)
