"""What the command line takes."""

from __future__ import annotations

import argparse
import inspect
from importlib import metadata
from pathlib import Path

from gradserve.client.cli import certify, epilogs, importing, spectral_arguments
from gradserve.client.cli.options import (
    add_batch,
    add_drawing,
    add_groups,
    add_options,
    add_resume,
    count,
    dashed,
    words,
)
from gradserve.questions.call import EXECUTORS, AtKinks, Placement, Transport
from gradserve.questions.derivations import DERIVATIONS, Derivation
from gradserve.questions.estimated import ESTIMATES
from gradserve.questions.estimates import Estimate, EstimateTrace
from gradserve.questions.options import options_of
from gradserve.questions.spectra import SPECTRA
from gradserve.questions.symmetry import VerifySymmetry
from gradserve.questions.verification import VerifyGradient

_OWN = frozenset({"gradient", "hessian_trace"})
"""What has a command of its own; that of `hessian_trace` is `trace`."""


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="gradserve",
        description="Derivatives of NumPy losses, by a service: gradients, verification, spectra of Hessians.",
        epilog=epilogs.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"gradserve {_version()}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    commands.add_parser("serve", help="run a service (see gradserve serve --help)", add_help=False)
    commands.add_parser("token", help="make a caller's token (see gradserve token --help)", add_help=False)
    demo = commands.add_parser("demo", help="start a service, do its main jobs on real data, show what happened")
    _address(demo, None, "a running service, or unix:/path of its socket (default: start one)")
    demo.add_argument("--workers", type=count(1), default=2, metavar="N", help="Ray workers (default 2)")
    demo.add_argument("--steps", type=count(1), default=25, metavar="N", help="descent steps (default 25)")
    _ping(commands.add_parser("ping", help="ask a service whether it takes calls", epilog=epilogs.PING))
    _describe(
        _with_graph(commands, "describe", "signature, cost, memory and placement; runs nothing", epilogs.DESCRIBE)
    )
    _inspect(_at_point(commands, "inspect", "every value inside the graph, with its adjoint", epilogs.INSPECT))
    _gradient(_at_point(commands, "gradient", "the loss and its gradient at a point or a batch", epilogs.GRADIENT))
    _verify(_at_point(commands, "verify", "compare a gradient with finite differences", epilogs.VERIFY))
    _certify(commands)
    importing.describe(_command(commands, "import", importing.TEXT, importing.EPILOG))
    _symmetry(_at_point(commands, "symmetry", "find where mixed partials depend on their order", epilogs.SYMMETRY))
    _trace(_at_point(commands, "trace", "estimate the trace of the Hessian, with an interval", epilogs.TRACE))
    for name, asked in spectral_arguments.COMMANDS.items():
        command = _at_point(commands, name, asked.text, asked.epilog)
        spectral_arguments.add(command, name)
        add_options(command, options_of(asked.question))
    for name, derivation in DERIVATIONS.items():
        if name not in _OWN:
            epilog = epilogs.VECTORS.format(name=dashed(name), takes=derivation.takes) if derivation.takes else ""
            _derivation(_of_question(commands, name, _said(derivation), epilog), derivation)
    for name, estimate in ESTIMATES.items():
        if name not in _OWN:
            _estimate(_of_question(commands, name, _said(estimate), epilogs.ESTIMATES[name]), estimate)
    return top


def _ping(command: argparse.ArgumentParser) -> None:
    _address(command, "localhost:50051", "the service, or unix:/path of its socket (default localhost:50051)")
    command.add_argument("--timeout", type=float, default=3.0, metavar="SECONDS", help="for the answer (default 3)")


def _address(command: argparse.ArgumentParser, default: str | None, text: str) -> None:
    """Where a service is, and how to trust it."""
    add = command.add_argument
    add("--address", metavar="HOST:PORT", default=default, help=text)
    add("--tls", action="store_true", help="connect by TLS, trusting the authorities that this machine trusts")
    add("--ca", type=Path, metavar="FILE.pem", help="connect by TLS, trusting this certificate")
    add("--server-name", default="", metavar="NAME", help="the name in the service's certificate, if not the host")
    add("--certificate", type=Path, metavar="FILE.pem", help="connect by TLS, showing this certificate of yours")
    add("--key", type=Path, metavar="FILE.pem", help="its private key")
    add("--token-file", type=Path, metavar="FILE", help="your token (default: what GRADSERVE_CLIENT_TOKEN holds)")


