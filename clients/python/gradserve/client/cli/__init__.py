"""The command line: `gradserve serve | demo | describe | gradient | verify | certify | trace | spectrum | ...`."""

from gradserve.client.cli.main import main

__all__ = ["main"]
