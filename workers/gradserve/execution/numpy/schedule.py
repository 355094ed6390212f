"""Schedules: the nodes of a graph as steps, with the last use of every value and the fate of every buffer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradserve.execution import costs
from gradserve.execution.numpy.drafts import Draft, drafts_of
from gradserve.execution.numpy.kernels.table import entry
from gradserve.execution.numpy.layout import Laid, Strides, place, row_major
from gradserve.execution.program import Program
from gradserve.ir.budget import looking, planned, remembered
from gradserve.ir.graph import Graph
from gradserve.ir.op import Cost, Op
from gradserve.ir.records import dataclass, record
from gradserve.ir.types import TensorType
from gradserve.ops.control.calling import Calling

REUSE_BYTES = 1 << 14
"""Smaller results are allocated afresh: NumPy's own cache of small blocks is quicker than an `out=` argument."""


@record
class Step:
    """One application of an op on concrete arrays."""

    op: Op
    operands: tuple[int, ...]
    results: tuple[int, ...]
    operand_types: tuple[TensorType, ...]
    result_types: tuple[TensorType, ...]
    node: int
    """The position of its node in the graph."""
    copies: bool
    """Whether what is mostly a view must be a copy."""
    order: tuple[int, ...] | None
    """The order of axes in which small operands are copied first, so that NumPy's inner loops are long."""
    reuses: int | None
    """The dying operand whose buffer takes the result."""
    frees: tuple[int, ...]
    """Values that no later step reads."""
    allocates: int
    """Bytes of new buffers."""
    releases: int
    """Bytes of buffers that no value refers to after the step."""
    cost: Cost
    seconds: float
    """Predicted seconds on one core."""
    functions: Mapping[str, NumpySchedule]
    """The schedules of the functions that the op calls."""

    @property
    def unstoppable_seconds(self) -> float:
        """Predicted seconds in which nobody looks whether to stop: a loop looks before each call."""
        if not self.functions:
            return self.seconds
        return max(function.longest_step_seconds for function in self.functions.values())

    @property
    def workspace(self) -> int:
        """Bytes that it takes beside its operands and results while it runs: those of a function without its inputs."""
        if not self.functions:
            return 0
        return max(f.peak_bytes - sum(i.type.nbytes for i in f.program.graph.inputs) for f in self.functions.values())


@dataclass(frozen=True)
class NumpySchedule:
    """A program's steps, and what they take."""

    program: Program
    steps: tuple[Step, ...]
    seconds: float
    """Predicted seconds on one core."""
    longest_step_seconds: float
    """Predicted seconds of the longest step, which is how long a cancellation may take to be seen."""
    peak_bytes: int
    """The largest sum of live bytes: arguments, constants, and what steps have allocated and not yet freed."""


def schedule_of(program: Program) -> NumpySchedule:
    """The schedule of a program."""
    steps = _steps(program.graph)
    return NumpySchedule(
        program=program,
        steps=steps,
        seconds=sum(step.seconds for step in steps),
        longest_step_seconds=max((step.unstoppable_seconds for step in steps), default=0.0),
        peak_bytes=_peak_bytes(program, steps),
    )


@remembered
def _of_function(function: Graph) -> NumpySchedule:
    """The schedule of a function, which several ops may call."""
    return schedule_of(Program(function))


def _peak_bytes(program: Program, steps: tuple[Step, ...]) -> int:
    live = program.argument_bytes + sum(c.type.nbytes for c in program.graph.constants)
    peak = live
    for step in steps:
        live += step.allocates
        peak = max(peak, live + step.workspace)
        live -= step.releases
    return peak


def _steps(graph: Graph) -> tuple[Step, ...]:
    """The steps of a concrete graph, in its order."""
    drafts = drafts_of(graph)
    planned(graph, len(drafts))
    types = graph.value_types
    last_use = _last_uses(graph, drafts)
    strides: dict[int, Strides] = {k: row_major(t.lengths) for k, t in enumerate(types[: graph.first_node_value])}
    buffers = _Buffers(graph, last_use)
    measures = _Measures()
    steps = []
    for time, draft in enumerate(looking(drafts)):
        node, operands, results, position = draft
        op = node.op
        operand_types = tuple([types[k] for k in operands])
        measured = measures.of(op, operand_types, node.types)
        reuses = buffers.reusable(time, draft, operand_types) if measured.overwrites else None
        placed = Laid((strides[reuses],)) if reuses is not None else measured.place([strides[k] for k in operands])
        for value, own in zip(results, placed.strides, strict=True):
            strides[value] = own
        allocates = buffers.make(draft, views=op.view and not placed.copies, reuses=reuses)
        frees, releases = buffers.free(time, draft)
        steps.append(
            Step(
                op=op,
                operands=operands,
                results=results,
                operand_types=measured.operand_types,
                result_types=node.types,
                node=position,
                copies=placed.copies,
                order=placed.order,
                reuses=reuses,
                frees=frees,
                allocates=allocates,
                releases=releases,
                cost=measured.cost,
                seconds=measured.seconds,
                functions=measured.functions,
            )
        )
    return tuple(steps)


