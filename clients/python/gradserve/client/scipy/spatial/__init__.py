"""scipy.spatial, of traced arrays as well: distances and rotations are in its modules `distance` and `transform`."""

from gradserve.client.scipy.mirror import members
from gradserve.client.scipy.spatial import distance, transform

__all__ = ["distance", "transform"]  # and what the table has, which SciPy's names lead to

__getattr__, __dir__ = members("scipy.spatial")
