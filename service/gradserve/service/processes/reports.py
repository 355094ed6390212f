"""What a front-end process tells its supervisor."""

from __future__ import annotations

from typing import TypeAlias

from gradserve.ir.records import dataclass
from gradserve.service.monitoring.together import Snapshot


@dataclass(frozen=True, slots=True)
class Taking:
    """It takes calls, and waits for its cluster."""


@dataclass(frozen=True, slots=True)
class Started:
    """It serves."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It cannot, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Counted:
    """What it has counted so far; told whenever it is asked."""

    snapshot: Snapshot


Told: TypeAlias = Taking | Started | Failed | Counted
