"""Answers drawn into files by Matplotlib, as `--plot` and `--bars` say."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from gradserve.client.cli import given, show
from gradserve.questions import figures


def require(options: argparse.Namespace) -> None:
    """Sees that what is to be drawn can be, before anything runs for it.

    Raises:
        InvalidRequest: there is no folder for it.
        ImportError: Matplotlib is not installed.
    """
    for _, file in _wanted(options):
        given.require_folder(file)
        figures.require()


def draw(found: Any, options: argparse.Namespace, about: str = "") -> None:
    """Draws an answer into the files that are wanted; one of several into files named after what it is about."""
    for name, wanted in _wanted(options):
        file = wanted.with_stem(f"{wanted.stem}-{about}") if about else wanted
        figures.write(getattr(found, name), file)
        show.line(f"drawn into {file}")


def _wanted(options: argparse.Namespace) -> list[tuple[str, Path]]:
    """The methods that draw, each with its file."""
    files = [(name, getattr(options, name, None)) for name in ("plot", "bars")]
    return [(name, file) for name, file in files if file is not None]
