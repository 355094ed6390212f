"""Tests that go over a table: all of its rows are tried, and those that fail are told by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import pytest

Row = TypeVar("Row")


def each(rows: Iterable[tuple[str, Row]], check: Callable[[Row], object]) -> None:
    """Checks every row of a table, each under its name.

    One test of a hundred rows costs a millisecond or two of pytest's, a hundred tests cost a hundred times that.

    Raises:
        BaseExceptionGroup: what the rows that fail raised, each with the row's name.
    """
    table = list(rows)
    assert table, "the table has no rows"
    failures: list[BaseException] = []
    for name, row in table:
        try:
            check(row)
        except (Exception, pytest.fail.Exception) as failure:
            failure.add_note(f"That was {name}.")
            failures.append(failure)
    if failures:
        raise BaseExceptionGroup(f"{len(failures)} of {len(table)} rows fail", failures)
