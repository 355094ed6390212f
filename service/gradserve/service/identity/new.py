"""`gradserve token new`: a token for a caller, and what the service is to know of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import get_args

from gradserve.ir.errors import InvalidRequest
from gradserve.ir.quantities import Seconds
from gradserve.service.identity.tokens import new_token

_DESCRIPTION = """Makes a token for a caller. The token itself is printed once, to standard error, and is kept nowhere;
its entry for the service, which holds a hash of it, goes to standard output:
gradserve token new --name alice --expires 30d >> tokens.yaml
gradserve serve --token-file tokens.yaml"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a token and its entry; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="gradserve token", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    new = parser.add_subparsers(required=True, metavar="COMMAND").add_parser("new", help="make a token")
    new.add_argument("--name", required=True, help="whose it is: limits, graphs and metrics go by this name")
    new.add_argument("--expires", default="90d", metavar="TIME", help="for how long it holds, or none (default 90d)")
    options = parser.parse_args(arguments)
    try:
        secret, entry = new_token(options.name, _expiry(options.expires))
    except InvalidRequest as error:
        print(f"gradserve: {error.message}", file=sys.stderr)
        return 2
    print(f"the token of {options.name}, shown this once:\n{secret}", file=sys.stderr)
    sys.stdout.write(entry)
    return 0


def _expiry(text: str) -> datetime | None:
    if text == "none":
        return None
    try:
        return datetime.now(UTC) + timedelta(seconds=get_args(Seconds)[1].read(text))
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(f"--expires: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
