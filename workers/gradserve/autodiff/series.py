"""Taylor arithmetic: every value of a graph as a power series in t, its coefficients by recurrences.

An op that is linear in what moves is applied to coefficients, a product is a sum of products, and any other op is taken
as the differential equation that its differential is: from dy = f(x, y, dx) follows k y_k = [t^(k-1)] f(x, y, x'), and
f is a graph of ops as well. An op is met again there as the same series, so that sine and cosine, a tangent, an inverse
matrix close in on themselves, and the number of nodes is a low power of the order (A. Griewank, A. Walther, Evaluating
Derivatives, 2008, chapter 13).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TypeAlias

from gradserve.autodiff import rules
from gradserve.autodiff.coefficients import Coefficients, Given, Need, Series, Slope
from gradserve.autodiff.walk import refused
from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import ConstraintError
from gradserve.ir.graph import Constant, Graph
from gradserve.ir.op import Op
from gradserve.ir.records import once
from gradserve.ir.types import TensorType
from gradserve.ops import builder
from gradserve.ops.elementwise.arithmetic import Div
from gradserve.ops.family import Multilinear, total


def expanded(g: Builder, graph: Graph, inputs: Sequence[Coefficients], order: int) -> list[list[Value | None]]:
    """The coefficients to t^order of a graph's outputs, given those of its inputs; of integers the first alone.

    Raises:
        NotDifferentiable: an op on the way has no derivative.
    """
    expansion = Expansion(g, order)
    values: list[Series] = [Given(coefficients) for coefficients in inputs]
    values += [expansion.constant(constant) for constant in graph.constants]
    for position, node in enumerate(graph.nodes):
        g.origin = node.origin
        try:
            results = expansion.apply(node.op, [values[k] for k in node.operands])
            for series in results:
                series.upto(order)
        except ConstraintError as error:
            raise refused(node, position, error) from None
        values += results
    found = [[values[o.value].at(k) for k in range(order + 1)] for o in graph.outputs]
    expansion.release()
    return found


@functools.singledispatch
def whole(op: Op, g: Builder, operands: Sequence[Coefficients], order: int) -> list[list[Value | None]]:
    """The coefficients of the results of an op that takes those of its operands at once."""
    del g, operands, order
    raise TypeError(f"the series of {op.name} are found step by step")


_STEP_BY_STEP = whole.dispatch(object)


class Expansion:
    """Series in one builder; equal applications are one series."""

    def __init__(self, g: Builder, order: int) -> None:
        """Without any."""
        self.g = g
        self.order = order
        self._known: dict[tuple[Op, tuple[Series, ...]], tuple[Series, ...]] = {}
        self._slopes: dict[Series, Series] = {}
        self._constants: dict[Value, Series] = {}
        self._numbers: dict[tuple[TensorType, int], Value] = {}
        self._differentials: dict[tuple[Op, tuple[TensorType, ...], tuple[int, ...]], Differential] = {}

    def release(self) -> None:
        """Ends its use: series, which lead to each other in circles, are freed without the collector."""
        for results in self._known.values():
            for each in results:
                each.__dict__.clear()
        for table in (self._known, self._slopes, self._constants, self._numbers, self._differentials):
            table.clear()

    def slope(self, of: Series) -> Series:
        """The derivative of a series, one for all who ask: else what is applied to it would be as many series."""
        return self._slopes.setdefault(of, Slope(self, of))

    def number(self, type_: TensorType, k: int) -> Value:
        """Arrays of a whole number, which are asked for at every order of every series."""
        found = self._numbers.get((type_, k))
        if found is None:
            found = self._numbers[type_, k] = self.g.full(type_, k)
        return found

    def differential(self, op: Op, types: tuple[TensorType, ...], moving: tuple[int, ...]) -> Differential:
        """That of an op on operands of these types of which these move: one for all such applications."""
        key = (op, types, moving)
        found = self._differentials.get(key)
        if found is None:
            found = self._differentials[key] = differential(op, types, moving)
        return found

    def constant(self, constant: Constant) -> Series:
        """A constant as a series, one for equal constants."""
        value = self.g.constant(constant)
        return self._constants.setdefault(value, Given([value]))

    def apply(self, op: Op, operands: Sequence[Series]) -> tuple[Series, ...]:
        """The series of the op's results."""
        key = (op, tuple(operands))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._applied(op, operands)
        return found

    def _applied(self, op: Op, operands: Sequence[Series]) -> tuple[Series, ...]:
        if whole.dispatch(type(op)) is not _STEP_BY_STEP:
            known = [[x.at(k) for k in range(self.order + 1)] for x in operands]
            return tuple(map(Given, whole(op, self.g, known, self.order)))
        results = self.g.apply(op, [x.value for x in operands])
        if not any(result.type.is_float for result in results):
            return tuple(Given([result]) for result in results)
        application = Application(self, op, operands, results)
        return tuple(Result(application, k, result) for k, result in enumerate(results))


