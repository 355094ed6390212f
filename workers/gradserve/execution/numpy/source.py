"""The Python that a schedule is run as: straight lines, or the steps of a loop.

Many steps are several functions, each compiled by itself: Python's compiler takes 3 KB for a step, and keeps all other
threads waiting. What one of them makes and another reads is held in a list.

The source holds only numbered names; what they stand for (NumPy functions, constants) is passed in as data, so nothing
that a client has written ever becomes code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from gradserve.execution.numpy.kernels.table import entry
from gradserve.execution.numpy.schedule import NumpySchedule, Step
from gradserve.execution.program import CONSTANT
from gradserve.ir.graph import Graph, Literal
from gradserve.ops.control.scan import Scan

CHECK_SECONDS = 5e-3
"""Predicted seconds of steps between two looks at `stopped`."""
_ROWS_BETWEEN_CHECKS = 64
_SHORT = 1 << 14
"""Characters from which on a source is compiled anew each time: what is kept stays small."""
PART_STEPS = 1000
"""Steps of which one function is made."""
_HELD = "h"
"""The list of what several functions of a source read."""
Kernel = Callable[[Step], Callable[..., Any]]
"""What makes the function by which a step is computed from its operands."""


class Source:
    """The generated source of a schedule, and the names that it refers to."""

    def __init__(self, schedule: NumpySchedule, kernel: Kernel) -> None:
        """Writes nothing yet; a subclass says what surrounds the steps."""
        self._steps: dict[str, list[Step | None]] = {}
        """The steps that the lines of a function compute, by the name of that."""
        self._schedule = schedule
        self._graph = schedule.program.graph
        self._kernel = kernel
        self._names: dict[str, Any] = {"row_major": np.ascontiguousarray, "array": np.asarray}
        self._kernels: dict[tuple[object, ...], str] = {}
        self._variables: dict[int, str] = {}
        """The variable of each value that a step has made and that is alive."""
        self._free: dict[bool, list[str]] = {False: [], True: []}
        """Variables whose values died, to be taken again: those of one function, and those that are held for all."""
        self._shared: frozenset[int] = frozenset()
        """Values that other functions read than the one that makes them."""
        self._held = 0
        """How many variables are held for all functions."""
        self._parts: dict[str, list[str]] = {}
        """The lines of the functions of parts of the steps, by name."""
        self._function = "run"
        """The name of the one that is being written."""
        self._scalars: set[str] = set()
        """Variables that hold a number of their own: to free each by a statement would take longer than it is worth."""
        self._lines: list[str] = []
        self._indent = " "
        for k, constant in enumerate(self._graph.constants, start=len(self._graph.inputs)):
            assert isinstance(constant, Literal)
            self._names[f"v{k}"] = constant.array[()]
        self._write()

    @property
    def text(self) -> str:
        """The source."""
        return "\n".join(line for lines in (*self._parts.values(), self._lines) for line in lines)

    def step_at(self, function: str, line: int) -> Step | None:
        """The step that the line of this number of a function computes."""
        steps = self._steps.get(function, [])
        return steps[line - 1] if 0 < line <= len(steps) else None

    def compile(self, file: str) -> Callable[..., tuple[Any, ...]]:
        """The function; tracebacks name the `file`."""
        self._names |= {name: self._compiled(lines, file) for name, lines in self._parts.items()}
        return self._compiled(self._lines, file)

    def _compiled(self, lines: list[str], file: str) -> Callable[..., tuple[Any, ...]]:
        text = "\n".join(lines)
        lines[:] = [text]  # which holds less memory than one after the other
        code = _code(text) if len(text) < _SHORT else _code.__wrapped__(text)
        return FunctionType(code.replace(co_filename=file), self._names)

    def _write(self) -> None:
        """Straight lines: `run(check, *arguments)` gives the outputs as arrays."""
        graph = self._graph
        self._lines.append(f"def run({', '.join(['check', *(f'v{k}' for k in range(len(graph.inputs)))])}):")
        for k, given in enumerate(graph.inputs):
            if not given.name.startswith(CONSTANT):  # those are row-major already
                self._write_own(k)
        self._write_steps()
        for k, output in enumerate(graph.outputs):
            self._names[f"t{k}"] = graph.value_types[output.value].element_type.dtype
        results = "".join(f"array({self._variable(o.value)}, t{k}), " for k, o in enumerate(graph.outputs))
        self._line(f"return ({results})")

    def _line(self, text: str) -> None:
        self._lines.append(self._indent + text)

    def _write_own(self, k: int) -> None:
        """An input as the steps take it: row-major, or a NumPy scalar."""
        self._line(f"v{k} = row_major(v{k})" if self._graph.inputs[k].type.shape else f"v{k} = v{k}[()]")

    def _write_steps(self) -> None:
        steps = self._schedule.steps
        parts = [steps[k : k + PART_STEPS] for k in range(0, len(steps), PART_STEPS)]
        if len(parts) < 2:
            self._write_all(steps)
            return
        self._shared = _shared(parts, self._graph)
        lines, indent, name = self._lines, self._indent, self._function
        first = len(lines)
        for k in sorted(self._shared):
            if k < len(self._graph.inputs):
                self._variables[k] = self._hold()
                self._line(f"{self._variables[k]} = v{k}")
        for k, part in enumerate(parts):
            self._function, self._indent = f"part{k}", " "
            self._lines = self._parts[self._function] = [f"def {self._function}(check, {_HELD}):"]
            self._write_all(part)
        self._lines, self._indent, self._function = lines, indent, name
        lines.insert(first, f"{indent}{_HELD} = [None] * {self._held}")
        for part_name in self._parts:
            self._line(f"{part_name}(check, {_HELD})")

    def _write_all(self, steps: Sequence[Step]) -> None:
        unchecked = 0.0
        for step in steps:
            unchecked += step.seconds
            if unchecked > CHECK_SECONDS:
                self._line("check()")
                unchecked = 0.0
            self._write_step(step)

    def _write_step(self, step: Step) -> None:
        """The step's line. Its results take the variables of operands that die with it, which frees those."""
        expression = self._expression(step)
        dying = [self._variables.pop(k) for k in step.frees if k not in step.results]
        dying.sort(key=self._scalars.__contains__, reverse=True)
        chosen = [self._taken(k, dying) for k in step.results]
        self._variables.update(zip(step.results, chosen, strict=True))
        self._line(f"{', '.join(chosen)} = {expression}")
        steps = self._steps.setdefault(self._function, [])
        steps += [None] * (len(self._lines) - 1 - len(steps))
        steps.append(step)
        self._scalars.difference_update(chosen)
        if step.allocates and not step.result_types[0].shape:
            self._scalars.update(chosen[:1])
        dying += [self._variables.pop(k) for k in step.results if k in step.frees]
        arrays = [name for name in dying if name not in self._scalars]
        if arrays:
            self._line(f"{' = '.join(arrays)} = None")
        for name in dying:
            self._free[_is_held(name)].append(name)

    def _taken(self, value: int, dying: list[str]) -> str:
        """The variable of a value that is made: one of the last of those that die, or that are free, or a new one."""
        held = value in self._shared
        names = dying if dying and _is_held(dying[-1]) is held else self._free[held]
        if names:
            return names.pop()
        return self._hold() if held else f"v{value}"

    def _hold(self) -> str:
        """A new variable that is held for all functions."""
        self._held += 1
        return f"{_HELD}[{self._held - 1}]"

    def _variable(self, value: int) -> str:
        return self._variables.get(value) or f"v{value}"

    def _expression(self, step: Step) -> str:
        operands = [self._variable(k) for k in step.operands]
        symbol = entry(type(step.op)).symbol
        if symbol and step.reuses is None and step.order is None and step.result_types[0].is_float:
            return symbol.join(operands) if len(operands) > 1 else f"{symbol}{operands[0]}"
        name = self._name(step)
        if step.functions:
            operands.insert(0, "check")
        if step.reuses is not None:
            operands.append(f"out={self._variable(step.reuses)}")
        return f"{name}({', '.join(operands)})"

    def _name(self, step: Step) -> str:
        """The name of the step's kernel, one for all steps of its kind; op and types are known by their identity."""
        kind = (id(step.op), step.copies, step.order, id(step.result_types), *map(id, step.operand_types))
        name = self._kernels.get(kind)
        if name is None:
            name = self._kernels[kind] = f"f{step.results[0]}"
            self._names[name] = self._kernel(step)
        return name


