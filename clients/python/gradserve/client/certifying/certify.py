"""Certificates made: of functions that run here as they are, and of functions of a client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gradserve.client.asking import options_from
from gradserve.client.certifying.arguments import Arguments, arguments_of, as_numpy, parameters_of, real_numbers
from gradserve.client.certifying.certificate import Certificate, Repeats
from gradserve.client.claims import OUTPUT, TARGETS
from gradserve.client.entries import parse_entry
from gradserve.client.function import Function
from gradserve.client.reproducing import reproducer, written
from gradserve.ir.errors import InvalidRequest
from gradserve.ir.records import dataclass
from gradserve.ir.types import Array
from gradserve.questions.claimed import Claimed
from gradserve.questions.verification import (
    DEFAULT_DIRECTIONS,
    DEFAULT_TOLERANCE,
    VerificationProgress,
    VerificationReport,
    VerifyGradient,
)

Progress = Callable[[VerificationProgress], object]
_ROUNDING = 64.0
_HEAD = "function, claimed and at: those of the certificate"


def certify(
    function: Callable[..., Any] | Function,
    claimed: Any,
    *,
    at: Any,
    of: str = "gradient",
    tangent: Any = None,
    directions: int = 0,
    seed: int = 0,
    rel_tol: float = 0.0,
    progress: Progress | None = None,
) -> Certificate:
    """The certificate of a claimed derivative: the verdict, and what it rests on. Prints as a table.

    The function is a black box: it is called with arrays of the kind that `at` holds (NumPy, PyTorch, JAX), at points
    around it, in this process; nothing is traced. A `Function` is evaluated where its client evaluates.

    Args:
        function: takes the arguments that `at` holds and returns one real number.
        claimed: the gradient at `at`, of the same structure (None in the place of an array leaves that one out), or a
            callable that takes what the function takes and returns it. A callable is asked twice. See also `of`.
        at: the point: a tuple of the arguments, a dict of them by the names of the function's parameters, or the only
            argument itself. Arguments are arrays, numbers, and trees of them; integers are held fixed.
        of: what is claimed. `gradient`; `hvp`, H v for a `tangent` v, and `diagonal`, that of the Hessian: arrays as
            those of a gradient. `jvp`, J v for a `tangent` v: an array as the function returns, of any shape.
            `jacobian`: for each array of `at` one of the shape of the function's value followed by its own.
        tangent: v, of the structure of `at`.
        directions: random directions to try; 0 for the default.
        seed: determines the directions.
        rel_tol: a direction whose error bound exceeds this times the derivative is inconclusive; 0 for 1e-3.
        progress: is called with every stage.

    Raises:
        InvalidRequest: the point, the claim or the function's value is not of such a form; says what to give instead.
        Exception: whatever the function raises at the point itself.
    """
    chosen = {"directions": directions, "seed": seed, "rel_tol": rel_tol}
    arguments = arguments_of(_parameters(function), at)
    options = options_from(VerifyGradient, chosen)
    _require_sense(options, of, tangent)
    shape = _shape(function, arguments) if of in ("jvp", "jacobian") else ()
    first, computed = _claims(claimed, arguments)
    given = _parsed(of, first, arguments, shape)
    claim = _Claim(of, given, None if tangent is None else arguments.claimed(tangent, "tangent"))
    if isinstance(function, Function):
        report, difference = _asked(function, arguments, claim, options, progress)
    else:
        report, difference = _run(function, arguments, claim, options, progress)
    again = _parsed(of, _claims(claimed, arguments)[0], arguments, shape) if computed else given
    repeats = _repeats(difference, given, again)
    arrays = arguments.real if of == "gradient" else {}
    return Certificate(_name(function), report, repeats, reproducer(report, arrays, _again(options, of), _HEAD), of)


def moved(function: Callable[..., Any], at: Any, entry: str, step: float) -> float:
    """The function's value with one entry of the point, such as `w[2,1]`, moved by a step."""
    arguments = arguments_of(_parameters(function), at)
    place = parse_entry(entry)
    arrays = {path: array.copy() for path, array in arguments.real.items()}
    if place.input not in arrays:
        raise InvalidRequest(f"there is no {place.input!r} in the point; there are {', '.join(arrays)}")
    arrays[place.input][place.index] += step
    positional, named = arguments.with_arrays(arrays)
    return float(as_numpy("the function's value", function(*positional, **named)).reshape(()))


@dataclass(frozen=True, eq=False)
class _Claim:
    """What is claimed of a function."""

    of: str
    arrays: Mapping[str, Array]
    tangent: Mapping[str, Array] | None

    @property
    def moved(self) -> Mapping[str, Array]:
        """The arrays of the point in question, by name.

        Raises:
            InvalidRequest: a product with a Hessian is claimed in other arrays than there is a tangent for.
        """
        if self.tangent is None:
            return self.arrays
        if self.of == "hvp" and set(self.tangent) != set(self.arrays):
            told = f"the tangent has {', '.join(self.tangent)}, the hvp claimed {', '.join(self.arrays)}"
            raise InvalidRequest(f"{told}; give both in the same arrays")
        return self.tangent


