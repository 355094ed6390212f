"""`python -m gradserve.client.importers.aten` prints the documentation of all that can be imported."""

import sys

from gradserve.client.importers.aten.documentation import documentation

sys.stdout.write(documentation())
