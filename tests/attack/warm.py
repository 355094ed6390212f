"""What every process of a campaign has done before its first input, once for all: that is no input's time."""

import importlib

from gradserve.execution import installed
from tests.attack import targets

for module in ("scipy.linalg", "scipy.special"):
    importlib.import_module(module)
installed()  # imports what executors run on
targets.warm()
