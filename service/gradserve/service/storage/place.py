"""The place that the settings name, for as long as a service runs."""

from __future__ import annotations

import fcntl
import logging
import os
import pwd
import re
import shutil
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gradserve.ir.errors import shown
from gradserve.ir.records import dataclass
from gradserve.runtime.folders import WRITING, require_own
from gradserve.service.configuration.settings import Settings
from gradserve.service.storage.folder import NO_ROOM, Folder
from gradserve.service.storage.graphs import CONSTANT_BYTES
from gradserve.service.storage.objects import Check, Objects, is_empty, is_named, is_sealed
from gradserve.service.storage.remote import Remote, file_system
from gradserve.service.storage.space import Space

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_logger = logging.getLogger(__name__)

IN_MEMORY = "none"
"""The store of one who wants none beyond the memory of each process."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PASSING = "passing-"
"""What the names of folders begin with that end with their service."""
_CLAIMS = "claims"
_GRAPHS_PART = 16
"""One part in so many of what a URL may hold is for graphs."""
_FREE_PART = 2
"""A folder takes no more than one part in so many of what is free on its disk, and of what it has already."""


@dataclass(frozen=True)
class Place:
    """Where the objects of one service are."""

    blobs: Objects
    graphs: Objects
    claims: Objects | None
    """Which caller has sent which of these; None for a service that asks nobody who he is."""
    shared: bool
    """Whether other processes may look for what one has kept there."""


def opened(settings: Settings, running: ExitStack) -> Place | None:
    """The place, until `running` ends; None if all is to stay in memory.

    Raises:
        OSError: what the settings name cannot be used.
    """
    store = settings.store or named(settings, running)
    if store == IN_MEMORY:
        return None
    _require_whole_url(store)
    if "://" in store:
        system, path = file_system(store)
        if not _is_local(system):
            return _remote(settings, system, path)
        store = path
    try:
        return _folder(Path(store).expanduser(), settings)
    except (OSError, RuntimeError) as error:  # the latter of a ~user whom nobody knows
        why = f"graphs and blobs cannot be kept in {store}: {getattr(error, 'strerror', None) or error}"
        if settings.store:
            raise OSError(f"{why}; name another store, or none") from None
        _logger.warning("%s; they stay in memory, and are sent again after a restart", why)
        return None


def _require_whole_url(store: str) -> None:
    """Refuses what begins as a URL and would be the name of a folder here, which nobody else can see."""
    scheme = _SCHEME.match(store)
    if scheme and "://" not in store:
        url, folder = f"{scheme[0]}//{store[scheme.end() :].lstrip('/')}", f"./{store}"
        if scheme[0] == "file:":
            url = f"file:///{store[scheme.end() :].lstrip('/')}"
        raise OSError(f"the store {shown(store)} is half a URL: write {url}, or {folder} for a folder of that name")


def named(settings: Settings, running: ExitStack) -> str:
    """The store by name: if the settings name none, a folder for the service at this address.

    It ends with `running` if the service takes any port that is free.
    """
    if settings.store:
        return settings.store
    try:
        return str(_own_folder(settings, running))
    except OSError as error:
        _logger.warning("graphs and blobs stay in memory, and are sent again after a restart: %s", error)
        return IN_MEMORY


def _own_folder(settings: Settings, running: ExitStack) -> Path:
    named = os.environ.get("XDG_STATE_HOME")
    state = (Path(named) if named else _home() / ".local" / "state") / "gradserve"
    state.mkdir(0o700, parents=True, exist_ok=True)
    require_own(state, WRITING)  # what is in it is closed altogether
    if settings.port or settings.address.startswith("unix"):
        return state / ("at-" + re.sub(r"[^\w.]+", "-", settings.address))
    return _passing(state, running)


def _home() -> Path:
    """The user's folder: where HOME is empty, the one that the system knows."""
    try:
        return Path(os.environ.get("HOME") or pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        raise OSError(f"HOME is not set, and user {os.geteuid()} is unknown here") from None


def _passing(state: Path, running: ExitStack) -> Path:
    """A folder that is removed in the end; those that killed services have left are removed now."""
    for left in state.glob(f"{_PASSING}*"):
        with suppress(OSError):
            lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(lock)
    made = Path(tempfile.mkdtemp(prefix=_PASSING, dir=state))
    lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_SH)
    running.callback(shutil.rmtree, made, ignore_errors=True)
    running.callback(os.close, lock)
    return made


def _folder(root: Path, settings: Settings) -> Place:
    root.mkdir(0o700, parents=True, exist_ok=True)
    require_own(root)
    drafts = root / _part(settings, "drafts")
    space = Space(root, settings.store_bytes, drafts)
    free = space.used + shutil.disk_usage(root).free // _FREE_PART
    if free < settings.store_bytes:
        space.capacity, space.limit = free, NO_ROOM

    def part(name: str, check: Check) -> Folder:
        return Folder(root / _part(settings, name), drafts, space, check)

    claims = part(_CLAIMS, is_empty) if settings.knows_callers else None
    why = "half of what is free on the disk" if space.limit == NO_ROOM else space.limit
    _logger.info("graphs and blobs are kept in %s, up to %d MiB, %s", root, space.capacity >> 20, why)
    return Place(part("blobs", is_named), part("graphs", is_sealed), claims, shared=bool(settings.store))


def _part(settings: Settings, name: str) -> str:
    """What keeps objects of a kind: what callers sent to whom they are known is not for those who are asked nothing."""
    return f"{name}-of-callers" if settings.knows_callers else name


def _is_local(system: AbstractFileSystem) -> bool:
    return "file" in ((system.protocol,) if isinstance(system.protocol, str) else system.protocol)


def _remote(settings: Settings, system: AbstractFileSystem, path: str) -> Place:
    of_graphs = settings.store_bytes // _GRAPHS_PART

    def part(name: str, most: int, check: Check, largest: int) -> Remote:
        return Remote(system, f"{path}/{_part(settings, name)}", most, check, largest)

    blobs = part("blobs", settings.store_bytes - of_graphs, is_named, settings.max_blob_bytes)
    graphs = part("graphs", of_graphs, is_sealed, settings.max_message_bytes + CONSTANT_BYTES)
    claims = part(_CLAIMS, of_graphs, is_empty, 0) if settings.knows_callers else None
    return Place(blobs, graphs, claims, shared=True)
