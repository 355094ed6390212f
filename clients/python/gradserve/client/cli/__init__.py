"""The command line: `gradserve serve | demo | describe | gradient | verify | symmetry | trace | spectrum | eigenpairs | ...`."""

from gradserve.client.cli.main import main

__all__ = ["main"]
