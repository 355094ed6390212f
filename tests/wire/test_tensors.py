"""Arrays on the wire."""

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from gradserve.ir.errors import BlobNotFound, InvalidGraph, InvalidRequest
from gradserve.ir.types import ElementType, Symbol, TensorType
from gradserve.v1 import tensor_pb2
from gradserve.wire import decode_tensor, decode_tensors, decode_type, encode_tensor, encode_type
from tests.ir.strategies import TYPES, arrays

UNKNOWN: Any = 9
"""A number that no element type has, so far."""


@given(arrays())
def test_an_array_survives_the_wire_bit_by_bit(array):
    message = tensor_pb2.Tensor.FromString(encode_tensor(array).SerializeToString())
    decoded = decode_tensor(message)
    assert (decoded.dtype, decoded.shape, decoded.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert not decoded.flags.writeable


@given(TYPES)
def test_a_type_survives_the_wire(type_):
    assert decode_type(encode_type(type_)) == type_


def test_a_type_keeps_its_symbols():
    type_ = TensorType(ElementType.INT32, (Symbol("n"), 3, Symbol("m")))
    assert decode_type(encode_type(type_)) == type_


def test_a_wrong_type_is_refused_with_its_path():
    message = tensor_pb2.TensorType(element_type=UNKNOWN, shape=[{"size": 1}, {}])
    with pytest.raises(InvalidGraph) as caught:
        decode_type(message, "inputs[0].type")
    fields = [violation.field for violation in caught.value.violations]
    assert fields == ["inputs[0].type.element_type", "inputs[0].type.shape[1]"]


def test_the_wire_is_row_major_and_little_endian():
    message = encode_tensor(np.array([[1, 2], [3, 4]], "int32", order="F"))
    assert message.inline.hex() == "01000000020000000300000004000000"
    assert encode_tensor(np.array([1.0], ">f8").astype("f8")).inline == encode_tensor(np.array([1.0])).inline


def test_decoding_does_not_copy_the_bytes():
    data = b"\0" * 64
    array = decode_tensor(encode_tensor(np.ones(8), inline_limit=8), lambda digest: data)
    assert array.base is not None
    assert array.__array_interface__["data"][0] == np.frombuffer(data, "u1").__array_interface__["data"][0]


def test_large_arrays_are_named_by_the_digest_of_their_bytes():
    array = np.arange(6.0).reshape(2, 3)
    message = encode_tensor(array, inline_limit=47)
    assert message.WhichOneof("payload") == "blob"
    assert message.blob == hashlib.sha256(array.tobytes()).hexdigest()
    np.testing.assert_array_equal(decode_tensor(message, {message.blob: array.tobytes()}.get), array)
    assert encode_tensor(array, inline_limit=48).inline == array.tobytes()


def test_an_array_of_foreign_elements_is_not_encoded():
    with pytest.raises(TypeError, match="float16"):
        encode_tensor(np.ones(2, np.float16))


def test_faults_of_all_arguments_are_found_at_once():
    good = encode_tensor(np.ones(2))
    short = tensor_pb2.Tensor(element_type=tensor_pb2.ELEMENT_TYPE_FLOAT64, shape=[2], inline=b"123")
    with pytest.raises(InvalidRequest) as caught:
        decode_tensors({"w": good, "x": short, 'y"': tensor_pb2.Tensor()})
    assert [(v.field, v.constraint) for v in caught.value.violations] == [
        ('arguments["x"].inline', "G11"),
        ('arguments["y\\""].element_type', "G7"),
        ('arguments["y\\""]', "G11"),
    ]


def test_a_shape_of_many_axes_is_refused():
    with pytest.raises(InvalidRequest) as caught:
        decode_tensor(
            tensor_pb2.Tensor(element_type=tensor_pb2.ELEMENT_TYPE_FLOAT64, shape=[1] * 100_000, inline=b"12345678"),
            field="w",
        )
    assert [(v.field, v.constraint) for v in caught.value.violations] == [("w.shape", "G8")]


def test_missing_blobs_of_all_arguments_are_named():
    messages = {name: encode_tensor(np.full(2, k), 0) for k, name in enumerate("ab")}
    with pytest.raises(BlobNotFound) as caught:
        decode_tensors(messages)
    assert set(caught.value.digests) == {message.blob for message in messages.values()}


@pytest.mark.parametrize("data", [b"1234567", b""])
def test_a_blob_of_another_length_is_refused(data):
    message = encode_tensor(np.ones(1), inline_limit=0)
    with pytest.raises(InvalidRequest, match="bytes are not the 8"):
        decode_tensor(message, lambda digest: data)


def test_a_blob_of_many_constants_is_looked_at_once():
    data = b"\1" * 4096
    array = np.frombuffer(data, bool)
    messages = {str(k): encode_tensor(array.reshape((1,) * (k % 30) + (-1,)), inline_limit=0) for k in range(200)}
    looks = 0

    def blobs(digest):
        nonlocal looks
        looks += 1
        return data

    decoded = decode_tensors(messages, blobs)
    assert looks == 1
    assert {a.__array_interface__["data"][0] for a in decoded.values()} == {array.__array_interface__["data"][0]}


def test_truth_values_in_blobs_are_looked_at():
    message = encode_tensor(np.array([True, False]), inline_limit=0)
    with pytest.raises(InvalidRequest, match="truth value"):
        decode_tensor(message, lambda digest: b"\1\xff")
