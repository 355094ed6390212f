"""The reference executor: a schedule as straight-line Python over NumPy.

The generated source holds only numbered names; what they stand for (NumPy functions, constants) is passed in as data,
so nothing that a client has written ever becomes code.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradserve.execution.executor import Schedule
from gradserve.execution.failures import located, violation_at
from gradserve.execution.numpy.kernels import control
from gradserve.execution.numpy.kernels.table import entry, made
from gradserve.execution.numpy.layout import own_order
from gradserve.execution.numpy.schedule import NumpySchedule, Step, schedule_of
from gradserve.execution.program import CONSTANT, Program
from gradserve.ir.errors import Cancelled, GradserveError, NotDifferentiable, NumericalFailure
from gradserve.ir.graph import Literal
from gradserve.ir.guards import enforce
from gradserve.ir.op import Op
from gradserve.ir.types import Array
from gradserve.ops.control.calling import Calling, Function, unpacked

CHECK_SECONDS = 5e-3
"""Predicted seconds of steps between two looks at `stopped`."""


class NumpyExecutor:
    """Runs programs on NumPy, one step after the other, freeing every value at its last use."""

    name = "numpy"

    def schedule(self, program: Program) -> NumpySchedule:
        """The steps, in the order of the program's nodes."""
        return schedule_of(program)

    def prepare(self, schedule: Schedule) -> NumpyPrepared:
        """The schedule as a compiled Python function."""
        assert isinstance(schedule, NumpySchedule), "a schedule is prepared by the executor that made it"
        return NumpyPrepared(schedule)


class NumpyPrepared:
    """A schedule compiled to a Python function."""

    def __init__(self, schedule: NumpySchedule) -> None:
        """Generates and compiles the source."""
        self._graph = schedule.program.graph
        self._file = f"<program of {len(self._graph.nodes)} nodes at {id(self):x}>"
        self._source = _Source(schedule)
        self._function = self._source.compile(self._file)
        self._quiet = np.errstate(all="ignore")(self.call)
        self._inputs = [i.name for i in self._graph.inputs]
        self._outputs = [o.name for o in self._graph.outputs]

    @property
    def source(self) -> str:
        """The generated source."""
        return self._source.text

    def __call__(self, arguments: Mapping[str, Array], stopped: Callable[[], bool] | None = None) -> dict[str, Array]:
        """The outputs by name; see `Prepared`."""
        results = self._quiet(_checker(stopped), *[arguments[name] for name in self._inputs])
        return dict(zip(self._outputs, results, strict=True))

    def call(self, check: Callable[[], None], *arguments: Array) -> tuple[Array, ...]:
        """The outputs in their order, NumPy's warnings as they are; `check` is called between heavy steps.

        Raises:
            NumericalFailure: a step is impossible on these numbers.
        """
        try:
            return self._function(check, *arguments)
        except (NotDifferentiable, NumericalFailure) as error:
            # Raised by a guard: it says what is wrong, and here where.
            raise self._located(error) from None
        except (np.linalg.LinAlgError, IndexError, ValueError, MemoryError) as error:
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> NumericalFailure:
        """The failure of a step, with the node it came from."""
        step = self._step_of(error)
        if step is None:
            return NumericalFailure(f"the program cannot be run on these numbers: {error}")
        violation = violation_at(self._graph, step.node, step.op.name, str(error) or type(error).__name__)
        return NumericalFailure("a step is impossible on these numbers", [violation])

    def _located(self, error: GradserveError) -> GradserveError:
        """The refusal of a step, with the node it came from."""
        step = self._step_of(error)
        return error if step is None else located(error, self._graph, step.node)

    def _step_of(self, error: Exception) -> Step | None:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == self._file]
        return self._source.step_of_line.get(lines[-1] or 0) if lines else None


def _checker(stopped: Callable[[], bool] | None) -> Callable[[], None]:
    if stopped is None:
        return _go_on

    def check() -> None:
        if stopped():
            raise Cancelled("the work was stopped between two steps")

    return check


def _go_on() -> None:
    pass


