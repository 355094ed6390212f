"""A function of parameters: its values, derivatives and estimates, wherever they are computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeAlias

from gradserve.client.asking import explained, whole
from gradserve.client.losses import asks_whole
from gradserve.client.operators import LinearOperator
from gradserve.client.spectral import Spectral
from gradserve.client.taylor import TaylorAlong, TaylorModel, along_direction
from gradserve.client.traces import Reduction, Traces
from gradserve.client.tracing.signature import Batch, Names
from gradserve.client.verifications import Verifications
from gradserve.ir.errors import InvalidRequest
from gradserve.questions.derivations import Evaluate, Gradient, Hessian, Hvp, Jacobian, Jvp, Vjp
from gradserve.questions.explanation import Explanation
from gradserve.questions.inspection import Inspect, Inspection
from gradserve.questions.taylor import ExpandAlong

Mode: TypeAlias = Literal["auto", "forward", "reverse"]


class Function(Spectral, Traces, Verifications):
    """A function that can be asked for derivatives. Made by `Client.function` and `Client.load`. Safe for threads.

    Parameters are given as to the function itself, by position or by name; one that has the name of an option below,
    such as `batch`, by position. Options are the same everywhere:

    - `wrt` names the parameters to differentiate; by default all that hold real numbers. What belongs to them
      (gradients, tangents, products) has the structure of the parameter if it is one, and is a dict by parameter if
      there are several. Integers in it have no derivative: None stands in their place.
    - `batch=True` says that every parameter differentiated carries a leading axis of points; `batch=["w"]` says which
      parameters do. Results then carry one too.
    - A function may return more beside its loss, in a pair with a dict: `return loss, {"accuracy": a}`. Gradients,
      Hessians, estimates and verifications are those of the loss; the value is all of it.
    - `reduction="sum"` or `"mean"` adds the results of all points up instead, in one fixed order.

    Results are arrays of your own: write into them as you like.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        try:
            graph = self.graph
        except RuntimeError:
            return f"<Function {self._signatures}, not traced yet>"
        inputs = ", ".join(f"{name}: {type_}" for name, type_ in graph.input_types.items())
        return f"<Function {self._signatures}({inputs}) -> {', '.join(map(str, graph.output_types.values()))}>"

    @property
    def __wrapped__(self) -> Any:
        """The author's function, which Python looks at for its signature; a graph that was loaded has none."""
        return self._signatures.function

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters, as far as the function tells them."""
        return self._signatures.parameters

    def __call__(self, *arguments: Any, batch: Batch = False, reduction: Reduction = "none", **named: Any) -> Any:
        """The function's value."""
        return self._derive(Evaluate, arguments, named, batch=batch, reduction=reduction)

    def value_and_grad(
        self,
        *arguments: Any,
        wrt: Names = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        holomorphic: bool = False,
        **named: Any,
    ) -> tuple[Any, Any]:
        """The loss and its gradient, in one call; in a complex z = x + iy that of a real loss f is df/dx - i df/dy.

        With `holomorphic` it is the derivative of a complex scalar in complex parameters, refused where there is none.
        A function that returns more beside its loss, `return loss, {"accuracy": a}`, has all of that as its value.
        """
        options: dict[str, Any] = {} if holomorphic is False else {"holomorphic": holomorphic}
        found: tuple[Any, Any] = self._derive(
            Gradient, arguments, named, wrt=wrt, batch=batch, reduction=reduction, more=not holomorphic, **options
        )
        return found

    def grad(
        self,
        *arguments: Any,
        wrt: Names = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        holomorphic: bool = False,
        **named: Any,
    ) -> Any:
        """The gradient of the loss."""
        options: dict[str, Any] = {} if holomorphic is False else {"holomorphic": holomorphic}
        return self._derive(Gradient, arguments, named, wrt=wrt, batch=batch, reduction=reduction, **options)[1]

    def jvp(
        self,
        *arguments: Any,
        tangent: Any,
        wrt: Names = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        **named: Any,
    ) -> tuple[Any, Any]:
        """The value and J v: the derivative along `tangent`, which has the structure of the parameters."""
        found: tuple[Any, Any] = self._derive(
            Jvp, arguments, named, tangent=tangent, wrt=wrt, batch=batch, reduction=reduction
        )
        return found

    def vjp(
        self,
        *arguments: Any,
        cotangent: Any,
        wrt: Names = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        **named: Any,
    ) -> tuple[Any, Any]:
        """The value and J^T u: the pullback of `cotangent`, which has the structure of the value."""
        found: tuple[Any, Any] = self._derive(
            Vjp, arguments, named, cotangent=cotangent, wrt=wrt, batch=batch, reduction=reduction
        )
        return found

    def hvp(
        self,
        *arguments: Any,
        tangent: Any,
        wrt: Names = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        **named: Any,
    ) -> Any:
        """H v: the Hessian of the loss applied to `tangent`, which has the structure of the parameters."""
        return self._derive(Hvp, arguments, named, tangent=tangent, wrt=wrt, batch=batch, reduction=reduction)

    def jacobian(
        self,
        *arguments: Any,
        wrt: Names = (),
        mode: Mode = "auto",
        batch: Batch = False,
        reduction: Reduction = "none",
        holomorphic: bool = False,
        **named: Any,
    ) -> Any:
        """The dense Jacobian: for an array of shape s in a parameter of shape t, an array of shape (*s, *t).

        It has the structure of the value, with the structure of the parameters in the place of each array. `forward`
        accumulates it by columns, `reverse` by rows, `auto` in the way that is predicted to be faster. That of complex
        values in complex parameters has to be called `holomorphic`, and is refused where there is none.
        """
        options: dict[str, Any] = {"wrt": wrt, "batch": batch, "reduction": reduction, "holomorphic": holomorphic}
        return self._derive(Jacobian, arguments, named, mode=mode, **options)

    def hessian(
        self,
        *arguments: Any,
        wrt: Names = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        **named: Any,
    ) -> Any:
        """The dense Hessian of the loss: for parameters of shapes s and t, an array of shape (*s, *t).

        It has the structure of the parameters, with the same again in the place of each array.
        """
        return self._derive(Hessian, arguments, named, wrt=wrt, batch=batch, reduction=reduction)

    def jacobian_operator(self, *arguments: Any, wrt: Names = (), **named: Any) -> LinearOperator:
        """The Jacobian at one point as a map: `mv` is J v, `rmv` is J^T u; each is one call."""
        return LinearOperator(
            mv=lambda v: self.jvp(*arguments, tangent=v, wrt=wrt, **named)[1],
            rmv=lambda u: self.vjp(*arguments, cotangent=u, wrt=wrt, **named)[1],
            to_dense=lambda: self.jacobian(*arguments, wrt=wrt, **named),
        )

    def hessian_operator(self, *arguments: Any, wrt: Names = (), **named: Any) -> LinearOperator:
        """The Hessian of the loss at one point as a map, its own transpose: H v by `mv` and `rmv`; each is one call."""

        def mv(v: Any) -> Any:
            return self.hvp(*arguments, tangent=v, wrt=wrt, **named)

        return LinearOperator(mv, mv, lambda: self.hessian(*arguments, wrt=wrt, **named))

    def taylor_along(
        self, *arguments: Any, direction: Any, order: int = 2, wrt: Names = (), **named: Any
    ) -> TaylorAlong:
        """The function along a direction as a polynomial of the step, up to the power `order`, with a check of it.

        `direction` has the structure of the parameters.
        """
        bound = self._bound(arguments, named, wrt, False)
        found = self._ask(ExpandAlong(self._call(bound), whole(order, "order"), bound.vectors(direction, "direction")))
        return along_direction(bound.outputs, found)

    def taylor(
        self, *arguments: Any, order: Literal[1, 2] = 2, seed: int = 0, wrt: Names = (), **named: Any
    ) -> TaylorModel:
        """The loss around a point: its value, gradient and, in the second order, its Hessian as a map.

        Comes with a check: how fast its deviation from the loss falls along one random direction, of signs by `seed`.
        """
        if order not in (1, 2):
            raise InvalidRequest(f"a model around a point has order 1 or 2, not {order}; see taylor_along for more")
        bound = self._bound(arguments, named, wrt, False)
        value, gradient = self._derive(Gradient, arguments, named, wrt=wrt)
        along = self.taylor_along(*arguments, direction=bound.random_signs(seed), order=order, wrt=wrt, **named)
        hessian = self.hessian_operator(*arguments, wrt=wrt, **named) if order == 2 else None
        return TaylorModel(float(value), gradient, hessian, along, bound.inner)

    def inspect(self, *arguments: Any, tangent: Any = None, wrt: Names = (), **named: Any) -> Inspection:
        """Every value inside the function at one point, with its adjoint, and its derivative along a `tangent`.

        Prints as a table; `.dot()` and `.svg()` draw it. Nodes on a kink are marked in all three; `.kinks` has them.
        """
        bound = self._bound(arguments, named, wrt, False)
        vectors = {} if tangent is None else bound.vectors(tangent, "tangent")
        found: Inspection = self._ask(Inspect(self._call(bound), vectors))
        return found

    def explain(
        self,
        *arguments: Any,
        derivation: str = "gradient",
        wrt: Names = (),
        batch: Batch = False,
        reduction: Reduction = "none",
        **named: Any,
    ) -> Explanation:
        """Cost, memory, chunks and placement of a call, before anything runs; prints as a page.

        `derivation` is the name of what would be asked: of a derivation, such as `hvp`, or of an estimate.
        """
        bound = self._bound(arguments, named, wrt, batch, whole=asks_whole(derivation))
        explanation: Explanation = self._ask(explained(derivation, bound, self._call(bound, reduction)))
        return explanation

    def save(self, path: str | Path) -> None:
        """Writes the graph traced last, constants included: text for `.txt` and `.graph`, protobuf otherwise."""
        from gradserve.client.importers.files import save_graph  # with which all ops come

        save_graph(self.graph, Path(path))