Differential: TypeAlias = tuple[Graph, list[bool]]
"""The tangents of the results that move, as a function of the operands and their tangents; and which move."""


def differential(op: Op, types: Sequence[TensorType], moving: Sequence[int]) -> Differential:
    """The differential of an op on operands of these types, of which these move."""
    h = builder()
    primals = [h.input(f"x{k}", type_) for k, type_ in enumerate(types)]
    tangents = [h.input(f"dx{k}", type_) if k in moving else None for k, type_ in enumerate(types)]
    _, dots = rules.push(op, h, primals, tangents)
    moved = {f"dy{k}": dot for k, dot in enumerate(dots) if dot is not None}
    return h.finished(moved), [dot is not None for dot in dots]


class Application:
    """An op on series: how its results go on is decided when the operands are known to the first order."""

    def __init__(self, of: Expansion, op: Op, operands: Sequence[Series], results: Sequence[Value]) -> None:
        """Nothing is derived before a coefficient is asked for."""
        self.of, self.op, self.operands, self.results = of, op, operands, results
        self._rows: list[Coefficients] = [results]
        self._begun = False
        """Whether somebody is finding, or has found, the series of its derivatives."""

    def row(self, k: int) -> Coefficients:
        """The coefficients of t^k of all results."""
        while len(self._rows) <= k:
            self._rows.append(self._following(len(self._rows)))
        return self._rows[k]

    @once
    def _moving(self) -> list[int]:
        return [k for k, x in enumerate(self.operands) if x.value.type.is_float and x.at(1) is not None]

    def undecided(self) -> Sequence[Need]:
        """What has to be known before it is decided how its results go on: which of the operands move."""
        return [(x, 1) for x in self._floats if not x.knows(1)]

    def needs(self, k: int) -> Sequence[Need]:
        """What has to be known before its coefficients of t^k, once it is decided how they are found."""
        if not self._moving:
            return ()
        if self._way is Application._by_equation:
            return [(slope, k - 1) for slope in self._slopes if slope is not None]
        return [(x, k) for x in self._floats]

    def _following(self, k: int) -> Coefficients:
        return self._way(self, k) if self._moving else (None,) * len(self.results)

    @once
    def _floats(self) -> list[Series]:
        return [x for x in self.operands if x.value.type.is_float]

    @once
    def _way(self) -> Callable[[Application, int], Coefficients]:
        """How coefficients are found where operands move."""
        op, moving = self.op, self._moving
        if op.linear_in is None or (set(moving) <= set(op.linear_in) and (len(moving) == 1 or not self._is_product)):
            return Application._linear
        if self._is_product:
            return Application._product
        return Application._quotient if isinstance(op, Div) else Application._by_equation

    @property
    def _is_product(self) -> bool:
        """Whether the op is linear in each of two operands that move, the other one given."""
        return isinstance(self.op, Multilinear) and len(self._moving) == 2

    def _linear(self, k: int) -> Coefficients:
        tangents = [x.at(k) if x.value.type.is_float else None for x in self.operands]
        if all(tangent is None for tangent in tangents):
            return (None,) * len(self.results)
        return self.op.jvp(self.of.g, self.results, [x.value for x in self.operands], tangents)

    def _product(self, k: int) -> Coefficients:
        left, right = self._moving
        x, y = self.operands[left], self.operands[right]
        if x is y and self.op.commutative:
            terms = [self._term(left, right, j, k - j) for j in range((k + 1) // 2)]
            half = total(self.of.g, terms)
            middle = None if k % 2 else self._term(left, right, k // 2, k // 2)
            return (total(self.of.g, [None if half is None else half * 2.0, middle]),)
        return (total(self.of.g, [self._term(left, right, j, k - j) for j in range(k + 1)]),)

    def _term(self, left: int, right: int, i: int, j: int) -> Value | None:
        x, y = self.operands[left].at(i), self.operands[right].at(j)
        if x is None or y is None:
            return None
        chosen = [operand.value for operand in self.operands]
        chosen[left], chosen[right] = x, y
        return self.of.g.apply(self.op, chosen)[0]

    def _quotient(self, k: int) -> Coefficients:
        """From q y = x: q_k = (x_k - sum over j of y_j q_(k-j)) / y_0."""
        g, (x, y) = self.of.g, self.operands
        pairs = [(y.at(j), self.row(k - j)[0]) for j in range(1, k + 1)]
        products = total(g, [None if a is None or b is None else g.mul(a, b) for a, b in pairs])
        top = x.at(k)
        rest = total(g, [top, None if products is None else g.neg(products)])
        return (None if rest is None else g.div(rest, y.value),)

    def _by_equation(self, k: int) -> Coefficients:
        g, slopes = self.of.g, self._slopes
        found = [None if slope is None else slope.at(k - 1) for slope in slopes]
        return [x if x is None or k == 1 else g.div(x, self.of.number(x.type, k)) for x in found]

    @once
    def _differential(self) -> Differential:
        return self.of.differential(self.op, tuple([x.value.type for x in self.operands]), tuple(self._moving))

    def is_still(self, position: int) -> bool:
        """Whether a result does not move though operands do; of an op with a rule of its author's."""
        return bool(self.op.functions) and bool(self._moving) and not self._differential[1][position]

    @once
    def _slopes(self) -> list[Series | None]:
        """The series of the results' derivatives, from the op's differential."""
        if self._begun:
            text = "has a rule that needs all of its results' coefficients at once, as it gives them to a loop"
            raise ConstraintError("D3", f"it {text}; ask for derivatives one after the other")
        self._begun = True
        graph, moves = self._differential
        expansion = self.of
        values: list[Series] = [*self.operands]
        values += [expansion.slope(x) for k, x in enumerate(self.operands) if k in self._moving]
        values += [expansion.constant(constant) for constant in graph.constants]
        for node in graph.nodes:
            values += expansion.apply(node.op, [values[k] for k in node.operands])
        found = iter(values[output.value] for output in graph.outputs)
        return [next(found) if moved else None for moved in moves]


class Result(Series):
    """One result of an application."""

    def __init__(self, application: Application, position: int, value: Value) -> None:
        """Knows its value."""
        super().__init__([value])
        self._application, self._position = application, position

    def needs(self, k: int) -> Sequence[Need]:
        """What the application does."""
        if not self.value.type.is_float:
            return ()
        undecided = self._application.undecided()
        return undecided or (() if self._application.is_still(self._position) else self._application.needs(k))

    def following(self, k: int) -> Value | None:
        """What the application finds; integers have no more."""
        if not self.value.type.is_float or self._application.is_still(self._position):
            return None
        return self._application.row(k)[self._position]
