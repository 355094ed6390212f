"""Between protobuf messages and records: graphs, tensors, questions, answers and errors. Messages go no further."""

from gradserve.wire.answers import decode_answer, encode_answer, reply_of
from gradserve.wire.graph_decode import decode_graph
from gradserve.wire.graph_encode import encode_graph, encode_signature, large_constants
from gradserve.wire.memory import SHARED_BYTES, may_share, read_memory, write_memory, write_shared
from gradserve.wire.methods import full_name
from gradserve.wire.questions import decode_question, encode_question, require_sayable
from gradserve.wire.remembered import KEY_BYTES, KnownReply, KnownRequest, known_reply, known_request
from gradserve.wire.source import Fill, Source, fill_narrow, mark_narrow, narrowed
from gradserve.wire.tensors import Blobs, decode_tensor, decode_tensors, encode_tensor, write_tensor
from gradserve.wire.types import Signature, decode_signature, decode_type, encode_type

__all__ = [
    "KEY_BYTES",
    "SHARED_BYTES",
    "Blobs",
    "Fill",
    "KnownReply",
    "KnownRequest",
    "Signature",
    "Source",
    "decode_answer",
    "decode_graph",
    "decode_question",
    "decode_signature",
    "decode_tensor",
    "decode_tensors",
    "decode_type",
    "encode_answer",
    "encode_graph",
    "encode_question",
    "encode_signature",
    "encode_tensor",
    "encode_type",
    "fill_narrow",
    "full_name",
    "known_reply",
    "known_request",
    "large_constants",
    "mark_narrow",
    "may_share",
    "narrowed",
    "read_memory",
    "reply_of",
    "require_sayable",
    "write_memory",
    "write_shared",
    "write_tensor",
]
