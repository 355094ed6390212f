"""Works on real schedules that the tests of all pools run, with answers computed by plain NumPy."""

import numpy as np

from gradserve.execution import executor
from gradserve.ir.types import ElementType, TensorType
from gradserve.ops import builder
from gradserve.pools.work import Chunk, Rows, Shared, Signs, Work
from tests.running import schedule_of

F64 = ElementType.FLOAT64
I64 = ElementType.INT64


def square_schedule(length=4):
    """y = x x + 1."""
    g = builder()
    x = g.input("x", TensorType(F64, (length,)))
    return schedule_of(g.build({"y": x * x + 1.0}))


def product_schedule(rows, length):
    """y = tanh(a w), a matrix times a vector."""
    g = builder()
    a = g.input("a", TensorType(F64, (rows, length)))
    w = g.input("w", TensorType(F64, (length,)))
    y = g.contract(a, w, lhs_contract=(1,), rhs_contract=(0,), lhs_batch=(), rhs_batch=())
    return schedule_of(g.build({"y": g.tanh(y), "sum": g.reduce_sum(y, axes=(0,))}))


def long_schedule(steps, length=500_000):
    """`steps` times x <- x a + b, then the sum: half a millisecond or more for each step."""
    g = builder()
    x = g.input("x", TensorType(F64, (length,)))
    b = g.input("b", TensorType(F64, (length,)))
    for _ in range(steps):
        x = x * 0.999 + b
    return schedule_of(g.build({"y": g.reduce_sum(x, axes=(0,))}))


def cholesky_schedule(length):
    """The Cholesky factor of x."""
    g = builder()
    x = g.input("x", TensorType(F64, (length, length)))
    return schedule_of(g.build({"y": g.cholesky(x)}))


def outer_schedule(length):
    """The sum of x_i x_j over all i and j, with the whole matrix in memory."""
    g = builder()
    x = g.input("x", TensorType(F64, (length,)))
    row = g.broadcast_to(g.reshape(x, (1, length)), shape=(length, length))
    column = g.broadcast_to(g.reshape(x, (length, 1)), shape=(length, length))
    return schedule_of(g.build({"y": g.reduce_sum(g.exp(row * column), axes=(0, 1))}))


def work_of(schedule, data, chunks, executor="numpy"):
    """Chunks of one program without constants."""
    return Work({schedule.program.digest: schedule}, data, {}, chunks, executor)


def one_input(schedule, array, chunks=1, executor="numpy"):
    """The same chunk many times."""
    return work_of(schedule, {"x": array}, (Chunk(schedule.program.digest, {"x": Shared("x")}),) * chunks, executor)


def squares(length=4, chunks=1):
    """Tiny chunks; each result is `x x + 1`."""
    return one_input(square_schedule(length), np.arange(float(length)), chunks)


def products(chunks, rows=16, length=300, seed=0):
    """Chunks along the rows of a matrix, and the matrix and the vector themselves."""
    rng = np.random.default_rng(seed)
    a, w = rng.standard_normal((chunks * rows, length)), rng.standard_normal(length)
    schedule = product_schedule(rows, length)
    cut = tuple(
        Chunk(schedule.program.digest, {"a": Rows("a", k * rows, (k + 1) * rows), "w": Shared("w")})
        for k in range(chunks)
    )
    return work_of(schedule, {"a": a, "w": w}, cut), a, w


def probes(chunks, count=8, length=300):
    """Chunks that make their own probes."""
    schedule = product_schedule(count, length)
    w = np.random.default_rng(1).standard_normal(length)
    digest = schedule.program.digest
    cut = tuple(
        Chunk(
            digest,
            {"a": Signs(5, "test", k * count, (k + 1) * count, (length,), F64), "w": Shared("w")},
        )
        for k in range(chunks)
    )
    return work_of(schedule, {"w": w}, cut)


def long_work(steps, chunks, length=500_000):
    """Chunks that take half a millisecond or more for each step."""
    schedule = long_schedule(steps, length)
    data = {"x": np.linspace(0.0, 1.0, length), "b": np.full(length, 1e-3)}
    return work_of(schedule, data, (Chunk(schedule.program.digest, {"x": Shared("x"), "b": Shared("b")}),) * chunks)


def lasting(steps, chunks, size=200_000):
    """Chunks of a millisecond or more for each step that take one number and give one."""
    g = builder()
    x = y = g.broadcast_to(g.input("x", TensorType(F64, (1,))), shape=(size,))
    for _ in range(steps):
        y = g.exp(-y * y) + x
    schedule = schedule_of(g.build({"y": g.reduce_sum(y, axes=(0,))}))
    cut = tuple(Chunk(schedule.program.digest, {"x": Rows("x", k, k + 1)}) for k in range(chunks))
    return work_of(schedule, {"x": np.linspace(0.0, 1.0, chunks)}, cut)


def compiled_work(steps):
    """A chunk on machine code that nobody has made before, which takes a millisecond or so for each step."""
    g = builder()
    x = g.input("x", TensorType(F64, (4,)))
    number = np.random.default_rng().uniform(0.5, 1.0)  # machine code is kept on disk, by its text
    for _ in range(steps):
        x = g.tanh(x * number) + number
    schedule = executor("fused").schedule(schedule_of(g.build({"y": x})).program)
    return one_input(schedule, np.linspace(0.0, 1.0, 4), executor="fused")


def endless_work(chunks):
    """Chunks of several seconds each, on schedules that are quickly made ready."""
    return long_work(steps=800, chunks=chunks, length=2_000_000)


def one_quick_then_endless(chunks):
    """A chunk that is done at once, and then chunks of several seconds each."""
    endless = endless_work(chunks)
    quick = long_schedule(steps=1, length=2_000_000)
    first = Chunk(quick.program.digest, endless.chunks[0].arguments)
    schedules = {quick.program.digest: quick, **endless.schedules}
    return Work(schedules, endless.data, {}, (first, *endless.chunks[1:]), "numpy")


def indefinite(length=20):
    """A chunk that no Cholesky factor exists for, after one that is fine."""
    schedule = cholesky_schedule(length)
    cut = (Chunk(schedule.program.digest, {"x": Shared("good")}), Chunk(schedule.program.digest, {"x": Shared("bad")}))
    return work_of(schedule, {"good": np.eye(length), "bad": -np.eye(length)}, cut)


def one_long_step(length=1_000_000, times=20_000):
    """A chunk whose longest step takes many seconds, and little memory: a sum along an axis made by broadcasting."""
    g = builder()
    x = g.input("x", TensorType(F64, (length,)))
    schedule = schedule_of(g.build({"y": g.reduce_sum(g.broadcast(x, (times, length)), axes=(0,))}))
    return work_of(schedule, {"x": np.ones(length)}, (Chunk(schedule.program.digest, {"x": Shared("x")}),))


class Watched(tuple[Chunk, ...]):
    """Chunks that remember the last one that was asked for."""

    last = -1

    def __getitem__(self, index):
        self.last = max(self.last, index)
        return super().__getitem__(index)


def watched(work):
    """The same work with chunks that are watched."""
    return Work(work.schedules, work.data, work.constants, Watched(work.chunks), work.executor)


def bits(results):
    """Everything about results that must not depend on the pool."""
    return [
        (r.index, sorted((name, x.dtype.str, x.shape, x.tobytes()) for name, x in r.outputs.items())) for r in results
    ]
