"""Elements taken and put at computed positions, and their order."""

from gradserve.ops.indexing import gather, sorting
