"""What can be set on clients and functions: looked at when it is set, so that the wrong line is the one that fails."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import numpy as np

from gradserve.client.asking import choice
from gradserve.client.tracing.watching import Watch
from gradserve.client.transport.hedge import Hedge
from gradserve.ir.errors import InvalidRequest
from gradserve.questions.call import EXECUTORS, AtKinks, Placement, Transport

if TYPE_CHECKING:
    import grpc

T = TypeVar("T")

ENDLESS_SECONDS = 1e9
"""Longer than anybody waits, and about the longest that systems take for a time; beyond it there is none."""


class Setting(Generic[T]):
    """An attribute that only takes values that make sense; they lie in a slot with an underscore before its name."""

    def __init__(self, checked: Callable[[Any], T], text: str) -> None:
        """`checked` answers the value itself, or raises; `text` says what the attribute is for."""
        self._checked = checked
        self.__doc__ = text

    def __set_name__(self, owner: type, name: str) -> None:
        self._slot = f"_{name}"

    @overload
    def __get__(self, instance: None, owner: type) -> Setting[T]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> Setting[T] | T:
        found: T = self if instance is None else getattr(instance, self._slot)  # type: ignore[assignment]
        return found

    def __set__(self, instance: object, value: T) -> None:
        setattr(instance, self._slot, self._checked(value))


def checked_timeout(seconds: Any) -> float | None:
    """The seconds within which a call must be answered; None if they have no end.

    Raises:
        InvalidRequest: no call can be answered in such a time.
    """
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, Real):
        raise InvalidRequest(f"timeout is {seconds!r}; write a number of seconds, such as 60.0, or None for no timeout")
    number: Any = seconds  # which may be above all numbers of float64
    if not number > 0:
        raise InvalidRequest(f"a timeout of {seconds} s leaves no time for an answer; None means no timeout")
    return None if number > ENDLESS_SECONDS else float(number)


def checked_placement(word: Any) -> str:
    """Where calls run."""
    return choice(Placement, word, "placement").value


def checked_kinks(word: Any) -> str:
    """What becomes of derivatives at kinks."""
    return choice(AtKinks, word, "way with kinks").value


def checked_transport(word: Any) -> str:
    """How float64 travels."""
    return choice(Transport, word, "transport").value


def checked_executor(name: Any) -> str:
    """The name of an executor; empty for the service's choice.

    Raises:
        InvalidRequest: there is none of that name.
    """
    if name in ("", "auto"):
        return ""
    if name not in EXECUTORS:
        raise InvalidRequest(f"there is no executor {name!r}; there are auto, {', '.join(EXECUTORS)}")
    return str(name)


def checked_switch(value: Any, name: str = "count_kinks") -> bool:
    """Whether something is done.

    Raises:
        InvalidRequest: the value is neither True nor False.
    """
    if not isinstance(value, bool | np.bool):
        raise InvalidRequest(f"{name} is {value!r}; write True or False")
    return bool(value)


def checked_watch(value: Any) -> Watch:
    """How captured arrays are watched.

    Raises:
        InvalidRequest: there is no such way.
    """
    if not isinstance(value, bool) and value != "whole":
        raise InvalidRequest(f"watch is {value!r}; write True, False or 'whole'")
    watch: Watch = value
    return watch


def checked_hedge(value: Any) -> Hedge | None:
    """When calls are asked a second time; None for never.

    Raises:
        InvalidRequest: there is no such time.
    """
    if isinstance(value, bool):
        return Hedge() if value else None
    hedge = value if isinstance(value, Hedge) else Hedge(after=value)
    if hedge.after is not None and checked_timeout(hedge.after) is None:
        raise InvalidRequest("a hedge after an endless time is none; write False")
    if isinstance(hedge.quantile, bool) or not isinstance(hedge.quantile, Real) or not 0.0 < hedge.quantile < 1.0:
        raise InvalidRequest(f"the quantile of a hedge is {hedge.quantile!r}; write a share below 1, such as 0.95")
    return hedge


def checked_threads(number: Any) -> int | None:
    """The threads of the in-process mode; None for as many as there are processors.

    Raises:
        InvalidRequest: there can be no such number of threads.
    """
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, Integral) or number < 1:
        raise InvalidRequest(f"threads is {number!r}; write a whole number from 1, or None for one a processor")
    return int(number)


def checked_credentials(credentials: Any) -> grpc.ChannelCredentials | None:
    """What a connection with TLS trusts; None for a plain one.

    Raises:
        InvalidRequest: it is nothing of the kind.
    """
    if credentials is None:
        return None
    import grpc

    if isinstance(credentials, grpc.ChannelCredentials):
        return credentials
    advice = "write grpc.ssl_channel_credentials(), with the bytes of a certificate to trust if it is your own"
    raise InvalidRequest(f"credentials are a {type(credentials).__name__}; {advice}")
