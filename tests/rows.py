"""Tests that go over a table: all of its rows are tried, and those that fail are told by name."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import pytest
from _pytest.mark import ParameterSet

Row = TypeVar("Row")


def each(rows: Iterable[tuple[str, Row]], check: Callable[[Row], object]) -> None:
    """Checks every row of a table, each under its name.

    One test of a hundred rows costs a millisecond or two of pytest's, a hundred tests cost a hundred times that.

    Raises:
        BaseExceptionGroup: what the rows that fail raised, each with the row's name.
    """
    table = list(rows)
    assert table, "the table has no rows"
    failures: list[tuple[str, BaseException]] = []
    for name, row in table:
        try:
            check(row)
        except (Exception, pytest.fail.Exception) as failure:
            failure.add_note(f"That was {name}.")
            failures.append((name, failure))
    if failures:
        told = f"{len(failures)} of {len(table)} rows fail: {', '.join(name for name, _ in failures)}"
        raise BaseExceptionGroup(told, [failure for _, failure in failures])


def in_one(check: Callable[..., object]) -> Callable[[], None]:
    """One test of all that a function is parametrised with, by the marks below: without it each is a test. See `each`.

    For what takes less time than pytest needs for a test, and no fixture.
    """
    marks = [mark for mark in check.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]
    chosen = [list(_choices(*mark.args, **mark.kwargs)) for mark in reversed(marks)]

    def test() -> None:
        rows = (
            ("-".join(name for name, _ in row), {key: value for _, given in row for key, value in given.items()})
            for row in itertools.product(*chosen)
        )
        each(rows, lambda given: check(**given))

    test.__name__, test.__doc__, test.__module__ = check.__name__, check.__doc__, check.__module__
    return test


def _choices(names: str, rows: Iterable[Any], ids: Any = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a mark gives to a function each time, and what it is called."""
    called = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    for k, row in enumerate(rows):
        values = row.values if isinstance(row, ParameterSet) else (row,) if len(called) == 1 else row
        if isinstance(row, ParameterSet) and row.id:
            label = str(row.id)
        elif ids is None:
            label = " ".join(_told(value) for value in values)
        else:
            label = " ".join(str(ids(value) or value) for value in values) if callable(ids) else str(ids[k])
        yield label, dict(zip(called, values, strict=True))


def _told(value: Any) -> str:
    return str(getattr(value, "__name__", value))[:80]
