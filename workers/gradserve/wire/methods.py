"""The methods of our services and the classes of their messages, from the descriptors."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from gradserve.v1 import (
    blob_service_pb2,
    derivative_service_pb2,
    estimate_service_pb2,
    graph_service_pb2,
    verification_service_pb2,
)

_MODULES: tuple[ModuleType, ...] = (
    graph_service_pb2,
    derivative_service_pb2,
    estimate_service_pb2,
    verification_service_pb2,
    blob_service_pb2,
)
SERVICES: tuple[ServiceDescriptor, ...] = tuple(
    service for module in _MODULES for service in module.DESCRIPTOR.services_by_name.values()
)
METHODS: Mapping[str, MethodDescriptor] = {method.name: method for service in SERVICES for method in service.methods}
"""The methods of all services by name; no two have the same."""


def full_name(rpc: str) -> str:
    """The name of a method as gRPC says it."""
    method = METHODS[rpc]
    return f"{method.containing_service.full_name}/{method.name}"


@functools.cache
def request_class(rpc: str) -> type[Message]:
    """The class of a method's requests."""
    return message_factory.GetMessageClass(METHODS[rpc].input_type)


@functools.cache
def reply_class(rpc: str) -> type[Message]:
    """The class of a method's replies."""
    return message_factory.GetMessageClass(METHODS[rpc].output_type)


def new_request(rpc: str) -> Any:
    """An empty request; its fields are not known to type checkers."""
    return request_class(rpc)()


def new_reply(rpc: str) -> Any:
    """An empty reply; its fields are not known to type checkers."""
    return reply_class(rpc)()
