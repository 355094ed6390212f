"""Windows of arrays."""

from gradserve.ops.windows import windows
