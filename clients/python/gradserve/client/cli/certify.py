"""`gradserve certify`: the certificate of a gradient from anywhere."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from gradserve.client.claims import TARGETS
from gradserve.ir.errors import GradserveError, InvalidRequest
from gradserve.questions.options import options_of
from gradserve.questions.verification import VerificationProgress, VerifyGradient

TEXT = "compare a gradient, or another derivative, from anywhere with differences of its function"
EPILOG = """\
FILE is a graph file, or a function of a Python file. GRADIENT is a function of a Python file that takes what the
function takes and returns the gradient; or else --claimed gives the gradient's arrays.

examples:

  gradserve certify loss.pb --claimed gradient.npz --at point.npz
  gradserve certify model.py:loss model.py:gradient --at point.npz
  gradserve certify model.py:loss --claimed gradient.npz --at point.npz --html report.html --junit report.xml
  gradserve certify model.py:loss model.py:product --of hvp --tangent direction.npz --at point.npz

A FUNCTION OF A PYTHON FILE IS YOUR OWN CODE: the file is imported and run by this command, on this machine, with your
rights. It is never sent to a service. Graph files are data; nothing in them is run.

The arrays of POINT.npz have the names of the function's parameters; if they have others, the function's only argument
is a dict of them. Those of the gradient are called NAME, or gradient:NAME as `gradserve gradient --out` writes them.
The function may use NumPy, PyTorch, JAX or anything else; it returns one real number. Of a jvp or a jacobian the
function's value is an array, and the arrays that --claimed gives are called value, or by the point's names.

verdicts: agrees         claim and differences are the same within the bounds
          disagrees      they are not; the entries that are wrong are named
          kink           the function has no derivative there
          inconclusive   noise or rounding hides more than --rel-tol of the derivative
          not_finite     the function or the claim is infinite or not a number

