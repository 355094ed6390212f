"""Writes all dashboards, or tells by its exit status whether those written are up to date."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from deploy.grafana import method, operators, users
from deploy.grafana.panels import Json

FOLDER = Path(__file__).parent.parent / "helm" / "gradserve" / "files" / "dashboards"


def rendered() -> dict[str, str]:
    """The text of every file, by its name."""
    made: dict[str, Json] = {
        "operators.json": operators.dashboard(),
        "users.json": users.dashboard(),
        "method.json": method.dashboard(),
    }
    return {name: json.dumps(content, indent=1, ensure_ascii=False) + "\n" for name, content in made.items()}


def main() -> int:
    """Runs the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.grafana", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
    check = parser.parse_args().check
    stale = {FOLDER / name: text for name, text in rendered().items() if _content(FOLDER / name) != text}
    for path, text in stale.items():
        if check:
            print(f"out of date: {path}", file=sys.stderr)
        else:
            path.write_text(text)
            print(f"written: {path}")
    return 1 if check and stale else 0


def _content(path: Path) -> str:
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
