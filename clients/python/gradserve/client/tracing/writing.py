"""Writing to traced arrays: what NumPy changes in place becomes a new value under the same name.

Parts of an array, `x[1:]`, have the same memory: what is written to them is written to the array, and the other way
round. All other names of the same memory are refused from then on, as nobody knows what they would hold.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from gradserve.client.tracing.current import current
from gradserve.client.tracing.dispatch import name_of, signature_of
from gradserve.client.tracing.memory import Memory
from gradserve.client.tracing.origins import origin, untraceable
from gradserve.client.tracing.recording import traced
from gradserve.client.tracing.refusals import INTO_OWN, unassignable
from gradserve.ir.builder import Builder, Value
from gradserve.numpy.table import OWN

if TYPE_CHECKING:
    from gradserve.client.tracing.tracer import Tracer


class Flat:
    """An array by its elements in row-major order: of which those are parts."""

    def __init__(self, whole: Tracer) -> None:
        """Of this array."""
        self._whole = whole

    def __getitem__(self, key: Any) -> Any:
        return np.ravel(self._whole)[key]

    def __setitem__(self, key: Any, item: Any) -> None:
        del key  # all of them
        self._whole[...] = np.reshape(item, self._whole.shape)


class Written:
    """An array that can be written to."""

    __slots__ = ()
    _value: Value
    _memory: Memory | None
    _version: int
    _part_of: tuple[Any, Any] | None

    def __setitem__(self: Any, key: Any, item: Any) -> None:
        if self._memory is None:
            raise TypeError(f"{self!r} is a number, and has no elements to assign")
        if self._memory.of_caller:
            raise untraceable(
                "elements of an argument are assigned, which is the caller's array",
                "write x = x.copy() before, or the new array: np.where(mask, new, x), or "
                "gradserve.client.functions.set_at(x, key, values)",
            )
        if _is_written_already(self, key, item):
            return
        if isinstance(item, list | tuple):
            item = np.array(item)
        if hasattr(item, "spread_over"):  # what the same mask has chosen
            self._become(item.spread_over(self, key))
            return
        result = _emitted(self, "assignment", lambda g, value, key, item: _assigned(g, value, key, item), key, item)
        self._become(result)

    def _in_place(self: Any, ufunc: np.ufunc, other: Any) -> Any:
        """The array with the result for its elements; of a number, the result."""
        result = ufunc(self, other)
        return result if self._memory is None else self._become(result)

    def _become(self: Any, result: Tracer) -> Tracer:
        """The array with the elements of a result that is written into it."""
        if self._memory is None:
            raise TypeError("return arrays must be of ArrayType")
        value = _fitting(self, self._memory, result)
        if self._part_of is None:
            self._memory.version += 1
            self._memory.written_at = str(origin())
        else:
            whole, key = self._part_of
            whole[key] = type(self)(value)
        self._value, self._version = value, self._memory.version
        return self  # type: ignore[no-any-return]

    def _look_again(self: Any, memory: Memory) -> None:
        """Takes the elements that the array has by now, as it was written to under another name.

        Raises:
            Untraceable: it is no part of an array that knows.
        """
        if self._part_of is None:
            raise untraceable(
                f"this array shares memory with one that was changed in place at {memory.written_at}",
                "write y = y + x there, not y += x",
            )
        whole, key = self._part_of
        self._value, self._version = whole[key].value, memory.version

    def fill(self: Any, value: Any) -> None:
        """All elements become one number."""
        self[...] = value

    def sort(self: Any, axis: int = -1, **kind: Any) -> None:
        """The elements are put in ascending order."""
        self[...] = np.sort(self, axis, **kind)

    def put(self: Any, indices: Any, values: Any, mode: str = "raise") -> None:
        """Elements at positions in row-major order become others."""
        _put(self, indices, values, mode)

    def __iadd__(self, other: Any) -> Any:
        return self._in_place(np.add, other)

    def __isub__(self, other: Any) -> Any:
        return self._in_place(np.subtract, other)

    def __imul__(self, other: Any) -> Any:
        return self._in_place(np.multiply, other)

    def __itruediv__(self, other: Any) -> Any:
        return self._in_place(np.divide, other)

    def __ifloordiv__(self, other: Any) -> Any:
        return self._in_place(np.floor_divide, other)

    def __imod__(self, other: Any) -> Any:
        return self._in_place(np.remainder, other)

    def __ipow__(self, other: Any) -> Any:
        return self._in_place(np.power, other)

    def __imatmul__(self, other: Any) -> Any:
        return self._in_place(np.matmul, other)

    def __iand__(self, other: Any) -> Any:
        return self._in_place(np.bitwise_and, other)

    def __ior__(self, other: Any) -> Any:
        return self._in_place(np.bitwise_or, other)

    def __ixor__(self, other: Any) -> Any:
        return self._in_place(np.bitwise_xor, other)


def _is_written_already(array: Any, key: Any, item: Any) -> bool:
    """Whether it is the end of x[key] += y, which has been written to x by way of its part."""
    part_of = getattr(item, "_part_of", None)
    if part_of is None or part_of[0] is not array or item._version != array._version:
        return False
    return type(part_of[1]) is type(key) and bool(part_of[1] == key)


def _fitting(array: Any, memory: Memory, result: Any) -> Value:
    """The elements of a result that an array can take.

    Raises:
        Untraceable: it cannot be written to, or has other elements.
    """
    if result.shape != array.shape:
        raise ValueError(f"non-broadcastable output operand with shape {array.shape} for a result of {result.shape}")
    if not memory.owner:
        raise untraceable("an array that may share memory with another is changed in place", "write y = y + x")
    inner = current()
    if inner is not None and not inner.is_of_run(array._value.builder):
        raise untraceable(
            "an array from around a function that is called within the graph is changed in place",
            "give it to the function and return the new one, as a part of what is carried on",
        )
    if not np.can_cast(result.dtype, array.dtype, "same_kind"):
        raise untraceable(f"an array of {array.dtype} cannot take {result.dtype}", "write y = y + x, not y += x")
    g: Builder = result.value.builder
    return g.convert(result.value, array._value.type.element_type)


def _emitted(array: Any, name: str, emit: Callable[..., Value], *arguments: Any) -> Any:
    """What is emitted for an array and arguments, as a traced array."""
    from gradserve.client.tracing.tracer import Operands, tracers  # which is made of this

    operands = Operands()
    value, *values = operands.values((array, *arguments))
    return tracers(traced(operands.builder, name, lambda g: emit(g, value, *values)))


def _assigned(g: Builder, x: Value, key: Any, item: Any) -> Value:
    """x with the item in the places of a key."""
    new = g.lift(item) if isinstance(item, Value) else g.constant(np.asarray(item))
    if new.type.is_complex and not x.type.is_complex:
        raise TypeError(f"an array of {x.type} does not take complex numbers")
    return OWN["set_at"].call(g, x, key, new)  # type: ignore[no-any-return]


def add_up(ufunc: np.ufunc, array: Any, key: Any, item: Any) -> None:
    """np.add.at and np.subtract.at: all that is added counts where positions repeat."""
    addends = item if ufunc is np.add else np.negative(item)
    array._become(_emitted(array, f"np.{ufunc.__name__}.at", OWN["add_at"].call, key, addends))


def split_out(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """What a call has for `out`, None for nothing, and the call without it."""
    if kwargs.get("out") is not None:
        return kwargs["out"], args, {key: value for key, value in kwargs.items() if key != "out"}
    signature = signature_of(function)
    parameters = signature.parameters if signature else {}
    place = [*parameters].index("out") if "out" in parameters else len(args)
    if len(args) <= place or args[place] is None or parameters["out"].kind is inspect.Parameter.KEYWORD_ONLY:
        return None, args, kwargs
    return args[place], (*args[:place], None, *args[place + 1 :]), kwargs


def written_out(name: str, out: Any, result: Any, where: Any = True) -> Any:
    """The array that a call of a function names as `out`, with the result in it where a condition holds."""
    if not isinstance(out, Written):
        raise unassignable(f"{name} writes traced numbers into an array of plain ones", INTO_OWN)
    array: Any = out
    found = result if where is True else np.where(where, result, array)
    if not isinstance(found, Written):
        array[...] = found
        return array
    return array._become(found)


def ufunc_out(
    ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], out: tuple[Any, ...], where: Any = True, **kwargs: Any
) -> Any:
    """What a ufunc, or one of its methods, writes into arrays."""
    name, reduces = name_of(ufunc), method != "__call__"
    if reduces and where is not True:
        kwargs["where"] = where
    result = getattr(ufunc, method)(*inputs, **kwargs)
    parts = result if isinstance(result, tuple) else (result,)
    pairs = zip(out, parts, strict=True)
    found = tuple(
        part if array is None else written_out(name, array, part, True if reduces else where) for array, part in pairs
    )
    return found if isinstance(result, tuple) else found[0]


def _copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    del casting
    if where is True:
        dst[...] = src
    else:
        dst._become(np.where(where, src, dst))


def _fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    if wrap or a.ndim != 2:
        raise untraceable("np.fill_diagonal of more than a matrix cannot be traced", "write x[positions] = values")
    places = np.arange(min(a.shape))
    a[places, places] = val


def _put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    if mode != "raise":
        raise untraceable(f"np.put with mode={mode!r} cannot be traced", "leave it out")
    a._become(_emitted(a, "np.put", OWN["put"].call, ind, v))


def _put_along_axis(arr: Any, indices: Any, values: Any, axis: Any = -1) -> None:
    arr._become(_emitted(arr, "np.put_along_axis", OWN["put_along_axis"].call, indices, values, axis))


def _putmask(a: Any, mask: Any, values: Any) -> None:
    if np.shape(values) not in ((), a.shape):
        raise untraceable("np.putmask with values that repeat cannot be traced", "write np.where(mask, values, x)")
    a._become(np.where(mask, values, a))


WRITES: dict[Callable[..., Any], Callable[..., None]] = {
    np.copyto: _copyto,
    np.fill_diagonal: _fill_diagonal,
    np.put: _put,
    np.put_along_axis: _put_along_axis,
    np.putmask: _putmask,
}
"""Functions of NumPy that write to their first argument, if that is a traced array."""
