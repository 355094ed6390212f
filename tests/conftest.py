"""Fixtures shared by all tests."""

import gc
import mmap
import os
import tempfile
from collections import Counter
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

XLA_FLAGS = {"xla_cpu_use_fusion_emitters": "false", "xla_cpu_parallel_codegen_split_count": "1"}
"""Newer emitters of fused loops take four times as long, and programs cut up to be compiled side by side half more."""


def compile_soon() -> None:
    """Has JAX compile quickly: what it compiles in tests runs once.

    A release that does not know a flag would end the process, so it is asked first: its library holds all their names.
    """
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    jaxlib = find_spec("jaxlib")
    for place in jaxlib.submodule_search_locations or () if jaxlib else ():
        for library in Path(place).glob("libjax_common*"):
            with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
                known = [f"--{flag}={value}" for flag, value in XLA_FLAGS.items() if text.find(flag.encode()) >= 0]
            os.environ.setdefault("XLA_FLAGS", " ".join(known))


compile_soon()
# Tests compare the bits of one call and the next; when a program becomes machine code depends on the machine.
os.environ.setdefault("GRADSERVE_COMPILE", "0")
# How long examples take, and take to be made, is a matter of the machine.
settings.register_profile("gradserve", deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("gradserve")
# What services keep beyond their memory goes when the tests do.
_state = tempfile.TemporaryDirectory(prefix="gradserve-tests-")
os.environ["XDG_STATE_HOME"] = _state.name


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Has each worker of pytest-xdist begin with other files, which are compiled once: others find what it has kept."""
    report = yield
    worker = getattr(collector.config, "workerinput", None)
    if worker and isinstance(collector, pytest.Directory):
        first = int(worker["workerid"].removeprefix("gw")) * len(report.result) // worker["workercount"]
        report.result = [*report.result[first:], *report.result[:first]]
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Readies what was collected for the machine that it runs on."""
    _leave_out_data(config, items)
    if hasattr(config, "workerinput"):
        _share_among_workers(items)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuses to run a worker whose tests lost their groups: each cluster and each costly fixture would be twice."""
    groups_kept = all("@" in item.nodeid for item in session.items)
    if getattr(session.config.option, "loadgroup", False) and not groups_kept:
        raise pytest.UsageError("this pytest-xdist does not keep groups of tests with this pytest")


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Sets aside what a file leaves: the collector would walk through all of pytest's and JAX's objects every time."""
    if nextitem is None or item.path != nextitem.path:
        gc.collect()
        gc.freeze()


def _leave_out_data(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves tests marked `data` out where no data folder is named, so that none counts as skipped."""
    if os.environ.get("GRADSERVE_DATA"):
        return
    without_folder = [item for item in items if item.get_closest_marker("data")]
    if without_folder:
        config.hook.pytest_deselected(items=without_folder)
        items[:] = [item for item in items if item not in without_folder]


def _share_among_workers(items: list[pytest.Item]) -> None:
    """Puts tests into groups that each stay on one worker of pytest-xdist: those with Ray, then file by file.

    One Ray cluster at a time is as much as a small machine bears. That group goes first, as it waits more than it
    computes, then those with slow tests; of the others the largest do, so that the workers end together.
    """
    groups = {item: _group(item) for item in items}
    sizes = Counter(groups.values())
    slow = {groups[item] for item in items if item.get_closest_marker("slow")}
    first = {group: (group != "ray", group not in slow, -sizes[group], group) for group in sizes}
    items.sort(key=lambda item: (first[groups[item]], item.path))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[item]))


def _group(item: pytest.Item) -> str:
    return "ray" if item.get_closest_marker("ray") else item.nodeid.partition("::")[0]


@pytest.fixture(scope="session")
def data_folder(pytestconfig: pytest.Config) -> Path:
    """The folder named by GRADSERVE_DATA; a relative name counts from the repository's root."""
    folder = pytestconfig.rootpath / os.environ["GRADSERVE_DATA"]
    assert folder.is_dir(), f"GRADSERVE_DATA names no folder: {folder}"
    return folder.resolve()
