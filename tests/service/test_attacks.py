"""Requests made to do harm, on a live service: each is answered or refused, soon and by name, and the next call too."""

import struct
import threading

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gradserve import wire
from gradserve.jobs.sweeps.limits import Limits
from gradserve.ops import OP_SET
from gradserve.text.parsing import parse
from gradserve.v1 import derivative_service_pb2 as pb
from gradserve.v1 import execution_pb2, graph_pb2, graph_service_pb2, tensor_pb2
from tests.service.support import refusal, tensors

F64, I32 = tensor_pb2.ELEMENT_TYPE_FLOAT64, tensor_pb2.ELEMENT_TYPE_INT32
SECONDS = 20.0


@pytest.fixture(autouse=True)
def _then_serves_on(still_serves, server):
    """Whatever a test sends, the next call is answered, and the service says that it is well."""
    yield
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def call(text, arguments):
    graph = text if isinstance(text, graph_pb2.Graph) else wire.encode_graph(parse(text, OP_SET))
    return execution_pb2.Call(graph=execution_pb2.GraphRef(inline=graph), arguments=tensors(arguments))


def evaluated(stubs, text, arguments):
    reply = stubs.derivatives.Evaluate(pb.EvaluateRequest(call=call(text, arguments)), timeout=SECONDS)
    return {name: wire.decode_tensor(t) for name, t in reply.outputs.items()}


def lu_solve(exchanges):
    """A hand-made graph that solves with factors and exchanges of its own."""
    graph = graph_pb2.Graph(op_set_version=OP_SET.version)
    graph.inputs.add(name="b", type={"element_type": F64, "shape": [{"size": 2}, {"size": 1}]})
    graph.constants.add(element_type=F64, shape=[2, 2], inline=struct.pack("<4d", 1.0, 0.0, 0.0, 1.0))
    graph.constants.add(element_type=I32, shape=[2], inline=struct.pack("<2i", *exchanges))
    node = graph.nodes.add(op="lu_solve", operands=[1, 2, 0])
    node.attributes["transposed"].boolean = False
    node.types.add(element_type=F64, shape=[{"size": 2}, {"size": 1}])
    graph.outputs.add(name="x", value=3)
    return graph


@pytest.mark.parametrize("exchanges", [(10**9, -(10**9)), (0, 1)])
def test_ops_that_only_the_optimiser_writes_are_refused(stubs, exchanges):
    request = pb.EvaluateRequest(call=call(lu_solve(exchanges), {"b": np.ones((2, 1))}))
    assert request.ByteSize() < 400
    refused = refusal(lambda: stubs.derivatives.Evaluate(request, timeout=SECONDS))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "internal" in refused.violations["call.graph.inline.nodes[0].op"]
    checked = stubs.graphs.CheckGraph(graph_service_pb2.CheckGraphRequest(graph=lu_solve(exchanges)))
    assert checked.violations[0].constraint == "G12"


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan, 1e300, -1.0, 3.0])
@pytest.mark.parametrize("op", ["gather %0, %1 {axis=0}", "scatter_add %0, %1 {axis=0,length=3}"])
def test_indices_made_of_any_number_stay_inside(stubs, op, number):
    text = f"""graph (%0 "x": f64[3], %1 "number": f64[3]) {{
  %2: i64[3] = convert %1 {{element_type=i64}}
  %3: f64[3] = {op.replace("%1", "%2")}
  return "y" %3
}}"""
    refused = refusal(lambda: evaluated(stubs, text, {"x": np.ones(3), "number": np.array([0.0, number, 1.0])}))
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "outside the axis" in refused.message


ENDLESS = np.array([[np.inf, 5e-324, 0.0], [5e-324, 1e-310, np.nan], [1e300, -5e-324, 1.0]])
OF_MATRICES = {
    "svdvals": "%1: f64[3] = svdvals %0 {free=true,start=0,stop=3}",
    "svd": "%1: f64[3,3], %2: f64[3], %3: f64[3,3] = svd %0 {start=0,stop=3}",
    "eigvalsh": "%1: f64[3] = eigvalsh %0 {free=true,start=0,stop=3}",
    "eigh": "%1: f64[3], %2: f64[3,3] = eigh %0 {start=0,stop=3}",
    "qr": "%1: f64[3,3], %2: f64[3,3] = qr %0",
    "expm": "%1: f64[3,3] = expm %0",
    "pinv": "%1: f64[3,3] = pinv %0 {full=false,rcond=1e-15}",
    "lstsq": "%1: f64[3,3] = lstsq %0, %0 {rcond=1e-15}",
    "sylvester": "%1: f64[3,3] = sylvester %0, %0, %0",
}


@pytest.mark.parametrize("name", OF_MATRICES)
def test_no_iteration_sees_a_matrix_that_is_not_finite(stubs, name):
    line = OF_MATRICES[name].replace("  ", " ")
    text = f'graph (%0 "a": f64[3,3]) {{\n  {line}\n  return "y" %1\n}}'
    request = pb.EvaluateRequest(call=call(text, {"a": ENDLESS}))
    assert request.ByteSize() < 400
    assert np.isnan(evaluated(stubs, text, {"a": ENDLESS})["y"]).all()
    for number in (np.inf, -np.inf, np.nan):
        found = evaluated(stubs, text, {"a": np.where(np.eye(3) > 0, number, 1.0)})["y"]
        assert np.isnan(found).all()


