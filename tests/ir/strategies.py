"""Random graphs over every registered op, made of the applications that the ops themselves offer as samples."""

import functools

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Graph, Literal, Origin
from gradserve.ir.op import Op
from gradserve.ir.types import ElementType, TensorType, type_of
from gradserve.ops import OP_SET, builder
from gradserve.ops.elementwise.parts import real_part

LETTERS = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters=":")
NAMES = st.text(LETTERS, min_size=1, max_size=12)
ORIGINS = st.none() | st.builds(Origin, NAMES, st.integers(1, 2**32 - 1))
TYPES = st.builds(TensorType, st.sampled_from(ElementType), st.lists(st.integers(0, 3), max_size=3).map(tuple))


@functools.cache
def applications(op: type[Op]) -> tuple[tuple[Op, tuple[TensorType, ...]], ...]:
    return tuple((s.op, tuple(type_of(np.asarray(x)) for x in s.operands)) for s in op.samples())


@st.composite
def arrays(draw: st.DrawFn, types: st.SearchStrategy[TensorType] = TYPES) -> np.ndarray:
    """Arrays of every element type, with NaN, infinities and both zeros among them."""
    type_ = draw(types)
    return draw(hnp.arrays(type_.element_type.dtype, type_.lengths))


@st.composite
def graphs(draw: st.DrawFn, internal: bool = True) -> Graph:
    """Correct graphs of some nodes; operands are shared values, new inputs or constants. Perhaps with internal ops."""
    g = builder()
    values: list[Value] = [g.input(name, draw(TYPES)) for name in draw(st.lists(NAMES, max_size=3, unique=True))]
    for array in draw(st.lists(arrays(), max_size=2)):
        values.append(g.constant(Literal(array)))
    ops = sorted((op for op in OP_SET if internal or not op.internal), key=lambda op: op.name)
    for op in draw(st.lists(st.sampled_from(ops), min_size=1, max_size=6)):
        g.origin = draw(ORIGINS)
        applied, types = draw(st.sampled_from(applications(op)))
        operands = [draw(operand(g, values, type_)) for type_ in types]
        values += g.apply(applied, operands)
    first, *others = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    return g.build({first: values[-1]} | {name: draw(st.sampled_from(values)) for name in others})


@st.composite
def operand(draw: st.DrawFn, g: Builder, values: list[Value], type_: TensorType) -> Value:
    """A value of this type: made from one that is there, a constant, or a new input."""
    source = draw(st.sampled_from(["value", "value", "constant", "input"]))
    if source == "value" and values:
        return fitted(g, draw(st.sampled_from(values[-4:])), type_)
    if source == "constant":
        return g.constant(Literal(draw(arrays(st.just(type_)))))
    values.append(g.input(f"another input {len(values)}", type_))
    return values[-1]


def fitted(g: Builder, value: Value, type_: TensorType) -> Value:
    """A value of this type that depends on `value`."""
    if value.type == type_:
        return value
    real = g.convert(real_part(g, value), ElementType.FLOAT64)
    return g.broadcast(
        g.convert(g.reduce_sum(real, axes=tuple(range(value.type.rank))), type_.element_type), type_.shape
    )
