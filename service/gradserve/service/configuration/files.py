"""Files that an operator names: settings, tokens, keys, certificates."""

from __future__ import annotations

import errno
from pathlib import Path

MOST_BYTES = 32 << 20
"""More than anybody writes into one; some, such as /dev/zero, have no end."""


def contents(file: Path) -> bytes:
    """The bytes of a file.

    Raises:
        OSError: it cannot be read, or there are too many.
    """
    with file.open("rb") as opened:
        found = opened.read(MOST_BYTES + 1)
    if len(found) > MOST_BYTES:
        raise OSError(errno.EFBIG, f"it has more than {MOST_BYTES >> 20} MiB, or no end", str(file))
    return found
