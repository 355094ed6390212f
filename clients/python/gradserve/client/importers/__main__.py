"""`python -m gradserve.client.importers` prints the documentation of what is imported."""

import sys

from gradserve.client.importers.documentation import documentation

sys.stdout.write(documentation())
