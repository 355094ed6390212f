"""What the processes of a service say, and how."""

from __future__ import annotations

import logging

from gradserve.service.settings import Settings


def start_logging(settings: Settings, process: str = "") -> None:
    """Has this process say what it does from now on; `process` tells it from others that write to the same place."""
    told = f"[{process}] " if process else ""
    logging.basicConfig(level=settings.log_level, format=f"%(asctime)s %(levelname)s {told}%(name)s: %(message)s")
