"""Values and exact derivatives."""

from __future__ import annotations

from collections.abc import Mapping

from gradserve.autodiff import Derivation, Evaluate, Gradient, Hvp, Jvp, Vjp
from gradserve.ir.errors import InvalidRequest, Violation
from gradserve.ir.types import Array
from gradserve.jobs.call import Call
from gradserve.jobs.context import Context
from gradserve.jobs.dense import Dense, Mode, hessian, jacobian
from gradserve.jobs.derivative import differentiate, float_inputs, split_roles, vector_key
from gradserve.jobs.inspect import inspect
from gradserve.jobs.taylor import taylor
from gradserve.service.rpc import Rpc
from gradserve.service.wire import Results, Wire, word_of
from gradserve.v1 import derivative_service_pb2 as pb
from gradserve.v1 import tensor_pb2

Roles = Mapping[str, Mapping[str, Array]]

MODES = {
    pb.JACOBIAN_MODE_UNSPECIFIED: Mode.AUTO,
    pb.JACOBIAN_MODE_AUTO: Mode.AUTO,
    pb.JACOBIAN_MODE_FORWARD: Mode.FORWARD,
    pb.JACOBIAN_MODE_REVERSE: Mode.REVERSE,
}
_NUMBER_OF_MODE = {mode: number for number, mode in MODES.items()}


