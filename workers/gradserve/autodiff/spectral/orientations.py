"""Where det U det V of singular vectors is recognised: the factor that makes a rotation of an orthogonal matrix.

What is computed of such a number d and of constants alone is known by its numbers for d = 1 and d = -1, in whatever way
it is written: d itself, the vector 1, ..., 1, d, and the matrix with that on its diagonal are found by looking at them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gradserve.autodiff.spectral.algebras import Decomposition
from gradserve.autodiff.spectral.expressions import ONE, Turn
from gradserve.autodiff.spectral.forms import SpectralForm, multiplied
from gradserve.autodiff.spectral.known import Known
from gradserve.ir.builder import Builder
from gradserve.ir.evaluate import evaluated
from gradserve.ir.op import Op
from gradserve.ir.types import Array
from gradserve.ops.elementwise.arithmetic import Mul
from gradserve.ops.elementwise.rounding import Sign
from gradserve.ops.linalg.determinants import Det
from gradserve.ops.movement.shapes import Reshape
from gradserve.ops.spectral.nearest_rotation import Orientation

_FEW = 1 << 12
"""Elements up to which arrays of constants and orientations are looked at."""


def polar_factor(operands: Sequence[Known]) -> Decomposition | None:
    """What the product of two matrices of singular vectors is U V^T, or V U^T, of."""
    first, second = (_vectors(known.form) for known in operands)
    if first is None or second is None or first[0] != second[0] or first[1] == second[1]:
        return None
    return first[0]


def _vectors(form: SpectralForm | None) -> tuple[Decomposition, bool] | None:
    """The decomposition of which a value is all vectors of one side, and whether that is the left one."""
    if form is None or form.source.symmetric or form.expression is not ONE or not form.is_whole or len(form.rows) != 1:
        return None
    (row,) = form.rows
    rows, columns = form.source.matrix.shape[-2:]
    square = rows == columns and form.rank == form.stack_rank + 2
    return (form.source, row.left) if row.base is None and square else None


def oriented(g: Builder, op: Op, operands: Sequence[Known]) -> Known | None:
    """The result as far as it is made of an orientation, or of one side of it; None if it is not."""
    if isinstance(op, Det):
        return _determinant(g, operands[0])
    halves = [known.half for known in operands]
    if isinstance(op, Mul) and halves[0] is not None and halves[1] is not None and halves[0][0] == halves[1][0]:
        return _orientation(g, halves[0][0]) if halves[0][1] != halves[1][1] else None
    if isinstance(op, Sign) and halves[0] is not None:
        return Known(g.apply(op, [operands[0].value])[0], half=halves[0])
    return _numbers(g, op, operands) or _dropped(g, op, operands)


def _orientation(g: Builder, source: Decomposition) -> Known:
    return Known(g.apply(Orientation(), [source.matrix])[0], numbers=(source, _signs(source)))


def _signs(source: Decomposition) -> tuple[Array, ...]:
    """Orientations that the matrices of the stack may have, so that they tell one matrix from another."""
    kind, shape = source.matrix.type.element_type.dtype, source.stack
    random = np.random.default_rng(0)
    several = [random.integers(0, 2, shape) * 2 - 1 for _ in range(2)] if shape else []
    return tuple(np.asarray(signs, kind) for signs in (np.ones(shape), -np.ones(shape), *several))


def sign_of_determinant(g: Builder, matrix: Known) -> Known | None:
    """That of U V^T."""
    return None if matrix.polar is None else _orientation(g, matrix.polar)


def _determinant(g: Builder, matrix: Known) -> Known | None:
    """Of U V^T, which has no derivative; of one side it is left as it is, but known."""
    if matrix.polar is not None:
        return _orientation(g, matrix.polar)
    half = _vectors(matrix.form)
    return None if half is None else Known(g.apply(Det(), [matrix.value])[0], half=half)


def _numbers(g: Builder, op: Op, operands: Sequence[Known]) -> Known | None:
    """What is made of constants and an orientation."""
    source = next((known.numbers[0] for known in operands if known.numbers is not None), None)
    if source is None or op.functions or any(known.value.type.size > _FEW for known in operands):
        return None
    constants = evaluated(g, [known.value for known in operands])
    cases = []
    for k, _ in enumerate(_signs(source)):
        cases_of = [known.numbers[1][k] if known.numbers else c for known, c in zip(operands, constants, strict=True)]
        arrays = [array for array in cases_of if array is not None]
        if len(arrays) < len(operands):
            return None
        with np.errstate(all="ignore"):
            cases.append(np.asarray(op.results(np, *arrays)[0]))
    value = g.apply(op, [known.value for known in operands])[0]
    found = Known(value, numbers=(source, tuple(cases)))
    form = _turn(found)
    square = form is None and value.shape == (*source.stack, source.length, source.length)
    return replace(found, form=form, diagonal=_on_diagonal(found) if square else None)


def is_orientation(known: Known, source: Decomposition) -> bool:
    """Whether all elements are the orientation of their matrix."""
    if known.numbers is None or known.numbers[0] != source or known.value.shape[: len(source.stack)] != source.stack:
        return False
    more = (1,) * (known.value.type.rank - len(source.stack))
    pairs = zip(known.numbers[1], _signs(source), strict=True)
    return all(np.array_equal(case, np.broadcast_to(d.reshape(*d.shape, *more), case.shape)) for case, d in pairs)


def _turn(known: Known) -> SpectralForm | None:
    """The form of 1, ..., 1, d along an axis."""
    assert known.numbers is not None
    source, cases = known.numbers
    shape, stack, n = known.value.shape, len(source.stack), source.length
    if shape[:stack] != source.stack or n < 2:
        return None
    wanted = [_last(source, d) for d in _signs(source)]
    for axis in range(stack, len(shape)):
        along = tuple(n if k == axis else 1 for k in range(stack, len(shape)))
        if shape[axis] == n and all(
            np.array_equal(case, np.broadcast_to(want.reshape(*source.stack, *along), shape))
            for case, want in zip(cases, wanted, strict=True)
        ):
            return SpectralForm(source, axis, Turn(), (), 0, n, len(shape))
    return None


def _last(source: Decomposition, d: Array) -> Array:
    ones = np.ones((*source.stack, source.length), d.dtype)
    ones[..., -1] = d
    return ones


def _on_diagonal(known: Known) -> SpectralForm | None:
    """The form of 1, ..., 1, d, where this is the only thing on the diagonal of a matrix of zeros."""
    assert known.numbers is not None
    source, cases = known.numbers
    wanted = (_last(source, d)[..., None] * np.eye(source.length) for d in _signs(source))
    if source.stack or not all(np.array_equal(case, want) for case, want in zip(cases, wanted, strict=True)):
        return None
    return SpectralForm(source, 0, Turn(), (), 0, source.length, 1)


def _dropped(g: Builder, op: Op, operands: Sequence[Known]) -> Known | None:
    """One vector without the axis along which there are several, perhaps times the orientation, and with it again."""
    forms = [known.dropped for known in operands]
    if isinstance(op, Mul) and any(forms):
        for known, other in (operands, operands[::-1]):
            form = known.dropped
            if form is not None and is_orientation(other, form.source):
                value = g.apply(op, [known.value for known in operands])[0]
                return Known(value, dropped=multiplied(form, Turn()))
        return None
    if not isinstance(op, Reshape):
        return None
    (known,), shape = operands, op.shape
    old, form = known.value.shape, known.form
    one = form if form is not None and form.rows and form.stop - form.start == 1 else None
    if one is not None and shape == (*old[: one.axis], *old[one.axis + 1 :]):
        return Known(g.apply(op, [known.value])[0], dropped=form)
    form = known.dropped
    if form is not None and shape == (*old[: form.axis], 1, *old[form.axis :]):
        return Known(g.apply(op, [known.value])[0], form)
    return None
