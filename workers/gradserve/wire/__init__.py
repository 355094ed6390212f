"""Between protobuf messages and the IR. Messages of `gradserve.v1` for graphs and tensors go no further than this."""

from gradserve.wire.graph_decode import decode_graph
from gradserve.wire.graph_encode import encode_graph, encode_signature, large_constants
from gradserve.wire.tensors import Blobs, decode_tensor, decode_tensors, encode_tensor, write_tensor
from gradserve.wire.types import Signature, decode_signature, decode_type, encode_type

__all__ = [
    "Blobs",
    "Signature",
    "decode_graph",
    "decode_signature",
    "decode_tensor",
    "decode_tensors",
    "decode_type",
    "encode_graph",
    "encode_signature",
    "encode_tensor",
    "encode_type",
    "large_constants",
    "write_tensor",
]
