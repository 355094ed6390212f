"""Graphs, requests and refusals for the tests of the service."""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from gradserve import wire
from gradserve.ops import OP_SET
from gradserve.text.parsing import parse
from gradserve.v1 import (
    blob_service_pb2_grpc,
    derivative_service_pb2_grpc,
    estimate_service_pb2_grpc,
    execution_pb2,
    graph_pb2,
    graph_service_pb2_grpc,
    stream_pb2,
    verification_service_pb2_grpc,
)

QUADRATIC = """\
graph (%0 "w": f64[3]) {
  %1: f64[3] = mul %0, %0  # loss.py:2
  %2: f64[] = reduce_sum %1 {axes=[0]}  # loss.py:3
  return "loss" %2
}"""
"""<w, w>."""

SCALED = """\
graph (%0 "w": f64[n], %1 "scale": f64[], %2 "count": i64[]) {
  %3: f64[n] = mul %0, %0
  %4: f64[] = reduce_sum %3 {axes=[0]}
  %5: f64[] = mul %4, %1
  %6: f64[] = convert %2 {element_type=f64}
  %7: f64[] = mul %5, %6
  return "loss" %7
}"""
"""count scale <w, w>, for w of any length."""

VECTOR = """\
graph (%0 "w": f64[3]) {
  %1: f64[3] = mul %0, %0
  return "y" %1
}"""
"""w w, element by element: no loss."""

W = np.array([1.0, -2.0, 3.0])


def graph_message(text: str = QUADRATIC) -> graph_pb2.Graph:
    return wire.encode_graph(parse(text, OP_SET))


def slow_call(seconds: float) -> execution_pb2.Call:
    """A call that takes about so long: products of matrices, one after the other, on the pool's threads."""
    size = 768
    steps = round(seconds / 0.03)
    lines = [f'graph (%0 "w": f64[{size},{size}]) {{']
    product = "contract %{}, %0 {{lhs_batch=[], lhs_contract=[1], rhs_batch=[], rhs_contract=[0]}}"
    lines += [f"  %{step + 1}: f64[{size},{size}] = " + product.format(step) for step in range(steps)]
    lines.append(f"  %{steps + 1}: f64[] = reduce_sum %{steps} {{axes=[0,1]}}")
    lines += [f'  return "loss" %{steps + 1}', "}"]
    return call_of("\n".join(lines), {"w": np.eye(size)})


class UnderWay:
    """A call that is worked on from here on, and ends when it is told to, however long that takes."""

    def __init__(self, stubs: Stubs) -> None:
        self._messages: queue.SimpleQueue[stream_pb2.StreamGradientRequest | None] = queue.SimpleQueue()
        self._messages.put(stream_pb2.StreamGradientRequest(call=call_of(arguments={})))
        self._replies = stubs.derivatives.StreamGradient(iter(self._messages.get, None))
        assert self.answers()

    def answers(self) -> bool:
        """Whether it still does its work."""
        self._messages.put(stream_pb2.StreamGradientRequest(arguments=tensors({"w": W})))
        return bool(wire.decode_tensor(next(self._replies).value) == 14.0)

    def end(self) -> grpc.StatusCode:
        """How it ended."""
        self._messages.put(None)
        assert not list(self._replies)
        return cast(grpc.StatusCode, self._replies.code())


def call_of(
    graph: graph_pb2.Graph | str = QUADRATIC,
    arguments: Mapping[str, Any] | None = None,
    **more: Any,
) -> execution_pb2.Call:
    """A call with the graph inline, or by digest if it is 64 characters."""
    if isinstance(graph, str) and len(graph) == 64:
        ref = execution_pb2.GraphRef(digest=graph)
    else:
        ref = execution_pb2.GraphRef(inline=graph_message(graph) if isinstance(graph, str) else graph)
    return execution_pb2.Call(graph=ref, arguments=tensors({"w": W} if arguments is None else arguments), **more)


def tensors(arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name: wire.encode_tensor(np.asarray(array)) for name, array in arrays.items()}


class Stubs:
    """All services of a server, over one channel."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.graphs = graph_service_pb2_grpc.GraphServiceStub(channel)
        self.derivatives = derivative_service_pb2_grpc.DerivativeServiceStub(channel)
        self.estimates = estimate_service_pb2_grpc.EstimateServiceStub(channel)
        self.verification = verification_service_pb2_grpc.VerificationServiceStub(channel)
        self.blobs = blob_service_pb2_grpc.BlobServiceStub(channel)

    def raw(self, method: str) -> Callable[..., bytes]:
        """A unary method as bytes to bytes."""
        return self.channel.unary_unary(f"/gradserve.v1.{method}", None, None)


@dataclass(frozen=True)
class Refusal:
    """What a client is told of a refused call."""

    code: grpc.StatusCode
    message: str
    info: error_details_pb2.ErrorInfo
    violations: dict[str, str]
    """Descriptions by field."""
    limit: str
    retry_after: float | None
    details: int
    """How many details there are."""
    request_id: str


def refusal(act: Callable[[], Any]) -> Refusal:
    """The refusal that the act ends in."""
    with pytest.raises(grpc.RpcError) as caught:
        act()
    return read(caught.value)


def read(error: Any) -> Refusal:
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    quota, retry = error_details_pb2.QuotaFailure(), error_details_pb2.RetryInfo()
    request = error_details_pb2.RequestInfo()
    status = rpc_status.from_call(error)
    details = list(status.details) if status else []
    for detail in details:
        for kind in (info, bad, quota, retry, request):
            if detail.Is(kind.DESCRIPTOR):
                detail.Unpack(kind)
    delay = retry.retry_delay.ToTimedelta().total_seconds()
    return Refusal(
        error.code(),
        error.details(),
        info,
        {v.field: v.description for v in bad.field_violations},
        quota.violations[0].subject if quota.violations else "",
        delay or None,
        len(details),
        request.request_id,
    )
