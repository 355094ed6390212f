"""The command line as a program: which command is run, and what becomes of errors."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence

from gradserve.client.cli import certify, importing
from gradserve.client.cli.arguments import parser
from gradserve.ir.errors import GradserveError

ERROR = 2
INTERRUPTED = 130
_NEEDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "ping": ("", ()),
    "import": ("", ()),
    "serve": ("service", ("grpc_health", "grpc_reflection", "prometheus_client", "scipy", "threadpoolctl", "yaml")),
    "token": ("service", ("yaml",)),
    "demo": ("demo", ("rich", "ray", "sklearn")),
}
"""The extra and the modules that a command needs; the others need those of `cli`."""
_PROGRAMS = {"serve": "gradserve.service", "token": "gradserve.service.identity.new"}
"""Commands of the service, which the client does not import."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given[:1] in (["serve"], ["token"]):
            return _of_service(given[0], given[1:])
        if not given:
            parser().print_help(sys.stderr)
            return ERROR
        return _run(given)
    except (GradserveError, OSError, ImportError) as error:
        print(f"gradserve: {_told(error)}", file=sys.stderr)
        return ERROR
    except KeyboardInterrupt:
        return INTERRUPTED


def _of_service(command: str, arguments: Sequence[str]) -> int:
    _require_modules(command)
    # The service is its own program: its process replaces this one, so that signals reach it.
    os.execv(sys.executable, [sys.executable, "-P", "-m", _PROGRAMS[command], *arguments])


def _run(arguments: Sequence[str]) -> int:
    options = parser().parse_args(arguments)
    _require_modules(options.command)
    if options.command == "ping":
        from gradserve.client.cli.connecting import connection_of
        from gradserve.client.cli.ping import ping

        return ping(options.address, options.timeout, **connection_of(options))
    if options.command == "certify":
        return certify.run(options)
    if options.command == "import":
        return importing.run(options)
    from gradserve.client.cli import commands

    return commands.run(options)


def _require_modules(command: str) -> None:
    extra, modules = _NEEDS.get(command, ("cli", ("rich",)))
    missing = [module for module in modules if not _is_there(module)]
    if missing:
        raise ImportError(f"{command} needs {', '.join(missing)}: pip install 'gradserve[{extra}]'")


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _told(error: Exception) -> str:
    """The error in one line; one line for each violation if there are several."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, GradserveError) and len(error.violations) == 1:
        return f"{error.message}: {error.violations[0]}"
    return str(error)
