"""Hostile bytes and texts by what they reach: a fuzzer that sees which branches are taken keeps what takes new ones.

It needs atheris, which nothing else does: `uv pip install atheris`, then `python -m tests.attack.guided bytes FOLDER`
goes on for as long as it is let, and FOLDER keeps what it has found; all further options are libFuzzer's, such as
`-max_total_time=600 -rss_limit_mb=2000 -timeout=5`. What it writes as `crash-...` or `timeout-...` is a fault.
"""

import importlib
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

atheris: Any = importlib.import_module("atheris")
with atheris.instrument_imports(include=["gradserve.text", "gradserve.wire", "gradserve.ir"]):
    from gradserve.ir.check import check
    from gradserve.ir.errors import GradserveError
    from gradserve.ops import OP_SET
    from gradserve.text.parsing import parse
    from gradserve.text.printing import to_text
    from gradserve.v1 import graph_pb2
    from gradserve.wire import decode_graph
    from tests.attack.house import parsed
    from tests.attack.seeds import seeds


def try_bytes(data: bytes) -> None:
    """Bytes of a graph, decoded and checked; anything but a typed refusal is a fault."""
    with suppress(GradserveError):
        assert not check(decode_graph(parsed(graph_pb2.Graph, data), OP_SET))


def try_text(data: bytes) -> None:
    """A graph's text, parsed and printed."""
    with suppress(GradserveError):
        graph = parse(data.decode("utf-8", "replace"), OP_SET)
        assert parse(to_text(graph), OP_SET).digest == graph.digest


TARGETS: Mapping[str, Callable[[bytes], None]] = MappingProxyType({"bytes": try_bytes, "text": try_text})


def begin(name: str, folder: Path) -> None:
    """Puts correct graphs into a folder that has nothing in it, for the fuzzer to begin with."""
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        for number, data in enumerate(seeds()):
            graph = decode_graph(graph_pb2.Graph.FromString(data), OP_SET)
            (folder / str(number)).write_bytes(data if name == "bytes" else to_text(graph).encode())


def main() -> None:
    """Goes on until told to stop."""
    name, folder = sys.argv[1:3]
    begin(name, Path(folder))
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
