"""The seam between importers and the client: what every importer makes, and how it refuses.

An importer reads something that is no NumPy code (a jaxpr, StableHLO) and gives an `Imported`. `Client.load` makes a
`Function` of it, which is asked as any other is. While it emits a node, an importer tells the builder by `at` which
operation the node is for, and whatever cannot be said is refused with that operation, what it is applied to, the
author's line, and a way round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gradserve.client.tracing.parameters import Parameters
from gradserve.client.tracing.traced import RESULT, Traced
from gradserve.client.tracing.trees import Branch, Leaf, Structure
from gradserve.ir.builder import Builder
from gradserve.ir.errors import ConstraintError, InvalidGraph, LimitExceeded, Untraceable
from gradserve.ir.graph import Graph, Origin
from gradserve.ir.records import dataclass
from gradserve.numpy.arguments import Unsupported

_FAULTS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, ConstraintError, InvalidGraph)
"""What emitting a node may raise if operands or attributes do not fit."""


class Malformed(InvalidGraph):
    """What is to be imported is not written as it should be."""


@dataclass(frozen=True)
class Imported:
    """A function from elsewhere as a graph, with how its arguments and its result become named arrays."""

    traced: Traced
    source: str
    """What it was made of, such as `jax: loss`."""
    parameters: Parameters | None = None
    """Those of the Python function that it was, which say how arguments come to them."""
    notes: tuple[str, ...] = ()
    """What is not as it was there, such as a derivative that the author has defined."""

    @property
    def graph(self) -> Graph:
        """The graph itself; its nodes have the author's lines as their origins."""
        return self.traced.graph

    def save(self, path: str | Path) -> None:
        """Writes the graph as `Function.save` does: text for `.txt` and `.graph`, protobuf otherwise."""
        from gradserve.client.importers.files import save_graph

        save_graph(self.graph, Path(path))

    def __str__(self) -> str:
        return "\n".join([f"{self.source}: {self.graph}", *(f"  {note}" for note in self.notes)])


def of_arrays(graph: Graph) -> Traced:
    """A graph as a function of its inputs. It returns its output, or a dict of them if there are several."""
    names = tuple(output.name for output in graph.outputs)
    output: Structure = Leaf() if len(names) == 1 else Branch(dict, names, (Leaf(),) * len(names))
    return Traced(graph, {given.name: Leaf() for given in graph.inputs}, output)


def output_names(count: int) -> list[str]:
    """The names of outputs that have none: `result`, or `result.0` and so on."""
    return [RESULT] if count == 1 else [f"{RESULT}.{k}" for k in range(count)]


@contextmanager
def at(g: Builder, operation: str, operands: Sequence[object], origin: Origin | None) -> Iterator[None]:
    """Nodes emitted within are for this operation; what it refuses names it.

    Raises:
        Untraceable: what was emitted cannot be said by a graph.
        LimitExceeded: what is known of it has no place in memory.
    """
    before, g.origin = g.origin, origin
    try:
        yield
    except Unsupported as error:
        raise refusal(operation, operands, origin, error.problem, error.instead) from None
    except _FAULTS as error:
        if isinstance(error, Untraceable | Malformed):
            raise
        said = str(error.violations[0]) if isinstance(error, InvalidGraph) and error.violations else str(error)
        raise refusal(operation, operands, origin, said, "write it by other operations") from error
    except MemoryError:
        where = f"{origin}: " if origin else ""
        raise LimitExceeded("memory", f"{where}{operation} asks for more memory than there is") from None
    finally:
        g.origin = before


def refusal(
    operation: str, operands: Sequence[object], origin: Origin | None, problem: str, instead: str
) -> Untraceable:
    """What is said of an operation that cannot be imported."""
    shown = ", ".join(map(str, operands))
    where = f"{origin}: " if origin else ""
    return Untraceable(f"{where}{operation} of {shown or 'nothing'} cannot be imported: {problem}; {instead}")
