"""Functions of other libraries that are given to be traced by mistake: which one, and what brings them here."""

from __future__ import annotations

import sys
import traceback
from pathlib import PurePath

from gradserve.ir.errors import Untraceable
from gradserve.ir.graph import Origin

_LIBRARIES = {
    "jax": ("JAX", "import the function: client.load(from_jax(function, *examples)), of gradserve.client.importers"),
    "torch": ("Tensor", "import it: client.load(from_torch(function, *examples)), of gradserve.client.importers"),
}
"""A word of a library's complaints, and what to do instead."""
_OURS = "gradserve"


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
