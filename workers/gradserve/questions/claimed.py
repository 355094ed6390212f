"""What may be claimed of a function."""

from __future__ import annotations

import enum


class Claimed(enum.StrEnum):
    """The derivatives that may be claimed."""

    GRADIENT = "gradient"
    JVP = "jvp"
    HVP = "hvp"
    JACOBIAN = "jacobian"
    DIAGONAL = "diagonal"

    @property
    def takes_tangent(self) -> bool:
        """Whether it is a product with a vector."""
        return self in (Claimed.JVP, Claimed.HVP)

    @property
    def of_arrays(self) -> bool:
        """Whether the function may have an array for a value; others are of a loss."""
        return self in (Claimed.JVP, Claimed.JACOBIAN)
