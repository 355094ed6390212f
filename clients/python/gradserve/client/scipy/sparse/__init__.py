"""scipy.sparse: systems, in gradserve.client.scipy.sparse.linalg; products with captured matrices need nothing."""

from gradserve.client.scipy.sparse import linalg

__all__ = ["linalg"]
