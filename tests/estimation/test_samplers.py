"""Random probes: the published Philox vectors, slices, independence, moments."""

import numpy as np
import pytest

from gradserve.estimation import samplers
from gradserve.estimation.samplers import philox_words, purpose_tag, signs
from gradserve.ir.types import ElementType

F64 = ElementType.FLOAT64

GOLDEN = "--+-----+-+--+-+"
GOLDEN_TAG = 7970827874050113258

# Known answers of Philox4x64-10 (counter, key, output), published with Random123 as tests/kat_vectors.
KNOWN_ANSWERS = [
    ("0" * 64, "0" * 32, "16554d9eca36314c db20fe9d672d0fdc d7e772cee186176b 7e68b68aec7ba23b"),
    ("f" * 64, "f" * 32, "87b092c3013fe90b 438c3c67be8d0224 9cc7d7c69cd777b6 a09caebf594f0ba0"),
    (
        "243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89",
        "452821e638d01377be5466cf34e90c6c",
        "a528f45403e61d95 38c72dbd566e9788 a5a1610e72fd18b5 57bd43b5e52b7fe6",
    ),
]


def words_low_first(digits):
    """The number whose 64-bit words are printed lowest first."""
    words = [int(digits[k : k + 16], 16) for k in range(0, len(digits), 16)]
    return sum(word << (64 * k) for k, word in enumerate(words))


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_words_are_the_published_ones(counter, key, expected, monkeypatch):
    number = words_low_first(key)
    monkeypatch.setattr(samplers, "purpose_tag", lambda purpose: number >> 64)
    words = philox_words(number & (2**64 - 1), "", words_low_first(counter), 1)
    assert " ".join(f"{int(word):016x}" for word in words) == expected


def test_consecutive_blocks_are_one_stream():
    whole = philox_words(7, "p", 10, 5)
    parts = [philox_words(7, "p", 10 + k, 1) for k in range(5)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


@pytest.mark.parametrize("shape", [(), (1,), (3,), (8,), (255,), (256,), (257,), (4, 5), (3, 7, 100)])
@pytest.mark.parametrize("element_type", [F64, ElementType.FLOAT32])
def test_slices_agree_with_the_whole(shape, element_type):
    whole = signs(3, "trace", 0, 9, shape, element_type)
    assert whole.shape == (9, *shape)
    assert whole.dtype == element_type.dtype
    assert set(np.unique(whole)) <= {-1.0, 1.0}
    for start, stop in [(0, 9), (0, 1), (4, 7), (8, 9), (5, 5)]:
        np.testing.assert_array_equal(signs(3, "trace", start, stop, shape, element_type), whole[start:stop])


def test_far_probes_and_negative_seeds_exist():
    far = signs(-1, "trace", 10**15, 10**15 + 2, (300,), F64)
    np.testing.assert_array_equal(far, signs(2**64 - 1, "trace", 10**15, 10**15 + 2, (300,), F64))


def test_an_empty_probe_is_empty():
    assert signs(0, "p", 0, 3, (0, 4), F64).shape == (3, 0, 4)


def test_bits_are_stable():
    # These bits are part of the promise that a seed can be repeated: they must never change.
    drawn = signs(2024, "trace", 5, 6, (16,), F64)[0]
    assert "".join("+" if sign > 0 else "-" for sign in drawn) == GOLDEN
    assert purpose_tag("trace") == GOLDEN_TAG


def test_bits_are_those_of_the_words():
    words = philox_words(11, "q", 2 * 2, 2)
    bits = [int(word) >> k & 1 for word in words for k in range(64)]
    np.testing.assert_array_equal(signs(11, "q", 2, 3, (300,), F64)[0], 1.0 - 2.0 * np.array(bits[:300]))


def test_mean_and_covariance_are_those_of_fair_independent_signs():
    count, size = 4000, 24
    v = signs(1, "moments", 0, count, (size,), F64)
    # Each entry of either has standard deviation 1/sqrt(count); six of them for about 300 entries.
    bound = 6 / np.sqrt(count)
    assert np.abs(v.mean(axis=0)).max() < bound
    assert np.abs(v.T @ v / count - np.eye(size)).max() < bound


@pytest.mark.parametrize(("seed", "purpose"), [(1, "b"), (2, "a")])
def test_other_purposes_and_seeds_are_independent(seed, purpose):
    size = 100_000
    one = signs(1, "a", 0, 1, (size,), F64)[0]
    other = signs(seed, purpose, 0, 1, (size,), F64)[0]
    assert abs(one @ other / size) < 6 / np.sqrt(size)


def test_successive_probes_are_independent():
    size = 100_000
    v = signs(1, "a", 0, 4, (size,), F64)
    correlations = v @ v.T / size - np.eye(4)
    assert np.abs(correlations).max() < 6 / np.sqrt(size)
