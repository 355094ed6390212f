"""gradserve as a tool of GradBench: `python -m tests.thirdparty.gradbench` from the root of the repository."""

from __future__ import annotations

import argparse
import sys

from gradserve.client import Client
from tests.thirdparty.gradbench.protocol import responses


def main() -> None:
    """Answers the messages of an evaluation until there are no more."""
    parser = argparse.ArgumentParser(prog="python -m tests.thirdparty.gradbench", description=__doc__)
    parser.add_argument("--address", help="HOST:PORT of a service; without it everything is computed in this process")
    parser.add_argument("--multithreaded", action="store_true", help="use all processors, not one")
    given = parser.parse_args()
    with Client(given.address, timeout=None, threads=None if given.multithreaded else 1) as client:
        for response in responses(sys.stdin, client):
            print(response, flush=True)


if __name__ == "__main__":
    main()
