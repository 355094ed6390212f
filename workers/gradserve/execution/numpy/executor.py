"""The reference executor: a schedule as Python over NumPy."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradserve.execution.costs import CALL_SECONDS
from gradserve.execution.executor import Schedule
from gradserve.execution.failures import located, violation_at
from gradserve.execution.numpy.kernels import control
from gradserve.execution.numpy.kernels.table import entry, made
from gradserve.execution.numpy.layout import own_order
from gradserve.execution.numpy.schedule import NumpySchedule, Step, schedule_of
from gradserve.execution.numpy.source import LoopSource, Source
from gradserve.execution.program import Program
from gradserve.ir.budget import once_of
from gradserve.ir.errors import Cancelled, GradserveError, NotDifferentiable, NumericalFailure
from gradserve.ir.guards import enforce
from gradserve.ir.op import Op
from gradserve.ir.types import Array, TensorType
from gradserve.ops.control.calling import Calling, unpacked
from gradserve.ops.control.scan import Scan


class NumpyExecutor:
    """Runs programs on NumPy, one step after the other, freeing every value at its last use."""

    name = "numpy"

    def schedule(self, program: Program) -> NumpySchedule:
        """The steps, in the order of the program's nodes."""
        found = schedule_of(program)
        return replace(found, seconds=CALL_SECONDS + found.seconds)

    def preparing_seconds(self, _program: Program, /) -> float:
        """0: Python compiles in no time worth telling."""
        return 0.0

    def prepare(self, schedule: Schedule) -> NumpyPrepared:
        """The schedule as a compiled Python function."""
        assert isinstance(schedule, NumpySchedule), "a schedule is prepared by the executor that made it"
        return NumpyPrepared(schedule)


class NumpyPrepared:
    """A schedule compiled to a Python function."""

    def __init__(
        self,
        schedule: NumpySchedule,
        loop: Scan | None = None,
        kernel_of: Callable[[Step], Callable[..., Any]] | None = None,
    ) -> None:
        """Generates and compiles the source, of a body that of its whole loop.

        `kernel_of` makes the function of a step's operands, of what checks as well if it calls functions; by default
        that is `kernel`.
        """
        kernel_of = kernel_of or kernel
        self._graph = schedule.program.graph
        self._file = f"<program of {len(self._graph.nodes)} nodes at {id(self):x}>"
        self._source = Source(schedule, kernel_of) if loop is None else LoopSource(schedule, kernel_of, loop)
        self._function = self._source.compile(self._file)
        self._inputs = [i.name for i in self._graph.inputs]
        self._outputs = [o.name for o in self._graph.outputs]

    @property
    def source(self) -> str:
        """The generated source."""
        return self._source.text

    def __call__(self, arguments: Mapping[str, Array], stopped: Callable[[], bool] | None = None) -> dict[str, Array]:
        """The outputs by name; see `Prepared`."""
        results = self._quiet(checker(stopped), *[arguments[name] for name in self._inputs])
        return dict(zip(self._outputs, results, strict=True))

    def call(self, check: Callable[[], None], *arguments: Any) -> tuple[Any, ...]:
        """What the source gives, NumPy's warnings as they are; `check` is called between heavy steps.

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

    _quiet = np.errstate(all="ignore")(call)
    """The same without warnings; of the class, as what holds a method of its own is not freed when it is let go."""

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
        lines = [(f.name, f.lineno or 0) for f in traceback.extract_tb(error.__traceback__) if f.filename == self._file]
        return self._source.step_at(*lines[-1]) if lines else None


def checker(stopped: Callable[[], bool] | None) -> Callable[[], None]:
    """What raises Cancelled once `stopped` says so."""
    if stopped is None:
        return _go_on

    def check() -> None:
        if stopped():
            raise Cancelled("the work was stopped between two steps")

    return check


def _go_on() -> None:
    pass


def kernel(step: Step, inner: Callable[[Step], Callable[..., Any]] | None = None) -> Callable[..., Any]:
    """The function of a step's operands that NumPy is called by; of what checks as well, if it calls functions.

    `inner` makes those of the steps of these functions.
    """
    if isinstance(step.op, Calling):
        return calling(step.op, step.functions, inner)
    looked_at = (*step.result_types, *(step.operand_types if step.op.guards else ()))
    if not any(type_.size for type_ in looked_at):
        return _nothing(step.result_types)
    if step.copies:
        shape = step.result_types[0].lengths
        return lambda x: np.array(x, order="C", copy=True).reshape(shape)
    plain = _guarded(step.op, made(step.op, step.operand_types))
    return plain if step.order is None else _turning(plain, step.order)


def _nothing(types: Sequence[TensorType]) -> Callable[..., Any]:
    """The kernel of a step without elements: NumPy might go through billions of empty matrices one by one."""
    shapes = [(t.lengths, t.element_type.dtype) for t in types]

    def run(*operands: Array, **options: Any) -> Any:
        del operands, options
        return unpacked([np.empty(*shape) for shape in shapes])

    return run


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


def _function(
    schedule: NumpySchedule, loop: Scan | None, kernel_of: Callable[[Step], Callable[..., Any]] | None
) -> Callable[..., Any]:
    """What calls a function, compiled once for all who call it: where each calls another twice, it would be doubled."""
    return once_of((NumpyPrepared, schedule, loop, kernel_of), lambda: NumpyPrepared(schedule, loop, kernel_of).call)


def calling(
    op: Calling,
    schedules: Mapping[str, NumpySchedule],
    kernel_of: Callable[[Step], Callable[..., Any]] | None = None,
) -> Callable[..., Any]:
    """The kernel of an op that calls functions: of what checks, and of its operands."""
    loop = op if isinstance(op, Scan) else None
    functions = {name: _function(schedule, loop, kernel_of) for name, schedule in schedules.items()}

    def run(check: Callable[[], None], *operands: Array) -> Any:
        results = control.run(op, functions, check, *operands)
        enforce(op, operands, results)
        return unpacked(results)

    return run


def _turning(plain: Callable[..., Any], order: tuple[int, ...]) -> Callable[..., Any]:
    """The kernel on operands copied so that their axes lie in this order in memory."""

    def turned(x: Array) -> Array:
        own = own_order(order, np.ndim(x))
        return np.ascontiguousarray(np.transpose(x, own)).transpose(np.argsort(own)) if own else x

    return lambda *operands: plain(*map(turned, operands))
