"""Archives of package indexes, unpacked."""

from __future__ import annotations

import tarfile
from pathlib import Path


def unpack(archive: Path, folder: Path, below: str = "") -> None:
    """Unpacks what lies below a name of an archive; of those that are malicious it takes nothing out of the folder.

    Before Python 3.11.4 that is not kept from them: compare their digests first.
    """
    with tarfile.open(archive) as packed:
        # As an attribute: earlier versions have no such argument.
        packed.extraction_filter = getattr(tarfile, "data_filter", None)
        packed.extractall(folder, [member for member in packed.getmembers() if member.name.startswith(below)])
