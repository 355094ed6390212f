"""The array that stands for the author's argument while a function is traced."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from gradserve.client.tracing.dispatch import apply_function, apply_ufunc, name_of
from gradserve.client.tracing.holders import OF_SPARSE, Holder
from gradserve.client.tracing.memory import Memory
from gradserve.client.tracing.origins import untraceable
from gradserve.client.tracing.recording import recorded, traced
from gradserve.client.tracing.refusals import INTO_OWN, REFUSED, ElementsAsked, Numberless, unassignable
from gradserve.client.tracing.subclasses import described, has_own_arithmetic
from gradserve.client.tracing.writing import WRITES, Flat, Written, add_up, split_out, ufunc_out, written_out
from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import Untraceable
from gradserve.ir.types import ElementType
from gradserve.numpy.indexing import getitem, is_basic
from gradserve.numpy.table import FUNCTIONS

METHODS: dict[str, Callable[..., Any]] = {
    name: getattr(np, name)
    for name in (
        *("sum", "prod", "mean", "var", "std", "max", "min", "any", "all", "argmax", "argmin", "cumsum"),
        *("argpartition", "argsort", "choose", "cumprod", "searchsorted"),
        *("ravel", "squeeze", "swapaxes", "repeat", "take", "diagonal", "trace", "dot", "clip", "round", "copy"),
    )
} | {"conj": np.conjugate, "conjugate": np.conjugate}
"""Methods that are NumPy functions of the array."""

MASKED: list[Callable[[Any, Any], Any]] = []
"""What is chosen of an array by a traced mask of its first axes."""


class Tracer(Written, Numberless, NDArrayOperatorsMixin):
    """An array of known type and unknown elements. NumPy functions of it emit nodes of the graph."""

    __slots__ = ("_memory", "_part_of", "_value", "_version")

    def __init__(self, value: Value, memory: Memory | None = None, part_of: tuple[Any, Any] | None = None) -> None:
        """`memory` is that of an array, and None for NumPy's scalars, which nobody can write to.

        `part_of` are the array that it is a view of, and the key that selects it there.
        """
        self._value = value
        self._memory = memory
        self._version = memory.version if memory else 0
        self._part_of = part_of

    @property
    def value(self) -> Value:
        """The value of the graph: a part of an array has what is written to that.

        Raises:
            Untraceable: the array was written to under another name, so that it has other elements by now.
        """
        if self._memory is not None and self._memory.version != self._version:
            self._look_again(self._memory)
        return self._value

    @property
    def memory(self) -> Memory | None:
        """The memory that it would have."""
        return self._memory

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths."""
        return self._value.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._value.type.rank

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._value.type.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its elements."""
        return self._value.type.element_type.dtype

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self._value.type.element_type.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._value.type.nbytes

    @property
    def T(self) -> Any:
        """The axes in reverse order."""
        return np.transpose(self)

    @property
    def mT(self) -> Any:
        """The last two axes exchanged."""
        return np.matrix_transpose(self)

    @property
    def real(self) -> Any:
        """The real part."""
        return np.real(self)

    @property
    def imag(self) -> Any:
        """The imaginary part."""
        return np.imag(self)

    def reshape(self, *shape: Any, order: Any = "C") -> Any:
        """The elements in another shape, given as one tuple or as numbers."""
        return np.reshape(self, shape[0] if len(shape) == 1 else shape, order=order)

    def transpose(self, *axes: Any) -> Any:
        """The axes in another order, given as one tuple or as numbers; reversed by default."""
        order = axes[0] if len(axes) == 1 else axes
        return np.transpose(self, order or None)

    def astype(self, dtype: Any, *, copy: bool = True, **layout: Any) -> Tracer:
        """The array with other elements."""
        del layout
        if not copy and np.dtype(dtype) == self.dtype:
            return self
        g, value = recorded(self.value)
        return _tracer(traced(g, "astype", lambda g: g.convert(value, ElementType.of(dtype))))

    @property
    def flat(self) -> Any:
        """The elements in row-major order; what is written to them is written to the array."""
        flat: Any = np.ravel(self)
        return Tracer(flat.value, self._memory, (Flat(self), ...)) if self._memory else flat

    def item(self, *at: Any) -> Any:
        """The only element, or that at a position, as a traced number."""
        if not at:
            return self.reshape(())
        return (
            np.ravel(self)[at[0]]
            if len(at) == 1 and not isinstance(at[0], tuple)
            else self[at if len(at) > 1 else at[0]]
        )

    def tolist(self) -> Any:
        """Nested lists of traced numbers."""
        return [row.tolist() for row in self] if self.ndim else self

    def flatten(self, order: Any = "C") -> Any:
        """A copy of the elements in row-major order."""
        return np.copy(np.ravel(self, order))

    def __getattr__(self, name: str) -> Any:
        if name in METHODS:
            return functools.partial(METHODS[name], self)
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"a traced array has no attribute {name!r}")
        instead = REFUSED.get(name, "write it with functions of NumPy")
        raise untraceable(f".{name} of a traced array cannot be traced", instead)

    def __array_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        del types
        if func in WRITES and args:
            if not isinstance(args[0], Tracer):
                raise unassignable(f"{name_of(func)} writes traced numbers into an array of plain ones", INTO_OWN)
            return WRITES[func](*args, **kwargs)
        out, args, kwargs = split_out(func, args, kwargs)
        if out is not None:
            return written_out(name_of(func), out, func(*args, **kwargs))
        entry = FUNCTIONS.get(func)
        operands = Operands()
        args, kwargs = operands.values(args), operands.values(kwargs)
        result = traced(operands.builder, name_of(func), lambda g: apply_function(g, func, args, kwargs))
        return tracers(result, operands.memory if entry is not None and entry.view else None)

    def __array_ufunc__(self, ufunc: np.ufunc, method: Any, *inputs: Any, **kwargs: Any) -> Any:
        if kwargs.get("out"):
            return ufunc_out(ufunc, method, inputs, **kwargs)
        if method == "at" and ufunc in (np.add, np.subtract):
            if not isinstance(inputs[0], Tracer):
                raise unassignable(f"{name_of(ufunc)}.at adds traced numbers to an array of plain ones", INTO_OWN)
            return add_up(ufunc, *inputs)
        if method == "__call__" and any(hasattr(x, "tocsr") for x in inputs):
            for of_sparse in OF_SPARSE:
                return of_sparse(ufunc, inputs)
        operands = Operands()
        values, named = operands.values(inputs), operands.values(kwargs)
        try:
            return tracers(
                traced(operands.builder, name_of(ufunc), lambda g: apply_ufunc(g, ufunc, method, values, named))
            )
        except Untraceable as refusal:
            if ufunc.__name__.startswith("_"):  # of a function of SciPy, whose name may lead elsewhere
                raise ElementsAsked(str(refusal)) from None
            raise

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, Tracer) and key.dtype == np.bool_ and key.ndim:
            for choose in MASKED:
                return choose(self, key)
        operands = Operands()
        value, inner = operands.values((self, key))
        result = traced(operands.builder, "indexing", lambda g: getitem(g, value, inner))
        # An element alone is one of NumPy's scalars, which shares no memory.
        if not (result.type.rank and is_basic(key)):
            return _tracer(result)
        return Tracer(result, self._memory, (self, key))

    def __iter__(self) -> Iterator[Tracer]:
        return (self[k] for k in range(len(self)))

    def __len__(self) -> int:
        if not self.ndim:
            raise untraceable("a scalar has no length", "ask for x.size, which is 1, or write np.atleast_1d(x)")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Tracer({self._value.type})"


class Operands:
    """What NumPy passes on, with values in place of tracers; remembers to whom these belong."""

    def __init__(self) -> None:
        """Nothing was passed on yet."""
        self._builder: Builder | None = None
        self.memory: Memory | None = None
        """That of all tracers; one without an owner if they have several."""

    @property
    def builder(self) -> Builder:
        """That of the tracers, of which there is one."""
        assert self._builder is not None
        return self._builder

    @property
    def are_traced(self) -> bool:
        """Whether there was any tracer."""
        return self._builder is not None

    def values(self, argument: Any) -> Any:
        """The argument with values in place of tracers, within lists, tuples, dicts and slices as well."""
        if isinstance(argument, Tracer):
            return self._value(argument)
        if type(argument) in (list, tuple):
            return type(argument)(self.values(part) for part in argument)
        if type(argument) is dict:
            return {key: self.values(part) for key, part in argument.items()}
        if isinstance(argument, np.ndarray):
            return self._of_array(argument)
        if isinstance(argument, Holder):
            return argument.with_values(self.values)
        if isinstance(argument, slice):
            return slice(*(self.values(bound) for bound in (argument.start, argument.stop, argument.step)))
        return argument

    def _of_array(self, array: Any) -> Any:
        if has_own_arithmetic(type(array)):
            what, instead = described(type(array))
            raise untraceable(f"a traced array meets one that is {what}", instead)
        return self.values(array.tolist()) if array.dtype == object else array

    def _value(self, tracer: Tracer) -> Value:
        target, value = recorded(tracer.value)
        if self._builder is None:
            self._builder, self.memory = target, tracer.memory
        elif target is not self._builder:
            raise untraceable(
                "a traced array of another call takes part: it was kept in a global, or tracing is nested",
                "pass it in as an argument",
            )
        elif tracer.memory is not self.memory:
            self.memory = Memory(owner=False)
        return value


def tracers(result: Any, memory: Memory | None = None) -> Any:
    """The result with tracers in place of values; views keep the memory that they look at."""
    if isinstance(result, Value):
        return _tracer(result, memory)
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return type(result)(*(tracers(part, memory) for part in result))
    if type(result) in (list, tuple):
        return type(result)(tracers(part, memory) for part in result)
    return result


def _tracer(value: Value, memory: Memory | None = None) -> Tracer:
    return Tracer(value, memory if memory is not None or not value.type.rank else Memory())
