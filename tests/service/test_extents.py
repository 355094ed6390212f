"""What would be far larger than what is sent: it is refused by name."""

from __future__ import annotations

import grpc
import numpy as np
import pytest

from gradserve.v1 import derivative_service_pb2 as pb
from tests.service.support import call_of, refusal

SECONDS = 20.0


@pytest.mark.parametrize("way", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_requests_are_not_made_large(stubs, way):
    """What fills 32 MiB would be sent as 32 KiB."""
    request = pb.GradientRequest(call=call_of(ZERO_SIZE, {"x": np.zeros(0)}), wrt=["\0" * (32 << 20)])
    refused = refusal(lambda: stubs.derivatives.Gradient(request, timeout=SECONDS, compression=way))
    assert refused.code is grpc.StatusCode.UNIMPLEMENTED
    assert "is disabled" in refused.message


ZERO_SIZE = """graph (%0 "x": f64[n]) {
  %1: f64[n] = sin %0
  %2: f64[] = reduce_sum %1 {axes=[0]}
  return "y" %2
}"""


@pytest.mark.parametrize(("shape", "constraint"), [((0, 1 << 40), "G8"), ((1 << 40, 0), "G8"), ((0, 1000), None)])
def test_matrices_that_no_array_can_hold_are_refused(stubs, shape, constraint):
    """Nothing at all, of axes that NumPy multiplies all the same."""
    lengths = ",".join(map(str, shape))
    text = ZERO_SIZE.replace("[n]", f"[{lengths}]").replace("[0]", str(list(range(len(shape)))).replace(" ", ""))
    request = pb.HessianRequest(call=call_of(text, {"x": np.zeros(shape)}))
    if constraint is None:
        assert [*stubs.derivatives.Hessian(request, timeout=SECONDS).blocks[0].tensor.shape] == [*shape, *shape]
        return
    refused = refusal(lambda: stubs.derivatives.Hessian(request, timeout=SECONDS))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "a block would be no array" in refused.violations["call"]
