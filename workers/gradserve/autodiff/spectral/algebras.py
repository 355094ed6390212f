"""The matrices that expressions in eigenvalues and singular values are taken of."""

from __future__ import annotations

from dataclasses import replace

from gradserve.autodiff.spectral.expressions import (
    Algebra,
    Element,
    Expression,
    Number,
    has_kink,
    is_linear,
    product,
    taken,
    times,
    without_turn,
)
from gradserve.ir.builder import Builder, Value
from gradserve.ir.records import dataclass
from gradserve.ops.contraction.contract import matrix_product
from gradserve.ops.linalg.orthogonal import Qr
from gradserve.ops.linalg.triangles import flipped, mirrored, on_diagonal
from gradserve.ops.spectral.eigen import Eigvalsh
from gradserve.ops.spectral.matrix_functions import Spectral
from gradserve.ops.spectral.nearest_rotation import NearestRotation, Orientation
from gradserve.ops.spectral.scalar_functions import FUNCTIONS
from gradserve.ops.spectral.singular import Svdvals
from gradserve.ops.spectral.spectral_forms import BAND

LONG = 300
"""The rows and columns together up to which matrices that are not square are taken as they are.

Longer ones are brought to a triangle first, which takes far less work but has no derivative if the rank is not full.
"""


class OfSymmetric(Algebra):
    """Functions of a symmetric matrix with `size` rows."""

    def __init__(self, matrix: Value, original: Value | None = None) -> None:
        """`matrix` is symmetric: that with the lower triangle of the original, if that is given."""
        self.matrix = matrix
        self.original = matrix if original is None else original
        self.g: Builder = matrix.builder
        self.size = matrix.shape[-1]

    def variable(self) -> Element:
        return Element(matrix=self.matrix)

    def apply(self, function: str, parameter: float, of: Element) -> Element:
        # Functions read the lower triangle alone themselves; of the original they share one decomposition.
        is_variable = of.number is None and of.matrix is self.matrix
        argument = self.original if is_variable else self.whole(of)
        return Element(matrix=self._spectral(function, parameter, 0, self.size, argument))

    def add(self, left: Element, right: Element) -> Element:
        return Element(matrix=self.whole(left) + self.whole(right), odd=left.odd)

    def multiply(self, left: Element, right: Element) -> Element:
        assert left.matrix is not None
        assert right.matrix is not None
        return Element(matrix=matrix_product(self.g, left.matrix, right.matrix), odd=left.odd != right.odd)

    def band(self, start: int, stop: int) -> Element:
        """The projection onto the space of the eigenvectors `start` to `stop`."""
        if (start, stop) == (0, self.size):
            return Element()
        return Element(matrix=self._spectral(BAND, 0.0, start, stop, self.original))

    def whole(self, element: Element) -> Value:
        """The element as a matrix."""
        if element.matrix is None:
            identity = on_diagonal(self.g, self.size, self.matrix.type.element_type)
            element = replace(element, matrix=self.g.broadcast(identity, self.matrix.type.shape))
        assert element.matrix is not None
        if element.number is None:
            return element.matrix
        number = self.g.reshape(element.number, (*element.number.shape, 1, 1))
        return self.g.emit("mul", number, element.matrix)

    def _spectral(self, function: str, parameter: float, start: int, stop: int, of: Value) -> Value:
        return self.g.apply(Spectral(function, parameter, start, stop), [of])[0]


class OfSingularValues(OfSymmetric):
    """Functions of the singular values s of a matrix A: those of the eigenvalues s and -s of [[0, A], [A^T, 0]].

    An even function f gives the blocks U f(s) U^T and V f(s) V^T, an odd one U f(s) V^T (Jordan, Wielandt). If A is not
    square there are eigenvalues of 0 besides, on the longer side.
    """

    def __init__(self, matrix: Value) -> None:
        """`matrix` is A."""
        g = matrix.builder
        *before, rows, columns = matrix.shape
        none = tuple(0 for _ in before)
        above = g.emit("pad", matrix, low=(*none, 0, rows), high=(*none, columns, 0), interior=(0,) * matrix.type.rank)
        super().__init__(above + flipped(g, above))
        self.rows, self.columns = rows, columns
        self.count = min(rows, columns)

    def variable(self) -> Element:
        return Element(matrix=self.matrix, odd=True)

    def apply(self, function: str, parameter: float, of: Element) -> Element:
        parity = FUNCTIONS[function].parity
        if parity == "neither" and of.odd:
            of = product(of, self.sign(), self)
        result = super().apply(function, parameter, of)
        return replace(result, odd=of.odd and parity == "odd")

    def add(self, left: Element, right: Element) -> Element:
        if left.odd != right.odd:
            left, right = (product(x, self.sign(), self) if x.odd else x for x in (left, right))
        return super().add(left, right)

    def sign(self) -> Element:
        """1 for positive eigenvalues and -1 for negative ones."""
        if self.rows != self.columns:
            return self.chosen(0, self.count, odd=True)
        return Element(matrix=self._spectral("sign", 0.0, 0, self.size, self.matrix), odd=True)

    def chosen(self, start: int, stop: int, odd: bool) -> Element:
        """1 for the singular values `start` to `stop`, which descend, and for their opposites 1, or -1 if `odd`."""
        high, low = (self.band(*ends) for ends in ((self.size - stop, self.size - start), (start, stop)))
        assert high.matrix is not None
        assert low.matrix is not None
        return Element(matrix=high.matrix - low.matrix if odd else high.matrix + low.matrix, odd=odd)

    def restricted(self, element: Element, start: int, stop: int, left: bool, right: bool) -> Element:
        """The element for the singular values `start` to `stop` alone, of the parity that the block has."""
        wrong = element.odd != (left != right)
        if (start, stop) != (0, self.count):
            return product(element, self.chosen(start, stop, wrong), self)
        if wrong:
            return product(element, self.sign(), self)
        longer = self.columns < self.rows if left else self.rows < self.columns
        if left == right and longer:
            return product(element, self.chosen(start, stop, odd=False), self)
        return element

    def block(self, element: Element, left: bool, right: bool) -> Value:
        """A block of an element; `left` and `right` say whether it stands on the side of U."""
        whole = self.whole(element)
        *before, _, _ = whole.shape
        (top, bottom), (first, last) = ((0, self.rows) if side else (self.rows, self.size) for side in (left, right))
        starts, stops = (*(0 for _ in before), top, first), (*before, bottom, last)
        return self.g.emit("slice", whole, starts=starts, stops=stops, strides=(1,) * whole.type.rank)


