"""What a service tells of its Ray cluster."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

Health = health_pb2.HealthCheckResponse


def health_of_cluster(address: str) -> int:
    """Whether the service there has its cluster, as a status."""
    with grpc.insecure_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service="cluster")
        status: int = health_pb2_grpc.HealthStub(channel).Check(request, timeout=30).status
    return status
