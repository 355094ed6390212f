"""Sums of products in Einstein's notation, as np.einsum."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy.arguments import Unsupported, lift, promoted, refuse
from gradserve.numpy.labelled import Label, Labelled, product
from gradserve.numpy.matrices import diagonal
from gradserve.numpy.table import implements

_FEW = 5
"""Operands up to which the best order of contractions is looked for among all; above, it is built greedily."""


@implements(np.einsum)
def einsum(g: Builder, *operands: Any) -> Value:
    """Sums of products in Einstein's notation.

    Indices repeated in one operand take its diagonal, those absent from the result are summed over, an ellipsis stands
    for axes that broadcast. Lists of numbers may follow the operands in the place of subscripts before them.
    """
    subscripts, *given = operands if isinstance(operands[0], str) else _with_subscripts(operands)
    values = promoted(g, *given)
    if values[0].type.element_type is ElementType.BOOL:
        raise Unsupported("np.einsum of truth values cannot be traced", "convert them by .astype(int)")
    terms, result = _parse(g, subscripts, values)
    arrays = [_diagonals(g, value, labels) for value, labels in zip(values, terms, strict=True)]
    lengths = _lengths(g, arrays)
    # A length of 1 broadcasts against the others: such an axis is left out, since it changes no product.
    arrays = [array.without({label for label, n in _axes(array) if n == 1 and lengths[label] != 1}) for array in arrays]
    for step in _order(arrays, result, lengths):
        chosen = [arrays[k] for k in step]
        arrays = [array for k, array in enumerate(arrays) if k not in step]
        needed = {label for array in arrays for label in array.labels} | set(result)
        arrays.append(_combined(chosen, needed, result))
    (last,) = arrays
    return g.convert(last.summed(set(result)).ordered(result), values[0].type.element_type)


@implements(np.einsum_path)
def einsum_path(g: Builder, *operands: Any, optimize: Any = "greedy") -> tuple[list[Any], str]:
    """The order of contractions that NumPy would take, known while tracing: np.einsum finds its own."""
    shapes = [np.broadcast_to(0.0, part.shape) if isinstance(part, Value) else part for part in operands]
    return np.einsum_path(*shapes, optimize=optimize)


@implements(np.linalg.multi_dot)
def multi_dot(g: Builder, arrays: Any) -> Value:
    """The product of several matrices, in the cheapest order; the first and the last may be vectors."""
    values = [lift(g, array) for array in arrays]
    terms = [ascii_letters[k : k + 2] for k in range(len(values))]
    if values[0].type.rank == 1:
        terms[0] = terms[0][1:]
    if values[-1].type.rank == 1:
        terms[-1] = terms[-1][:1]
    free = (terms[0][:-1] if values[0].type.rank > 1 else "") + (terms[-1][1:] if values[-1].type.rank > 1 else "")
    return einsum(f"{','.join(terms)}->{free}", *values)


def _combined(arrays: Sequence[Labelled], needed: set[Label], result: Sequence[Label]) -> Labelled:
    """The product of arrays, each label summed over as soon as nothing else needs it."""
    first, *others = arrays
    for k, other in enumerate(others):
        later = needed | {label for array in others[k + 1 :] for label in array.labels}
        first = first.summed(later | set(other.labels))
        other = other.summed(later | set(first.labels))
        keep = [label for label in result if label in first.labels + other.labels]
        keep += [
            label
            for label in dict.fromkeys(first.labels + other.labels)
            if label not in keep and (label in later or not (label in first.labels and label in other.labels))
        ]
        first = product(first, other, keep)
    return first.summed(needed)


def _with_subscripts(interleaved: Sequence[Any]) -> list[Any]:
    """The subscripts and the operands for operands that are each followed by a list of numbers."""
    operands, lists = interleaved[::2], interleaved[1::2]
    result = None
    if len(operands) > len(lists):
        *operands, result = operands
    terms = ["".join("..." if k is Ellipsis else ascii_letters[k] for k in numbers) for numbers in lists]
    text = ",".join(terms)
    if result is not None:
        text += "->" + "".join("..." if k is Ellipsis else ascii_letters[k] for k in result)
    return [text, *operands]


def _parse(g: Builder, subscripts: str, values: Sequence[Value]) -> tuple[list[tuple[Label, ...]], tuple[Label, ...]]:
    """The labels of each operand and of the result; axes under an ellipsis count from the last."""
    text = subscripts.replace(" ", "")
    inputs, arrow, output = text.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(values):
        refuse(g, "einsum", f"{subscripts!r} has {len(terms)} terms for {len(values)} operands")
    labels = [_labels(g, subscripts, term, value.type.rank) for term, value in zip(terms, values, strict=True)]
    for term, value in zip(labels, values, strict=True):
        if len(term) != value.type.rank:
            refuse(g, "einsum", f"a term of {subscripts!r} does not have as many indices as {value.type} has axes")
    hidden = max((sum(isinstance(label, int) for label in term) for term in labels), default=0)
    if arrow:
        result = _labels(g, subscripts, output, hidden + len(output.replace("...", "")))
        if len(set(result)) < len(result) or not set(result) <= {label for term in labels for label in term}:
            refuse(g, "einsum", f"an index of the result of {subscripts!r} is there twice, or in no operand")
        if hidden and "..." not in output:
            refuse(g, "einsum", f"the result of {subscripts!r} needs an ellipsis")
        return labels, result
    letters = [label for term in labels for label in term if isinstance(label, str)]
    once = sorted(letter for letter in set(letters) if letters.count(letter) == 1)
    return labels, (*range(-hidden, 0), *once)


def _labels(g: Builder, subscripts: str, term: str, rank: int) -> tuple[Label, ...]:
    before, ellipsis, after = term.partition("...")
    letters = before + after
    if letters and not (letters.isascii() and letters.isalpha()):
        refuse(g, "einsum", f"{subscripts!r} may have letters, commas, one arrow and one ellipsis for each operand")
    hidden = rank - len(before) - len(after) if ellipsis else 0
    return (*before, *range(-hidden, 0), *after)


def _diagonals(g: Builder, value: Value, labels: tuple[Label, ...]) -> Labelled:
    """The operand with the axes of a repeated label run together."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            if value.shape[first] != value.shape[second]:
                refuse(g, "einsum", f"index {label} of {value.type} has two lengths")
            value = diagonal(value, 0, first, second)
            labels = (*(other for k, other in enumerate(labels) if k not in (first, second)), label)
    return Labelled(value, labels)


def _axes(array: Labelled) -> list[tuple[Label, int]]:
    return list(zip(array.labels, array.value.shape, strict=True))


def _lengths(g: Builder, arrays: Sequence[Labelled]) -> dict[Label, int]:
    lengths: dict[Label, int] = {}
    for array in arrays:
        for label, n in _axes(array):
            known = lengths.setdefault(label, n)
            if n != known and 1 not in (n, known):
                refuse(g, "einsum", f"index {label} has the lengths {known} and {n}")
            lengths[label] = n if known == 1 else known
    return lengths


def _order(arrays: Sequence[Labelled], result: Sequence[Label], lengths: dict[Label, int]) -> list[tuple[int, ...]]:
    """The operands to combine, step by step; each result goes to the end of the list."""
    if len(arrays) <= 2:
        return [tuple(range(len(arrays)))]
    number = {label: k for k, label in enumerate(lengths)}
    described: list[Any] = []
    for array in arrays:
        described += [np.broadcast_to(0.0, array.value.shape), [number[label] for label in array.labels]]
    described.append([number[label] for label in result])
    path, _ = np.einsum_path(*described, optimize="optimal" if len(arrays) <= _FEW else "greedy")
    return [tuple(step) for step in path[1:]]