class _Measured:
    """What steps of one op on operands of the same types have in common."""

    def __init__(self, op: Op, operands: tuple[TensorType, ...], results: Sequence[TensorType]) -> None:
        """Measures one application."""
        self._op, self.operand_types, self._results = op, operands, results
        self._placed: dict[tuple[Strides, ...], Laid] = {}
        self.overwrites = entry(type(op)).overwrites and results[0].rank > 0 and results[0].nbytes >= REUSE_BYTES
        self.functions = {name: _of_function(function) for name, function in op.functions.items()}
        self.cost = op.cost(operands, results)
        self.seconds = self._seconds()

    def _seconds(self) -> float:
        """Predicted seconds on one core; calls of functions take as long as all their steps."""
        op = self._op
        if not isinstance(op, Calling):
            return costs.of_step(op, self.cost, self.operand_types, self._results)
        return costs.STEP_SECONDS + op.calls * max(function.seconds for function in self.functions.values())

    def place(self, strides: Sequence[Strides]) -> Laid:
        """Where the results lie, by where the operands do; see `layout.place`."""
        key = tuple(strides)
        found = self._placed.get(key)
        if found is None:
            found = self._placed[key] = place(self._op, self.operand_types, key, self._results)
        return found


class _Measures:
    """What is measured once for all steps of a kind: graphs mostly repeat few of these."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], _Measured] = {}

    def of(self, op: Op, operands: tuple[TensorType, ...], results: Sequence[TensorType]) -> _Measured:
        """The measures of the op, both it and the types by identity."""
        key = (id(op), *map(id, operands))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = _Measured(op, operands, results)
        return found


def _last_uses(graph: Graph, drafts: Sequence[Draft]) -> list[int]:
    """The time of the last step that reads each value; outputs are read after all steps."""
    last = [0] * len(graph.value_types)
    for time, draft in enumerate(drafts):
        for value in draft.results:
            last[value] = time
        for value in draft.operands:
            last[value] = time
    for output in graph.outputs:
        last[output.value] = len(drafts)
    return last


class _Buffers:
    """Which values share which memory, and until when."""

    def __init__(self, graph: Graph, last_use: Sequence[int]) -> None:
        self._first = graph.first_node_value
        self._last_use = last_use
        self._owner: dict[int, int] = {}
        """The value whose step allocated the memory that a value lies in."""
        self._size: dict[int, int] = {}
        self._users: dict[int, int] = {}
        """How many values are alive in each owner's memory."""

    def reusable(self, time: int, draft: Draft, operand_types: Sequence[TensorType]) -> int | None:
        """An operand that dies here and whose memory, its own alone, fits the result."""
        (result,) = draft.node.types
        for operand, type_ in zip(draft.operands, operand_types, strict=True):
            alone = self._owner.get(operand) == operand and self._users.get(operand) == 1
            if type_ == result and alone and self._last_use[operand] == time:
                return operand
        return None

    def make(self, draft: Draft, views: bool, reuses: int | None) -> int:
        """Notes the results of a step and returns the bytes it allocates."""
        allocated = 0
        for value, type_ in zip(draft.results, draft.node.types, strict=True):
            owner = value
            if views:
                owner = self._owner.get(draft.operands[0], draft.operands[0])
            elif reuses is not None:
                self._size[owner] = self._size.pop(reuses)
                del self._users[reuses], self._owner[reuses]
            else:
                self._size[owner] = type_.nbytes
                allocated += type_.nbytes
            self._owner[value] = owner
            self._users[owner] = self._users.get(owner, 0) + 1
        return allocated

    def free(self, time: int, draft: Draft) -> tuple[tuple[int, ...], int]:
        """The values that die with a step, and the bytes that come free."""
        last, released = self._last_use, 0
        frees = [value for value in (*draft.operands, *draft.results) if last[value] == time and value >= self._first]
        if len(frees) > 1:
            frees = [*dict.fromkeys(frees)]
        for value in frees:
            owner = self._owner.get(value)
            if owner is None:
                continue
            self._users[owner] -= 1
            if not self._users[owner] and owner >= self._first:
                released += self._size.pop(owner, 0)
        return tuple(frees), released
