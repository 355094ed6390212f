"""What the laws share: the graph of a sample, its direct evaluation, random vectors, and difference quotients."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import ConstraintError
from gradserve.ir.graph import Graph, Literal
from gradserve.ir.op import Op, Sample
from gradserve.ir.types import Array, ElementType, TensorType, type_of
from gradserve.ops import OP_SET, builder
from gradserve.ops.elementwise.parts import real_part, squared_size

OPS: tuple[type[Op], ...] = tuple(sorted((op for op in OP_SET if not op.written_out), key=lambda op: op.name))
"""All ops that are computed."""

Arrays = Mapping[str, Array]
_WIDENED = {ElementType.FLOAT32: ElementType.FLOAT64, ElementType.COMPLEX64: ElementType.COMPLEX128}


def some_at_a_time(ops: Sequence[type[Op]]) -> list[Sequence[type[Op]]]:
    """The ops in groups that JAX compiles as one program: each program costs a good deal."""
    return [ops[k : k + 10] for k in range(0, len(ops), 10)]


def from_to(ops: Sequence[type[Op]]) -> str:
    """What a test of a group is called."""
    return f"{ops[0].name} to {ops[-1].name}"


def arguments(sample: Sample) -> dict[str, Array]:
    """The operands by the names that `graph_of` gives them."""
    return {f"x{k}": operand for k, operand in enumerate(sample.operands)}


def apply(g: Builder, sample: Sample) -> dict[str, Value]:
    """The results of the sample's op on new inputs of `g`."""
    operands = [g.input(name, type_of(x)) for name, x in arguments(sample).items()]
    return {f"y{k}": result for k, result in enumerate(g.apply(sample.op, operands))}


def graph_of(sample: Sample) -> Graph:
    """The graph of one node."""
    g = builder()
    return g.build(apply(g, sample))


def loss_of(sample: Sample) -> Graph:
    """A scalar in which the op's results enter both linearly and quadratically."""
    g = builder()
    terms = []
    for k, y in enumerate(apply(g, sample).values()):
        if y.type.is_float:
            weights = random_like([y.type], seed=k)[0]
            summand = real_part(g, y * g.constant(weights)) + squared_size(g, y) * 0.5
            terms.append(g.reduce_sum(summand, axes=tuple(range(y.type.rank))))
    total = terms[0]
    for term in terms[1:]:
        total = total + g.convert(term, total.type.element_type)
    return g.build({"loss": total})


def evaluate(graph: Graph, given: Arrays) -> dict[str, Array]:
    """The outputs, computed node by node with each op's `impl`."""
    values = [given[i.name] for i in graph.inputs]
    for constant in graph.constants:
        assert isinstance(constant, Literal)
        values.append(constant.array)
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            values += node.op.results(np, *[values[k] for k in node.operands])
    return {o.name: np.asarray(values[o.value]) for o in graph.outputs}


def results_of(op: Op, operands: Sequence[Array]) -> list[Array]:
    """The results of `impl`, always as a list of arrays."""
    with np.errstate(all="ignore"):
        results = op.impl(np, *operands)
    return [np.asarray(r) for r in (results if isinstance(results, tuple) else (results,))]


def real_inputs(sample: Sample) -> tuple[str, ...]:
    """The names of the real operands in which the op has a derivative to give."""
    given = enumerate(arguments(sample).items())
    return tuple(name for k, (name, x) in given if type_of(x).is_float and k not in sample.op.refuses)


def real_outputs(graph: Graph) -> tuple[str, ...]:
    """The names of the outputs that have a derivative."""
    return tuple(name for name, type_ in graph.output_types.items() if type_.is_float)


def has_derivative(sample: Sample) -> bool:
    """Whether there is a real operand and a real result."""
    results = sample.op.infer(*map(type_of, sample.operands))
    return bool(real_inputs(sample)) and any(type_.is_float for type_ in results)


def narrowed(sample: Sample) -> Sample:
    """The sample with numbers of 32 bits; itself if it calls functions, whose types are their own."""
    return _converted(
        sample, {wide: narrow for narrow, wide in _WIDENED.items()} | {ElementType.INT64: ElementType.INT32}
    )


