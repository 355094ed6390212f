"""From a graph and a derivation to the derived graph, by composing transforms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gradserve.autodiff import names
from gradserve.autodiff.absorbing import absorbing
from gradserve.autodiff.curvature import curvature, fisher_product, slope
from gradserve.autodiff.derivation import (
    Along,
    Careful,
    Curvature,
    EveryValue,
    FisherProduct,
    Form,
    KinkCounts,
    Laplacian,
    Slope,
    TaylorSeries,
    TwoPoint,
    WithKinks,
    added_inputs,
)
from gradserve.autodiff.differences import along, two_point
from gradserve.autodiff.holomorphic import check_holomorphic
from gradserve.autodiff.inspect import inspected
from gradserve.autodiff.jvp import jvp, push_forward
from gradserve.autodiff.kinks import kinks, with_kinks
from gradserve.autodiff.laplacian import laplacian
from gradserve.autodiff.quadratic import quadratic_form
from gradserve.autodiff.smooth import smoothed
from gradserve.autodiff.spectral import invariant
from gradserve.autodiff.taylor import taylor
from gradserve.autodiff.transpose import seed_of, vjp
from gradserve.autodiff.walk import copy_node, declare_inputs, inline, leaves, reachable
from gradserve.ir.errors import InvalidRequest, NotDifferentiable, Violation, listed
from gradserve.ir.graph import Graph, Output
from gradserve.ops import builder
from gradserve.questions.derivations import Derivation, Evaluate, GaussNewtonProduct, Gradient, Hvp, Jvp, Vjp

"""How many inputs a message lists."""
PARTS = "take the real and the imaginary part as inputs, and x + 1j * y in the loss"
"""What to write where something is asked of real inputs alone."""


def derive(graph: Graph, derivation: Derivation) -> Graph:
    """The derived graph. Its inputs are the graph's and those that the derivation adds; its outputs have roles.

    Raises:
        InvalidRequest: `wrt` names what cannot be differentiated.
        NotDifferentiable: the loss is no floating-point scalar, or an op on the way has no derivative.
    """
    match derivation:
        case Careful(derivation=WithKinks(derivation=of)):
            seen = _seen(graph, of)
            return with_kinks(seen, _careful(seen, of), _moved(graph, of))
        case Careful(derivation=of):
            return _careful(_seen(graph, of), of)
        case WithKinks(derivation=of):
            seen = _seen(graph, of)
            return with_kinks(seen, _derived(seen, of, sown=True), _moved(graph, of))
        case KinkCounts(wrt):
            return kinks(smoothed(graph), wrt)
    return _derived(_seen(graph, derivation), derivation, sown=True)


def _seen(graph: Graph, derivation: Derivation) -> Graph:
    """The graph as it is differentiated; its values are looked at as they are written."""
    return graph if isinstance(derivation, Evaluate | Along | TwoPoint | EveryValue) else smoothed(graph)


def _careful(graph: Graph, derivation: Derivation) -> Graph:
    """The derived graph where zeros absorb what is not finite; seeds are cotangents as well, until the end."""
    derived = absorbing(_derived(graph, derivation, sown=False), _moved(graph, derivation))
    g = builder()
    own = {*graph.input_types, *added_inputs(graph, derivation)}
    arguments = {i.name: g.input(i.name, i.type) if i.name in own else g.full(i.type, 1) for i in derived.inputs}
    return g.finished(inline(g, derived, arguments))


def _derived(graph: Graph, derivation: Derivation, sown: bool) -> Graph:
    """The derived graph; if it is not `sown`, the seed of the loss is an input, `cotangent:LOSS`."""
    match derivation:
        case Evaluate():
            return _evaluate(graph)
        case Gradient(wrt, holomorphic):
            (_check_holomorphic if holomorphic else _check_loss)(graph, wrt)
            return _gradient(graph, wrt, sown)
        case Jvp(wrt):
            _check_wrt(graph, wrt)
            return _rename_values(graph, jvp(graph, wrt))
        case Vjp(wrt):
            _check_wrt(graph, wrt)
            return _rename_values(graph, vjp(graph, wrt))
        case Hvp(wrt, product_only):
            _check_loss(graph, wrt)
            return _hvp(graph, wrt, product_only, sown)
        case GaussNewtonProduct(wrt, loss):
            _check_wrt(graph, wrt, real=True)
            return _gauss_newton_product(graph, wrt, loss, sown)
        case Curvature(wrt):
            _check_loss(graph, wrt, real=True)
            return curvature(_hvp(graph, wrt, True, sown), wrt)
        case Form(wrt):
            _check_loss(graph, wrt, real=True)
            if any(type_.is_complex for type_ in graph.value_types):
                return curvature(_hvp(graph, wrt, True, sown), wrt, shares=False)
            return quadratic_form(graph, wrt, sown)
        case Slope(wrt):
            _check_loss(graph, wrt, real=True)
            return slope(_hvp(graph, wrt, True, sown, again=True), wrt)
        case FisherProduct(wrt):
            _check_loss(graph, wrt, real=True)
            return fisher_product(_gradient(graph, wrt, sown), wrt)
        case Along(wrt):
            _check_wrt(graph, wrt, real=True)
            return along(graph, wrt)
        case TwoPoint(wrt):
            _check_loss(graph, wrt, real=True)
            return two_point(graph, derivation)
        case TaylorSeries(wrt, order):
            _check_wrt(graph, wrt)
            return taylor(graph, wrt, order)
        case Laplacian(wrt, directions):
            _check_loss(graph, wrt, real=True)
            return laplacian(graph, wrt, directions)
        case EveryValue(moved):
            if moved:
                _check_wrt(graph, moved)
            return inspected(graph, moved, _is_loss(graph), sown)
        case _:
            raise TypeError(f"a graph is derived by products for {derivation}, not at once")


def _moved(graph: Graph, derivation: Derivation) -> Sequence[str]:
    """The inputs that a derivation differentiates: all real ones if it names none."""
    return derivation.wrt or [i.name for i in graph.inputs if i.type.is_float]


def _evaluate(graph: Graph) -> Graph:
    g = builder()
    outputs = inline(g, graph, declare_inputs(g, graph))
    return g.finished({names.value(name): value for name, value in outputs.items()})


def _gradient(graph: Graph, wrt: Sequence[str], sown: bool) -> Graph:
    """vjp seeded with 1, or not `sown`."""
    pulled = vjp(graph, wrt, seed=1 if sown else None)
    (loss,) = graph.outputs
    called = {loss.name: names.value(loss.name)} | {names.cotangent(n): names.gradient(n) for n in wrt}
    return replace(pulled, outputs=tuple(Output(called[o.name], o.value) for o in pulled.outputs))


def _hvp(graph: Graph, wrt: Sequence[str], product_only: bool, sown: bool, again: bool = False) -> Graph:
    """Forward over reverse: the jvp of the gradient, without the loss's own tangent; perhaps to be pushed `again`."""
    gradient = invariant(_gradient(graph, wrt, sown), wrt, forward=True, again=again)
    g = builder()
    primals = declare_inputs(g, gradient)
    tangents = {name: g.input(names.tangent(name), graph.input_types[name]) for name in wrt}
    values, dots = push_forward(g, gradient, primals, tangents)
    outputs = {} if product_only else {o.name: values[o.value] for o in gradient.outputs}
    for output in gradient.outputs:
        role, name = names.split(output.name)
        if role == "gradient":
            dot = dots[output.value]
            outputs[names.product(name)] = g.zeros(graph.input_types[name]) if dot is None else dot
    return g.finished(outputs)


