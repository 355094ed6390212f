"""`python -m gradserve.service`: what `gradserve serve` runs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from gradserve.ir.errors import GradserveError
from gradserve.service.configuration.command_line import configuration_of
from gradserve.service.configuration.settings import Settings
from gradserve.service.monitoring.logs import start_logging
from gradserve.service.processes.signals import SIGNALS


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until told to stop; returns the exit status."""
    settings = configuration_of(arguments, os.environ).settings
    # Until the service is up, and drains when told to stop: the first process of a container has no default for it.
    signal.signal(signal.SIGTERM, _end)
    # Whoever has started us may have blocked them for himself, and his children have that from him.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    start_logging(settings)
    try:
        _run(settings)
    except (GradserveError, OSError, ImportError) as error:
        print(f"gradserve: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before the service was up
        return 130
    return 0


def _run(settings: Settings) -> None:
    # Each imports what it needs: who only looks after others needs little. Ray may end the process that it is in.
    if settings.processes > 1 or settings.ray:
        from gradserve.service.processes.supervisor import supervise

        supervise(settings)
    else:
        from gradserve.service.processes.alone import serve

        serve(settings)


def _end(_number: int, _frame: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
