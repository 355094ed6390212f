"""Executors that are not there, or cannot be loaded."""

import sys

import pytest

from gradserve.execution import executors
from gradserve.ir.errors import InvalidRequest

_FUSED = "gradserve.execution.fused.executor"


class Unloadable:
    """What loads the executor that compiles, where its library cannot be mapped into memory."""

    def find_spec(self, name, path=None, target=None):
        if name == _FUSED:
            raise OSError("failed to map segment from shared object")


@pytest.fixture
def without_memory_for_llvm(monkeypatch):
    monkeypatch.delitem(sys.modules, _FUSED, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Unloadable(), *sys.meta_path])
    for cached in (executors.compiler, executors.executor):
        cached.cache_clear()
    yield
    for cached in (executors.compiler, executors.executor):
        cached.cache_clear()


@pytest.mark.usefixtures("without_memory_for_llvm")
def test_what_cannot_be_loaded_is_done_without_and_refused_where_it_is_asked_for(caplog):
    """It ended every call as a fault of ours, where a process may have half a gigabyte of addresses."""
    assert executors.compiler() is None
    assert "failed to map segment" in caplog.text
    assert "fused" not in executors.installed()
    assert [each.name for each in executors.candidates("")] == ["numpy"]
    with pytest.raises(InvalidRequest, match="needs llvmlite, which cannot be loaded here: failed to map"):
        executors.candidates("fused")
