"""`python -m gradserve.numpy` prints the documentation of all that can be traced."""

import sys

from gradserve.numpy.documentation import documentation

sys.stdout.write(documentation())
