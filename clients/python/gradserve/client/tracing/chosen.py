"""What a traced mask chooses of an array, `x[x > 0]`: so many elements that nobody knows before there are numbers.

It is kept as the array and the mask. Functions of single elements act on the whole array, and sums and their kin count
what is chosen alone; whatever needs to know how many elements there are is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from gradserve.client.tracing.origins import untraceable
from gradserve.client.tracing.tracer import MASKED, Tracer
from gradserve.ir.builder import Value
from gradserve.ir.errors import Untraceable

_INSTEAD = "write np.where(mask, x, 0), np.sum(mask) for their number, or use a mask of captured data"
BY_ELEMENT = frozenset(
    {np.clip, np.copy, np.where, np.nan_to_num, np.real, np.imag, np.angle, np.sinc, np.round, np.around, np.isclose}
)
"""Functions that give one element for each; ufuncs do as well."""
BEGINNING = {np.max: "min", np.amax: "min", np.min: "max", np.amin: "max"}
"""Functions that need to begin with a number: the least that there is, or the largest."""
COUNTING = frozenset({np.sum, np.prod, np.mean, np.any, np.all, *BEGINNING})
"""Functions of NumPy that count elements where a condition holds."""


class Chosen(Tracer):
    """The elements of an array where a mask of its first axes holds, in one axis in their place."""

    __slots__ = ("_mask", "_refusal", "_whole")

    def __init__(self, whole: Tracer, mask: Tracer) -> None:
        """`whole` is the array, whose first axes are those of the mask."""
        super().__init__(whole.value)
        self._whole, self._mask = whole, mask
        self._refusal = untraceable("a traced mask selects a number of elements that depends on numbers", _INSTEAD)

    @property
    def value(self) -> Value:
        """Refused: there is no such value.

        Raises:
            Untraceable: always; names the line of the mask.
        """
        raise self._refused()

    @property
    def shape(self) -> tuple[int, ...]:
        """Refused: nobody knows the first length."""
        raise self._refused()

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._rest + 1

    @property
    def size(self) -> Any:
        """The number of elements, which is traced."""
        return np.sum(self._mask) * int(np.prod(self._whole.shape[self._mask.ndim :]))

    def astype(self, dtype: Any, **layout: Any) -> Chosen:
        """The same with other elements."""
        return Chosen(self._whole.astype(dtype, **layout), self._mask)

    @property
    def _rest(self) -> int:
        """The axes behind those of the mask."""
        return self._whole.ndim - self._mask.ndim

    @property
    def _where(self) -> Any:
        """The mask, for every element of the array."""
        return np.reshape(self._mask, (*self._mask.shape, *(1,) * self._rest))

    def spread_over(self, array: Tracer, mask: Any) -> Any:
        """The array with these elements where the mask holds, which is the same."""
        if not (isinstance(mask, Tracer) and _is_same(mask, self._mask)):
            raise untraceable(
                "elements that one mask selects are assigned where another holds", "use one mask for both"
            )
        return np.where(self._where, self._whole, array)

    def __getitem__(self, key: Any) -> Any:
        """Some of them, by a mask that is made of what the same mask chose; or parts of all their rows."""
        if self._is_mask(key):
            return Chosen(self._whole, self._mask & key._whole)
        first, *others = key if isinstance(key, tuple) and key else (key,)
        if isinstance(first, slice) and first == slice(None):
            return Chosen(self._whole[(slice(None),) * self._mask.ndim + tuple(others)], self._mask)
        raise self._refused()

    def __setitem__(self, key: Any, item: Any) -> None:
        """Some of them become others: they are a copy, which nothing else sees."""
        if not self._is_mask(key):
            raise self._refused()
        some = Chosen(self._whole, self._mask & key._whole)
        if isinstance(item, Chosen):
            self._whole = item.spread_over(self._whole, some._mask)
        else:
            whole: Any = np.where(some._where, self._beside(item), self._whole)
            self._whole = whole

    def _is_mask(self, key: Any) -> bool:
        """Whether it is a mask of these elements, one by one."""
        is_mask = isinstance(key, Chosen) and key.dtype == np.bool_ and not key._rest
        return is_mask and _is_same(key._mask, self._mask)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Chosen({self._whole!r})"

    def __array_ufunc__(self, ufunc: np.ufunc, method: Any, *inputs: Any, **kwargs: Any) -> Any:
        if ufunc is np.matmul and method == "__call__" and not kwargs:
            return self._product(*inputs)
        if method != "__call__" or ufunc.signature is not None or kwargs.get("out"):
            raise self._refused()
        return self._like(ufunc(*map(self._beside, inputs), **kwargs))

    def __array_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if func in BY_ELEMENT:
            return self._like(func(*map(self._beside, args), **{k: self._beside(v) for k, v in kwargs.items()}))
        if func in COUNTING and args and args[0] is self:
            return self._reduced(func, *args[1:], **kwargs)
        if func in OWN:
            return OWN[func](self, *args, **kwargs)
        return super().__array_function__(func, types, args, kwargs)

    def _refused(self) -> Untraceable:
        """The refusal, which names the line of the mask."""
        return self._refusal.with_traceback(None)

    def _like(self, made: Any) -> Any:
        """What was made of the whole array, where the mask holds."""
        return tuple(Chosen(each, self._mask) for each in made) if isinstance(made, tuple) else Chosen(made, self._mask)

    def _beside(self, operand: Any) -> Any:
        """An operand of a function of single elements, for the whole array."""
        if isinstance(operand, Chosen):
            if _is_same(operand._mask, self._mask) and operand._rest == self._rest:
                return operand._whole
            raise untraceable("what two masks select is joined", _INSTEAD)
        if np.ndim(operand) > self._rest:
            raise untraceable(
                "what a traced mask selects meets an array of known length", "select that by the same mask"
            )
        return operand

    def _product(self, a: Any, b: Any) -> Any:
        """The product of matrices or vectors, of which one or both are chosen."""
        if isinstance(a, Chosen) and not isinstance(b, Chosen) and a._rest == 1 == a._mask.ndim:
            return Chosen(np.matmul(a._whole, b), a._mask)
        if isinstance(a, Chosen) and isinstance(b, Chosen) and not a._rest and not b._rest:
            return np.sum(a * b)
        raise self._refused()

    def _reduced(self, func: Callable[..., Any], axis: Any = None, **named: Any) -> Any:
        """What a function makes of what is chosen, along one axis or all."""
        axes = tuple(range(self._mask.ndim))
        if axis is not None and (at := range(self.ndim)[axis]):
            return self._like(func(self._whole, axis=at + len(axes) - 1, **named))
        if func in BEGINNING:
            named.setdefault("initial", self._extreme(BEGINNING[func]))
        return func(self._whole, axis=axis if axis is None else axes, where=self._where, **named)

    def _extreme(self, which: str) -> Any:
        """The least number of this type, or the largest."""
        if self.dtype.kind == "f":
            return np.inf if which == "max" else -np.inf
        return getattr(np.iinfo(self.dtype), which)

    def _variance(self, array: Any, axis: Any = None, ddof: float = 0, **named: Any) -> Any:
        """The mean square distance from the mean."""
        if named or axis not in (None, 0) or array is not self:
            raise self._refused()
        count = self.size if axis is None else np.sum(self._mask)
        squares = np.abs(self - np.mean(self, axis=axis)) ** 2
        return np.sum(squares, axis=axis) / (count - ddof)

    def _median(self, array: Any, **named: Any) -> Any:
        """The middle of what is chosen, or the mean of the two in the middle."""
        if named or self._rest or array is not self:
            raise self._refused()
        count = np.sum(self._mask)
        ordered = np.sort(np.ravel(np.where(self._mask, self._whole, np.inf)))
        return (ordered[(count - 1) // 2] + ordered[count // 2]) / 2

    def _norm(self, array: Any, **named: Any) -> Any:
        """The square root of the sum of squares."""
        if named or array is not self:
            raise self._refused()
        return np.sqrt(np.sum(np.abs(self) ** 2))


OWN: dict[Callable[..., Any], Callable[..., Any]] = {
    np.var: Chosen._variance,
    np.std: lambda x, *given, **named: np.sqrt(x._variance(*given, **named)),
    np.median: Chosen._median,
    np.linalg.norm: Chosen._norm,
    np.dot: Chosen._product,
    np.size: lambda x, _: x.size,
    np.count_nonzero: lambda x, _: np.sum(x != 0),
}
"""Functions of NumPy that are put together of others."""


def chosen(array: Tracer, mask: Tracer) -> Any:
    """What a traced mask chooses of an array.

    Raises:
        IndexError: the mask is not one of the array's first axes.
    """
    if array.shape[: mask.ndim] != mask.shape:
        raise IndexError(f"boolean index of shape {mask.shape} did not match indexed array of shape {array.shape}")
    return Chosen(array, mask)


MASKED.append(chosen)


def _is_same(one: Tracer, other: Tracer) -> bool:
    """Whether two masks are one: what is computed twice from the same is one value."""
    a, b = one.value, other.value
    return a.builder is b.builder and a.index == b.index