def _gauss_newton_product(graph: Graph, wrt: Sequence[str], loss: str, sown: bool) -> Graph:
    """Forward through the inner outputs, through the Hessian of the loss in them, and back (Schraudolph 2002)."""
    inner = [o for o in graph.outputs if o.name != loss and graph.output_types[o.name].is_float]
    if not inner:
        text = "there is no other real output of which it is one; return what the loss is computed from as well"
        raise NotDifferentiable("the graph has no inner function", [Violation("loss", "W4", text)])
    within = replace(graph, outputs=tuple(inner))
    g = builder()
    arguments = declare_inputs(g, graph)
    tangents = {names.tangent(name): g.input(names.tangent(name), graph.input_types[name]) for name in wrt}
    pushed = inline(g, jvp(within, wrt), {**arguments, **tangents})
    weighted = {o.name: pushed[names.tangent(o.name)] for o in inner}
    values = inline(g, graph, arguments)
    if loss:
        outer = _outer(graph, inner, loss, wrt)
        moved = {_inner(o.name): pushed[o.name] for o in inner}
        dots = {names.tangent(_inner(name)): dot for name, dot in weighted.items()}
        seed = {names.cotangent(loss): seed_of(g, outer, sown)}
        products = inline(g, _hvp(outer, list(moved), True, sown), {**arguments, **moved, **dots, **seed})
        weighted = {o.name: products[names.product(_inner(o.name))] for o in inner}
    cotangents = {names.cotangent(name): vector for name, vector in weighted.items()}
    pulled = inline(g, vjp(within, wrt), {**arguments, **cotangents})
    outputs = {names.value(name): value for name, value in values.items()}
    return g.finished(outputs | {names.product(name): pulled[names.cotangent(name)] for name in wrt})


