"""The command line: `gradserve serve | demo | gradient | verify | trace | describe`."""

from gradserve.client.cli.main import main

__all__ = ["main"]
