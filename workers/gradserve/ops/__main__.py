"""`python -m gradserve.ops --manifest` prints the op set as JSON; without the option, the names of all ops."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from gradserve.ops import OP_SET
from gradserve.ops.manifest import manifest


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m gradserve.ops", description="The op set of gradserve.")
    parser.add_argument("--manifest", action="store_true", help="print all that is known of each op, as JSON")
    if parser.parse_args(arguments).manifest:
        print(json.dumps(manifest(OP_SET), indent=2))
    else:
        print("\n".join(sorted(op.name for op in OP_SET)))


if __name__ == "__main__":
    main()
