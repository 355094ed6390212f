"""`python -m gradserve.service`: what `gradserve serve` runs."""

from __future__ import annotations

import argparse
import math
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gradserve.ir.errors import GradserveError, InvalidRequest
from gradserve.service.logs import start_logging
from gradserve.service.settings import MAX_PORT, Settings, Tls

_DEFAULTS = Settings()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until told to stop; returns the exit status."""
    settings = settings_of(arguments)
    # Until the service is up, and drains when told to stop: the first process of a container has no default for it.
    signal.signal(signal.SIGTERM, _end)
    start_logging(settings)
    try:
        _run(settings)
    except (GradserveError, OSError, ImportError) as error:
        print(f"gradserve: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before the service was up
        return 130
    return 0


def _run(settings: Settings) -> None:
    if settings.processes > 1:  # each imports what it needs: who only looks after others needs little
        from gradserve.service.supervisor import supervise

        supervise(settings)
    else:
        from gradserve.service.server import serve

        serve(settings)


def _end(_number: int, _frame: object) -> None:
    sys.exit(0)


def settings_of(arguments: Sequence[str] | None) -> Settings:
    """The settings that the command line asks for; ends the program where it makes no sense."""
    parser = _parser()
    given = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value is not None}
    certificate, key = given.pop("tls_certificate", None), given.pop("tls_key", None)
    if (certificate is None) != (key is None):
        parser.error("--tls-certificate and --tls-key go together")
    if given.get("max_workers", given.get("workers", 1)) < given.get("workers", 1):
        parser.error("--max-workers: at least as many as --workers")
    tls = Tls(certificate, key) if certificate else None
    if given["metrics_port"] < 0:
        given["metrics_port"] = None
    try:
        return replace(_DEFAULTS, tls=tls, **given)
    except InvalidRequest as error:
        parser.error(error.message)


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Tells the default of each option that has one; the help of others says what is done without them."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _port(text: str) -> int:
    number = int(text)
    if not -1 <= number <= MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text} is no port: there are 0 (any that is free) to {MAX_PORT}")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds from 0")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gradserve serve",
        description="Serves derivatives by gRPC, and metrics for Prometheus, until SIGTERM or SIGINT.",
        formatter_class=_Help,
    )
    add = parser.add_argument
    where = "where to listen; 0.0.0.0 for all networks, unix:/path for this user alone, by a socket of mode 0600"
    add("--address", metavar="HOST:PORT", default=_DEFAULTS.address, help=where)
    add("--metrics-port", type=_port, metavar="PORT", default=_DEFAULTS.metrics_port, help="metrics page; -1 for none")
    add("--processes", type=_count, metavar="N", default=_DEFAULTS.processes, help="front-end processes on that port")
    add(
        "--workers",
        type=_count,
        metavar="N",
        help="threads of each process, and Ray workers of all (default: the number of processors)",
    )
    add("--ray", action=argparse.BooleanOptionalAction, default=True, help="have a pool of Ray workers")
    add(
        "--max-workers", type=_count, metavar="N", help="Ray workers while work waits (default: no more than --workers)"
    )
    ray = parser.add_mutually_exclusive_group()
    ray.add_argument("--ray-address", metavar="ADDRESS", help="the Ray cluster of this machine (default: start one)")
    ray.add_argument(
        "--ray-join", metavar="HOST:PORT", help="the head of a Ray cluster, to join with a node of our own"
    )
    add("--ray-metrics-port", type=_port, metavar="PORT", default=_DEFAULTS.ray_metrics_port, help="of that node")
    add(
        "--max-connection-age",
        type=_seconds,
        metavar="S",
        help="when clients are told to connect anew (default: never)",
    )
    add(
        "--max-in-flight",
        type=_count,
        metavar="N",
        default=_DEFAULTS.max_in_flight,
        help="calls that each process works on at once",
    )
    add(
        "--max-seconds",
        type=_seconds,
        metavar="S",
        default=_DEFAULTS.max_seconds,
        help="the longest deadline of a call",
    )
    add("--grace", type=_seconds, metavar="S", default=_DEFAULTS.grace, help="time for calls in flight at the end")
    add("--tls-certificate", type=Path, metavar="FILE.pem", help="certificate chain of the server (default: no TLS)")
    add("--tls-key", type=Path, metavar="FILE.pem", help="its private key")
    add(
        "--log-level", default=_DEFAULTS.log_level, choices=("DEBUG", "INFO", "WARNING", "ERROR"), help="what is logged"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
