"""Ops that combine elements along axes."""

from gradserve.ops.reduction import ordered, quantifiers, reductions
