"""Records, whose methods are made when they are first used, and what of them is worked out when it is asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, dataclass_transform

T = TypeVar("T")


class once(Generic[T]):
    """An attribute that is worked out when it is first asked for; where threads ask at once, by each of them.

    `functools.cached_property` locks all objects of the class for that, until Python 3.12: who asks about a small graph
    would wait for whoever asks about a large one.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        """Decorates the method that works it out."""
        self.make = make
        self.__doc__ = make.__doc__

    def __get__(self, instance: Any, owner: type[Any]) -> T:
        found = instance.__dict__[self.make.__name__] = self.make(instance)
        return found


@dataclass_transform(frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """A frozen dataclass with slots, held frozen by the type checker alone: to make one takes a third of the time."""
    return _made(cls, slots=True, unsafe_hash=True)


def _dataclass(cls: type | None = None, /, **asked: bool) -> Any:
    """What `dataclasses.dataclass` gives, in a twentieth of its time: no method is compiled before it is used.

    It takes `frozen`, `slots`, `eq` and `repr`. A base that is a dataclass is one of these, and no field an `InitVar`.
    """
    return _made(cls, **asked) if cls else lambda decorated: _made(decorated, **asked)


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    dataclass = _dataclass


class _Later:
    """Stands for a method of a dataclass until it is asked for."""

    def __init__(self, owner: type, name: str, frozen: bool) -> None:
        self.owner, self.name, self.frozen = owner, name, frozen

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        method = _method(self.owner, self.name, self.frozen)
        setattr(self.owner, self.name, method)
        return method.__get__(instance, owner)


def _made(
    cls: type[T],
    frozen: bool = False,
    slots: bool = False,
    eq: bool = True,
    repr: bool = True,
    unsafe_hash: bool = False,
) -> type[T]:
    """The class as a dataclass: fields are found now, as subclasses need them, and methods are made later."""
    if cls.__doc__ is None:
        cls.__doc__ = cls.__name__  # or its signature would be taken, for which a method is made
    own = {name for name, value in vars(cls).items() if value is not None}
    made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(cls)
    hashed = unsafe_hash or (eq and frozen)
    wanted = {"__init__": True, "__repr__": repr, "__eq__": eq, "__hash__": hashed}
    for name, asked in wanted.items():
        if asked and name not in own:
            setattr(made, name, _Later(made, name, frozen))
    if eq and not hashed and "__hash__" not in own:
        made.__hash__ = None  # type: ignore[assignment]  # for it may change
    if frozen:
        made.__setattr__, made.__delattr__ = _set, _delete  # type: ignore[method-assign]
    if frozen and slots:
        made.__getstate__, made.__setstate__ = _state, _set_state  # type: ignore[method-assign,attr-defined]
    return made


def _method(cls: type, name: str, frozen: bool) -> Any:
    """The method of this name, as `dataclasses` makes it for a class of the same fields that has no other."""
    twin = dataclasses.make_dataclass(
        cls.__qualname__,
        [(field.name, field.type, field) for field in dataclasses.fields(cls)],
        namespace={"__post_init__": cls.__post_init__} if hasattr(cls, "__post_init__") else {},
        init=name == "__init__",
        repr=name == "__repr__",
        eq=name == "__eq__",
        unsafe_hash=name == "__hash__",
        frozen=frozen and name == "__init__",
    )
    return vars(twin)[name]


def _set(_self: object, name: str, _value: Any) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _delete(_self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    """What is pickled of one that is frozen and has slots: they cannot be set one by one."""
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)
