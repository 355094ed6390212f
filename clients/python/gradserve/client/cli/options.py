"""Options of questions as options of commands."""

from __future__ import annotations

import argparse
import enum
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gradserve.questions.call import Reduction
from gradserve.questions.options import Option


def add_options(command: argparse.ArgumentParser, options: tuple[Option, ...]) -> None:
    """The options of a question, by their keywords."""
    for option in options:
        described: dict[str, Any] = {"dest": option.keyword, "default": option.default, "help": option.help}
        if isinstance(option.default, bool):
            described["action"] = argparse.BooleanOptionalAction
        elif isinstance(option.default, enum.StrEnum):
            described["choices"] = words(type(option.default))
        else:
            metavar, type_ = _VALUES[type(option.default)]
            described |= {"metavar": metavar, "type": type_}
        command.add_argument(f"--{dashed(option.keyword)}", **described)


def add_batch(command: argparse.ArgumentParser) -> None:
    """Which arrays have a leading axis, and what becomes of it."""
    add = command.add_argument
    add("--batch", action="store_true", help="arrays to differentiate have a leading axis of points")
    text = "this array has one, of points or of examples, whatever is differentiated; repeat"
    add("--batched", action="append", default=[], metavar="NAME", help=text)
    add("--reduction", choices=words(Reduction), default="none", help="over the points of a batch (default none)")


def add_groups(command: argparse.ArgumentParser, wanted: str) -> None:
    """Groups of inputs, and what is wanted of them."""
    text = f"a group of inputs {wanted}, such as first=w1,b1; repeat"
    command.add_argument("--group", type=_group, action="append", default=[], metavar="NAME=INPUTS", help=text)


def _group(text: str) -> tuple[str, list[str]]:
    name, _, inputs = text.partition("=")
    if not name or not inputs:
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=INPUT,INPUT, such as first=w1,b1")
    return name, inputs.split(",")


def add_resume(command: argparse.ArgumentParser) -> None:
    """The file that says where a stream stands."""
    text = "keep in this file where the work stands, and if it is there go on from it: run the same command again"
    command.add_argument("--resume", type=Path, metavar="FILE", help=text)


def add_drawing(command: argparse.ArgumentParser, plot: str = "draw the answer", bars: str = "") -> None:
    """The options for files of pictures; what `bars` draws is told if there is something."""
    for name, text in (("plot", plot), ("bars", bars)):
        if text:
            told = f"{text}, by Matplotlib, into this file"
            command.add_argument(f"--{name}", type=Path, metavar="FILE.png", help=told)


def words(kind: type[enum.StrEnum]) -> list[str]:
    """What can be chosen, as it is written."""
    return [each.value for each in kind]


def dashed(name: str) -> str:
    """A name as the command line writes it."""
    return name.replace("_", "-")


def count(least: int) -> Callable[[str], int]:
    """A parser of whole numbers from `least` on."""

    def count(text: str) -> int:
        number = int(text)
        if number < least:
            raise argparse.ArgumentTypeError(f"{number} is less than {least}")
        return number

    return count


_VALUES: Mapping[type[Any], tuple[str, Callable[[str], Any]]] = {
    int: ("N", count(0)),
    float: ("X", float),
    str: ("NAME", str),
}
"""How values of an option are called in the help and read, by the type of its default."""
