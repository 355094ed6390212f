"""Derivations that count kinks beside what they derive."""

from __future__ import annotations

from gradserve.autodiff.derivation import KinkCounts, WithKinks
from gradserve.questions.call import Options
from gradserve.questions.derivations import Derivation, Evaluate


def counting(derivation: Derivation, options: Options) -> Derivation:
    """The derivation, with counts of kinks if it is one of derivatives and the options do not decline them."""
    if isinstance(derivation, Evaluate | KinkCounts) or not options.counts:
        return derivation
    return WithKinks(derivation.wrt, derivation)