def _again(options: Mapping[str, Any], of: str) -> str:
    """The same certificate once more, as Python."""
    kind = "" if of == "gradient" else f", of={of!r}" + ", tangent=tangent" * (of in ("jvp", "hvp"))
    given = {"directions": options["directions"], "seed": options["seed"], "rel_tol": options["relative_tolerance"]}
    return f"from gradserve.client import certify\n\nprint(certify(function, claimed, at=at{kind}{written(given)}))"


def _parsed(of: str, claimed: Any, arguments: Arguments, shape: tuple[int, ...]) -> dict[str, Array]:
    """What is claimed, as arrays by name."""
    if of == "jvp":
        return {OUTPUT: real_numbers("the jvp claimed", claimed, shape)}
    return arguments.claimed(claimed, f"{of} claimed", shape if of == "jacobian" else ())


def _shape(function: Callable[..., Any], arguments: Arguments) -> tuple[int, ...]:
    """That of the function's value."""
    positional, named = arguments.with_arrays({})
    return as_numpy("the function's value", function(*positional, **named)).shape


def _parameters(function: Callable[..., Any]) -> list[str]:
    return list(function.parameters) if isinstance(function, Function) else parameters_of(function)


def _require_sense(options: Mapping[str, Any], of: str, tangent: Any) -> None:
    if of not in TARGETS:
        raise InvalidRequest(f"of is {of!r}; claims are of {', '.join(TARGETS)}")
    if (tangent is not None) != (of in ("jvp", "hvp")):
        raise InvalidRequest(f"{of} takes {'no tangent' if tangent is not None else 'a tangent: give the vector v'}")
    if options["directions"] < 0:
        raise InvalidRequest(f"directions is {options['directions']}; give a number from 1 on, or 0 for the default")
    if not 0 <= options["relative_tolerance"] < np.inf:
        raise InvalidRequest(f"rel_tol is {options['relative_tolerance']}, which is no tolerance; 0 means the default")


def _claims(claimed: Any, arguments: Arguments) -> tuple[Any, bool]:
    """What is claimed, and whether it was computed."""
    if not callable(claimed):
        return claimed, False
    positional, named = arguments.with_arrays({})
    return claimed(*positional, **named), True


def _run(
    function: Callable[..., Any],
    arguments: Arguments,
    claim: _Claim,
    options: Mapping[str, Any],
    progress: Progress | None,
) -> tuple[VerificationReport, float]:
    """The report on a black box, and the difference between its values before and after."""
    from gradserve.client.certifying.black_box import BlackBox, Wishes  # a light client loads differences on use alone

    box = BlackBox(function, arguments, claim.moved)
    before = box.value()
    directions, tolerance = options["directions"], options["relative_tolerance"]
    wishes = Wishes(directions or DEFAULT_DIRECTIONS, options["seed"], tolerance or DEFAULT_TOLERANCE, progress)
    report = box.report(Claimed(claim.of), claim.arrays, claim.tangent or {}, before.shape, wishes)
    after = box.value()
    return replace(report, evaluations=box.evaluations), _apart(before, after)


def _asked(
    function: Function,
    arguments: Arguments,
    claim: _Claim,
    options: Mapping[str, Any],
    progress: Progress | None,
) -> tuple[VerificationReport, float]:
    """The report on a function of a client, and the difference between its values before and after."""
    positional, named = arguments.with_arrays({})
    before = function(*positional, **named)
    wrt = arguments.by_parameter(claim.moved)[0]
    within = wrt if set(wrt) <= set(function.parameters) else ()
    report = function.verify(
        *positional,
        claimed=claim.arrays[OUTPUT] if claim.of == Claimed.JVP else _tree(arguments, claim.arrays),
        of=Claimed(claim.of).value,
        tangent=None if claim.tangent is None else _tree(arguments, claim.tangent),
        wrt=within,
        progress=progress,
        directions=options["directions"],
        seed=options["seed"],
        rel_tol=options["relative_tolerance"],
        **named,
    )
    difference = _apart(np.asarray(before), np.asarray(function(*positional, **named)))
    return replace(report, evaluations=report.evaluations + 2), difference


def _tree(arguments: Arguments, arrays: Mapping[str, Array]) -> Any:
    """Arrays as methods of functions take them: by parameter, or of one alone."""
    wrt, trees = arguments.by_parameter(arrays)
    return trees if len(wrt) > 1 else trees[wrt[0]]


def _repeats(difference: float, first: dict[str, Array], second: dict[str, Array]) -> Repeats:
    apart, within = 0.0, True
    for path, array in first.items():
        other = second.get(path, np.full_like(array, np.nan))
        each = _apart(array, other)
        allowed = _ROUNDING * np.finfo(array.dtype).eps * float(np.max(np.abs(array), initial=0.0))
        apart, within = max(apart, each), within and not each > allowed
    return Repeats(difference, apart, within)


def _same(first: Array, second: Array) -> Array:
    return np.asarray((first == second) | (np.isnan(first) & np.isnan(second)))


def _apart(before: Array, after: Array) -> float:
    """The largest difference of two arrays; infinite where one alone is not a number."""
    apart = np.where(_same(before, after), 0.0, np.abs(after - before))
    return float(np.max(np.nan_to_num(apart, nan=np.inf), initial=0.0))


def _name(function: Callable[..., Any]) -> str:
    if isinstance(function, Function):
        return repr(function)
    return getattr(function, "__qualname__", None) or type(function).__qualname__
