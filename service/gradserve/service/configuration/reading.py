"""The settings of a service from its command line, the environment and a file: each from the first that has it."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import MISSING, replace
from pathlib import Path
from typing import Any

import yaml

from gradserve.ir.errors import InvalidRequest, shown
from gradserve.ir.records import dataclass
from gradserve.service.configuration.described import Setting, built, nearest, settings_of, value_of
from gradserve.service.configuration.files import contents
from gradserve.service.configuration.settings import GROUPS, SERVED, Settings

CONFIG_VARIABLE = "GRADSERVE_CONFIG"
"""Names the file, where the command line does not."""
_PREFIX = "GRADSERVE_"
_TYPO = 0.85
"""How similar a variable of no meaning is to one of ours if it was meant to be that one."""

SETTINGS = settings_of(Settings, GROUPS)
"""Every setting by its name."""


@dataclass(frozen=True)
class Layer:
    """What one place says, by the names of settings."""

    source: str
    raw: Mapping[str, Any]
    named: Mapping[str, str]
    """What the settings are called there, for messages."""

    def values(self) -> dict[str, Any]:
        """Its values.

        Raises:
            InvalidRequest: one is wrong.
        """
        return {name: self._read(SETTINGS[name], raw) for name, raw in self.raw.items()}

    def _read(self, setting: Setting, raw: Any) -> Any:
        try:
            return setting.kind.read(raw)
        except ValueError as error:
            raise InvalidRequest(f"{self.named.get(setting.name, setting.name)}: {error}") from None


@dataclass(frozen=True)
class Configuration:
    """Settings, and where each of them was said."""

    settings: Settings
    sources: Mapping[str, str]

    def within(self, memory: int) -> Configuration:
        """What a service of so many bytes makes of them."""
        settings = self.settings.within(memory)
        cut = {
            name: f"{self.sources[name]}, lowered to fit into the memory"
            for name, each in SETTINGS.items()
            if value_of(settings, each) != value_of(self.settings, each)
        }
        return Configuration(settings, {**self.sources, **cut})

    def text(self) -> str:
        """The settings as a file for `--config`, each with its source as a comment."""
        lines, group = [], ""
        for name, setting in SETTINGS.items():
            if setting.group != group:
                group = setting.group
                lines += ["", f"# {group}"]
            lines.append(self._line(name, setting))
        return "\n".join(lines[1:]) + "\n"

    def _line(self, name: str, setting: Setting) -> str:
        """A setting, or a comment if what it is a part of is not there."""
        whole = replace(setting, path=setting.path[:-1])
        if len(setting.path) > 1 and value_of(self.settings, whole) is None:
            return f"# {name}: not set"
        return f"{yaml_of(name, setting.kind.show(value_of(self.settings, setting)))}  # {self.sources[name]}"


def configured(flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None) -> Configuration:
    """The settings: flags before the environment before the file before the defaults of `gradserve serve`.

    Raises:
        InvalidRequest: something there is unknown or wrong; names it, and what it resembles.
    """
    layers = [Layer("flag", flags, {name: SETTINGS[name].flag for name in flags}), _of_environment(environment)]
    if file is None and environment.get(CONFIG_VARIABLE):
        file = Path(environment[CONFIG_VARIABLE])
    if file is not None:
        layers.append(_of_file(file))
    values: dict[str, Any] = dict(SERVED)
    sources = dict.fromkeys(SETTINGS, "default")
    for layer in reversed(layers):
        found = layer.values()
        values |= found
        sources |= dict.fromkeys(found, layer.source)
    _require_whole(values)
    return Configuration(built(Settings, {SETTINGS[name].path: value for name, value in values.items()}), sources)


def yaml_of(name: str, value: Any) -> str:
    """One line of YAML."""
    shown = yaml.safe_dump([value], default_flow_style=True, width=1 << 20, allow_unicode=True)
    return f"{name}: {shown.strip()[1:-1]}"


def _of_environment(environment: Mapping[str, str]) -> Layer:
    variables = {setting.variable: name for name, setting in SETTINGS.items()}
    for variable in environment:
        if variable.startswith(_PREFIX) and variable not in variables and variable != CONFIG_VARIABLE:
            _require_no_typo(variable, variables)
    raw = {name: environment[variable] for variable, name in variables.items() if variable in environment}
    return Layer("environment", raw, {name: variable for variable, name in variables.items()})


def _require_no_typo(variable: str, variables: Iterable[str]) -> None:
    known = [each.removeprefix(_PREFIX) for each in variables]
    found = difflib.get_close_matches(variable.removeprefix(_PREFIX), known, 1, _TYPO)
    if found:
        raise InvalidRequest(f"the variable {variable} is no setting; the nearest is {_PREFIX}{found[0]}")


def _of_file(file: Path) -> Layer:
    try:
        found = yaml.load(contents(file), _Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the file of settings {file} cannot be read: {error}") from None
    except _UnknownKey as error:
        (key,) = error.args
        raise InvalidRequest(f"{file}: {shown(key)} is no setting{nearest(str(key), SETTINGS)}") from None
    except RecursionError:
        raise InvalidRequest(
            f"{file} is no mapping from names of settings to their values: it nests too deep"
        ) from None
    except (yaml.YAMLError, ValueError) as error:  # the latter of a number, or a date, that cannot be
        raise InvalidRequest(f"{file} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict | None):
        raise InvalidRequest(f"{file} is no mapping from names of settings to their values")
    raw = found or {}
    return Layer(str(file), raw, {name: f"{file}: {name}" for name in raw})


class _UnknownKey(Exception):
    """A key of the file that is no setting. What follows it is not read."""


class _Loader(yaml.SafeLoader):
    """Reads plain YAML of settings up to the first that is none.

    Refuses a key that is there twice, and aliases: a few lines of them say any amount.
    """

    _depth = 0
    """Nodes that the next one lies in."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """The next node."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"the alias *{self.peek_event().anchor} stands where a value should")  # type: ignore[no-untyped-call]
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if self._depth == 1 and index is None and isinstance(node, yaml.ScalarNode):
            key = self.construct_object(node)
            if key not in SETTINGS:
                raise _UnknownKey(key)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node."""
        met = set()
        for each, _ in node.value:
            key = self.construct_object(each, deep=True)
            if not isinstance(key, Hashable):
                break  # which is refused below
            if key in met:
                raise yaml.YAMLError(f"{key!r} is there twice")
            met.add(key)
        return super().construct_mapping(node, deep)


def _require_whole(values: Mapping[str, Any]) -> None:
    """Sees that what goes together is there: a key with its certificate."""
    begun = {SETTINGS[name].path[:-1]: name for name in values if len(SETTINGS[name].path) > 1}
    for name, setting in SETTINGS.items():
        if setting.default is MISSING and name not in values and setting.path[:-1] in begun:
            raise InvalidRequest(f"{begun[setting.path[:-1]]} is there without {name}: they go together")
