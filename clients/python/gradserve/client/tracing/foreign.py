"""Functions of other libraries that are given to be traced, or traced arrays, by mistake: which, and what to do."""

from __future__ import annotations

import itertools
import linecache
import sys
import traceback
from collections.abc import Iterator
from pathlib import PurePath
from types import ModuleType, TracebackType

from gradserve.client.tracing.names import first_tracer
from gradserve.client.tracing.refusals import ElementsAsked, instead_of_scipys
from gradserve.ir.errors import Untraceable
from gradserve.ir.graph import Origin
from gradserve.numpy.mirrored import INSTEAD, OF_CLIENT

_LIBRARIES = {
    "jax": ("JAX", "import the function: client.load(from_jax(function, *examples)), of gradserve.client.importers"),
    "torch": ("Tensor", "import it: client.load(from_torch(function, *examples)), of gradserve.client.importers"),
}
"""A word of a library's complaints, and what to do instead."""
_OURS = "gradserve"


def require_traceable(function: object) -> None:
    """Sees that what is to be traced is no module or compiled function of torch, whose code traced arrays never reach.

    Raises:
        Untraceable: it is one.
    """
    if any(each.__module__.partition(".")[0] == "torch" for each in type(function).__mro__):
        name = getattr(function, "__name__", type(function).__name__)
        raise Untraceable(f"{name} is torch's, and plain NumPy is traced; {_LIBRARIES['torch'][1]}")


def refusal_of_foreign(error: BaseException) -> Untraceable | None:
    """The refusal of code that gave a traced array to another library, as that one complained; None if it did not."""
    if not isinstance(error, TypeError | RuntimeError) or "Tracer" not in str(error):
        return None
    frames = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    modules = [str(frame.f_globals.get("__name__", "")).partition(".")[0] for frame, _ in frames]
    for name, (word, instead) in _LIBRARIES.items():
        if name in sys.modules and (name in modules or word in str(error)):
            authors = [at for at, module in zip(frames, modules, strict=True) if module not in (name, _OURS)]
            where = ""
            if authors:
                frame, line = authors[-1]
                where = f"{Origin(PurePath(frame.f_code.co_filename).name, line)}: "
            return Untraceable(f"{where}the function gives a traced array to {name}, which knows none; {instead}")
    return None


def of_call(error: BaseException) -> Untraceable | None:
    """The refusal of an author's call of another library's compiled code, which asked a traced array for its numbers.

    Such code has no frame: what the author's line calls tells it, or None if that is of no such library.
    """
    steps = [*_steps(error.__traceback__)]
    own = [step for step in steps if not str(step.tb_frame.f_globals.get("__name__", "")).startswith(_OURS)]
    if not own:
        return None
    frame, callee = own[-1].tb_frame, _callee(own[-1])
    found = {**frame.f_globals, **frame.f_locals}.get(callee.partition(".")[0])
    module = found.__name__ if isinstance(found, ModuleType) else getattr(found, "__module__", None)
    name = str(module).partition(".")[0]
    if name not in _LIBRARIES:
        return None
    where = Origin(PurePath(frame.f_code.co_filename).name, own[-1].tb_lineno)
    return Untraceable(f"{where}: {callee} is given a traced array, which {name} does not know; {_LIBRARIES[name][1]}")


def _steps(step: TracebackType | None) -> Iterator[TracebackType]:
    while step is not None:
        yield step
        step = step.tb_next


def _callee(step: TracebackType) -> str:
    """The text of what the instruction calls, if it stands on one line."""
    positions = next(itertools.islice(step.tb_frame.f_code.co_positions(), step.tb_lasti // 2, None))
    first, last, start, end = positions
    if first is None or first != last or start is None or end is None:
        return ""
    code = linecache.getline(step.tb_frame.f_code.co_filename, first, step.tb_frame.f_globals)
    return code.encode()[start:end].decode(errors="replace").partition("(")[0].strip()


def of_scipy(error: BaseException) -> ElementsAsked | None:
    """The refusal of a traced array that SciPy's own code takes for something else; None if it has seen none."""
    frames = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    modules = [str(frame.f_globals.get("__name__", "")) for frame, _ in frames]
    for k, ((frame, _), module) in enumerate(zip(frames, modules, strict=True)):
        if not k or not module.startswith("scipy."):
            continue
        public = ".".join(part for part in module.split(".") if not part.startswith("_"))
        asking = f"{public}.{frame.f_code.co_name}"
        # Compiled solvers say in errors of their own that what the author's function gives is no number.
        of_solver = (asking in INSTEAD or asking in OF_CLIENT) and type(error).__module__ != "builtins"
        if of_solver or first_tracer(dict(frame.f_locals)) is not None:
            author, line = frames[k - 1]
            where = Origin(PurePath(author.f_code.co_filename).name, line)
            problem = f"{asking} does not know traced arrays ({type(error).__name__}: {error})"
            return ElementsAsked(f"{where}: {problem}; {instead_of_scipys(asking)}")
    return None
