"""The parameters of a Python function, and how arguments come to them by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradserve.questions.derivations import DERIVATIONS
from gradserve.questions.estimated import ESTIMATES
from gradserve.questions.options import options_of
from gradserve.questions.spectra import SPECTRA

OPTIONS = frozenset(
    {
        "abs_tol",
        "batch",
        "claimed",
        "confidence",
        "cotangent",
        "count",
        "derivation",
        "direction",
        "directions",
        "max_probes",
    }
    | {"diagonal", "groups", "of", "resume", "right", "start", "thorough"}
    | {"mode", "order", "pairs", "progress", "reduction", "rel_tol", "seed", "tangent", "wrt"}
    | {
        option.keyword
        for asked in (DERIVATIONS, ESTIMATES, SPECTRA)
        for each in asked.values()
        for option in options_of(each)
    }
)
"""The names that methods of `Function` take for themselves."""
_NAMELESS = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)


class Parameters:
    """The parameters of one function; all arguments have names here, also those that Python gives none."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Reads the function's signature.

        Raises:
            TypeError: it is no function.
        """
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self._signature = _signature(function)
        parameters = self._signature.parameters if self._signature else {}
        kinds = {parameter.kind for parameter in parameters.values()}
        self._positional = tuple(parameters) if kinds == {inspect.Parameter.POSITIONAL_OR_KEYWORD} else None
        self._nameless = {name for name, parameter in parameters.items() if parameter.kind in _NAMELESS}
        self._rest = next((n for n, parameter in parameters.items() if parameter.kind is parameter.VAR_KEYWORD), None)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of those that have one."""
        several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        known = self._signature.parameters.values() if self._signature else ()
        return tuple(parameter.name for parameter in known if parameter.kind not in several)

    def bind(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by the names of the parameters; what this returns can be given again by name.

        Raises:
            TypeError: they do not fit the function's signature.
        """
        signature = self._signature
        if self._positional and len(arguments) == len(self._positional) and not named:
            # Most calls are such, and asking the signature would be the longest part of preparing one.
            return dict(zip(self._positional, arguments, strict=True))
        if signature is None:
            return {f"x{k}": argument for k, argument in enumerate(arguments)} | dict(named)
        nameless = self._nameless.intersection(named)
        try:
            if nameless:
                usual = {name: argument for name, argument in named.items() if name not in nameless}
                bound = dict(signature.bind_partial(*arguments, **usual).arguments) | {n: named[n] for n in nameless}
            else:
                bound = dict(signature.bind(*arguments, **named).arguments)
        except TypeError as error:
            taken = " and ".join(sorted(OPTIONS.intersection(signature.parameters)))
            hint = f"; {taken} is the name of an option as well: give it by position" if taken else ""
            raise TypeError(f"{self.name}{signature}: {error}{hint}") from None
        if self._rest is not None:
            bound |= bound.pop(self._rest, {})
        return bound

    def call(self, bound: Mapping[str, Any]) -> Any:
        """What the function returns for arguments by name."""
        if self._signature is None:
            named = {name: argument for name, argument in bound.items() if not name[1:].isdigit()}
            return self.function(*(argument for name, argument in bound.items() if name not in named), **named)
        call = inspect.BoundArguments(self._signature, {})
        rest = dict(bound)
        for parameter in self._signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                call.arguments[parameter.name] = rest
            elif parameter.name in rest:
                call.arguments[parameter.name] = rest.pop(parameter.name)
        return self.function(*call.args, **call.kwargs)


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except ValueError:  # written in C, and does not tell
        return None
