"""PyTorch's functions and modules as graphs, by the programs that torch.export makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradserve.client.importers.models import ImportedModel


def from_torch(source: Any, /, *examples: Any, wrt: Sequence[str] | None = None, **named: Any) -> ImportedModel:
    """The graph of a torch function or module, for arguments of the types of these examples.

    `Client.load` makes a function of it. Its parameters are those of the function or of `forward`, and `parameters`: a
    tree of the module's parameters by the names of its state dict, whose default is what the module holds. So
    `client.load(m).value_and_grad(x, wrt="parameters")` is the gradient with respect to all weights, at the module's.
    Buffers are data. Types are those that torch gives; numbers and None among the examples are fixed as they are.

    Args:
        source: a function of tensors, a module in evaluation mode, a `torch.export.ExportedProgram`, or the path or the
            bytes of what `torch.export.save` made of one after `run_decompositions()`. Files are read without torch.
        examples: of its parameters, by position: trees of tensors or arrays. None are given with a program or a file.
        wrt: names of the module's parameters, or real buffers, that are to be parameters; those that require gradients
            unless told otherwise. The others are data.
        named: examples of its parameters, by name.

    Raises:
        Untraceable: an operator that no graph can say, or code that torch.export cannot follow; names the node, what it
            is applied to, your line, and a way round.
        InvalidRequest: `wrt` names nothing that the module has, or examples do not fit the source.
        InvalidGraph: the file is damaged, or is no such program.
        LimitExceeded: the program is larger than what is taken.
        OSError: the file cannot be read.
        ImportError: torch is not installed (`pip install 'gradserve[torch]'`), and the source is no file.
    """
    from gradserve.client.importers.aten.model import imported

    return imported(source, examples, named, wrt)