def _is_held(name: str) -> bool:
    return name.startswith(_HELD)


def _shared(parts: Sequence[Sequence[Step]], graph: Graph) -> frozenset[int]:
    """The inputs that steps read, and what is read beyond the part that makes it."""
    made = {value: number for number, part in enumerate(parts) for step in part for value in step.results}
    read = {
        value
        for number, part in enumerate(parts)
        for step in part
        for value in step.operands
        if made.get(value, -1) != number
    }
    constants = range(len(graph.inputs), graph.first_node_value)
    return frozenset(read.difference(constants).union(o.value for o in graph.outputs if o.value in made))


@functools.lru_cache(maxsize=512)
def _code(source: str) -> CodeType:
    """The function that a source defines: graphs of one form, as of several shapes, are run as the same one."""
    (found,) = [each for each in compile(source, "<program>", "exec").co_consts if isinstance(each, CodeType)]
    return found


class LoopSource(Source):
    """The source of a scan: all its steps, with those of the body's schedule in the loop."""

    def __init__(self, schedule: NumpySchedule, kernel: Kernel, loop: Scan) -> None:
        """Of a loop whose body has this schedule."""
        self._loop = loop
        self._makers = {value: step for step in schedule.steps for value in step.results}
        super().__init__(schedule, kernel)

    def _write(self) -> None:
        """`run(check, order, *operands, *stacks)`: the rows of scanned arrays are in the order of the steps.

        Rows are written into the stacks. The results are how many steps were done, whether the body would go on, and
        the last carries.
        """
        graph, loop = self._graph, self._loop
        first = int(loop.stops)
        inputs = range(len(graph.inputs))
        rows = inputs[loop.carries : loop.carries + loop.scanned]
        carried, stacked = graph.outputs[first : first + loop.carries], graph.outputs[first + loop.carries :]
        names = [f"r{k}" if k in rows else f"v{k}" for k in inputs]
        stacks = [f"s{k}" for k in range(len(stacked))]
        self._lines.append(f"def run({', '.join(['check', 'order', *names, *stacks])}):")
        for k in inputs:
            if k not in rows:
                self._write_own(k)
        self._line("done, goes_on = 0, True")
        self._line(f"for row{''.join(f', v{k}' for k in rows)} in {_zipped([names[k] for k in rows])}:")
        self._indent += " "
        often = self._schedule.seconds * _ROWS_BETWEEN_CHECKS > CHECK_SECONDS
        self._line("check()" if often else f"if not row % {_ROWS_BETWEEN_CHECKS}: check()")
        self._write_steps()
        for stack, output in zip(stacks, stacked, strict=True):
            self._line(f"{stack}[row] = {self._variable(output.value)}")
        if carried:
            made = ", ".join(self._carried(output.value) for output in carried)
            self._line(f"{', '.join(f'v{k}' for k in range(loop.carries))} = {made}")
        self._free_rows([output.value for output in stacked], {output.value for output in carried})
        if loop.stops:
            self._line("done += 1")
            self._line(f"if not {self._variable(graph.outputs[0].value)}:")
            self._line(" goes_on = False")
            self._line(" break")
        self._indent = " "
        self._line(f"return (done, goes_on, {''.join(f'v{k}, ' for k in range(loop.carries))})")

    def _carried(self, value: int) -> str:
        """What the next step takes: as `_write_own` has it, where a step may have made it otherwise."""
        name, type_ = self._variable(value), self._graph.value_types[value]
        step = self._makers.get(value)
        if step is None:
            return name
        if type_.rank:
            return f"row_major({name})" if step.op.view or type_.rank > 1 else name
        return f"{name}[()]" if step.op.view else name

    def _free_rows(self, stacked: list[int], carried: set[int]) -> None:
        """Arrays that were written into stacks do not stay until the next step makes them anew."""
        made = {self._variables[k] for k in stacked if k in self._variables and k not in carried}
        arrays = sorted(made - self._scalars)
        if arrays:
            self._line(f"{' = '.join(arrays)} = None")


def _zipped(rows: list[str]) -> str:
    return f"zip(order, {', '.join(rows)})" if rows else "order"
