"""What counts StableHLO's self-checking programs sees what is wrong with one; the programs themselves are not here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gradserve.client import Client
from tests.thirdparty.stablehlo_programs.self_checking import failure, kind_of, reason_of


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with Client() as made:
        yield made


PROGRAM = """module @jit_main attributes {mhlo.num_partitions = 1 : i32} {
  func.func public @main() -> (tensor<3xf64> {jax.result_info = ""}) {
    %0 = call @inputs() : () -> tensor<3xf64>
    %1 = call @expected() : () -> tensor<3xf64>
    %2 = stablehlo.OPERATION %0 : tensor<3xf64>
    stablehlo.custom_call @check.expect_close(%2, %1) {has_side_effect = true} : (tensor<3xf64>, tensor<3xf64>) -> ()
    return %2 : tensor<3xf64>
  }
  func.func private @inputs() -> (tensor<3xf64> {mhlo.layout_mode = "default"}) {
    %cst = stablehlo.constant dense<[0.0, 4.0, 2.25]> : tensor<3xf64>
    return %cst : tensor<3xf64>
  }
  func.func private @expected() -> (tensor<3xf64> {mhlo.layout_mode = "default"}) {
    %cst = stablehlo.constant dense<[0.0, 2.0, 1.5]> : tensor<3xf64>
    return %cst : tensor<3xf64>
  }
}
"""


@pytest.mark.parametrize(
    ("operation", "said"),
    [("sqrt", ""), ("cosine", "WRONG 3 of 3 differ"), ("uniform_dequantize", "Untraceable stablehlo:5: uniform_deq")],
)
def test_a_program_is_compared_with_what_it_must_give(client, operation, said):
    found = failure(client, PROGRAM.replace("OPERATION", operation))
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_the_last_digits_count(client):
    text = PROGRAM.replace("OPERATION", "sqrt")
    assert failure(client, text.replace("1.5]", "1.50000000001]")).startswith("WRONG 1 of 3 differ")
    assert failure(client, text.replace("1.5]", "1.5000000000000002]")) == ""


def test_programs_are_grouped_by_elements_and_reasons():
    assert kind_of(PROGRAM) == "f32 and f64"
    assert kind_of(PROGRAM.replace("xf64", "xcomplex<f32>")) == "complex"
    assert kind_of(PROGRAM.replace("xf64", "xbf16")) == "half precision"
    assert kind_of(PROGRAM.replace("xf64", "xui8")) == "integers and truth values"
    assert kind_of(PROGRAM.replace("3xf64", "?xf64")) == ""
    assert reason_of("stablehlo:5: sort of float64[3,4] fails") == reason_of("stablehlo:17: sort of float64[7] fails")
