"""What a question would cost and where it would run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from gradserve.ir.errors import LimitExceeded
from gradserve.ir.records import dataclass
from gradserve.ir.types import TensorType
from gradserve.questions.derivatives import Differentiate
from gradserve.questions.estimates import Estimate
from gradserve.questions.matrices import OfMatrix


@dataclass(frozen=True, slots=True)
class Refusal:
    """The limit over which the question is."""

    limit: str
    message: str

    def error(self) -> LimitExceeded:
        """The error that asking would end in."""
        return LimitExceeded(self.limit, self.message)


@dataclass(frozen=True, slots=True)
class Explanation:
    """The prediction for one question. Prints as a page."""

    inputs: Mapping[str, TensorType]
    """What the derived graph takes, for one example."""
    outputs: Mapping[str, TensorType]
    """What it gives."""
    text: str
    """The derived and optimised graph for one example; of a dense derivative, the product with one vector.

    Of more than the limit `explain_letters` its beginning and its end, and between them how many lines are left out."""
    flops: float
    """Floating-point operations of the whole job."""
    bytes: float
    """Bytes read and written by the whole job."""
    peak_bytes: int
    """The largest number of live bytes of one chunk."""
    seconds: float
    """Predicted seconds on one worker, at the pace of the machine that predicts."""
    chunks: tuple[int, ...]
    """Sizes of the chunks: points, columns or rows of a dense derivative, probes. Empty if refused."""
    placement: str
    """Where it would run: `front-end` or `cluster`; `refused` if it would not."""
    executor: str
    reason: str
    """Why this placement and this executor, or the refusal."""
    loss_flops: float
    """Floating-point operations of the graph itself, for one example."""
    mode: str = ""
    """How a dense derivative is accumulated: `forward`, by columns, or `reverse`, by rows."""
    refusal: Refusal | None = None
    """Why it would be refused; None if it would run."""

    def __str__(self) -> str:
        inputs = ", ".join(f"{n}: {t}" for n, t in self.inputs.items())
        outputs = ", ".join(f"{n}: {t}" for n, t in self.outputs.items())
        sizes = ", ".join(map(str, self.chunks[:8])) + (", ..." if len(self.chunks) > 8 else "")
        units = {"forward": "column(s), forward", "reverse": "row(s), reverse"}.get(self.mode, "point(s)")
        return "\n".join(
            [
                f"inputs     {inputs}",
                f"outputs    {outputs}",
                f"cost       {self.flops:.3g} flops, {self.bytes:.3g} bytes moved, predicted {self.seconds:.2g} s",
                f"loss       {self.loss_flops:.3g} flops for one example",
                f"memory     {self.peak_bytes:,} bytes at most in one chunk",
                f"chunks     {len(self.chunks)} of {sizes} {units}",
                f"placement  {self.placement} by {self.executor}: {self.reason}",
                "",
                self.text,
            ]
        )


@dataclass(frozen=True)
class Explain:
    """Asks for the schedule of a question without running it; of its arrays only the types are looked at."""

    question: Differentiate | Estimate | OfMatrix

    rpc: ClassVar[str] = "ExplainGraph"
    answer: ClassVar[type] = Explanation
