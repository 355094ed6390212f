"""Generates the Python modules of `gradserve.v1` beside their .proto files.

Runs as the wheel's build hook, and as a script: `python proto/generate.py`. Either way it needs hatchling and
grpcio-tools, which pyproject.toml names as build requirements; `make proto` provides them.
"""

from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")


class GenerateProtos(BuildHookInterface[Any]):
    """Brings the generated modules up to date before a wheel or an editable install is made."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Runs once per build."""
        generate()


def generate() -> list[Path]:
    """Returns the .proto files that were compiled: all of them, or none when every output is fresh."""
    protos = sorted(ROOT.glob("gradserve/*/*.proto"))
    remove_orphans(protos)
    for package in {proto.parent for proto in protos}:
        (package / "py.typed").touch()
    if all(map(is_fresh, protos)):
        return []
    compile_protos(protos)
    return protos


def outputs(proto: Path) -> list[Path]:
    """Returns the files that protoc writes for one .proto file."""
    return [proto.with_name(proto.stem + suffix) for suffix in SUFFIXES]


def is_fresh(proto: Path) -> bool:
    """Tells whether every output is there, not older than its source, and made by the generator at hand."""
    written = outputs(proto)
    if not all(path.exists() and path.stat().st_mtime >= proto.stat().st_mtime for path in written):
        return False
    # A wheel built with the pinned generator must not pick up code that a newer one left behind.
    return f"GRPC_GENERATED_VERSION = '{version('grpcio-tools')}'" in written[-1].read_text()


def remove_orphans(protos: list[Path]) -> None:
    """Deletes outputs whose .proto file is gone."""
    expected = {path for proto in protos for path in outputs(proto)}
    for path in ROOT.glob("gradserve/*/*_pb2*.py*"):
        if path not in expected:
            path.unlink()


def compile_protos(protos: list[Path]) -> None:
    """Runs protoc once over all files, so that imports between them resolve."""
    well_known = files("grpc_tools") / "_proto"
    options = [f"--proto_path={ROOT}", f"--proto_path={well_known}"]
    targets = [f"--{kind}_out={ROOT}" for kind in ("python", "pyi", "grpc_python")]
    if protoc.main(["protoc", *options, *targets, *map(str, protos)]) != 0:
        raise SystemExit("protoc refused the .proto files; its messages are above")
    for path in (output for proto in protos for output in outputs(proto)):
        path.touch()


if __name__ == "__main__":
    print(f"generated code for {len(generate())} .proto files")