def _describe(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "--derivation",
        choices=[*DERIVATIONS, *ESTIMATES, *SPECTRA],
        default="gradient",
        help="of what (default gradient)",
    )
    add("--points", type=count(1), metavar="N", help="for a batch of N points")
    add("--length", type=_length, action="append", default=[], metavar="NAME=N", help="of an open axis; repeat")
    add("--text", action="store_true", help="print the derived graph as text as well")


def _inspect(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--dot", type=Path, metavar="FILE.dot", help="write the graph with its numbers for Graphviz")
    add("--svg", type=Path, metavar="FILE.svg", help="write it as a picture")


def _gradient(command: argparse.ArgumentParser) -> None:
    add_batch(command)
    add = command.add_argument
    add("--stream", action="store_true", help="each row of those arrays is a point, answered to the bit as alone")
    add("--out", type=Path, metavar="FILE.npz", help="write what was asked for there")


def _derivation(command: argparse.ArgumentParser, kind: type[Derivation]) -> None:
    _gradient(command)
    if kind.takes:
        command.add_argument(
            f"--{kind.takes}", type=Path, metavar="FILE.npz", required=True, help="what it is applied to"
        )
    add_options(command, options_of(kind))


def _estimate(command: argparse.ArgumentParser, kind: type[Estimate]) -> None:
    command.add_argument("--out", type=Path, metavar="FILE.npz", help="write the arrays of the estimate there")
    add_batch(command)
    add_resume(command)
    add_drawing(command, epilogs.CONVERGENCE, "draw a bar for each input, with its interval")
    add_options(command, options_of(kind))


def _said(kind: type[Derivation | Estimate]) -> str:
    """What a question asks for, in a few words of its own."""
    text = (inspect.getdoc(kind) or "").partition("\n")[0].rstrip(".").replace("%", "%%")
    asked = text.removeprefix("Asks for ")
    return asked[0].lower() + asked[1:] if asked[1:2].islower() else asked


def _verify(command: argparse.ArgumentParser) -> None:
    command.add_argument("--claimed", type=Path, metavar="FILE.npz", help="what to verify instead of our own gradient")
    command.add_argument("--tangents", type=Path, metavar="FILE.npz", help="the vector of a jvp or hvp that is claimed")
    add_resume(command)
    add_drawing(command, epilogs.STEPS, "draw the discrepancy of each input, with its bound")
    add_options(command, options_of(VerifyGradient))


def _certify(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _command(commands, "certify", certify.TEXT, certify.EPILOG)
    certify.describe(command)
    _address(command, None, "a service that evaluates a graph (default: compute in this process)")
    add_options(command, certify.OPTIONS)


def _symmetry(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--pair", nargs=2, action="append", default=[], metavar="ENTRY", help="two entries to look at; repeat")
    add_resume(command)
    add_options(command, options_of(VerifySymmetry))


def _trace(command: argparse.ArgumentParser) -> None:
    _estimate(command, EstimateTrace)
    add_groups(command, "whose part of the trace is wanted")


def _with_graph(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, epilog: str
) -> argparse.ArgumentParser:
    """A command on a graph file, with the options that all of them take."""
    command = _command(commands, name, text, epilog)
    add = command.add_argument
    add("graph", type=Path, metavar="GRAPH", help="a graph file, as Function.save writes it")
    _address(command, None, "a service, or unix:/path of its socket (default: compute in this process)")
    add("--executor", choices=["auto", *EXECUTORS], default="auto", help="what to run on (default: the fastest)")
    add("--placement", choices=words(Placement), default="auto", help="where to run (default: by predicted cost)")
    add("--wrt", action="append", default=[], metavar="NAME", help="an input to differentiate; repeat (default: all)")
    add("--timeout", type=float, default=600.0, metavar="SECONDS", help="for the whole answer (default 600)")
    add("--transport", choices=words(Transport), default="exact", help="how float64 is sent (default exact)")
    add("--kinks", choices=words(AtKinks), default="convention", help="derivatives at kinks (default convention)")
    return command


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, epilog: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _at_point(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, epilog: str
) -> argparse.ArgumentParser:
    command = _with_graph(commands, name, text, epilog)
    command.add_argument("point", type=Path, metavar="POINT.npz", help="one array for each input, by name")
    return command


def _of_question(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, epilog: str
) -> argparse.ArgumentParser:
    """The command of a question that has none of its own."""
    command = _at_point(commands, dashed(name), text, epilog)
    command.set_defaults(question=name)
    return command


def _length(text: str) -> tuple[str, int]:
    name, _, length = text.partition("=")
    if not name.isidentifier() or not length.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=N, such as n=100")
    return name, int(length)


def _version() -> str:
    try:
        return metadata.version("gradserve")
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return "(not installed)"