@dataclass(frozen=True)
class Decomposition:
    """The eigenvalues and eigenvectors of a matrix, or its singular values and vectors."""

    matrix: Value
    symmetric: bool
    """Whether it is that of a symmetric matrix: into eigenvalues, not singular values."""

    @property
    def stack(self) -> tuple[int, ...]:
        """The leading axes."""
        return self.matrix.shape[:-2]

    @property
    def length(self) -> int:
        """The number of values."""
        return min(self.matrix.shape[-2:])

    def values(self, start: int, stop: int, free: bool) -> Value:
        """The values `start` to `stop`; `free` as the ops have it."""
        kind = Eigvalsh if self.symmetric else Svdvals
        return self.matrix.builder.apply(kind(start, stop, free), [self.matrix])[0]

    def sandwich(self, expression: Expression, start: int, stop: int, left: bool, right: bool) -> Value | None:
        """X diag(f) Y^T over the values `start` to `stop`, f the expression of them; None if it is not known to exist.

        X and Y are the eigenvectors, or the left singular vectors if `left` and `right` say so, else the right ones.
        """
        g = self.matrix.builder
        split = without_turn(expression)
        if split is None:
            return None
        turned, expression = split
        if turned and (start, stop) == (0, self.length):
            return self._turned(expression, left, right)
        if turned and stop == self.length:
            if stop - start > 1:
                return None
            expression = times(expression, Number(g.apply(Orientation(), [self.matrix])[0]))
        if self.symmetric:
            algebra = OfSymmetric(mirrored(g, self.matrix), self.matrix)
            return algebra.whole(product(algebra.band(start, stop), taken(expression, algebra), algebra))
        if left != right and is_linear(expression) and (start, stop) == (0, self.length):
            # U diag(s) V^T is the matrix itself, of whatever rank.
            own = self.matrix if left else flipped(g, self.matrix)
            return OfSymmetric(own).whole(taken(expression, OfSymmetric(own)))
        return self._of_singular(expression, start, stop, left, right)

    def _turned(self, expression: Expression, left: bool, right: bool) -> Value | None:
        """As `sandwich`, with an orientation on the last value: of the nearest rotation R, R itself, R A^T or R^T A."""
        g = self.matrix.builder
        (rotation,) = g.apply(NearestRotation(), [self.matrix])
        if left != right:
            own = rotation if left else flipped(g, rotation)
            return OfSymmetric(own).whole(Element(expression.value, own)) if isinstance(expression, Number) else None
        if not is_linear(expression):
            return None
        own = matrix_product(g, rotation, self.matrix, flip_x=not left, flip_y=left)
        return OfSymmetric(own).whole(taken(expression, OfSymmetric(own)))

    def _of_singular(self, expression: Expression, start: int, stop: int, left: bool, right: bool) -> Value:
        g, a = self.matrix.builder, self.matrix
        rows, columns = a.shape[-2:]
        tall = rows > columns
        turn = None
        if rows != columns and (has_kink(expression) or rows + columns > max(LONG, 4 * self.length)):
            turn, a = g.apply(Qr(), [a if tall else flipped(g, a)])
            a = a if tall else flipped(g, a)
        algebra = OfSingularValues(a)
        element = algebra.restricted(taken(expression, algebra), start, stop, left, right)
        result = algebra.block(element, left, right)
        if turn is not None and left == tall:
            result = matrix_product(g, turn, result)
        if turn is not None and right == tall:
            result = matrix_product(g, result, turn, flip_y=True)
        return result
