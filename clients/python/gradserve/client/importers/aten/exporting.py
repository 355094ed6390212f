"""Live torch functions and modules as the archives that torch.export.save writes: what alone imports torch."""

from __future__ import annotations

import functools
import inspect
import io
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from gradserve.client.importers.aten.checks import without_checks
from gradserve.client.importers.aten.detached import told_at_uses
from gradserve.client.importers.aten.watching import Derived, Lost, without_derivatives, without_rules
from gradserve.client.importers.aten.writes import written_aside
from gradserve.ir.errors import InvalidRequest, Untraceable
from gradserve.ir.graph import Origin

_PLAIN = "take and return tensors in dicts, lists and tuples, and call operators of torch alone"
_NOT_THE_AUTHORS = {"torch", "gradserve", *sys.stdlib_module_names} - {"__main__"}
_WAY_ROUND = "choose by torch.where instead of `if` on numbers, and keep shapes and loops free of them"
_WAYS_ROUND = {
    "fake tensor in the exported program constant": "write x.detach() for x.data, and keep no traced tensors elsewhere",
    "argument 'size' failed to unpack": "pad sequences and mask what is beyond their ends, instead of packing them",
}
"""What else to do about some of torch's messages."""


class _Function(torch.nn.Module):  # type: ignore[misc]  # where there is no torch
    """A function as a module whose parameters it has."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.forward = _plain(function)
        owner = getattr(function, "__self__", None)
        if isinstance(owner, torch.nn.Module):
            for name, each in [*owner.named_parameters(recurse=False), *owner.named_children()]:
                setattr(self, name, each)
            for name, buffer in owner.named_buffers(recurse=False):
                self.register_buffer(name, buffer)


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with tuples in the place of named ones, which archives do not know."""
    _keep_lines_of(function)

    def forward(*arguments: Any, **named: Any) -> Any:
        made = function(*arguments, **named)
        return tuple(made) if isinstance(made, tuple) else made

    try:
        inspect.signature(function)
    except ValueError:  # of torch's own that are compiled, such as torch.fft.fft
        return forward
    return functools.wraps(function)(forward)


def _keep_lines_of(function: Callable[..., Any]) -> None:
    """Has torch keep the lines of this function with its nodes, where it would keep those of `forward` alone."""
    register = getattr(torch.fx.proxy, "_register_stack_trace_anchor", None)
    if register is not None:
        register(inspect.unwrap(function))


def name_of(source: Any) -> str:
    """What a function or a module is called."""
    return str(getattr(source, "__name__", type(source).__name__))


def archive_of(source: Any, examples: Sequence[Any], named: Mapping[str, Any]) -> bytes:
    """The bytes of the archive of a function, a module or a program, in core ATen.

    Raises:
        Untraceable: torch.export cannot follow the code.
        InvalidRequest: it is nothing of these.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = _program(source, examples, named)
        _require_right_decompositions(program, name_of(source))
        file = io.BytesIO()
        try:
            torch.export.save(told_at_uses(program).run_decompositions(), file)
        except Exception as error:  # of many kinds, none of which torch documents
            raise Untraceable(
                f"{name_of(source)} cannot be brought to core ATen: {_first_line(error)}; {_PLAIN}"
            ) from error
    return file.getvalue()


def _program(source: Any, examples: Sequence[Any], named: Mapping[str, Any]) -> Any:
    if isinstance(source, torch.export.ExportedProgram):
        _require_nothing_aside(source)
        return source
    if not callable(source):
        raise InvalidRequest(
            f"from_torch takes a function, a module, an exported program or a file, not {type(source).__name__}"
        )
    module = source if isinstance(source, torch.nn.Module) else _Function(source)
    given, others = pytree.tree_map(_tensor, (tuple(examples), dict(named)))
    try:
        program = _exported(module, given, others)
        _require_no_detaching_in_place(program)
        return program
    except Lost as error:
        raise Untraceable(f"{_where(error)}{name_of(source)} cannot be imported: {error}") from error
    except Exception as error:  # torch's are of many kinds, and the author's code may raise any
        raise Untraceable(
            f"{_where(error)}torch.export cannot follow {name_of(source)}: "
            f"{type(error).__name__}: {_first_line(error)}; {_instead(error)}"
        ) from error


def _exported(module: Any, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """The program of a module; of one that takes derivatives within itself, with these written out."""
    with without_rules(), without_checks():
        try:
            with without_derivatives():
                program = torch.export.export(module, given, named, strict=False)
        except Derived:
            pass
        else:
            if written_aside(program) is None:
                return program
        from gradserve.client.importers.aten.joint import written_out

        module = written_out(module, given, named)
    return torch.export.export(module, given, named, strict=False)


def _require_nothing_aside(program: Any) -> None:
    """Sees that nothing is written past derivatives, which the module itself would tell.

    Raises:
        Untraceable: something is.
    """
    node = written_aside(program)
    if node is not None:
        raise Untraceable(
            f"{node.name} writes into an array that has a derivative, under no_grad or through x.detach(): core ATen "
            "would lose that derivative; import the module itself, or make a new array"
        )


def _require_no_detaching_in_place(program: Any) -> None:
    """Sees that none is lost: nothing is left of it in core ATen. Constants are made so, which have no derivative.

    Raises:
        Lost: an array that is computed is detached in place.
    """
    of_constants = ("lift_fresh_copy", "lift_fresh")
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, torch.fx.GraphModule) else ():
            if str(node.target) == "aten.detach_.default" and not any(
                str(node.args[0].target).startswith(f"aten.{made}.") for made in of_constants
            ):
                raise Lost(f"{node.args[0].name} is detached in place, which torch.export loses; write x.detach()")


def _require_right_decompositions(program: Any, name: str) -> None:
    """Sees that no operator becomes another function in core ATen.

    Raises:
        Untraceable: one does. In sums of margins of several labels torch counts labels after the first -1 as well.
    """
    for part in program.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, torch.fx.GraphModule) else ():
            if str(node.target).startswith("aten.multilabel_margin_loss"):
                raise Untraceable(
                    f"{name} cannot be imported: torch brings multilabel_margin_loss to core ATen as another function, "
                    "which counts labels after -1; use multilabel_soft_margin_loss, or write it by a mask of the labels"
                )


def _where(error: BaseException) -> str:
    """The author's line that an error came from, if there is one."""
    frames = [
        (frame.f_globals.get("__name__", ""), frame, line) for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = [each[1:] for each in frames if each[0].partition(".")[0] not in _NOT_THE_AUTHORS]
    return f"{Origin(PurePath(own[-1][0].f_code.co_filename).name, own[-1][1])}: " if own else ""


def _instead(error: BaseException) -> str:
    return next((way for said, way in _WAYS_ROUND.items() if said in str(error)), _WAY_ROUND)


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _tensor(leaf: Any) -> Any:
    return torch.as_tensor(leaf) if isinstance(leaf, np.ndarray | np.generic) else leaf