@pytest.mark.parametrize("scale", [5e-324, 1e-310, 1e-200, 1e200, 1e307])
def test_matrices_of_any_finite_size_are_decomposed(stubs, scale):
    a = np.array([[2.0, -1.0, 0.5], [-1.0, 3.0, 0.2], [0.5, 0.2, -0.9]]) * scale
    text = f'graph (%0 "a": f64[3,3]) {{\n  {OF_MATRICES["svdvals"]}\n  return "y" %1\n}}'
    found = evaluated(stubs, text, {"a": a})["y"]
    expected = np.linalg.svd(a / scale, compute_uv=False) * scale
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-323)


def model(stubs, name, order=10, operands="%0", times=1, **more):
    """A Taylor model of one function at 0.4, or of two variables at 0.4; of more than one time, of what that gives."""
    inputs = '%0 "x": f64[]' if operands == "%0" else '%0 "x": f64[], %1 "y": f64[]'
    k = 1 if operands == "%0" else 2
    chain = [name + " " + operands.replace("%0", f"%{t}") for t in (0, *range(k, k + times - 1))]
    lines = "".join(f"  %{k + t}: f64[] = {one}\n" for t, one in enumerate(chain))
    text = f'graph ({inputs}) {{\n{lines}  return "z" %{k + times - 1}\n}}'
    names = ["x", "y"][:k]
    request = pb.TaylorModelRequest(call=call(text, dict.fromkeys(names, np.array(0.4))), order=order)
    for n in names:
        request.direction[n].CopyFrom(wire.encode_tensor(np.array(1.0)))
    return stubs.derivatives.TaylorModel(request, **{"timeout": SECONDS, **more})


@pytest.mark.parametrize("name", ["acos", "asin", "atan", "atanh", "acosh", "asinh", "erf", "tanh"])
def test_models_of_high_order_come_soon(stubs, name):
    coefficients = model(stubs, name).coefficients["z"].powers
    assert len(coefficients) == 11
    model(stubs, "atan2", operands="%0, %1")


def test_work_on_a_program_has_a_budget(start):
    _, stubs = start(limits=Limits(plan_seconds=0.05))
    refused = refusal(lambda: model(stubs, "betaln", operands="%0, %1"))
    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.limit == "plan_seconds"
    _, stubs = start(limits=Limits(plan_nodes=500))
    assert refusal(lambda: model(stubs, "betaln", operands="%0, %1")).limit == "plan_nodes"
    assert len(model(stubs, "acos").coefficients["z"].powers) == 11


def test_work_on_a_program_sees_the_deadline(start):
    server, stubs = start(limits=Limits(plan_nodes=1_000_000, plan_values=10_000_000))
    refused = refusal(lambda: model(stubs, "betaln", operands="%0, %1", times=10, timeout=0.2))
    assert refused.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert server.admission.wait_idle(SECONDS)


@pytest.mark.parametrize("method", ["Gradient", "Evaluate", "Hvp"])
def test_a_length_that_nobody_tells_is_named(stubs, method):
    text = """graph (%0 "w": f64[3]) {
  %1: f64[3] = broadcast_to %0 {shape=[n]}
  %2: f64[] = reduce_sum %1 {axes=[0]}
  return "loss" %2
}"""
    request = getattr(pb, f"{method}Request")(call=call(text, {"w": np.ones(3)}))
    if method == "Hvp":
        request.tangents["w"].CopyFrom(wire.encode_tensor(np.ones(3)))
    refused = refusal(lambda: getattr(stubs.derivatives, method)(request, timeout=SECONDS))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert any("n has no length" in text for text in refused.violations.values())


def test_constants_are_not_computed_with_at_any_price(stubs):
    graph = graph_pb2.Graph(op_set_version=OP_SET.version)
    size = 60
    graph.inputs.add(name="w", type={"element_type": F64})
    data = np.ones((size, size)).tobytes()
    graph.constants.add(element_type=F64, shape=[size, size], inline=data)
    square = {"element_type": F64, "shape": [{"size": size}, {"size": size}]}
    graph.nodes.add(op="sylvester", operands=[1, 1, 1], types=[square])
    total = graph.nodes.add(op="reduce_sum", operands=[2], types=[{"element_type": F64}])
    total.attributes["axes"].integers.values.extend([0, 1])
    graph.nodes.add(op="mul", operands=[0, 3], types=[{"element_type": F64}])
    graph.outputs.add(name="y", value=4)
    refused = refusal(lambda: evaluated(stubs, graph, {"w": np.array(1.0)}))  # singular: the run says so
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION


def test_health_is_answered_while_a_long_routine_runs(server, stubs):
    text = """graph (%0 "a": f64[n,n]) {
  %1: f64[n,n] = sylvester %0, %0, %0
  return "y" %1
}"""
    a = np.random.default_rng(0).normal(size=(500, 500)) + 40.0 * np.eye(500)
    done = threading.Event()

    def long():
        try:
            stubs.derivatives.Evaluate(pb.EvaluateRequest(call=call(text, {"a": a})), timeout=SECONDS)
        finally:
            done.set()

    thread = threading.Thread(target=long)
    thread.start()
    answered = 0
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        while not done.is_set():
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
            answered += 1
    thread.join()
    assert answered > 3


@pytest.mark.parametrize("wrt", [["w"] * 25_000, [f"u{k}" for k in range(25_000)]], ids=["repeated", "unknown"])
def test_tens_of_thousands_of_wrong_names_are_refused_soon(stubs, wrt):
    """Each compared with all before it would take a minute."""
    text = 'graph (%0 "w": f64[]) {\n  %1: f64[] = sin %0\n  return "loss" %1\n}'
    request = pb.GradientRequest(call=call(text, {"w": np.array(0.5)}), wrt=wrt)
    refused = refusal(lambda: stubs.derivatives.Gradient(request, timeout=10))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert f"wrt[{int(wrt[0] == 'w')}]" in refused.violations
