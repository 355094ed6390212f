"""Arrays on which NumPy functions are called."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Call: TypeAlias = tuple[Any, ...]

RANDOM = np.random.default_rng(7)
V, U = RANDOM.normal(size=5), RANDOM.normal(size=5)
A, B = RANDOM.normal(size=(3, 4)), RANDOM.normal(size=(3, 4))
C = RANDOM.normal(size=(2, 3, 4))
D = RANDOM.normal(size=(4, 2))
S = RANDOM.normal(size=(3, 3)) + 3 * np.eye(3)
SS = RANDOM.normal(size=(2, 3, 3)) + 3 * np.eye(3)
P = RANDOM.uniform(0.5, 2.0, size=(3, 4))
K = np.array([[3, -1, 4], [1, 5, -9]])
F = A.astype(np.float32)
M = np.array([[True, False, True], [False, False, True]])
HOLES = np.array([[1.0, np.nan, 3.0], [np.inf, -np.inf, -2.0]])
T3, R3 = RANDOM.normal(size=(2, 3)), RANDOM.normal(size=(2, 3))
