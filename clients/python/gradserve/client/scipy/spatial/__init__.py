"""scipy.spatial: distances, in gradserve.client.scipy.spatial.distance."""

from gradserve.client.scipy.spatial import distance

__all__ = ["distance"]
