"""Turns at the interpreter: one thread at a time, the longest waiting next, and nobody keeps it who has given up."""

import sys
import threading
import time

import pytest

from gradserve.ir.errors import Cancelled
from gradserve.runtime.turns import Turns, share_interpreter


def go_on():
    pass


def run(*functions):
    """Runs all of them at once, to their ends."""
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def until(holds):
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.002)


def go_on_with(look):
    while True:
        look()
        time.sleep(0.001)


def test_one_thread_at_a_time_and_all_of_them():
    turns = Turns()
    inside: list[None] = []
    done: list[None] = []
    most: list[int] = []

    def work():
        with turns.turn(go_on) as look:
            for _ in range(20):
                inside.append(None)
                most.append(len(inside))
                time.sleep(0.0005)
                inside.pop()
                look()
        done.append(None)

    run(*[work] * 8)
    assert max(most) == 1
    assert len(done) == 8


def test_looking_lets_those_in_who_wait_in_their_order():
    turns, order = Turns(), []

    def waits(name, steps):
        def work():
            with turns.turn(go_on) as look:
                for step in range(steps):
                    order.append((name, step))
                    look()

        return work

    def first():
        with turns.turn(go_on) as look:
            threads = []
            for count, name in enumerate("ab"):
                threads.append(threading.Thread(target=waits(name, 3)))
                threads[-1].start()
                until(lambda n=count + 1: len(turns._waiting) == n)
            for step in range(3):
                order.append(("first", step))
                look()
        for thread in threads:
            thread.join(30)

    run(first)
    assert order == [(name, step) for step in range(3) for name in ("first", "a", "b")]


def test_who_gives_up_while_waiting_holds_nobody_up():
    turns, ended = Turns(), []
    stop = threading.Event()

    def check():
        if stop.is_set():
            raise Cancelled("it is not wanted")

    def waits():
        with pytest.raises(Cancelled), turns.turn(check):
            raise AssertionError
        ended.append("waiting")

    def amid():
        with pytest.raises(Cancelled), turns.turn(check) as look:
            go_on_with(look)
        ended.append("amid")

    with turns.turn(go_on) as look:
        threads = [threading.Thread(target=each) for each in (waits, amid)]
        for thread in threads:
            thread.start()
        until(lambda: len(turns._waiting) == 2)
        stop.set()
        for thread in threads:
            thread.join(30)
        look()
    assert sorted(ended) == ["amid", "waiting"]
    run(lambda: turns.turn(go_on).__enter__())


def test_an_error_gives_the_turn_back():
    turns = Turns()
    with pytest.raises(ValueError, match="broken"), turns.turn(go_on):
        raise ValueError("broken")
    with turns.turn(go_on) as look:
        look()


def test_threads_keep_the_interpreter_for_a_short_time_while_some_are_long():
    before = sys.getswitchinterval()
    share_interpreter(True)
    assert sys.getswitchinterval() == pytest.approx(2e-4)
    share_interpreter(False)
    assert sys.getswitchinterval() == before
