"""A front-end process as its supervisor sees it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing import Pipe

from gradserve.runtime.still import stands_still
from gradserve.service.configuration.settings import Settings
from gradserve.service.monitoring.together import Snapshot
from gradserve.service.processes.reports import Counted, Failed, Taking

_logger = logging.getLogger(__name__)

ASK_SECONDS = 4.0
"""How often a process is asked what it has counted: what it counts after that and before it is killed is lost."""
LOOK_SECONDS = 1.0
"""How often one looks whether a signal has stopped it."""
_GOES_ON, _KILLED = 2, 4
"""At which look at which it has stood still, one after the other, it is made to go on, and is killed."""
SILENT_SECONDS = 60.0
"""How long a process may leave that unanswered; then it counts as stuck and is killed."""


class Child:
    """One process, from its start to its end."""

    def __init__(self, name: str, settings: Settings, environment: Mapping[str, str]) -> None:
        """Starts it, with more variables than our own in its environment."""
        self._name = name
        self._connection, theirs = Pipe()
        command = [sys.executable, "-P", "-m", "gradserve.service.processes.front_end", name, str(theirs.fileno())]
        # A session of its own, so that an interrupt at a terminal reaches it once, through us.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env={**os.environ, **environment},
            start_new_session=True,
        )
        theirs.close()
        self._asking = threading.Lock()
        self._told = threading.Condition()
        self._heard = time.monotonic()
        self._looks_still = 0
        self.takes = False
        """Whether it takes calls."""
        self.serves = False
        """Whether it has all that it serves with."""
        self.counted: Snapshot = ()
        """What it told last."""
        self._connection.send(settings)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def await_started(self) -> None:
        """Returns when it serves.

        Raises:
            OSError: it cannot; says why.
        """
        try:
            told = self._first()
            if isinstance(told, Taking):
                self.takes = True
                told = self._first()
        except (EOFError, OSError):
            status = self._process.wait()
            raise OSError(f"{self._name} ended with status {status} before it served") from None
        if isinstance(told, Failed):
            self._process.wait()
            raise OSError(told.reason)
        self._heard, self.serves = time.monotonic(), True

    def watch(self) -> int:
        """Takes down what it tells until it has ended; returns its exit status."""
        asked = time.monotonic()
        while True:
            try:
                if self._connection.poll(LOOK_SECONDS):
                    self._take(self._connection.recv())
                    continue
                if time.monotonic() - asked >= ASK_SECONDS:
                    asked = time.monotonic()
                    self._ask()
            except (EOFError, OSError):
                break
            if self._stood_still():
                break
            if time.monotonic() - self._heard > SILENT_SECONDS:
                _logger.error("%s has not answered for %g s and is killed", self._name, SILENT_SECONDS)
                self.kill()
                break
        self.takes = self.serves = False
        self._connection.close()
        return self._process.wait()

    def snapshot(self, seconds: float) -> Snapshot:
        """What it has counted by now, or what it told last if it takes longer than so many seconds to answer."""
        with self._told:
            known = self.counted
            try:
                self._ask()
            except OSError:
                return known
            self._told.wait_for(lambda: self.counted is not known, seconds)
            return self.counted

    def terminate(self) -> None:
        """Tells it to stop; a second time, to cut off the calls that it waits for. Before it takes any it has none."""
        if self.takes:
            self._process.terminate()
        else:
            self.kill()  # what it is about to start may be deaf to signals

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()

    def _first(self) -> object:
        while not self._connection.poll(LOOK_SECONDS):
            self._stood_still()
        return self._connection.recv()

    def _stood_still(self) -> bool:
        """Whether it did, stopped by a signal, however often it was made to go on; it is killed then."""
        self._looks_still = self._looks_still + 1 if stands_still(self.pid) else 0
        if self._looks_still == _GOES_ON:
            _logger.warning("%s stands still, stopped by a signal, and is made to go on", self._name)
            self._process.send_signal(signal.SIGCONT)
        if self._looks_still < _KILLED:
            return False
        _logger.error("%s stands still, stopped by a signal, and is killed", self._name)
        self.kill()
        return True

    def _ask(self) -> None:
        with self._asking:
            self._connection.send(None)

    def _take(self, told: object) -> None:
        self._heard = time.monotonic()
        if isinstance(told, Counted):
            with self._told:
                self.counted = told.snapshot
                self._told.notify_all()
