"""Results in chunk order."""

import threading
import time

import pytest

from gradserve.ir.errors import Cancelled, DeadlineExceeded, NumericalFailure
from gradserve.pools.in_order import Inbox, in_order
from gradserve.pools.work import ChunkResult
from gradserve.runtime.control import Control


def result(index):
    return ChunkResult(index, {}, 0.0, 0.0, "w", 0)


def test_results_come_in_order_whatever_order_they_arrive_in():
    inbox, offered = Inbox(Control()), []

    def offer(index):
        offered.append(index)
        if len(offered) % 3 == 0:
            for k in reversed(offered[-3:]):
                inbox.put(k, result(k))

    assert [r.index for r in in_order(9, lambda: 3, offer, inbox)] == list(range(9))
    assert offered == list(range(9))


def test_chunks_are_offered_a_window_ahead_and_no_further():
    inbox, offered = Inbox(Control()), []

    def offer(index):
        offered.append(index)
        inbox.put(index, result(index))

    results = in_order(100, lambda: 4, offer, inbox)
    assert offered == []
    next(results)
    assert offered == [0, 1, 2, 3]
    next(results)
    assert offered == [0, 1, 2, 3, 4]


def test_the_first_error_in_chunk_order_is_raised():
    inbox = Inbox(Control())
    inbox.put(2, NumericalFailure("second"))
    inbox.put(1, NumericalFailure("first"))
    inbox.put(0, result(0))
    results = in_order(3, lambda: 3, lambda index: None, inbox)
    assert next(results).index == 0
    with pytest.raises(NumericalFailure, match="first"):
        next(results)


def test_waiting_ends_at_the_deadline():
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        Inbox(Control.after(0.1)).take(0)
    assert time.monotonic() - started < 5


def test_waiting_ends_when_cancelled():
    control = Control()
    threading.Timer(0.1, control.cancel).start()
    with pytest.raises(Cancelled):
        Inbox(control).take(0)


def test_a_chunk_stopped_by_the_deadline_says_so():
    control = Control.after(0.05)
    inbox = Inbox(control)
    inbox.put(0, Cancelled("stopped between two steps"))
    time.sleep(0.06)
    with pytest.raises(DeadlineExceeded):
        inbox.take(0)