exit status: 0 the gradient agrees, 1 it did not pass, 2 an error or a wrong argument
"""
OPTIONS = tuple(each for each in options_of(VerifyGradient) if each.name not in ("of", "order", "thorough"))
"""Those of a verification that functions nobody can look into have as well."""
_GRADIENT = "gradient:"


def describe(command: argparse.ArgumentParser) -> None:
    """What the command takes beside the options of a verification."""
    add = command.add_argument
    add("function", metavar="FILE", help="a graph file, or a function as in model.py:loss")
    add("gradient", metavar="GRADIENT", nargs="?", help="a function that gives the gradient, as in model.py:gradient")
    add("--at", type=Path, metavar="POINT.npz", required=True, help="the point: arrays by name")
    add("--claimed", type=Path, metavar="FILE.npz", help="the gradient's arrays, instead of GRADIENT")
    add("--of", choices=TARGETS, default="gradient", help="what is claimed (default gradient)")
    add("--tangent", type=Path, metavar="FILE.npz", help="the vector v of a jvp J v, or of an hvp H v: arrays by name")
    add("--json", action="store_true", help="print the certificate as JSON")
    add("--junit", type=Path, metavar="FILE.xml", help="write it as a test report")
    add("--html", type=Path, metavar="FILE.html", help="write it as a page")
    add("--timeout", type=float, default=600.0, metavar="SECONDS", help="for a graph's whole answer (default 600)")


def run(options: argparse.Namespace) -> int:
    """Makes, prints and writes the certificate; exit status 0 if the gradient agrees."""
    from gradserve.client.certifying import certify
    from gradserve.client.cli import show
    from gradserve.client.importers.files import load_arrays

    _require_one_claim(options)
    _require_folders(options.junit, options.html)
    at, modules = load_arrays(options.at), _Modules()
    chosen = {each.keyword: getattr(options, each.keyword) for each in OPTIONS}
    with show.progress("evaluations") as progress, _evaluating(options, modules) as function:
        task = progress.add_task("certifying", total=None)

        def update(step: VerificationProgress) -> None:
            progress.update(task, description=step.stage, completed=step.evaluations)

        claimed = modules.function(options.gradient) if options.gradient else _stripped(load_arrays(options.claimed))
        if options.of == "jvp" and not callable(claimed):
            claimed = _only(claimed, options.claimed)
        tangent = load_arrays(options.tangent) if options.tangent else None
        found = _told(
            lambda: certify(function, claimed, at=at, of=options.of, tangent=tangent, progress=update, **chosen)
        )
    for file, text in ((options.junit, found.to_junit), (options.html, found.to_html)):
        if file is not None:
            file.write_text(text(), encoding="utf-8")
    show.line(found.to_json() if options.json else str(found))
    return 0 if found.passed else 1


class _Modules:
    """Python files, each imported once."""

    def __init__(self) -> None:
        self._known: dict[Path, ModuleType] = {}

    def function(self, target: str) -> Callable[..., Any]:
        """The function that `file.py:name` says.

        Raises:
            InvalidRequest: there is no such function.
            GradserveError: the file cannot be imported.
        """
        file, _, name = target.rpartition(":")
        path = Path(file).resolve()
        if path.suffix != ".py" or not name:
            raise InvalidRequest(f"{target!r} is no function of a Python file; write it as in model.py:gradient")
        if not path.is_file():
            raise InvalidRequest(f"{file}: there is no such file")
        if path not in self._known:
            self._known[path] = _told(lambda: _imported(path))
        found = getattr(self._known[path], name, None)
        if not callable(found):
            there = [n for n, each in vars(self._known[path]).items() if callable(each) and not n.startswith("_")]
            raise InvalidRequest(f"{file} has no function {name!r}; it has {', '.join(there) or 'none'}")
        function: Callable[..., Any] = found
        return function


def _imported(path: Path) -> ModuleType:
    """The module in a file, which finds its neighbours as a script does."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    sys.modules.setdefault(path.stem, module)  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def _told(run: Callable[[], Any]) -> Any:
    """What a call gives; an error of the user's own code as one of ours, with its place."""
    try:
        return run()
    except GradserveError:
        raise
    except Exception as error:
        *_, place = traceback.extract_tb(error.__traceback__)
        where = f"{place.filename}:{place.lineno}"
        raise GradserveError(f"{where}: {type(error).__name__}: {error}") from error


@contextlib.contextmanager
def _evaluating(options: argparse.Namespace, modules: _Modules) -> Iterator[Any]:
    """The function: code as it is, or a graph with the client that evaluates it."""
    from gradserve.client.cli.connecting import connection_of
    from gradserve.client.client import Client

    if not _is_python(options.function):
        with Client(options.address, timeout=options.timeout, **connection_of(options)) as client:
            yield client.load(options.function)
    elif options.address is None:
        yield modules.function(options.function)
    else:
        raise InvalidRequest("a Python file runs here, never on a service; leave --address out, or give a graph file")


def _stripped(arrays: dict[str, Any]) -> dict[str, Any]:
    """Gradients by the names of inputs; a file that has such does not claim its other arrays."""
    gradients = {name.removeprefix(_GRADIENT): a for name, a in arrays.items() if name.startswith(_GRADIENT)}
    return gradients or arrays


def _only(arrays: dict[str, Any], file: Path) -> Any:
    """The one array of a file."""
    if len(arrays) != 1:
        raise InvalidRequest(f"{file} has {len(arrays)} arrays; of a jvp there is one, J v")
    (array,) = arrays.values()
    return array


def _is_python(target: str) -> bool:
    file, _, name = target.rpartition(":")
    return target.endswith(".py") or (file.endswith(".py") and bool(name))


def _require_one_claim(options: argparse.Namespace) -> None:
    if (options.gradient is None) == (options.claimed is None):
        raise InvalidRequest("give the gradient once: as a function, such as model.py:gradient, or by --claimed")


def _require_folders(*files: Path | None) -> None:
    for file in files:
        if file is not None and not file.parent.is_dir():
            raise InvalidRequest(f"{file}: there is no such folder to write into")
