"""The op set: every primitive by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from gradserve.ir.builder import Builder
from gradserve.ir.op import Op

T = TypeVar("T", bound=type[Op])


class Registry:
    """The ops of one op-set version."""

    def __init__(self, version: int) -> None:
        """Starts empty."""
        self.version = version
        self._ops: dict[str, type[Op]] = {}

    def register(self, op: T) -> T:
        """Adds an op class; used as a class decorator.

        Raises:
            ValueError: the name is taken.
        """
        if op.name in self._ops:
            raise ValueError(f"two ops are called {op.name!r}")
        self._ops[op.name] = op
        return op

    def find(self, name: str) -> type[Op] | None:
        """The op class of that name, or None."""
        return self._ops.get(name)

    def __iter__(self) -> Iterator[type[Op]]:
        return iter(self._ops.values())

    def __len__(self) -> int:
        return len(self._ops)


OP_SET = Registry(version=1)
register = OP_SET.register


def builder() -> Builder:
    """An empty graph under construction over the whole op set."""
    return Builder(OP_SET)
