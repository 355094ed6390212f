"""The command line of a service, made of its settings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any, NoReturn

from gradserve.ir.errors import InvalidRequest
from gradserve.runtime.memory import memory_limit
from gradserve.service.configuration.described import Setting, nearest
from gradserve.service.configuration.kinds import Switch
from gradserve.service.configuration.reading import CONFIG_VARIABLE, SETTINGS, Configuration, configured
from gradserve.service.configuration.settings import SERVED, Settings

_USAGE = "usage: gradserve serve [OPTION]..."
_EPILOG = """
Every setting is also a variable of the environment, GRADSERVE_MAX_IN_FLIGHT for --max-in-flight, and a key of the file,
max_in_flight. Flags win over the environment, the environment over the file. Sizes take KiB, MiB, GiB and KB, MB, GB;
times take ms, s, m, h and d; what may be nothing takes none."""


def configuration_of(arguments: Sequence[str] | None, environment: Mapping[str, str]) -> Configuration:
    """What the command line and the environment ask for; ends the program where that makes no sense, or is all done."""
    parser = _parser()
    options, unknown = parser.parse_known_args(arguments)
    given: dict[str, Any] = vars(options)
    file, printing = given.pop("config"), given.pop("print_config")
    try:
        _require_known(unknown)
        found = configured(given, environment, file)
    except InvalidRequest as error:
        parser.error(error.message)
    if printing:
        sys.stdout.write(found.within(memory_limit()).text())
        parser.exit()
    return found


def settings_of(arguments: Sequence[str] | None, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings that these say alone; ends the program where they make no sense."""
    return configuration_of(arguments, environment or {}).settings


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        """Ends the program with status 2."""
        self.exit(2, f"gradserve serve: {message} ({_USAGE}; --help explains all)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="gradserve serve",
        usage=_USAGE.removeprefix("usage: "),
        description="Serves derivatives by gRPC, and metrics for Prometheus, until SIGTERM or SIGINT.",
        epilog=_EPILOG,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument(
        "--config",
        type=Path,
        default=None,
        metavar="FILE.yaml",
        help=f"a file of settings (default: what {CONFIG_VARIABLE} names)",
    )
    parser.add_argument(
        "--print-config", action="store_true", default=False, help="print all settings with their sources, and end"
    )
    groups = {title: parser.add_argument_group(title) for title in dict.fromkeys(s.group for s in SETTINGS.values())}
    for name, setting in SETTINGS.items():
        more: dict[str, Any] = {"metavar": setting.kind.metavar}
        if isinstance(setting.kind, Switch):
            more = {"action": argparse.BooleanOptionalAction}
        groups[setting.group].add_argument(
            setting.flag, dest=name, help=_help(name, setting).replace("%", "%%"), **more
        )
    return parser


def _help(name: str, setting: Setting) -> str:
    default = SERVED.get(name, setting.default)
    if default is None or default is MISSING:
        return setting.help
    return f"{setting.help} (default: {setting.kind.show(default)})"


def _require_known(unknown: Sequence[str]) -> None:
    for word in unknown:
        flag = word.partition("=")[0]
        flags = [*(setting.flag for setting in SETTINGS.values()), "--config", "--print-config"]
        raise InvalidRequest(f"{word} is no option{nearest(flag, flags) if flag.startswith('--') else ''}")
