"""The shape of the repository: four source roots that share one namespace package."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
ROOTS = ("proto", "service", "workers", "clients/python")
LONGEST_FILE = 300


def packages(root: str) -> list[Path]:
    namespace = REPOSITORY / root / "gradserve"
    return sorted(path for path in namespace.iterdir() if path.is_dir() and path.name != "__pycache__")


def sources(root: str) -> list[Path]:
    written = [path for suffix in ("py", "proto") for path in (REPOSITORY / root).rglob(f"*.{suffix}")]
    return [path for path in written if not path.stem.endswith(("_pb2", "_pb2_grpc"))]


@pytest.mark.parametrize("folder", ["proto", "service", "workers", "clients", "deploy", "tests"])
def test_top_level_folder_exists(folder):
    assert (REPOSITORY / folder).is_dir()


@pytest.mark.parametrize("root", ROOTS)
def test_namespace_folder_has_no_init(root):
    # One __init__.py here would hide the packages of the other three roots.
    assert not (REPOSITORY / root / "gradserve" / "__init__.py").exists()


@pytest.mark.parametrize("root", ROOTS)
def test_every_package_is_typed(root):
    assert packages(root)
    assert [path.name for path in packages(root) if not (path / "py.typed").exists()] == []


@pytest.mark.parametrize("root", ROOTS)
def test_no_source_file_is_long(root):
    lengths = {str(path.relative_to(REPOSITORY)): len(path.read_text().splitlines()) for path in sources(root)}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_tests_that_start_ray_are_marked():
    # Two clusters at a time are more than a small machine bears: pytest-xdist keeps what is marked on one worker.
    starts = ("local_cluster.connect(", "RayPool(")
    files = {
        path: path.read_text() for path in (REPOSITORY / "tests").rglob("test_*.py") if path.parent.name != "system"
    }
    unmarked = [
        path.name
        for path, text in files.items()
        if path != Path(__file__) and any(start in text for start in starts) and "pytest.mark.ray" not in text
    ]
    assert unmarked == []
