"""Every error that gradserve raises on purpose: values with coordinates, formatted here and nowhere else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import ClassVar

from gradserve.ir.records import dataclass

MAX_VIOLATIONS = 50
MOST_SOUGHT = 5000
"""Violations after which nobody looks for more: a request of a megabyte may hold a million."""
_MOST_NAMES = 8
_MOST_LETTERS = 64


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that one field breaks."""

    field: str
    """The path of the offending field, such as `nodes[17].operands[1]`."""
    constraint: str
    """The rule, such as `mul (C1)`."""
    description: str
    """What is wrong and what to do instead."""
    source: str = ""
    """The author's source line, such as `loss.py:31`."""

    def under(self, path: str) -> Violation:
        """The same violation with its field below `path`."""
        return replace(self, field=f"{path}.{self.field}" if self.field else path)

    def __str__(self) -> str:
        traced = f"; traced at {self.source}" if self.source else ""
        where = f"{self.field}: " if self.field else ""
        return f"{where}{self.constraint}: {self.description}{traced}"


def sought(violations: Iterable[Violation]) -> list[Violation]:
    """As many of them as anybody looks for."""
    return [*islice(violations, MOST_SOUGHT)]


def listed(names: Collection[str]) -> str:
    """The first of these names, for messages: one about each of thousands cannot list thousands."""
    first = ", ".join(islice(map(_cut, names), _MOST_NAMES)) or "none"
    return f"{first} and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else first


def shown(value: object) -> str:
    """What somebody has written, for messages: a text in quotes, escaped; of what is long, the beginning."""
    return repr(_cut(value)) if isinstance(value, str) else _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else text[: _MOST_LETTERS - 1] + "…"


def repeated(names: Sequence[str]) -> list[int]:
    """The positions of names that were there before."""
    first: dict[str, int] = {}
    return [k for k, name in enumerate(names) if first.setdefault(name, k) != k]


class GradserveError(Exception):
    """The root of all errors that gradserve raises on purpose."""

    reason: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, violations: Sequence[Violation] = ()) -> None:
        """Keeps at most 50 violations and counts the rest."""
        self.message = message
        self.request_id = ""
        """What names the failed call in the logs and traces of its service; empty of an error of this process."""
        self.violations = tuple(violations[:MAX_VIOLATIONS])
        self.omitted = len(violations) - len(self.violations)
        super().__init__(self._text())

    def __reduce__(self) -> tuple[object, ...]:
        # From its fields, not by calling __init__: subclasses take other arguments, and workers send errors home.
        return GradserveError._restored, (type(self), self.args, self.__dict__)

    @staticmethod
    def _restored(kind: type[GradserveError], args: tuple[object, ...], fields: dict[str, object]) -> GradserveError:
        error = kind.__new__(kind, *args)
        error.__dict__.update(fields)
        return error

    def _text(self) -> str:
        lines = [self.message, *(f"  {violation}" for violation in self.violations)]
        if self.omitted:
            lines.append(f"  and {self.omitted} more")
        return "\n".join(lines)


class InvalidGraph(GradserveError):
    """A graph breaks the rules of the IR or of an op."""

    reason = "INVALID_GRAPH"


class InvalidRequest(GradserveError):
    """Arguments, `wrt`, batch or options do not fit the graph."""

    reason = "INVALID_REQUEST"


class InvalidReply(GradserveError):
    """What a service has answered is no answer to what it was asked."""

    reason = "INVALID_REPLY"


class UnsupportedOpSet(GradserveError):
    """The graph is written in a newer op set than this server knows."""

    reason = "OP_SET_NOT_SUPPORTED"


class UnknownMethod(GradserveError):
    """The service has no such method."""

    reason = "UNKNOWN_METHOD"


class UnknownService(GradserveError):
    """Health knows of no service of that name."""

    reason = "UNKNOWN_SERVICE"


class NotDifferentiable(GradserveError):
    """A derivative was asked for that does not exist."""

    reason = "NOT_DIFFERENTIABLE"


class LimitExceeded(GradserveError):
    """Work larger than a limit; refused before anything is allocated."""

    reason = "LIMIT_EXCEEDED"

    def __init__(self, limit: str, message: str, violations: Sequence[Violation] = ()) -> None:
        """Names the limit, such as `peak_bytes`."""
        self.limit = limit
        super().__init__(message, violations)


class GraphNotRegistered(GradserveError):
    """The digest of a call names no registered graph."""

    reason = "GRAPH_NOT_REGISTERED"


class BlobNotFound(GradserveError):
    """A tensor names a blob that is not there."""

    reason = "BLOB_NOT_FOUND"

    def __init__(self, digests: Sequence[str]) -> None:
        """Names every missing blob."""
        self.digests = tuple(digests)
        super().__init__(f"blobs not found: {', '.join(digests)}; write them with BlobService.WriteBlob")


class MemoryNotShared(GradserveError):
    """The memory of a call is none that client and service share."""

    reason = "MEMORY_NOT_SHARED"


class NumericalFailure(GradserveError):
    """A step of a plan cannot be carried out on these numbers, such as a Cholesky of an indefinite matrix."""

    reason = "NUMERICAL_FAILURE"


class WorkerLost(GradserveError):
    """Workers died more often than the job may be retried."""

    reason = "WORKER_LOST"


class Unauthenticated(GradserveError):
    """The service does not know who calls: credentials are missing or not valid."""

    reason = "UNAUTHENTICATED"


class PermissionDenied(GradserveError):
    """The service knows who calls, and he may not."""

    reason = "PERMISSION_DENIED"


class Unavailable(GradserveError):
    """The server takes no more work now; try again."""

    reason = "UNAVAILABLE"


class Overloaded(Unavailable):
    """There is work enough for now, of all callers or of this one; try again, but not at once."""

    reason = "OVERLOADED"

    def __init__(
        self, message: str, violations: Sequence[Violation] = (), limit: str = "", retry_after: float = 0.2
    ) -> None:
        """Names the limit, such as `max_in_flight`, and the seconds after which there should be room."""
        self.limit = limit
        self.retry_after = retry_after
        super().__init__(message, violations)


class DeadlineExceeded(GradserveError):
    """The deadline passed before the answer was there."""

    reason = "DEADLINE_EXCEEDED"


class Cancelled(GradserveError):
    """The caller has gone away or cancelled."""

    reason = "CANCELLED"


class Untraceable(GradserveError, TypeError):
    """Python code did something with a traced array that no graph can say."""

    reason = "UNTRACEABLE"


class ConstraintError(Exception):
    """Raised by the rules of an op when operand types or attributes break one of its numbered constraints."""

    def __init__(self, constraint: str, description: str) -> None:
        """`constraint` is the number, such as `C2`."""
        self.constraint = constraint
        self.description = description
        super().__init__(f"{constraint}: {description}")
