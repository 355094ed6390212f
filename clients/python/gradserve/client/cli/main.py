"""Arguments of the command line, and which command they name."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from gradserve.ir.errors import GradserveError

_EXAMPLES = """
A first round, in two terminals:

  gradserve serve --workers 2                      # a service with Ray on port 50051, metrics on port 9464
  gradserve gradient loss.pb point.npz --address localhost:50051

Graph files come from Python:

  f = Client().function(loss, w=np.zeros(200)); f.save("loss.pb"); np.savez("point.npz", w=w)

Without --address a command computes in this process; the answer is the same to the bit.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["serve"]:
        # The service is its own program: its process replaces this one, so that signals reach it.
        os.execv(sys.executable, [sys.executable, "-m", "gradserve.service", *given[1:]])
    options = _parser().parse_args(given)
    try:
        from gradserve.client.cli import commands
    except ImportError as error:
        print(f"this command needs {error.name!r}: pip install 'gradserve[cli]'", file=sys.stderr)
        return 2
    try:
        return commands.run(options)
    except (GradserveError, OSError, ImportError) as error:
        print(f"gradserve: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gradserve",
        description="Derivatives of NumPy losses, by a service: gradients, verification, trace estimates.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("serve", help="run a service (see gradserve serve --help)", add_help=False)
    demo = commands.add_parser("demo", help="start a service, do its main jobs on real data, show what happened")
    demo.add_argument("--workers", type=int, default=2, metavar="N", help="Ray workers (default 2)")
    demo.add_argument("--steps", type=int, default=25, metavar="N", help="descent steps (default 25)")
    _with_graph(
        commands.add_parser("describe", help="signature, cost, memory and placement of a graph; runs nothing"),
        parameters=False,
    ).add_argument("--text", action="store_true", help="print the derived graph as text as well")
    gradient = _with_graph(commands.add_parser("gradient", help="the loss and its gradient at a point or a batch"))
    gradient.add_argument("--batch", action="store_true", help="arrays in PARAMETERS have a leading axis of points")
    gradient.add_argument("--reduction", choices=("none", "sum", "mean"), default="none", help="over the points")
    gradient.add_argument("--out", type=Path, metavar="FILE.npz", help="write value and gradients there")
    verify = _with_graph(commands.add_parser("verify", help="check a gradient against finite differences"))
    verify.add_argument("--claimed", type=Path, metavar="FILE.npz", help="a gradient to check instead of our own")
    verify.add_argument("--directions", type=int, default=0, metavar="N", help="random directions (default 8)")
    verify.add_argument("--seed", type=int, default=0, help="determines the directions")
    trace = _with_graph(commands.add_parser("trace", help="estimate the trace of the Hessian, with an interval"))
    trace.add_argument("--rel-tol", type=float, default=1e-2, help="stop at this relative half-width (default 0.01)")
    trace.add_argument("--max-probes", type=int, default=4096, metavar="N", help="the most to spend (default 4096)")
    trace.add_argument("--seed", type=int, default=0, help="determines the probes")
    return parser


def _with_graph(parser: argparse.ArgumentParser, parameters: bool = True) -> argparse.ArgumentParser:
    """Adds what every command on a graph file takes."""
    parser.add_argument("graph", type=Path, metavar="GRAPH", help="a graph file (Function.save wrote it)")
    if parameters:
        parser.add_argument("parameters", type=Path, metavar="PARAMETERS.npz", help="one array for each input")
    parser.add_argument("--address", metavar="HOST:PORT", help="a service; default: compute in this process")
    parser.add_argument("--wrt", action="append", default=[], metavar="NAME", help="an input to differentiate; repeat")
    parser.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS", help="default 600")
    return parser
