"""`python -m gradserve.client.importers.onnx` prints the documentation of all that can be imported."""

import sys

from gradserve.client.importers.onnx.documentation import documentation

sys.stdout.write(documentation())
