"""What machine code leaves behind in a process that goes on compiling: nothing that grows."""

import ctypes

import pytest

from gradserve.execution.fused import compiler, linking
from gradserve.execution.fused.compiler import Compiler, compiled
from gradserve.execution.fused.elsewhere import Elsewhere
from gradserve.execution.fused.linking import LIBRARIES_OF_LINKER, linked

WRONG = "this is no module"


def text(number):
    return f"define i32 @run() {{\nret i32 {number}\n}}\n"


def ran(library):
    return ctypes.CFUNCTYPE(ctypes.c_int)(library.address)()


@pytest.fixture
def elsewhere():
    compiling = Compiler(most=0)
    yield compiling
    compiling._end()


def linkers_after(libraries):
    """How many linkers are there beyond those of before, once so many libraries have come and gone."""
    before = len(linking._LINKERS)
    for _ in range(libraries):
        linked(compiled(text(1)), "run")
    return len(linking._LINKERS) - before


def test_linkers_end_with_their_libraries_and_no_sooner():
    kept = linked(compiled(text(7)), "run")
    assert linkers_after(3 * LIBRARIES_OF_LINKER) <= 1
    assert ran(kept) == 7


def test_linkers_that_never_end_would_be_seen(monkeypatch):
    monkeypatch.setattr(linking._Linker, "end_if_done", lambda self: None)
    assert linkers_after(3 * LIBRARIES_OF_LINKER) == 3


def test_the_code_from_elsewhere_is_the_same(elsewhere):
    assert [elsewhere.compiled(text(n)) for n in (1, 2)] == [compiled(text(n)) for n in (1, 2)]


def test_a_process_that_was_killed_is_missed_by_nobody(elsewhere):
    elsewhere.compiled(text(1))
    elsewhere._elsewhere._process.kill()
    assert elsewhere.compiled(text(3)) == compiled(text(3))
    assert elsewhere.compiled(text(4)) == compiled(text(4))


def test_a_text_that_is_refused_says_so_wherever_it_is_compiled(elsewhere):
    for compiling in (Compiler(), elsewhere):
        with pytest.raises(RuntimeError, match="parsing"):
            compiling.compiled(WRONG)


def test_what_may_be_lost_in_a_process_is_kept_to(monkeypatch):
    here, started = [], []

    class Other(Elsewhere):
        def __init__(self):
            super().__init__()
            started.append(self)

    def noted(given):
        here.append(given)
        return compiled(given)

    monkeypatch.setattr(compiler, "compiled", noted)
    monkeypatch.setattr(compiler, "Elsewhere", Other)
    compiling = Compiler(most=3 * compiler._LOST)  # of which the text itself leaves room for two compilations
    for number in range(6):
        compiling.compiled(text(number))
    compiling._end()
    assert len(here) == 2
    assert len(started) == 2
    assert all(process._process.returncode is not None for process in started)
