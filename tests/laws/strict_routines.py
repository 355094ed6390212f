"""SciPy's functions for arrays of array_api_strict, and those of matrices that are finite."""

from collections.abc import Callable
from typing import Any

import array_api_strict as strict
import numpy as np
import scipy.linalg
import scipy.special

from gradserve.ops.elementwise import assembled
from gradserve.ops.linalg import finite
from gradserve.ops.linalg.finite import NAMES, where_finite
from gradserve.ops.special import truncated


def __getattr__(name: str) -> Callable[..., Any]:
    if name in NAMES:
        own = getattr(strict.linalg, name)
        return lambda a, **options: where_finite(strict, lambda x: own(x, **options), a)
    places = (finite, assembled, truncated, scipy.special, scipy.linalg)
    function = next(own for place in places if (own := getattr(place, name, None)) is not None)

    def call(*operands: Any, **options: Any) -> Any:
        results = function(*map(_in_numpy, operands), **options)
        return tuple(map(strict.asarray, results)) if isinstance(results, tuple) else strict.asarray(results)

    return call


def _in_numpy(x: Any) -> Any:
    return np.asarray(x) if hasattr(x, "__array_namespace__") else x
