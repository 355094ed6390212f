"""Schedules: the nodes of a graph as steps, with the last use of every value and the fate of every buffer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gradserve.execution import costs
from gradserve.execution.numpy.drafts import Draft, drafts_of
from gradserve.execution.numpy.kernels.table import entry
from gradserve.execution.numpy.layout import Laid, Strides, place, row_major
from gradserve.execution.program import Program
from gradserve.ir.budget import looking
from gradserve.ir.graph import Graph
from gradserve.ir.op import Cost, Op
from gradserve.ir.types import TensorType
from gradserve.ops.control.calling import Calling

REUSE_BYTES = 1 << 14
"""Smaller results are allocated afresh: NumPy's own cache of small blocks is quicker than an `out=` argument."""


@dataclass(frozen=True, slots=True)
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
        called = [function.longest_step_seconds for function in self.functions.values()]
        return max(called) if called else self.seconds

    @property
    def workspace(self) -> int:
        """Bytes that it takes beside its operands and results while it runs: those of a function without its inputs."""
        taken = [f.peak_bytes - sum(i.type.nbytes for i in f.program.graph.inputs) for f in self.functions.values()]
        return max(taken, default=0)


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
    types = graph.value_types
    last_use = _last_uses(graph, drafts)
    strides: dict[int, Strides] = {k: row_major(t.lengths) for k, t in enumerate(types[: graph.first_node_value])}
    buffers = _Buffers(graph, last_use)
    measure = _Measures()
    steps = []
    for time, draft in enumerate(looking(drafts)):
        op = draft.node.op
        operand_types = tuple(types[k] for k in draft.operands)
        reuses = buffers.reusable(time, draft, operand_types) if entry(type(op)).overwrites else None
        if reuses is None:
            placed = measure.place(op, operand_types, tuple([strides[k] for k in draft.operands]), draft.node.types)
        else:
            placed = Laid((strides[reuses],))
        strides.update(zip(draft.results, placed.strides, strict=True))
        allocates = buffers.make(draft, views=op.view and not placed.copies, reuses=reuses)
        frees, releases = buffers.free(time, draft)
        cost, seconds, functions = measure.costs(op, operand_types, draft.node.types)
        steps.append(
            Step(
                op=op,
                operands=draft.operands,
                results=draft.results,
                operand_types=operand_types,
                result_types=draft.node.types,
                node=draft.position,
                copies=placed.copies,
                order=placed.order,
                reuses=reuses,
                frees=frees,
                allocates=allocates,
                releases=releases,
                cost=cost,
                seconds=seconds,
                functions=functions,
            )
        )
    return tuple(steps)


class _Measures:
    """What steps of one op on arrays of one kind have in common: graphs mostly repeat few of these."""

    def __init__(self) -> None:
        self._placed: dict[tuple[object, ...], Laid] = {}
        self._costs: dict[tuple[int, ...], tuple[Cost, float, Mapping[str, NumpySchedule]]] = {}

    def place(
        self, op: Op, operands: Sequence[TensorType], strides: tuple[Strides, ...], results: Sequence[TensorType]
    ) -> Laid:
        """Where the results lie; see `layout.place`."""
        key = (id(op), strides, *map(id, operands))
        found = self._placed.get(key)
        if found is None:
            found = self._placed[key] = place(op, operands, strides, results)
        return found

    def costs(
        self, op: Op, operands: Sequence[TensorType], results: Sequence[TensorType]
    ) -> tuple[Cost, float, Mapping[str, NumpySchedule]]:
        """The cost of a step, its predicted seconds, and the schedules of the functions that it calls."""
        key = (id(op), *map(id, operands))
        found = self._costs.get(key)
        if found is None:
            functions = {name: schedule_of(Program(function)) for name, function in op.functions.items()}
            cost = op.cost(operands, results)
            found = self._costs[key] = cost, _seconds(op, cost, functions), functions
        return found


def _seconds(op: Op, cost: Cost, functions: Mapping[str, NumpySchedule]) -> float:
    """Predicted seconds of one step on one core; calls of functions take as long as all their steps."""
    if not isinstance(op, Calling):
        return costs.seconds(cost)
    return costs.SECONDS_PER_STEP + op.calls * max(function.seconds for function in functions.values())


def _last_uses(graph: Graph, drafts: Sequence[Draft]) -> dict[int, int]:
    """The time of the last step that reads each value; outputs are read after all steps."""
    last = {}
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

    def __init__(self, graph: Graph, last_use: dict[int, int]) -> None:
        self._first = graph.first_node_value
        self._types = graph.value_types
        self._last_use = last_use
        self._owner: dict[int, int] = {}
        """The value whose step allocated the memory that a value lies in."""
        self._size: dict[int, int] = {}
        self._users: dict[int, set[int]] = defaultdict(set)
        """Values alive in each owner's memory."""

    def _owner_of(self, value: int) -> int:
        return self._owner.get(value, value)

    def reusable(self, time: int, draft: Draft, operand_types: Sequence[TensorType]) -> int | None:
        """An operand that dies here and whose memory, its own alone, fits the result."""
        (result,) = draft.node.types
        if result.nbytes < REUSE_BYTES:
            return None
        for operand, type_ in zip(draft.operands, operand_types, strict=True):
            alone = self._users.get(operand) == {operand} and self._owner.get(operand) == operand
            if type_ == result and alone and self._last_use[operand] == time:
                return operand
        return None

    def make(self, draft: Draft, views: bool, reuses: int | None) -> int:
        """Notes the results of a step and returns the bytes it allocates."""
        allocated = 0
        for value, type_ in zip(draft.results, draft.node.types, strict=True):
            if views:
                owner = self._owner_of(draft.operands[0])
            elif reuses is not None:
                owner = value
                self._size[owner] = self._size.pop(reuses)
                self._users.pop(reuses)
                del self._owner[reuses]
            else:
                owner = value
                self._size[owner] = type_.nbytes
                allocated += type_.nbytes
            self._owner[value] = owner
            self._users[owner].add(value)
        return allocated

    def free(self, time: int, draft: Draft) -> tuple[tuple[int, ...], int]:
        """The values that die with a step, and the bytes that come free."""
        frees, released = [], 0
        for value in dict.fromkeys((*draft.operands, *draft.results)):
            if value < self._first or self._last_use[value] > time:
                continue
            frees.append(value)
            owner = self._owner.get(value)
            if owner is None:
                continue
            users = self._users[owner]
            users.discard(value)
            if not users and owner >= self._first:
                released += self._size.pop(owner, 0)
        return tuple(frees), released
