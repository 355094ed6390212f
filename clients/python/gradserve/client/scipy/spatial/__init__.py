"""scipy.spatial: distances, in gradserve.client.scipy.spatial.distance, and rotations, in that of transform."""

from gradserve.client.scipy.spatial import distance, transform

__all__ = ["distance", "transform"]
