"""How many operations a program is, with calls, known before any of them is read."""

from __future__ import annotations

from gradserve.client.importers.stablehlo.syntax import Module, Operation, Region
from gradserve.client.importers.stablehlo.tokens import invalid

DEEPEST = 48
"""How deep calls and regions stand in each other."""


class Sizes:
    """Numbers of operations, of each function once."""

    def __init__(self, module: Module) -> None:
        """Of what is in a program."""
        self._module = module
        self._known: dict[str, int] = {}

    def of(self, region: Region, depth: int = 0) -> int:
        """How many operations a region has, with those of the functions that it calls.

        Raises:
            InvalidGraph: functions stand too deep in each other, as where one calls itself.
        """
        if depth > DEEPEST:
            raise invalid(region.operations[0].line, f"more than {DEEPEST} calls and regions stand in each other")
        return sum(self._of(operation, depth + 1) for operation in region.operations[:-1])

    def _of(self, operation: Operation, depth: int) -> int:
        called = symbol_of(operation)
        inner = sum(self.of(region, depth) for region in operation.regions)
        return 1 + inner + (self._called(called, depth) if called in self._module else 0)

    def _called(self, name: str, depth: int) -> int:
        if name not in self._known:
            self._known[name] = self.of(self._module[name].body, depth)
        return self._known[name]


def symbol_of(operation: Operation) -> str:
    """The function that an operation calls, or is made of; nothing if it is no call."""
    key = {"call": "symbol", "composite": "decomposition"}.get(operation.name)
    return "" if key is None else str(operation.attributes.get(key)).removeprefix("@")
