"""`python -m gradserve.client.numpy_surface` prints the documentation of all that can be traced."""

import sys

from gradserve.client.numpy_surface.documentation import documentation

sys.stdout.write(documentation())
