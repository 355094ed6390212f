"""The builder: the one way in which graphs are made, by tracing, by rules and by transforms."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import numpy as np

from gradserve.ir import budget
from gradserve.ir.attributes import make_op, plain_op
from gradserve.ir.constants import Constants
from gradserve.ir.errors import ConstraintError, InvalidGraph
from gradserve.ir.graph import Constant, Graph, Input, Node, Origin, Output
from gradserve.ir.op import Op, OpSet, attribute_types
from gradserve.ir.shapes import broadcast_shape
from gradserve.ir.types import Array, ElementType, Shape, TensorType
from gradserve.ir.value import Application, Operand, Scalar, Value, common_element_type, inferred, kind_of

__all__ = ["Application", "Builder", "Operand", "Scalar", "Value", "common_element_type"]
_Applied: TypeAlias = tuple[Op, dict[tuple[Value, ...], Application]]


class Builder:
    """Makes a graph. Equal applications become one node; dead nodes are dropped by `build`.

    `g.name(*operands, **attributes)` emits the op called `name`: `g.reduce_sum(x, axes=(0,))`.
    """

    def __init__(self, op_set: OpSet) -> None:
        """Starts an empty graph over the ops of `op_set`."""
        self.op_set = op_set
        self.origin: Origin | None = None
        """The source position given to the nodes emitted next."""
        self._inputs: dict[str, tuple[Input, Value]] = {}
        self._constants = Constants(self._leaf)
        self._ops: dict[Op, _Applied] = {}
        """Of equal ops one, which stands for all of them, and its applications by their operands."""
        self._met: dict[int, tuple[Op, _Applied]] = {}
        """Every op by its identity, with the one that stands for it: hashing an op takes longer than all the rest."""
        self._applications: list[Application] = []
        self._inferred: dict[tuple[int, ...], tuple[TensorType, ...]] = {}
        """Types of results by the identities of the op and of the operands' types."""
        self._kinds: dict[TensorType, TensorType] = {}
        """Of equal types one, which stands for all of them."""
        self._spreads: dict[Shape, Op] = {}
        self.formulas: dict[Hashable, Any] = {}
        """What `formula` has made, by the function and what it was made of."""
        self.filling: dict[Value, Value | None] = {}
        """What `splat` has found out of values: what fills them."""
        self._count = self._told = 0
        """The number of values so far, and what the budget has taken down of them and their nodes."""
        self._budget = budget.begun(self)

    def _leaf(self, type_: TensorType) -> Value:
        self._count += 1
        return Value(self, self._count - 1, self._kinds.setdefault(type_, type_))

    def input(self, name: str, type_: TensorType) -> Value:
        """A new named input.

        Raises:
            InvalidGraph: the name is taken.
        """
        if name in self._inputs:
            raise InvalidGraph(f"two inputs are named {name!r}")
        value = self._leaf(type_)
        self._inputs[name] = Input(name, type_), value
        return value

    def constant(
        self, literal: Constant | Array | Scalar | np.generic, element_type: ElementType | None = None
    ) -> Value:
        """The constant with these elements; equal constants are one value."""
        return self._constants.of(literal, element_type)

    def literal(self, value: Value) -> Constant | None:
        """The constant behind a value, or None if it is not a constant."""
        return self._constants.literals.get(value.index)

    def producer(self, value: Value) -> Application | None:
        """The node that makes a value, or None for inputs and constants."""
        return value.producer

    def lift(self, operand: Operand) -> Value:
        """The operand as a value of this graph."""
        if isinstance(operand, Value):
            if operand.builder is not self:
                raise InvalidGraph(f"{operand} belongs to another graph; pass it in as an argument")
            return operand
        return self.constant(operand)

    def apply(self, op: Op, operands: Sequence[Value]) -> tuple[Value, ...]:
        """The results of `op` on `operands`, exactly as they are.

        Raises:
            InvalidGraph: the operands break one of the op's constraints.
        """
        met = self._met.get(id(op))
        op, applied = self._standing_for(op) if met is None else met[1]
        operands = tuple(operands)
        known = applied.get(operands)
        if known is not None:
            return known.results
        types = self._inferred.get(kind_of(op, operands))
        if types is None:
            types = self._infer(op, operands)
        made = applied[operands] = Application(op, operands, types, self.origin)
        self._applications.append(made)
        index = self._count
        self._count = index + len(types)
        if len(types) == 1:
            made.results = (Value(self, index, types[0], made),)
        else:
            made.results = tuple([Value(self, index + k, type_, made) for k, type_ in enumerate(types)])
        if self._budget is not None and not len(self._applications) % budget.EVERY:
            self._budget.look(len(self._applications), self._count + len(self._applications) - self._told)
        return made.results

    def _standing_for(self, op: Op) -> _Applied:
        self._met[id(op)] = op, self._ops.setdefault(op, (op, {}))  # kept alive, so that no other gets its identity
        return self._met[id(op)][1]

    def types(self, op: Op, operands: Sequence[Value]) -> tuple[TensorType, ...]:
        """The types of the results of `op` on `operands`, which are not made; refuses operands as `apply` does."""
        op = self._standing_for(op)[0]
        found = self._inferred.get(kind_of(op, operands))
        return self._infer(op, operands) if found is None else found

    def _infer(self, op: Op, operands: Sequence[Value]) -> tuple[TensorType, ...]:
        """The types of the results: asked of the op once for each combination of operand types."""
        types = tuple([self._kinds.setdefault(t, t) for t in inferred(op, operands, self.origin)])
        if self._budget is not None:
            self._budget.require_sayable(types)
        self._inferred[kind_of(op, operands)] = types
        return types

    def emit_all(self, name: str, *operands: Operand, **attributes: Any) -> tuple[Value, ...]:
        """The results of the op called `name`, with conversions and broadcasts inserted."""
        found = self.op_set.find(name)
        if found is None:
            raise InvalidGraph(f"there is no op called {name!r}")
        try:
            op = make_op(found, attributes) if attributes else plain_op(found)
        except ConstraintError as error:
            raise InvalidGraph(f"{name} ({error.constraint}): {error.description}") from None
        return self.apply(op, op.coerce(self, operands))

    def emit(self, name: str, *operands: Operand, **attributes: Any) -> Value:
        """The only result of the op called `name`, with conversions and broadcasts inserted."""
        (result,) = self.emit_all(name, *operands, **attributes)
        return result

    def __getattr__(self, name: str) -> Callable[..., Value]:
        if name.startswith("_") or (found := self.op_set.find(name)) is None:
            raise AttributeError(f"there is no op called {name!r}")
        is_plain = not attribute_types(found) and not found.calls_functions
        emit = functools.partial(self._emit_plain, plain_op(found)) if is_plain else functools.partial(self.emit, name)
        self.__dict__[name] = emit
        return emit

    def _emit_plain(self, op: Op, *operands: Operand, **attributes: Any) -> Value:
        """As `emit`, of an op that has no attributes."""
        if attributes:
            return self.emit(op.name, *operands, **attributes)  # which refuses them
        (result,) = self.apply(op, op.coerce(self, operands))
        return result

    def convert(self, value: Value, element_type: ElementType) -> Value:
        """The value with other elements; itself if it has them."""
        if value.type.element_type is element_type:
            return value
        return self.emit("convert", value, element_type=element_type)

    def broadcast(self, value: Value, shape: Shape) -> Value:
        """The value broadcast to `shape` by NumPy's rule; itself if it has that shape."""
        if value.type.shape == shape:
            return value
        op = self._spreads.get(shape)
        if op is not None:
            return self.apply(op, (value,))[0]
        result = self.emit("broadcast_to", value, shape=shape)
        self._spreads[shape] = cast(Application, result.producer).op
        return result

    def reshape(self, value: Value, shape: Shape) -> Value:
        """The value in another shape; itself if it has that shape."""
        if value.type.shape == shape:
            return value
        return self.emit("reshape", value, shape=shape)

    def zeros(self, type_: TensorType) -> Value:
        """Zeros of a type."""
        return self.full(type_, 0)

    def full(self, type_: TensorType, fill: Scalar) -> Value:
        """An array of one number."""
        return self.broadcast(self.constant(fill, type_.element_type), type_.shape)

    def promote(self, operands: Sequence[Operand]) -> tuple[Value, ...]:
        """The operands with one element type, by NumPy's rules: Python numbers adapt to arrays."""
        element_type = common_element_type(operands)
        return tuple(
            self.convert(operand, element_type) if isinstance(operand, Value) else self.constant(operand, element_type)
            for operand in operands
        )

    def align(self, values: Sequence[Value]) -> tuple[Value, ...]:
        """The values broadcast to their common shape.

        Raises:
            ConstraintError: they have none.
        """
        shapes = [value.type.shape for value in values]
        if shapes.count(shapes[0]) == len(shapes):
            return tuple(values)
        shape = broadcast_shape(shapes)
        return tuple([self.broadcast(value, shape) for value in values])

    def build(self, outputs: Mapping[str, Value], inputs: Sequence[Value] | None = None) -> Graph:
        """The graph with these named outputs and `inputs`, by default all, its dead constants and nodes dropped."""
        needed, live = self._needed(outputs.values())
        declared = {value: input_ for input_, value in self._inputs.values()}
        taken = [*declared] if inputs is None else inputs
        constants = {value: constant for constant, value in self._constants.values.items() if live[value.index]}
        number = {value: k for k, value in enumerate((*taken, *constants))}
        nodes = []
        for made in needed:
            operands = tuple([number[operand] for operand in made.operands])
            nodes.append(Node(made.op, operands, made.types, made.origin))
            for result in made.results:
                number[result] = len(number)
        if self._budget is not None:
            spent = self._count + len(self._applications)
            self._budget.built(spent - self._told)
            self._told = spent
        return Graph(
            inputs=tuple(declared[value] for value in taken),
            constants=tuple(constants.values()),
            nodes=tuple(nodes),
            outputs=tuple(Output(name, number[value]) for name, value in outputs.items()),
        )

    def finished(self, outputs: Mapping[str, Value], inputs: Sequence[Value] | None = None) -> Graph:
        """What `build` gives, after which the builder is of no use."""
        graph = self.build(outputs, inputs)
        self.release()
        return graph

    def release(self) -> None:
        """Ends the builder's use, if it has not: its values, which know it and each other, are freed at once."""
        for application in self.__dict__.get("_applications", ()):
            application.results = ()
        self.__dict__ = {"op_set": self.op_set}

    @property
    def applications(self) -> Collection[Application]:
        """The nodes so far, in their order, dead ones too."""
        return self._applications

    def needed(self, roots: Iterable[Value]) -> list[Application]:
        """The applications that these values need, in their order: the nodes of the graph with these outputs."""
        return self._needed(roots)[0]

    def live(self, roots: Iterable[Value]) -> set[int]:
        """Indices of these values and of all that they are made of."""
        return {index for index, is_live in enumerate(self._needed(roots)[1]) if is_live}

    def _needed(self, roots: Iterable[Value]) -> tuple[list[Application], bytearray]:
        """The applications that these values need, in their order, and of each value whether anybody reads it."""
        live = bytearray(self._count)
        for root in roots:
            live[root.index] = True
        found = []
        for application in reversed(self._applications):
            results = application.results
            if live[results[0].index] if len(results) == 1 else any(live[result.index] for result in results):
                for operand in application.operands:
                    live[operand.index] = True
                found.append(application)
        return found[::-1], live

    @property
    def count(self) -> int:
        """The number of values so far, which is the index of the next one."""
        return self._count
