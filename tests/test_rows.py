"""A test that goes over a table tries every row, and tells those that fail."""

import pytest

from tests.rows import each, in_one

TRIED: list[tuple[int, str]] = []


@in_one
@pytest.mark.parametrize(("letter", "word"), [("a", "b"), pytest.param("b", "b", id="same")])
@pytest.mark.parametrize("number", [1, 2], ids=lambda number: f"n{number}")
def rows(number, letter, word):
    TRIED.append((number, letter))
    assert (number, letter) != (2, "b"), word
    if number == 1 and letter == "b":
        with pytest.raises(KeyError):
            TRIED.copy()


def test_all_rows_are_tried_and_those_that_fail_are_told():
    with pytest.raises(BaseExceptionGroup, match="2 of 4 rows fail: same-n1, same-n2") as caught:
        rows()
    assert TRIED == [(1, "a"), (2, "a"), (1, "b"), (2, "b")]
    assert [failure.__notes__ for failure in caught.value.exceptions] == [["That was same-n1."], ["That was same-n2."]]
    assert "DID NOT RAISE" in str(caught.value.exceptions[0])


def test_a_table_without_rows_is_no_test():
    with pytest.raises(AssertionError, match="no rows"):
        each([], print)
