"""What torch.export would lose without a word, seen where the author's code calls it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.autograd import forward_ad


class Lost(Exception):
    """What torch.export would lose; says what to write instead."""


class Derived(Exception):
    """The code takes derivatives, which torch.export does not follow."""


_DERIVATIVES = ((torch.autograd, "grad"), (torch.autograd, "backward"), (forward_ad, "make_dual"))
_RULES = (
    "torch.export leaves out the backward of {}, a torch.autograd.Function; write what it computes by operators, with "
    ".detach() of what is not to be differentiated, as x + (f(x) - x).detach() (a checkpoint: give it "
    "use_reentrant=False)"
)


@contextmanager
def without_rules() -> Iterator[None]:
    """A context in which functions with a `backward` of their own are refused to this thread, by Lost."""
    here, kept = threading.get_ident(), torch.autograd.Function.__dict__["apply"]

    def apply(cls: Any, *arguments: Any, **named: Any) -> Any:
        if threading.get_ident() == here:
            raise Lost(_RULES.format(cls.__name__))
        return kept.__get__(None, cls)(*arguments, **named)

    torch.autograd.Function.apply = classmethod(apply)
    try:
        yield
    finally:
        torch.autograd.Function.apply = kept


@contextmanager
def without_derivatives() -> Iterator[None]:
    """A context in which this thread's calls of what takes derivatives end by Derived."""
    here = threading.get_ident()

    def instead(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def derived(*arguments: Any, **named: Any) -> Any:
            if threading.get_ident() == here:
                raise Derived
            return function(*arguments, **named)

        return derived

    with ExitStack() as stack:
        for owner, name in _DERIVATIVES:
            function = getattr(owner, name)
            stack.callback(setattr, owner, name, function)
            setattr(owner, name, instead(function))
        yield
