"""What became of the inputs of campaigns, and a file of it that campaigns are gone on from and summed up by."""

import collections
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_DERIVING = ("Evaluate", "Gradient", "Jvp", "Vjp", "Hvp", "GaussNewtonProduct", "Curvature", "Along", "EveryValue",
             "WithKinks", "TaylorSeries")  # fmt: skip


@dataclass
class Found:
    """What became of some inputs of one target."""

    inputs: int = 0
    faults: list[tuple[int, str]] = field(default_factory=list)
    stages: collections.Counter[tuple[str, str]] = field(default_factory=collections.Counter)
    """How often each stage came to each end."""
    slowest: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Seconds of a processor, and the number of the input, by stage."""
    seconds: float = 0.0
    """Of a processor, for all of them."""
    peak: int = 0
    """The most bytes that a process held."""

    def add(self, other: "Found") -> None:
        """Takes those of others in."""
        self.inputs += other.inputs
        self.faults += other.faults
        self.stages.update(other.stages)
        self.seconds += other.seconds
        self.peak = max(self.peak, other.peak)
        for name, worst in other.slowest.items():
            self.slowest[name] = max(worst, self.slowest.get(name, worst))

    @property
    def derived(self) -> int:
        """How many derivations of graphs were derived and planned."""
        return sum(n for (stage, end), n in self.stages.items() if end == "fine" and stage.split()[0] in _DERIVING)

    def lines(self) -> Iterator[str]:
        """All of it in words."""
        for (stage, end), number in sorted(self.stages.items()):
            yield f"{stage:28} {end:24} {number:9}"
        for name, (seconds, where) in sorted(self.slowest.items()):
            yield f"{name:28} at most {seconds:.3f} s of a processor, at {where}"


class Record:
    """A file with a line for each piece of a campaign."""

    def __init__(self, path: Path) -> None:
        """`path` need not be there yet."""
        self._path = path

    def add(self, target: str, first: int, stop: int, found: Found) -> None:
        """Writes down what became of the inputs from `first` to before `stop`."""
        stages = [[stage, end, count] for (stage, end), count in found.stages.items()]
        line = {"target": target, "first": first, "stop": stop, "inputs": found.inputs, "seconds": found.seconds,
                "peak": found.peak, "faults": found.faults, "slowest": found.slowest, "stages": stages}  # fmt: skip
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def next(self, target: str) -> int:
        """The number after all that were tried."""
        return max((line["stop"] for line in self._lines() if line["target"] == target), default=0)

    def sums(self) -> dict[str, Found]:
        """What became of all inputs, by target."""
        sums: dict[str, Found] = {}
        for line in self._lines():
            stages = collections.Counter({(stage, end): count for stage, end, count in line["stages"]})
            slowest = {name: (seconds, where) for name, (seconds, where) in line["slowest"].items()}
            faults = [(number, fault) for number, fault in line["faults"]]
            found = Found(line["inputs"], faults, stages, slowest, line["seconds"], line["peak"])
            sums.setdefault(line["target"], Found()).add(found)
        return sums

    def _lines(self) -> Iterator[dict[str, Any]]:
        if self._path.exists():
            yield from map(json.loads, self._path.read_text().splitlines())
