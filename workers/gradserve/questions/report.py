"""What a call cost, as measured."""

from __future__ import annotations

from dataclasses import replace

from gradserve.ir.records import record
from gradserve.questions.call import Transport

PHASES = ("queue", "decode", "plan", "execute", "encode")
"""The parts of a call, in the order in which they pass."""


@record
class Kinks:
    """How much of a function sits where it is not differentiable, and ops follow their conventions."""

    nodes: int
    """Nodes of the graph that do at one point or more, those of a loop's body once; `Function.inspect` names them."""
    examples: int
    """Points at which a node does."""
    bound: float | None = None
    """The largest error bound of derivatives that are limits there; None if they follow conventions."""

    def __str__(self) -> str:
        told = f"{self.nodes} node(s) on a kink at {self.examples} point(s)"
        return told if self.bound is None else f"{told}, derivatives there are limits within {self.bound:.1e}"

    def note(self, what: str) -> str:
        """What follows conventions there, unless it is a limit."""
        return f"{self}: {what} follow conventions there" if self.bound is None else str(self)


@record
class Report:
    """Seconds by phase, and counts."""

    queue: float = 0.0
    """Seconds of waiting for admission and for workers."""
    decode: float = 0.0
    """Seconds of reading and checking the request; 0 in process."""
    plan: float = 0.0
    """Seconds of deriving, optimising and scheduling."""
    execute: float = 0.0
    """Seconds of running programs."""
    encode: float = 0.0
    """Seconds of writing the reply; 0 in process."""
    plan_cache_hit: bool = False
    """Whether every program was known from an earlier call."""
    executor: str = ""
    """The name of the executor that ran all chunks."""
    placement: str = ""
    """Where the chunks ran: `front-end` or `cluster`."""
    chunks: int = 0
    retries: int = 0
    """Chunks that were run again because their worker died."""
    batch_size: int = 1
    """Points of the batch, probes or evaluations; 1 without."""
    flops: float = 0.0
    """Floating-point operations, from shapes."""
    peak_bytes: int = 0
    """The largest number of live bytes of one chunk, from shapes."""
    nonfinite_outputs: int = 0
    """Elements of the results that are infinite or not a number."""
    workers: tuple[str, ...] = ()
    """The workers that took part, by name."""
    kinks: Kinks | None = None
    """What sits on a kink, of all that has to do with derivatives, unless `Function.count_kinks` is False."""
    transport: Transport = Transport.EXACT
    """How float64 travelled, or in process how it would have."""

    @property
    def on_kinks(self) -> bool:
        """Whether derivatives follow conventions at kinks."""
        return self.kinks is not None and self.kinks.nodes > 0 and self.kinks.bound is None

    @property
    def phases(self) -> dict[str, float]:
        """Seconds by phase, in the order in which they pass."""
        return {name: getattr(self, name) for name in PHASES}

    @property
    def timeless(self) -> Report:
        """The same without what is another each time: seconds, workers, and what these lost."""
        return replace(self, queue=0.0, decode=0.0, plan=0.0, execute=0.0, encode=0.0, retries=0, workers=())

    def __add__(self, other: Report) -> Report:
        """The report on two pieces of work of one job, done one after the other."""
        return replace(
            self,
            **{name: seconds + getattr(other, name) for name, seconds in self.phases.items()},
            plan_cache_hit=self.plan_cache_hit and other.plan_cache_hit,
            chunks=self.chunks + other.chunks,
            retries=self.retries + other.retries,
            flops=self.flops + other.flops,
            peak_bytes=max(self.peak_bytes, other.peak_bytes),
            nonfinite_outputs=self.nonfinite_outputs + other.nonfinite_outputs,
            workers=tuple(dict.fromkeys(self.workers + other.workers)),
        )

    def __str__(self) -> str:
        spent = ", ".join(f"{name} {1e3 * seconds:.2f} ms" for name, seconds in self.phases.items())
        ran = f"{self.chunks} chunk(s) on {self.placement} by {self.executor}, {self.retries} retries"
        return f"{spent}; {ran}" + (f"; {self.kinks}" if self.kinks and self.kinks.nodes else "")