class Derivatives:
    """The methods of DerivativeService."""

    def __init__(self, context: Context, wire: Wire) -> None:
        """`context` is what jobs run in."""
        self._context = context
        self._wire = wire

    def evaluate(self, request: pb.EvaluateRequest, rpc: Rpc) -> pb.EvaluateResponse:
        """The outputs."""
        call = self._wire.call(request.call, rpc)
        found = self._run(call, Evaluate(), {}, rpc)
        return self._wire.reply(pb.EvaluateResponse(), {"outputs": found["value"]}, request.call)

    def gradient(self, request: pb.GradientRequest, rpc: Rpc) -> pb.GradientResponse:
        """The loss and its gradient."""
        call = self._wire.call(request.call, rpc)
        found = self._run(call, Gradient(float_inputs(call.graph, request.wrt)), {}, rpc)
        (value,) = found["value"].values()
        return self._wire.reply(pb.GradientResponse(), {"value": value, "gradients": found["gradient"]}, request.call)

    def jvp(self, request: pb.JvpRequest, rpc: Rpc) -> pb.JvpResponse:
        """The outputs and J v."""
        call = self._wire.call(request.call, rpc)
        tangents = self._wire.arrays(request.tangents, "tangents")
        found = self._run(call, Jvp(_moved(call, tangents)), tangents, rpc)
        results = {"outputs": found["value"], "tangents": found.get("tangent", {})}
        return self._wire.reply(pb.JvpResponse(), results, request.call)

    def vjp(self, request: pb.VjpRequest, rpc: Rpc) -> pb.VjpResponse:
        """The outputs and J^T u."""
        call = self._wire.call(request.call, rpc)
        cotangents = self._wire.arrays(request.cotangents, "cotangents")
        found = self._run(call, Vjp(float_inputs(call.graph, request.wrt)), cotangents, rpc)
        results = {"outputs": found["value"], "cotangents": found["cotangent"]}
        return self._wire.reply(pb.VjpResponse(), results, request.call)

    def hvp(self, request: pb.HvpRequest, rpc: Rpc) -> pb.HvpResponse:
        """The loss, its gradient and H v."""
        call = self._wire.call(request.call, rpc)
        tangents = self._wire.arrays(request.tangents, "tangents")
        found = self._run(call, Hvp(_moved(call, tangents), request.product_only), tangents, rpc)
        results: dict[str, Results] = {"products": found["product"]}
        if not request.product_only:
            (value,) = found["value"].values()
            results |= {"value": value, "gradients": found["gradient"]}
        return self._wire.reply(pb.HvpResponse(), results, request.call)

    def jacobian(self, request: pb.JacobianRequest, rpc: Rpc) -> pb.JacobianResponse:
        """The outputs and their derivatives in all inputs."""
        call = self._wire.call(request.call, rpc)
        mode = word_of(MODES, request.mode, "mode")
        rpc.decoded()
        found = jacobian(self._context, call, float_inputs(call.graph, request.wrt), mode, rpc.control)
        rpc.ran(found.report)
        reply = pb.JacobianResponse(mode=_NUMBER_OF_MODE[found.mode])
        outputs = split_roles(found.values)["value"]
        return self._wire.reply(reply, {"outputs": outputs}, request.call, _blocks(reply, found))

    def hessian(self, request: pb.HessianRequest, rpc: Rpc) -> pb.HessianResponse:
        """The loss, its gradient and its second derivatives."""
        call = self._wire.call(request.call, rpc)
        rpc.decoded()
        found = hessian(self._context, call, float_inputs(call.graph, request.wrt), rpc.control)
        rpc.ran(found.report)
        roles = split_roles(found.values)
        (value,) = roles["value"].values()
        results: dict[str, Results] = {"value": value, "gradients": roles["gradient"]}
        reply = pb.HessianResponse()
        return self._wire.reply(reply, results, request.call, _blocks(reply, found))

    def inspect(self, request: pb.InspectRequest, rpc: Rpc) -> pb.InspectResponse:
        """Every value of the graph."""
        call = self._wire.call(request.call, rpc)
        tangents = self._wire.arrays(request.tangents, "tangents")
        rpc.decoded()
        found = inspect(self._context, call, tangents, rpc.control)
        rpc.ran(found.report)
        reply, tensors = pb.InspectResponse(), []
        for value in found.values:
            message = reply.values.add(
                op=value.op,
                name=value.name,
                operands=value.operands,
                outputs=value.outputs,
                source=value.source,
                kinks=value.kinks,
            )
            tensors.append((value.value, message.value))
            tensors += [(value.tangent, message.tangent)] if value.tangent is not None else []
            tensors += [(value.adjoint, message.adjoint)] if value.adjoint is not None else []
        return self._wire.reply(reply, {}, request.call, tensors)

    def taylor_model(self, request: pb.TaylorModelRequest, rpc: Rpc) -> pb.TaylorModelResponse:
        """A Taylor model along a direction, and its check."""
        call = self._wire.call(request.call, rpc)
        direction = self._wire.arrays(request.direction, "direction")
        rpc.decoded()
        found = taylor(self._context, call, request.order, direction, rpc.control)
        rpc.ran(found.report)
        reply = pb.TaylorModelResponse(
            deviations=[pb.Deviation(step=d.step, error=d.error, meaningful=d.meaningful) for d in found.deviations],
            observed_order=found.observed_order,
        )
        tensors = [
            (array, reply.coefficients[name].powers.add())
            for name, powers in found.coefficients.items()
            for array in powers
        ]
        return self._wire.reply(reply, {}, request.call, tensors)

    def _run(self, call: Call, derivation: Derivation, vectors: Mapping[str, Array], rpc: Rpc) -> Roles:
        """The job's results by role."""
        named = {vector_key(derivation, name): vector for name, vector in vectors.items()}
        rpc.decoded()
        found = differentiate(self._context, call, derivation, named, rpc.control)
        rpc.ran(found.report)
        return split_roles(found.outputs)


def _moved(call: Call, tangents: Mapping[str, Array]) -> tuple[str, ...]:
    """The inputs that tangents move, in the graph's order; the job refuses other names."""
    if not tangents:
        text = "there is none; give one for each input to differentiate"
        raise InvalidRequest("the tangents are missing", [Violation("tangents", "M5", text)])
    return tuple(i.name for i in call.graph.inputs if i.name in tangents and i.type.is_float)


def _blocks(reply: pb.JacobianResponse | pb.HessianResponse, found: Dense) -> list[tuple[Array, tensor_pb2.Tensor]]:
    """The blocks of a matrix, each with the place in the reply that it goes to."""
    return [
        (array, reply.blocks.add(row=row, column=column).tensor)
        for row, columns in found.blocks.items()
        for column, array in columns.items()
    ]
