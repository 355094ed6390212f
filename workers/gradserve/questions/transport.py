"""Numbers that travel as float32: where they are rounded, the same in process as by a service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

import numpy as np

from gradserve.ir.errors import InvalidRequest, NumericalFailure, Violation
from gradserve.ir.types import Array
from gradserve.questions.asked import Answer, Question
from gradserve.questions.call import Argument, Transport
from gradserve.questions.derivatives import Derivatives, Differentiate, ReportedLater
from gradserve.questions.explanation import Explain
from gradserve.questions.matrices import OfMatrix
from gradserve.questions.report import Report

_ADVICE = 'f.transport = "exact" takes them'


def is_rounded(question: Question) -> bool:
    """Whether numbers of a question, and of its answer, travel as float32. Types have no numbers."""
    return not isinstance(question, Explain) and question.call.options.transport is Transport.FLOAT32


def rounded(question: Question) -> Question:
    """The question at the nearest numbers that float32 has, if that is how they travel: arguments, and vectors.

    Raises:
        InvalidRequest: float32 has no such numbers; names the arrays.
    """
    if not is_rounded(question):
        return question
    violations: list[Violation] = []
    asked = cast("Any", question)
    call = replace(asked.call, arguments=_arguments(asked.call.arguments, "arguments", violations))
    changed: dict[str, Any] = {"call": call}
    if isinstance(question, Differentiate):
        changed["vectors"] = _arguments(question.vectors, question.derivation.takes, violations)
    if isinstance(question, OfMatrix):
        vectors = {name: each for name, each in vars(question).items() if isinstance(each, Mapping)}
        changed |= {name: _arguments(each, name, violations) for name, each in vectors.items()}
    _require(violations)
    found: Question = replace(asked, **changed)
    return found


def rounded_arguments(question: Question, arguments: Mapping[str, Argument]) -> Mapping[str, Argument]:
    """Arguments as they travel of a question like this one; raises what `rounded` does."""
    violations: list[Violation] = []
    found = _arguments(arguments, "arguments", violations) if is_rounded(question) else arguments
    _require(violations)
    return found


def rounded_answer(question: Question, answer: Answer) -> Answer:
    """The answer with numbers that float32 has, where that is how they travel; and its report says so.

    Those of derivatives are rounded. What else there is are estimates and reports, whose bounds would not hold.

    Raises:
        NumericalFailure: float32 has no such numbers; names the array.
    """
    if not is_rounded(question):
        return answer
    if isinstance(answer, Derivatives):
        tell = _teller(answer)
        arrays = {role: _results(named, role) for role, named in answer.arrays.items()}
        blocks = {row: _results(columns, f"block {row!r}") for row, columns in answer.blocks.items()}
        return ReportedLater(arrays, lambda: _marked(tell()), blocks, answer.mode)
    return _told(answer)


def as_float32(array: Array) -> Array | None:
    """The nearest numbers that float32 has, of float64; None if a finite one is beyond them, or it is of another type.

    What is too small for float32 comes to 0.
    """
    if array.dtype != np.float64:
        return None
    with np.errstate(all="ignore"):
        narrow = array.astype(np.float32)
    finite = np.isfinite(narrow)
    return narrow if finite.all() or (finite == np.isfinite(array)).all() else None


def _arguments(arrays: Mapping[str, Argument], field: str, violations: list[Violation]) -> dict[str, Argument]:
    """The arguments, rounded; adds the violations of those that cannot be."""
    found = dict(arrays)
    for name, array in arrays.items():
        if isinstance(array, np.ndarray) and array.dtype == np.float64:
            narrow = as_float32(array)
            if narrow is None:
                text = f"{_beyond(array)}; {_ADVICE}"
                violations.append(Violation(f'{field}["{name}"]', "M10", text))
            else:
                found[name] = narrow.astype(np.float64)
    return found


def _require(violations: list[Violation]) -> None:
    if violations:
        raise InvalidRequest("numbers do not travel as float32", violations)


def _results(arrays: Mapping[str, Array], what: str) -> dict[str, Array]:
    found = dict(arrays)
    for name, array in arrays.items():
        if array.dtype == np.float64:
            narrow = as_float32(array)
            if narrow is None:
                raise NumericalFailure(f"{what} {name!r}: {_beyond(array)}; {_ADVICE}")
            found[name] = narrow.astype(np.float64)
    return found


def _beyond(array: Array) -> str:
    largest = float(np.max(np.abs(array), where=np.isfinite(array), initial=0.0))
    return f"its largest number is {largest:.3g}, and the largest of float32 is {np.finfo(np.float32).max:.3g}"


def _teller(answer: Derivatives) -> Any:
    """What tells the report, and keeps no arrays in memory."""
    if isinstance(answer, ReportedLater):
        return answer.tell
    report = answer.report
    return lambda: report


def _told(answer: Any) -> Any:
    return replace(answer, **{name: _marked(report) for name, report in _reports(answer)})


def _reports(answer: Any) -> Iterator[tuple[str, Report]]:
    for field in fields(answer) if is_dataclass(answer) else ():
        value = getattr(answer, field.name)
        if isinstance(value, Report):
            yield field.name, value


def _marked(report: Report) -> Report:
    return replace(report, transport=Transport.FLOAT32)
