"""Deadlines and cancellation."""

import time

import pytest

from gradserve.ir.errors import Cancelled, DeadlineExceeded
from gradserve.runtime.control import Control


def test_without_deadline_work_goes_on():
    control = Control()
    control.check()
    assert control.remaining is None
    assert not control.stopped()


def test_past_the_deadline_work_ends():
    control = Control(time.monotonic() - 1)
    assert control.stopped()
    assert control.remaining == 0
    with pytest.raises(DeadlineExceeded):
        control.check()


def test_cancelling_comes_before_the_deadline():
    control = Control(time.monotonic() - 1)
    control.cancel()
    with pytest.raises(Cancelled):
        control.check()


def test_callbacks_run_once_and_late_ones_at_once():
    control, calls = Control(), []
    control.on_cancel(lambda: calls.append("early"))
    control.cancel()
    control.cancel()
    control.on_cancel(lambda: calls.append("late"))
    assert calls == ["early", "late"]


def test_a_callback_can_be_taken_back():
    control, calls = Control(), []
    forget = control.on_cancel(lambda: calls.append("no"))
    forget()
    forget()
    control.cancel()
    assert calls == []


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_is_set_moves_no_deadline(monkeypatch, jump):
    control, late = Control.after(60.0), Control.after(0.0)
    told = time.time
    monkeypatch.setattr(time, "time", lambda: told() + jump)
    assert control.remaining == pytest.approx(60.0, abs=5.0)
    control.check()
    assert late.stopped()
    with pytest.raises(DeadlineExceeded):
        late.check()
