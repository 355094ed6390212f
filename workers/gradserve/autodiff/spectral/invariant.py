"""Losses through eigenvectors, written as functions of the matrix where they are.

What a loss makes of eigenvalues w and eigenvectors Q often does not depend on which eigenvectors a repeated eigenvalue
has: Q f(w) Q^T, a sum of f(w), quadratic forms of these. Its derivative cannot be found from those of w and Q, which do
not exist there, as the part that lies within a cluster does not go through them. So before a graph is differentiated,
such parts are recognised and written as functions of the matrix itself, whose derivatives exist (Daleckii, Krein).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from gradserve.autodiff.spectral.algebras import Decomposition
from gradserve.autodiff.spectral.expressions import Expression
from gradserve.autodiff.spectral.forms import SpectralForm, Sums
from gradserve.autodiff.spectral.known import Known, Part, Source, diagonal_of, form_of_result, number_of
from gradserve.autodiff.spectral.orientations import oriented, polar_factor, sign_of_determinant
from gradserve.autodiff.spectral.rules import form_of
from gradserve.autodiff.spectral.sums import contracted, extreme, single, summed
from gradserve.autodiff.walk import declare_inputs, leaves, reachable
from gradserve.ir.builder import Value
from gradserve.ir.graph import Graph
from gradserve.ir.op import Op
from gradserve.ops import builder
from gradserve.ops.contraction.contract import Contract
from gradserve.ops.elementwise.arithmetic import Add
from gradserve.ops.linalg.determinants import Slogdet
from gradserve.ops.movement.placement import Pad
from gradserve.ops.reduction.reductions import Extreme, LargestTerm, ReduceSum
from gradserve.ops.spectral.eigen import Eigvalsh, OfSpectrum
from gradserve.ops.spectral.singular import OfSingular, Svdvals
from gradserve.ops.spectral.spectra import SpectrumCotangent


def invariant(graph: Graph, moving: Iterable[str], forward: bool, again: bool = False) -> Graph:
    """The graph, with functions of eigenvalues and eigenvectors that do not depend on their choice as such.

    Only what depends on the inputs `moving` is looked at. In forward mode each sum over eigenvalues counts for itself.
    In reverse mode a cotangent of eigenvalues is tested as a whole: it may be even within a cluster only together.
    `again` says that tangents will be differentiated too.
    """
    if not graph.has(OfSpectrum, OfSingular, SpectrumCotangent):
        return graph
    moving = tuple(moving)
    sums = Sums.OF_MATRIX if again else Sums.EACH if forward else Sums.FREE
    found = _Rewriter(graph, moving, sums).graph()
    if forward or not _has_both(found):
        return found
    return _Rewriter(graph, moving, Sums.CHECKED).graph()


def _has_both(graph: Graph) -> bool:
    """Whether eigenvalues of one matrix are summed as such and used otherwise as well."""
    read = {k for node in graph.nodes for k in node.operands} | {o.value for o in graph.outputs}
    summed, otherwise = set(), set()
    for node, results in graph.numbered_nodes():
        if isinstance(node.op, Eigvalsh | Svdvals) and node.op.free:
            summed.add(node.operands)
        elif isinstance(node.op, Source) and results[node.op.values] in read:
            otherwise.add(node.operands)
    return bool(summed & otherwise)


Weights: TypeAlias = tuple[Expression, int, int]
"""A function of eigenvalues, and the first of those that it is for, and the one after the last."""


class _Rewriter:
    """Builds the graph anew, node by node, and keeps what is known of its values."""

    def __init__(self, graph: Graph, moving: Sequence[str], sums: Sums) -> None:
        self._graph = graph
        self._moves = reachable(graph, moving)
        self._sums = sums
        self._g = builder()
        self._known: dict[int, Known] = {}

    def graph(self) -> Graph:
        """The new graph."""
        values = leaves(self._g, self._graph, declare_inputs(self._g, self._graph))
        for node, results in self._graph.numbered_nodes():
            operands = [values[k] for k in node.operands]
            self._g.origin = node.origin
            values += self._apply(node.op, operands) if self._moves[results[0]] else self._g.apply(node.op, operands)
        return self._g.finished({o.name: values[o.value] for o in self._graph.outputs})

    def _apply(self, op: Op, operands: list[Value]) -> tuple[Value, ...]:
        if isinstance(op, Source) and not operands[0].type.is_complex:
            return self._decomposed(op, operands)
        known = [self._known.get(x.index) or Known(x) for x in operands]
        if isinstance(op, Slogdet) and (sign := sign_of_determinant(self._g, known[0])) is not None:
            self._note(sign)
            return (sign.value, self._g.apply(op, operands)[1])
        made = self._made(op, known)
        if isinstance(made, Value):
            return (made,)
        results = self._g.apply(op, operands)
        if isinstance(made, SpectralForm):
            made = Known(results[0], made)
        if made is not None:
            self._note(replace(made, value=results[0]))
        return results

    def _made(self, op: Any, known: Sequence[Known]) -> Value | SpectralForm | Known | None:
        """The value as a function of the matrix, or what is known of it; None for values of any other kind."""
        if isinstance(op, SpectrumCotangent):
            return self._cotangent(op, known)
        if isinstance(op, LargestTerm) and known[0].form is not None:
            return self._g.apply(op, [self._g.stop_gradient(known[0].value)])[0]
        alone = single(op, known[0]) if known and self._sums is Sums.OF_MATRIX else None
        if alone is not None:
            return alone
        part = known[0].part if known else None
        if part is not None and (self._sums is not Sums.CHECKED or not part.is_values):
            found = part.taken(self._g, op)
            if found is not None:
                self._note(found)
                return found.value
        if isinstance(op, Extreme):
            whole = part is not None and part.is_values
            return part.extreme(self._g, op, known[0].value) if part and whole else extreme(self._g, op, known[0])
        turned = oriented(self._g, op, known)
        if turned is not None:
            self._note(turned)
            return turned.value
        if isinstance(op, Contract):
            made = contracted(self._g, op, known, self._sums)
            if isinstance(made, Value) and (polar := polar_factor(known)) is not None:
                self._note(Known(made, polar=polar))
            return made
        if isinstance(op, ReduceSum):
            return summed(op, known[0], self._sums)
        return form_of(self._g, op, known) or (diagonal_of(op, known[0]) if known else None)

    def _decomposed(self, op: Source, operands: list[Value]) -> tuple[Value, ...]:
        results = self._g.apply(op, operands)
        source = Decomposition(operands[0], isinstance(op, OfSpectrum))
        for k, value in enumerate(results):
            self._note(Known(value, form_of_result(source, op, k), Part(op, operands[0], k)))
        return results

    def _note(self, known: Known) -> None:
        self._known[known.value.index] = known

    def _cotangent(self, op: SpectrumCotangent, known: Sequence[Known]) -> Value | None:
        """L diag(v) R^T, for v a sum of functions of the eigenvalues, and of numbers for some of them."""
        source, weights = _whole_source(known), known[3]
        if source is None or weights.value.shape[:-1] != source.stack:
            return None
        total: Value | None = None
        for term in self._terms(weights.value):
            found = self._weights(source, term, op.start, op.stop)
            if found is None:
                return None
            made = source.sandwich(*found, left=True, right=source.symmetric)
            if made is None:
                return None
            total = made if total is None else total + made
        return total

    def _terms(self, value: Value) -> list[Value]:
        """The terms of a sum."""
        made = self._g.producer(value)
        if made is None or not isinstance(made.op, Add):
            return [value]
        return [term for operand in made.operands for term in self._terms(operand)]

    def _weights(self, source: Decomposition, value: Value, start: int, stop: int) -> Weights | None:
        """Weights of the values `start` to `stop`, as an expression and the values that it is for."""
        known = self._known.get(value.index)
        form = None if known is None else known.form
        if form is not None:
            same = form.source == source and (form.start, form.stop, form.backwards) == (start, stop, False)
            return (form.expression, start, stop) if same and not form.rows else None
        number = number_of(self._g, value, source.stack)
        if number is not None:
            return (number, start, stop)
        padded = self._g.producer(value)
        if padded is None or not isinstance(padded.op, Pad) or any(padded.op.interior):
            return None
        before = padded.op.low[-1]
        inner = padded.operands[0]
        if any((*padded.op.low[:-1], *padded.op.high[:-1])) or min(before, padded.op.high[-1]) < 0:
            return None
        return self._weights(source, inner, start + before, start + before + inner.shape[-1])


def _whole_source(known: Sequence[Known]) -> Decomposition | None:
    """The matrix of which the first three values are all eigenvalues and their vectors on either side."""
    values, left, right = (k.form for k in known[:3])
    if values is None or left is None or right is None:
        return None
    whole = values.is_whole and left.is_whole and right.is_whole
    return values.source if whole and values.source == left.source == right.source else None
