"""Calls of functions: loops, choices and blocks of rows with their bodies as machine code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gradserve.execution.costs import of_graph
from gradserve.execution.fused.blocks import Blocks
from gradserve.execution.fused.elementwise import computed
from gradserve.execution.fused.groups import Group
from gradserve.execution.fused.indexing import slice_at
from gradserve.execution.fused.lowering import Site, lower, lowered
from gradserve.execution.fused.machine import CHECK, Machine
from gradserve.execution.fused.passes import moved
from gradserve.execution.fused.stacks import arranged
from gradserve.execution.fused.text import MEMORY
from gradserve.execution.fused.values import FEW, Filled, Lowered, Small, Stored, row_major_at
from gradserve.ir.graph import Graph
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops.control.cond import Cond
from gradserve.ops.control.once import Once
from gradserve.ops.control.scan import Scan

_BETWEEN_CHECKS = 1e-3
"""Predicted seconds between two looks at whether to stop."""
_BOOL, _INT64 = ElementType.BOOL, ElementType.INT64


@dataclass(frozen=True, slots=True)
class _Home:
    """Where a value lives that changes from step to step, or that depends on a choice."""

    place: Stored

    @property
    def few(self) -> bool:
        """Whether its elements are held one by one."""
        return self.place.type.size <= FEW

    def value(self, machine: Machine) -> Lowered:
        """What it is now."""
        return Small(self.place.type, tuple(machine.elements(self.place))) if self.few else self.place


def _home(machine: Machine, type_: TensorType) -> _Home:
    """A place that a few elements have in registers, if LLVM finds that they can, and others in the arena."""
    if type_.size <= FEW:
        return _Home(row_major_at(type_, machine.text.room(MEMORY[type_.element_type], max(type_.size, 1))))
    return _Home(machine.scratch(type_))


def _settle(machine: Machine, values: Sequence[Lowered], homes: Sequence[_Home]) -> None:
    """Writes all values to their homes, of which some may be what others are read from; gives back their memory."""
    owners = {home.place.owner for home in homes} - {-1}
    safe = []
    for value, home in zip(values, homes, strict=True):
        shared = isinstance(value, Stored) and value.owner in owners and value != home.place
        if home.few:
            value = Small(home.place.type, tuple(machine.elements(value)))
        elif shared:
            value = moved(machine, value, machine.scratch(home.place.type))
        safe.append(value)
    for value, home in zip(safe, homes, strict=True):
        if value != home.place:
            moved(machine, value, home.place)
    give_back(machine, values)


def give_back(machine: Machine, values: Sequence[Lowered]) -> None:
    """Counts the outputs of a graph as used."""
    for value in values:
        if isinstance(value, Stored):
            machine.arena.use(value.owner, -1)


@lowered.register
def _(op: Cond, at: Site, operands: Sequence[Lowered]) -> list[Lowered]:
    machine, (truth, *others) = at.machine, operands
    text, homes = machine.text, [_home(machine, t) for t in at.types]
    chosen = {"then": machine.elements(truth)[0]}
    chosen["otherwise"] = text.value(f"xor i1 {chosen['then']}, true")
    for name, condition in chosen.items():
        with text.when(condition):
            held = machine.held
            _settle(machine, lower(machine, op.functions[name], others), homes)
            machine.let_go(held)
    return [home.value(machine) for home in homes]


@lowered.register
def _(op: Once, at: Site, operands: Sequence[Lowered]) -> list[Lowered]:
    machine = at.machine
    homes = [_home(machine, t) for t in at.types]
    held = machine.held
    _settle(machine, lower(machine, op.function, operands), homes)
    machine.let_go(held)
    return [home.value(machine) for home in homes]


@lowered.register
def _(op: Scan, at: Site, operands: Sequence[Lowered]) -> list[Lowered]:
    machine, types = at.machine, at.types
    text = machine.text
    steps, carries, _, _ = op.parts(operands)
    _, given, stacked = op.result_parts(types)
    homes = [_home(machine, t) for t in given]
    for value, home in zip(carries, homes, strict=True):
        moved(machine, value, home.place)
    stacks = [at.new(len(types) - len(stacked) + k) for k in range(len(stacked))]
    for stack in stacks:
        machine.hold(stack)
        if not _is_whole(op, steps):
            text.clear(stack.pointer, stack.type.nbytes)
    done, goes_on = text.room("i64", 1), text.room("i8", 1)
    text.store(_INT64, "0", done)
    text.store(_BOOL, "true", goes_on)
    wanted = machine.elements(steps)[0]
    if op.length:
        _repeat(op, machine, operands, homes, stacks, wanted, (done, goes_on))
    found: list[Lowered] = []
    if op.stops:
        found.append(Small(types[0], (_ended(op, machine, wanted, done, goes_on),)))
    return [*found, *(home.value(machine) for home in homes), *stacks]


def _is_whole(op: Scan, steps: Lowered) -> bool:
    """Whether it is known that a loop makes all its steps, so that it writes every row of what it stacks."""
    return not op.stops and isinstance(steps, Filled) and steps.number is not None and steps.number >= op.length


def _ended(op: Scan, machine: Machine, wanted: str, done: str, goes_on: str) -> str:
    """The number of steps; the run is refused if the loop would go on after the last one."""
    text = machine.text
    count = text.load(_INT64, done)
    full = text.value(f"icmp eq i64 {count}, {op.length}")
    some = text.value(f"icmp sgt i64 {wanted}, 0")
    cut_off = text.value(f"and i1 {full}, {some}")
    text.refuse_if(text.value(f"and i1 {cut_off}, {text.load(_BOOL, goes_on)}"))
    return count


def _repeat(
    op: Scan,
    machine: Machine,
    operands: Sequence[Lowered],
    homes: Sequence[_Home],
    stacks: Sequence[Stored],
    wanted: str,
    state: tuple[str, str],
) -> None:
    """The loop itself."""
    text = machine.text
    _, _, scanned, constant = op.parts(operands)
    shared = [arranged(machine, op.body, k, value) for k, value in enumerate(constant, op.carries + len(scanned))]
    rows = [value if isinstance(value, Filled) else machine.in_memory(value) for value in scanned]
    fewer = text.value(f"icmp slt i64 {wanted}, {op.length}")
    count = text.value(f"select i1 {fewer}, i64 {wanted}, i64 {op.length}")
    with text.when(text.value(f"icmp sgt i64 {count}, 0")), text.loop(count) as step:
        _look(machine, step, of_graph(op.body), op.length)
        row = text.value(f"sub i64 {text.value(f'sub i64 {count}, 1')}, {step}") if op.reverse else step
        inputs = [*(home.value(machine) for home in homes), *(_row(machine, value, row) for value in rows), *shared]
        targets = [slice_at(machine, stack, 0, row) for stack in stacks]
        held = machine.held
        first = int(op.stops)
        outputs = lower(machine, op.body, inputs, _own(op.body, dict(enumerate(targets, first + op.carries))))
        kept = outputs[first + op.carries :]
        for value, target in zip(kept, targets, strict=True):
            if value != target:
                moved(machine, value, target)
        give_back(machine, kept)
        truth = machine.elements(outputs[0])[0] if op.stops else "true"
        _settle(machine, outputs[first : first + op.carries], homes)
        machine.let_go(held)
        text.store(_INT64, text.value(f"add i64 {step}, 1"), state[0])
        if op.stops:
            text.store(_BOOL, truth, state[1])
            text.leave_if(text.value(f"xor i1 {truth}, true"))


def _own(body: Graph, targets: Mapping[int, Stored]) -> dict[int, Stored]:
    """Where outputs may be written at once, given where each belongs: those that nothing else is made of."""
    outputs = [output.value for output in body.outputs]
    return {
        outputs[k]: target
        for k, target in targets.items()
        if outputs.count(outputs[k]) == 1 and outputs[k] >= body.first_node_value and target.type.size > FEW
    }


def _row(machine: Machine, value: Filled | Stored, row: str) -> Lowered:
    """The row of a scanned array."""
    if isinstance(value, Filled):
        return replace(value, type=value.type.with_shape(value.type.lengths[1:]))
    found = slice_at(machine, value, 0, row)
    return Small(found.type, tuple(machine.elements(found))) if found.type.size <= FEW else found


@lowered.register
def _(op: Blocks, at: Site, operands: Sequence[Lowered]) -> list[Lowered]:
    machine, text = at.machine, at.machine.text
    rows = [value if isinstance(value, Filled) else machine.in_memory(value) for value in operands[: op.cut]]
    wholes = [at.new(k) for k in range(len(at.types))]
    for whole in wholes:
        machine.hold(whole)
    for k in op.sums:
        text.clear(wholes[k].pointer, wholes[k].type.nbytes)
    others = [arranged(machine, op.body, k, value) for k, value in enumerate(operands) if k >= op.cut]
    with text.loop(op.calls) as step:
        _look(machine, step, of_graph(op.body), op.calls)
        start = text.value(f"mul nsw i64 {step}, {op.block}")
        _one_block(op, op.body, machine, (rows, others), wholes, (start, op.block))
    if op.left:
        _one_block(op, op.rest, machine, (rows, others), wholes, (str(op.rows - op.left), op.left))
    return [*wholes]


def _one_block(
    op: Blocks,
    body: Graph,
    machine: Machine,
    given: tuple[Sequence[Filled | Stored], Sequence[Lowered]],
    wholes: Sequence[Stored],
    part: tuple[str, int],
) -> None:
    """A body on some rows, by the first of them and their number: its rows into the whole results, its sums to them."""
    rows, others = given
    inputs = [*(_block(machine, value, *part) for value in rows), *others]
    targets = {k: _stored_block(machine, whole, *part) for k, whole in enumerate(wholes) if k not in op.sums}
    held = machine.held
    outputs = lower(machine, body, inputs, _own(body, targets))
    for k, value in enumerate(outputs):
        if k in op.sums:
            _add(machine, value, wholes[k])
        elif value != targets[k]:
            moved(machine, value, targets[k])
    give_back(machine, outputs)
    machine.let_go(held)


def _add(machine: Machine, value: Lowered, into: Stored) -> None:
    """Adds a value, element by element."""
    group = Group(into.type.lengths)
    group.terms[0] = group.read(0, into) + group.read(1, value)
    computed(machine, group, {0: into})


def _block(machine: Machine, value: Filled | Stored, first: str, count: int) -> Lowered:
    """So many rows of a value from one on."""
    if isinstance(value, Filled):
        return replace(value, type=value.type.with_shape((count, *value.type.lengths[1:])))
    return _stored_block(machine, value, first, count)


def _stored_block(machine: Machine, value: Stored, first: str, count: int) -> Stored:
    row = slice_at(machine, value, 0, first)
    return replace(row, type=row.type.with_shape((count, *row.type.lengths)), strides=value.strides)


def _look(machine: Machine, step: str, each: float, count: int) -> None:
    """Asks now and then whether to stop, if the loop is a long one of steps that take so long each."""
    if each * count < _BETWEEN_CHECKS:
        return
    between = 1
    while between * each < _BETWEEN_CHECKS / 2:
        between *= 2
    text = machine.text
    position = text.value(f"and i64 {step}, {between - 1}")
    with text.when(text.value(f"icmp eq i64 {position}, {between - 1}")):
        stop = text.value(f"call i32 {text.pointer(CHECK)}()")
        text.refuse_if(text.value(f"icmp ne i32 {stop}, 0"), "stopped")
