"""Stands in for Ray's agents, run by its path: does nothing, and ends with the Ray node that started it."""

import os
import time

_PAUSE_SECONDS = 1.0
_ORPHANAGE = 1
"""The parent of whoever has lost his."""

parent = os.getppid()
while os.getppid() == parent != _ORPHANAGE:
    time.sleep(_PAUSE_SECONDS)