def _inner(name: str) -> str:
    """The input of the outer function that stands for an output of the inner one."""
    return f"inner:{name}"


def _outer(graph: Graph, inner: Sequence[Output], loss: str, wrt: Sequence[str]) -> Graph:
    """The loss as a function of the inner outputs, `inner:OUT`, and of inputs that are not differentiated."""
    g = builder()
    arguments = declare_inputs(g, graph)
    cut = {o.value: g.input(_inner(o.name), graph.output_types[o.name]) for o in inner}
    values = [cut.get(k, value) for k, value in enumerate(leaves(g, graph, arguments))]
    for node, numbers in graph.numbered_nodes():
        values += [cut.get(k, value) for k, value in zip(numbers, copy_node(g, node, values), strict=True)]
    known = {o.name: values[o.value] for o in graph.outputs}
    if loss not in known:
        text = f"there is no output {loss!r}; there are {listed(known)}"
        raise InvalidRequest("the request does not fit", [Violation("loss", "W5", text)])
    outer = g.finished({loss: known[loss]})
    _check_loss(outer, [_inner(o.name) for o in inner])
    (output,) = outer.outputs
    if reachable(outer, wrt)[output.value]:
        text = f"{loss} depends on {listed(wrt)} beside the other outputs; return all that it is computed from"
        raise NotDifferentiable("the loss is no function of the other outputs", [Violation("loss", "W6", text)])
    return outer


def _rename_values(graph: Graph, derived: Graph) -> Graph:
    """The derived graph with the graph's own outputs called `value:OUT`."""
    own = {o.name for o in graph.outputs}
    outputs = tuple(type(o)(names.value(o.name), o.value) if o.name in own else o for o in derived.outputs)
    return Graph(derived.inputs, derived.constants, derived.nodes, outputs)


def _check_wrt(graph: Graph, wrt: Sequence[str], real: bool = False) -> None:
    """Sees that one can differentiate in these inputs; in complex ones as well, unless they are to be `real`."""
    violations = []
    floats = [i.name for i in graph.inputs if i.type.is_float]
    first = {name: position for position, name in reversed([*enumerate(wrt)])}
    for position, name in enumerate(wrt):
        type_ = graph.input_types.get(name)
        if type_ is None:
            text = f"the graph has no input {name!r}; its inputs are {listed(graph.input_types)}"
        elif not type_.is_float:
            text = f"{name}: {type_} is not real; one can differentiate {listed(floats)}"
        elif real and type_.is_complex:
            text = f"{name}: {type_} is complex, and this is asked of real inputs alone; {PARTS}"
        elif first[name] < position:
            text = f"{name!r} is named twice"
        else:
            continue
        violations.append(Violation(f"wrt[{position}]", "W1", text))
    if not wrt:
        violations.append(Violation("wrt", "W2", "the graph has no floating-point input to differentiate"))
    if violations:
        raise InvalidRequest("the graph cannot be differentiated in these inputs", violations)


def _check_holomorphic(graph: Graph, wrt: Sequence[str]) -> None:
    _check_wrt(graph, wrt)
    check_holomorphic(graph, wrt)
    types = list(graph.output_types.values())
    if len(types) != 1 or types[0].shape:
        text = "a gradient is of one output, a scalar; ask for a Jacobian with holomorphic=True"
        raise NotDifferentiable("the graph is no loss", [Violation("outputs", "W3", text)])


def _is_loss(graph: Graph) -> bool:
    types = list(graph.output_types.values())
    return len(types) == 1 and types[0].is_real and not types[0].shape


def _check_loss(graph: Graph, wrt: Sequence[str], real: bool = False) -> None:
    _check_wrt(graph, wrt, real)
    if _is_loss(graph):
        return
    shown = listed([f"{name}: {type_}" for name, type_ in graph.output_types.items()])
    advice = "a loss has one output, a floating-point scalar; reduce it with a sum or mean, or ask for Jvp or Vjp"
    if sum(type_.is_real and not type_.shape for type_ in graph.output_types.values()) > 1:
        advice += '; in Python return what is to be known beside it in a dict: loss, {"accuracy": accuracy}'
    if any(type_.is_complex for type_ in graph.output_types.values()):
        advice = "a loss is real: take np.abs or np.real of it, or say holomorphic=True if it has a complex derivative"
    raise NotDifferentiable("the graph is no loss", [Violation("outputs", "W3", f"its outputs are {shown}; {advice}")])