def widened(sample: Sample) -> Sample:
    """The sample with reals of 64 bits; itself if it calls functions, whose types are their own."""
    return _converted(sample, _WIDENED)


def complexified(op: type[Op]) -> list[Sample]:
    """The samples of an op with complex numbers near the real ones, of those that are finite, if it takes such."""
    found = []
    for sample in op.samples():
        real = [x.dtype == np.float64 for x in sample.operands]
        if sample.op.functions or not any(real) or not all(np.all(np.isfinite(x)) for x in sample.operands):
            continue
        parts = [0.25 * np.cos(np.arange(1.0, 1.0 + x.size)).reshape(x.shape) for x in sample.operands]
        operands = [x * (1.0 + 1j * y) if r else x for r, x, y in zip(real, sample.operands, parts, strict=True)]
        if takes(sample.op, operands):
            found.append(replace(sample, operands=tuple(map(np.asarray, operands))))
    return found


def takes(op: Op, operands: Sequence[Array]) -> bool:
    """Whether an op can be applied to operands of these types."""
    try:
        op.infer(*(type_of(np.asarray(x)) for x in operands))
    except ConstraintError:
        return False
    return True


def _converted(sample: Sample, chosen: Mapping[ElementType, ElementType]) -> Sample:
    if sample.op.functions:
        return sample
    types = [type_of(x).element_type for x in sample.operands]
    operands = [x.astype(chosen.get(t, t).dtype) for t, x in zip(types, sample.operands, strict=True)]
    return replace(sample, operands=tuple(operands))


def random_like(types: Sequence[TensorType], seed: int) -> list[Array]:
    """Numbers of these types whose parts are uniform in [-1, 1]."""
    generator = np.random.default_rng(seed)

    def drawn(type_: TensorType) -> Array:
        real = generator.uniform(-1, 1, type_.lengths)
        parts = real + 1j * generator.uniform(-1, 1, type_.lengths) if type_.is_complex else real
        return np.asarray(parts, type_.element_type.dtype)

    return [drawn(type_) for type_ in types]


def directions(sample: Sample, seed: int = 1) -> dict[str, Array]:
    """A random vector for each real operand."""
    given = arguments(sample)
    names = real_inputs(sample)
    return dict(zip(names, random_like([type_of(given[name]) for name in names], seed), strict=True))


def cotangents(graph: Graph, seed: int = 2) -> dict[str, Array]:
    """A random vector for each real output."""
    names = real_outputs(graph)
    return dict(zip(names, random_like([graph.output_types[name] for name in names], seed), strict=True))


def prefixed(role: str, arrays: Arrays) -> dict[str, Array]:
    """The arrays under the names that derived graphs give to a role."""
    return {f"{role}:{name}": array for name, array in arrays.items()}


def is_single(arrays: Sequence[Array]) -> bool:
    """Whether some array is of single precision."""
    return any(array.dtype in (np.float32, np.complex64) for array in arrays)


def difference_quotient(
    function: Callable[[Arrays], Arrays], point: Arrays, direction: Arrays, step: float
) -> dict[str, Array]:
    """The derivative of `function` along `direction`, by five points, with an error of the fourth order in `step`."""

    def at(multiple: int) -> Arrays:
        h = multiple * step
        return function({k: (x + h * direction[k]).astype(x.dtype) if k in direction else x for k, x in point.items()})

    ahead, behind, far_ahead, far_behind = at(1), at(-1), at(2), at(-2)
    return {
        name: (8.0 * (ahead[name] - behind[name]) - (far_ahead[name] - far_behind[name])) / (12.0 * step)
        for name in ahead
        if ahead[name].dtype.kind in "fc"
    }


def inner(left: Arrays, right: Arrays) -> float:
    """The real part of the sum of all products of two collections of arrays with the same names; none is conjugated."""
    assert left.keys() == right.keys()
    wide = {name: (np.asarray(left[name], complex), np.asarray(right[name], complex)) for name in left}
    return float(sum(np.sum(x * y).real for x, y in wide.values()))
