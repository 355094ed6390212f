"""Functions of a program read into a graph, operation by operation, calls in their places."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence
from functools import partial
from typing import TypeAlias

from gradserve.client.importers.imported import at, refusal
from gradserve.client.importers.lax import control
from gradserve.client.importers.lax.elements import (
    Operand,
    require_no_bits,
)
from gradserve.client.importers.lax.folding import Join
from gradserve.client.importers.lax.known import folded
from gradserve.client.importers.stablehlo import reflections, shaped
from gradserve.client.importers.stablehlo.calls import CALLS
from gradserve.client.importers.stablehlo.folds import FOLDS
from gradserve.client.importers.stablehlo.given import dtype_of_elements
from gradserve.client.importers.stablehlo.operations import ARRAYS
from gradserve.client.importers.stablehlo.reflections import Given, Reflections
from gradserve.client.importers.stablehlo.refused import way_round
from gradserve.client.importers.stablehlo.scalars import MOST_JOINED, applied, held_constant
from gradserve.client.importers.stablehlo.sizes import DEEPEST, Sizes, symbol_of
from gradserve.client.importers.stablehlo.syntax import Function, Module, Operation, Region
from gradserve.client.importers.stablehlo.tokens import invalid, too_long
from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import Untraceable
from gradserve.ir.graph import Origin
from gradserve.ir.limits import DEFAULT_LIMITS
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder

Known: TypeAlias = Given | Untraceable
"""A value, or why there is none."""
Scope: TypeAlias = ChainMap[str, Known]


class Reader:
    """Reads operations into graphs."""

    def __init__(self, module: Module, file: str, most: int | None) -> None:
        """Of a module in a file; `most` bounds the steps of loops that nothing else does."""
        self.module, self.file, self.most = module, file, most
        self.sizes = Sizes(module)
        self._left = DEFAULT_LIMITS.nodes

    def main(self, g: Recorder, function: Function, operands: Sequence[Given]) -> list[Operand]:
        """The results of the program's function, once it is seen to be no larger than a graph may be."""
        if self.sizes.of(function.body) > self._left:
            raise too_long()
        return arrays(self.function(g, function, operands, 0), function.name)

    def function(self, g: Recorder, function: Function, operands: Sequence[Given], depth: int) -> list[Given]:
        """The results of a function."""
        return self.region(g, function.body, operands, ChainMap(), depth)

    def region(self, g: Recorder, region: Region, operands: Sequence[Given], around: Scope, depth: int) -> list[Given]:
        """The results of a region, which reads what is around it as well."""
        if depth > DEEPEST:
            raise invalid(region.operations[0].line, f"more than {DEEPEST} calls and regions stand in each other")
        scope = around.new_child()
        if len(operands) != len(region.arguments):
            raise invalid(region.operations[0].line, f"{len(operands)} values are given to {len(region.arguments)}")
        for (name, type_), operand in zip(region.arguments, operands, strict=True):
            if not type_.takes(operand.shape, operand.dtype):
                raise invalid(type_.line, f"{name} is {type_} and is given {operand}")
            scope[name] = operand
        for operation in region.operations[:-1]:
            self._read(g, operation, scope, depth)
        return [self._look(g, name, scope, region.operations[-1].line) for name in region.operations[-1].operands]

    def _look(self, g: Recorder, name: str, scope: Scope, line: int) -> Given:
        found = scope.get(name)
        if found is None:
            raise invalid(line, f"{name} is not known here")
        if isinstance(found, Untraceable):
            raise found.with_traceback(None)
        return found.within(g) if isinstance(found, Reflections) else Operand(g.adopt(found.value), found.dtype)

    def _read(self, g: Recorder, operation: Operation, scope: Scope, depth: int) -> None:
        self._left -= 1
        if self._left < 0:
            raise too_long()
        names = [
            each
            for name, count in operation.results
            for each in ([name] if count == 1 else [f"{name}#{k}" for k in range(count)])
        ]
        try:
            made = self._results(g, operation, scope, depth)
        except Untraceable as error:  # which counts only if anything reads it
            scope |= dict.fromkeys([*names, *(f"{name}#0" for name in names)], error)
            return
        if len(made) != len(names):
            raise invalid(operation.line, f"{operation.name} gives {len(made)} values and {len(names)} are named")
        for operand, type_ in zip(made, operation.types, strict=False):
            if isinstance(operand, Operand) and not type_.takes(operand.shape, operand.dtype):
                raise invalid(operation.line, f"{operation.name} gives {operand}, not {type_}")
        scope |= dict(zip(names, made, strict=True))
        scope |= {f"{name}#0": scope[name] for name in names if "#" not in name}

    def _results(self, g: Recorder, operation: Operation, scope: Scope, depth: int) -> Sequence[Known]:
        origin = Origin(self.file, operation.line)
        given = [self._look(g, name, scope, operation.line) for name in operation.operands]
        with at(g, operation.name, given, origin):
            if operation.name == "constant":
                return [_at_once(g, held_constant(g, operation), [])]
            if operation.name in ("call", "composite"):
                return self._called(g, operation, given, depth)
            operands = [each for each in given if isinstance(each, Operand)]
            if len(operands) < len(given):
                return self._typed(operation, reflections.read(g, operation, given))
            if operation.name in ("while", "case", "if"):
                return self._controlled(g, operation, operands, scope, depth)
            symbol = operation.attributes.get("symbol") if operation.name == "custom_call" else None
            if symbol == shaped.WINDOWS:
                operation, operands = shaped.windowed(g, operation, operands, self.module), operands[:-5]
            if operation.name in FOLDS:
                return self._folded(g, operation, operands, scope)
            if symbol in reflections.FACTORISATIONS:
                return reflections.factorised(g, operands[0])
            require_no_bits(operation.name, (type_.half for type_ in operation.types))
            compute = ARRAYS.get(operation.name) if symbol is None else CALLS.get(str(symbol))
            if compute is None:
                what = operation.name if symbol is None else f"{operation.name} @{symbol}"
                instead = way_round(str(symbol or operation.name))
                raise refusal(what, operands, origin, "no graph has it", instead)
            made = self._typed(operation, compute(g, operation, operands))
            return [_at_once(g, each, operands) for each in made]

    def _folded(self, g: Recorder, operation: Operation, operands: Sequence[Operand], scope: Scope) -> Sequence[Known]:
        """The results of an operation that is given functions of single elements, which read what is around as well."""

        def around(inner: Builder, name: str, line: int) -> Operand:
            assert isinstance(inner, Recorder)
            (found,) = arrays([self._look(inner, name, scope, line)], name)
            return found

        def function(region: Region) -> Join:
            if self.sizes.of(region) > MOST_JOINED:
                raise Unsupported(
                    "its function is a long one", "compute the elements beforehand, and reduce by a short one"
                )
            return lambda inner, given: applied(inner, self.module, region, given, around)

        return self._typed(operation, FOLDS[operation.name](g, operation, operands, function))

    def _typed(self, operation: Operation, made: Value | Reflections | Sequence[Value | None]) -> Sequence[Known]:
        """Results with the elements that the operation says that they have."""
        if isinstance(made, Reflections):
            return [made]
        values = [made] if isinstance(made, Value) else list(made)
        unread = Untraceable(
            f"{Origin(self.file, operation.line)}: {operation.name} leaves something that has no meaning, which is read"
        )
        return [
            unread if value is None else Operand(value, dtype_of_elements(type_))
            for value, type_ in zip(values, operation.types, strict=True)
        ]

    def _called(self, g: Recorder, operation: Operation, operands: Sequence[Given], depth: int) -> list[Given]:
        """The results of the function that is called, or that a composite is made of."""
        symbol = symbol_of(operation)
        function = self.module.get(symbol)
        if function is None:
            raise invalid(operation.line, f"there is no function {symbol}")
        return self.function(g, function, operands, depth + 1)

    def _controlled(
        self, g: Recorder, operation: Operation, operands: Sequence[Operand], scope: Scope, depth: int
    ) -> list[Operand]:
        def step(region: Region) -> control.Step:
            return lambda inner, given: arrays(self.region(inner, region, given, scope, depth + 1), operation.name)

        if operation.name == "while":
            if len(operation.regions) != 2:
                raise invalid(operation.line, "a loop has a condition and a body")
            go_on, body = map(step, operation.regions)
            made = control.while_loop(g, go_on, body, operands, self.most)
            return [Operand(value, x.dtype) for value, x in zip(made, operands, strict=True)]
        if len(operands) != 1 or not operation.regions or operands[0].rank:
            raise invalid(operation.line, f"{operation.name} takes one number and a region for each of its values")
        regions = operation.regions[::-1] if operation.name == "if" else operation.regions
        index = operands[0]
        if operation.name == "case":  # a number that is none of a branch is that of the last one
            outside = g.logical_or(g.lt(index.value, 0), g.ge(index.value, len(regions)))
            index = folded(g, Operand(g.select(outside, len(regions) - 1, index.value), index.dtype))
        return control.choose(g, index, [partial(_without_arguments, step(region)) for region in regions])


MOST_AT_ONCE = 64


def _at_once(g: Recorder, x: Known, operands: Sequence[Operand]) -> Known:
    """A few whole numbers that follow from constants, such as lengths, as constants, which regions see as well."""
    few = isinstance(x, Operand) and x.is_whole and x.value.type.size <= MOST_AT_ONCE
    if not few or not isinstance(x, Operand) or any(g.literal(each.value) is None for each in operands):
        return x
    return folded(g, x)


def _without_arguments(step: control.Step, g: Recorder) -> list[Operand]:
    return step(g, [])


def arrays(made: Sequence[Given], where: str) -> list[Operand]:
    """What a function returns, all of which must be known.

    Raises:
        Untraceable: it returns what LAPACK leaves beside a factor.
    """
    found = [each for each in made if isinstance(each, Operand)]
    if len(found) < len(made):
        raise Untraceable(f"{where} returns what geqrf leaves below R, which no graph has; use jnp.linalg.qr")
    return found