class _Source:
    """The generated source of a schedule, and the names that it refers to."""

    def __init__(self, schedule: NumpySchedule) -> None:
        graph = schedule.program.graph
        self.step_of_line: dict[int, Step] = {}
        self._names: dict[str, Any] = {"row_major": np.ascontiguousarray, "array": np.asarray}
        self._variables: dict[int, str] = {}
        """The variable of each value that a step has made and that is alive."""
        self._free: list[str] = []
        """Variables whose values died, to be taken again."""
        self._scalars: set[str] = set()
        """Variables that hold a number of their own: to free each by a statement would take longer than it is worth."""
        inputs = len(graph.inputs)
        self._lines = [f"def run({', '.join(['check', *(f'v{k}' for k in range(inputs))])}):"]
        for k, given in enumerate(graph.inputs):
            if not given.name.startswith(CONSTANT):  # those are row-major already
                self._lines.append(f" v{k} = row_major(v{k})" if given.type.shape else f" v{k} = v{k}[()]")
        for k, constant in enumerate(graph.constants, start=inputs):
            assert isinstance(constant, Literal)
            self._names[f"v{k}"] = constant.array[()]
        self._write_steps(schedule)
        for k, output in enumerate(graph.outputs):
            self._names[f"t{k}"] = graph.value_types[output.value].element_type.dtype
        results = "".join(f"array({self._variable(o.value)}, t{k}), " for k, o in enumerate(graph.outputs))
        self._lines.append(f" return ({results})")

    @property
    def text(self) -> str:
        return "\n".join(self._lines)

    def compile(self, file: str) -> Callable[..., tuple[Any, ...]]:
        exec(compile(self.text, file, "exec"), self._names)
        function: Callable[..., tuple[Any, ...]] = self._names["run"]
        return function

    def _write_steps(self, schedule: NumpySchedule) -> None:
        unchecked = 0.0
        for step in schedule.steps:
            unchecked += step.seconds
            if unchecked > CHECK_SECONDS:
                self._lines.append(" check()")
                unchecked = 0.0
            self._write_step(step)

    def _write_step(self, step: Step) -> None:
        """The step's line. Its results take the variables of operands that die with it, which frees those."""
        expression = self._expression(step)
        dying = [self._variables.pop(k) for k in step.frees if k not in step.results]
        dying.sort(key=self._scalars.__contains__, reverse=True)
        chosen = [(dying or self._free or [f"v{k}"]).pop() for k in step.results]
        self._variables.update(zip(step.results, chosen, strict=True))
        self._lines.append(f" {', '.join(chosen)} = {expression}")
        self.step_of_line[len(self._lines)] = step
        self._scalars.difference_update(chosen)
        if step.allocates and not step.result_types[0].shape:
            self._scalars.update(chosen[:1])
        dying += [self._variables.pop(k) for k in step.results if k in step.frees]
        arrays = [name for name in dying if name not in self._scalars]
        if arrays:
            self._lines.append(f" {' = '.join(arrays)} = None")
        self._free += dying

    def _variable(self, value: int) -> str:
        return self._variables.get(value) or f"v{value}"

    def _expression(self, step: Step) -> str:
        operands = [self._variable(k) for k in step.operands]
        symbol = entry(type(step.op)).symbol
        if symbol and step.reuses is None and step.order is None and step.result_types[0].is_float:
            return symbol.join(operands) if len(operands) > 1 else f"{symbol}{operands[0]}"
        name = f"f{step.results[0]}"
        self._names[name] = kernel(step)
        if step.functions:
            operands.insert(0, "check")
        if step.reuses is not None:
            operands.append(f"out={self._variable(step.reuses)}")
        return f"{name}({', '.join(operands)})"


def kernel(step: Step) -> Callable[..., Any]:
    """The function of a step's operands that NumPy is called by; of what checks as well, if it calls functions."""
    if isinstance(step.op, Calling):
        return _calling(step.op, {name: NumpyPrepared(function) for name, function in step.functions.items()})
    if step.copies:
        shape = step.result_types[0].lengths
        return lambda x: np.array(x, order="C", copy=True).reshape(shape)
    plain = _guarded(step.op, made(step.op, step.operand_types))
    return plain if step.order is None else _turning(plain, step.order)


def _guarded(op: Op, plain: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel with those of the op's guards that it does not enforce itself."""
    covers = entry(type(op)).covers
    if covers.issuperset(guard.constraint for guard in op.guards):
        return plain

    def run(*operands: Array) -> Any:
        results = plain(*operands)
        every = results if isinstance(results, tuple) else (results,)
        enforce(op, operands, every, but=covers)
        return results

    return run


def _calling(op: Calling, programs: Mapping[str, NumpyPrepared]) -> Callable[..., Any]:
    """The kernel of an op that calls functions: it may be stopped before each call."""

    def run(check: Callable[[], None], *operands: Array) -> Any:
        def called(program: NumpyPrepared) -> Function:
            def call(*arguments: Array) -> tuple[Array, ...]:
                check()
                return program.call(check, *arguments)

            return call

        results = control.run(op, {name: called(program) for name, program in programs.items()}, *operands)
        enforce(op, operands, results)
        return unpacked(results)

    return run


def _turning(plain: Callable[..., Any], order: tuple[int, ...]) -> Callable[..., Any]:
    """The kernel on operands copied so that their axes lie in this order in memory."""

    def turned(x: Array) -> Array:
        own = own_order(order, np.ndim(x))
        return np.ascontiguousarray(np.transpose(x, own)).transpose(np.argsort(own)) if own else x

    return lambda *operands: plain(*map(turned, operands))
