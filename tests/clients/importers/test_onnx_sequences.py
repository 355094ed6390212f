"""Sequences, optional values, and loops that know when they end, beside ONNX's own reference implementation."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

from gradserve.client.importers import from_onnx
from gradserve.ir.errors import InvalidGraph, InvalidRequest, LimitExceeded, Untraceable

HEAD = '<ir_version: 10, opset_import: ["" : 20]>\n'
X = np.array([[0.5, -1.0, 2.0, 3.0], [1.5, 0.25, -2.0, 1.0]], np.float32)


def read(text: str) -> onnx.ModelProto:
    return parser.parse_model(HEAD + text)


def agree(embedded, model: onnx.ModelProto, *arguments: np.ndarray, **options: Any) -> Any:
    """Whether our values are those of the reference; the function itself."""
    ours = embedded.load(from_onnx(model, **options))
    made = ours(*arguments)
    found = list(made.values()) if isinstance(made, dict) else [made]
    names = [each.name for each in model.graph.input]
    expected: Any = ReferenceEvaluator(model).run(None, dict(zip(names, arguments, strict=True)))
    wanted = [each for one in expected for each in (one if isinstance(one, list) else [one])]
    assert len(found) == len(wanted)
    for mine, other in zip(found, wanted, strict=True):
        assert np.shape(mine) == np.shape(other)
        np.testing.assert_allclose(mine, other, rtol=1e-6, atol=1e-6)
    return ours


PROGRAMS = {
    "made, inserted, erased, taken": """agraph (float[2,4] x) => (float[2,4] y, int64 n) {
        a = Neg(x)
        s = SequenceConstruct(x, a)
        e = Exp(x)
        one = Constant<value_int = 1>()
        t = SequenceInsert(s, e, one)
        u = SequenceInsert(t, x)
        back = Constant<value_int = -2>()
        v = SequenceErase(u, back)
        p = SequenceAt(v, one)
        n = SequenceLength(v)
        q = SequenceAt(v, back)
        y = Mul(p, q)
    }""",
    "split by ones": """agraph (float[2,4] x) => (float[4] y) {
        s = SplitToSequence<axis = 0, keepdims = 0>(x)
        zero = Constant<value_int = 0>()
        one = Constant<value_int = 1>()
        a = SequenceAt(s, zero)
        b = SequenceAt(s, one)
        y = Mul(a, b)
    }""",
    "split by a length": """agraph (float[2,4] x) => (float[2,4] y) {
        three = Constant<value_int = 3>()
        s = SplitToSequence<axis = 1>(x, three)
        zero = Constant<value_int = 0>()
        a = SequenceAt(s, zero)
        t = SequenceErase(s, zero)
        u = SequenceInsert(t, a)
        y = ConcatFromSequence<axis = 1>(u)
    }""",
    "split by lengths, all given": """agraph (float[2,4] x) => (seq(float) y) {
        parts = Constant<value_ints = [1, 3]>()
        y = SplitToSequence<axis = 1>(x, parts)
    }""",
    "stacked behind": """agraph (float[2,4] x) => (float[2,4,3] y) {
        a = Neg(x)
        s = SequenceConstruct(x, a, x)
        y = ConcatFromSequence<axis = -1, new_axis = 1>(s)
    }""",
    "mapped": """agraph (float[2,4] x) => (float[4] y) {
        s = SplitToSequence<axis = 0, keepdims = 0>(x)
        t = SequenceMap <body = each (float[4] a) => (float[4] b) { e = Sin(a)
            b = Mul(e, a) }> (s)
        y0 = ConcatFromSequence<axis = 0, new_axis = 1>(t)
        axes = Constant<value_ints = [0]>()
        y = ReduceSum<keepdims = 0>(y0, axes)
    }""",
    "collected in a loop": """agraph (float[2,4] x) => (float[3,2,4] y, float[2,4] last) {
        s = SequenceEmpty<dtype = 1>()
        three = Constant<value_int = 3>()
        true = Constant<value = bool {1}>()
        all, last = Loop <body = step (int64 i, bool go, seq(float) had, float[2,4] c)
            => (bool on, seq(float) has, float[2,4] d) {
            on = Identity(go)
            d = Tanh(c)
            has = SequenceInsert(had, d)
        }> (three, true, s, x)
        y = ConcatFromSequence<axis = 0, new_axis = 1>(all)
    }""",
    "chosen by what is known": """agraph (float[2,4] x) => (float[2,4] y) {
        s = SequenceConstruct(x)
        n = SequenceLength(s)
        two = Constant<value_int = 2>()
        few = Less(n, two)
        t = If (few) <
            then_branch = more () => (seq(float) b) { e = Exp(x)
                b = SequenceInsert(s, e) },
            else_branch = none () => (seq(float) b) { b = Identity(s) }>
        one = Constant<value_int = 1>()
        y = SequenceAt(t, one)
    }""",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_are_those_of_the_reference(embedded, name):
    agree(embedded, read(PROGRAMS[name]), X)


ENDS = """agraph (float[2,4] x) => (float[2,4] y, float[k,2,4] all) {
        many = Constant<value_int = 100>()
        true = Constant<value = bool {1}>()
        y, all = Loop <body = step (int64 i, bool go, float[2,4] c) => (bool on, float[2,4] d, float[2,4] r) {
            four = Constant<value_int = 4>()
            on = Less(i, four)
            d = Sin(c)
            r = Mul(d, c)
        }> (many, true, x)
    }"""
OPTIONAL = """agraph (float[2,4] x) => (float[2,4] y, bool has) {
        o = Optional(x)
        has = OptionalHasElement(o)
        e = OptionalGetElement(o)
        y = Exp(e)
    }"""


def test_a_loop_ends_at_a_known_step(embedded):
    """Where the reference joins what ONNX says is stacked."""
    found, rows = embedded.load(from_onnx(read(ENDS)))(X).values(), [X]
    for _ in range(5):
        rows.append(np.sin(rows[-1]))
    last, products = found
    np.testing.assert_allclose(last, rows[5], rtol=1e-6)
    np.testing.assert_allclose(products, [rows[k] * rows[k + 1] for k in range(5)], rtol=1e-6)


def test_an_optional_value_is_the_value_itself(embedded):
    """Which the reference has as a list."""
    found, has = embedded.load(from_onnx(read(OPTIONAL)))(X).values()
    np.testing.assert_allclose(found, np.exp(X), rtol=1e-6)
    assert has


def test_gradients_go_through_sequences(embedded):
    ours = embedded.load(from_onnx(read(PROGRAMS["mapped"]), dtype="float64"))
    x = X.astype(np.float64)
    _, found = ours.vjp(x, cotangent=np.ones(4))
    np.testing.assert_allclose(found, np.cos(x) * x + np.sin(x), rtol=1e-14)


CHOSEN = """agraph (float[2,4] x, int64 k) => (float[2,4] y) {
    a = Neg(x)
    b = Exp(x)
    s = SequenceConstruct(x, a, b)
    y = SequenceAt(s, k)
}"""


@pytest.mark.parametrize("k", [0, 1, 2, -1])
def test_a_computed_position_chooses(embedded, k):
    agree(embedded, read(CHOSEN), X, np.array(k))


UNTIL = """agraph (float[2,4] x) => (float[2,4] y) {
    MANY
    true = Constant<value = bool {1}>()
    y = Loop <body = step (int64 i, bool go, float[2,4] c) => (bool on, float[2,4] d) {
        half = Constant<value = float {0.5}>()
        d = Mul(c, half)
        sum = ReduceSum<keepdims = 0>(d)
        on = Greater(sum, half)
    }> (TRIPS, true, x)
}"""


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0, 100.0])
def test_a_loop_may_end_by_what_it_computes(embedded, scale):
    text = UNTIL.replace("MANY", "many = Constant<value_int = 5>()").replace("TRIPS", "many")
    ours = agree(embedded, read(text), scale * X)
    _, found = ours.vjp(scale * X, cotangent=np.ones((2, 4), np.float32))
    steps = next(k for k in (1, 2, 3, 4, 5) if k == 5 or np.sum(scale * X) / 2**k <= 0.5)
    np.testing.assert_allclose(found, np.full((2, 4), 0.5**steps), rtol=1e-6)


def test_a_loop_without_a_bound_is_refused():
    with pytest.raises(Untraceable, match=r"Loop .*ends by a condition that its steps compute; export it with a known"):
        from_onnx(read(UNTIL.replace("MANY", "").replace("TRIPS", "")))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("s = SequenceConstruct(x, x)\nk = Constant<value_int = 2>()\ny = SequenceAt(s, k)", "position 2 is none of 2"),
        ("s = SequenceConstruct(x)\ny = Exp(s)", "Exp takes arrays alone; take one out of the sequence by SequenceAt"),
        ("s = SequenceEmpty()\ny = ConcatFromSequence<axis = 0>(s)", "the sequence is empty"),
        ("k = Constant<value_int = 0>()\ns = SplitToSequence(x, k)\ny = SequenceAt(s, k)", "cannot have the length 0"),
        ("k = Constant<value_ints = [5]>()\ns = SplitToSequence(x, k)\ny = SequenceAt(s, k)", "are not the 2 elements"),
    ],
)
def test_what_sequences_are_not_is_refused(body, said):
    with pytest.raises(Untraceable, match=said):
        from_onnx(read(f"agraph (float[2,4] x) => (float[2,4] y) {{ {body} }}"))


def test_branches_that_make_other_sequences_are_refused():
    text = PROGRAMS["chosen by what is known"].replace("(float[2,4] x)", "(float[2,4] x, bool few)")
    with pytest.raises(Untraceable, match="its branches make sequences of different lengths"):
        from_onnx(read(text.replace("few = Less(n, two)", "")))


def test_what_nothing_reads_is_not_refused(embedded):
    text = "agraph (float[2,4] x) => (float[2,4] y, string t) {\nu = Unique(x)\ny = Exp(x)\nt = Cast<to = 8>(x)\n}"
    made = from_onnx(read(text))
    assert made.notes == ("output t is left out: no graph has texts",)
    np.testing.assert_allclose(embedded.load(made)(X), np.exp(X), rtol=1e-6)
    with pytest.raises(Untraceable, match=r"agraph:1: Unique of float32\[2,4\] cannot be imported"):
        from_onnx(read("agraph (float[2,4] x) => (float[k] u) {\nu = Unique(x)\n}"))


def test_long_sequences_are_refused_in_time():
    with pytest.raises(LimitExceeded, match="a sequence of 1000000 arrays; the limit is 4096"):
        from_onnx(read("agraph (float[1000000,3] x) => (seq(float) y) {\ny = SplitToSequence<axis = 0>(x)\n}"))
    text = PROGRAMS["collected in a loop"].replace("value_int = 3", "value_int = 9000000000")
    with pytest.raises(LimitExceeded, match=r"a sequence of 4097 arrays|more than 50000 nodes"):
        from_onnx(read(text))


def test_a_negative_number_of_steps_is_none(embedded):
    text = UNTIL.replace("MANY", "many = Constant<value_int = -5>()").replace("TRIPS", "many")
    np.testing.assert_array_equal(embedded.load(from_onnx(read(text)))(X), X)


def test_sequences_as_inputs_are_lists_of_parameters(embedded):
    body = "t = SequenceInsert(s, x)\ny = ConcatFromSequence<axis = 0>(t)"
    text = f"agraph (seq(float) s, float[4] x) => (float[k] y) {{\n{body}\n}}"
    with pytest.raises(InvalidRequest, match=r"input 's' is a sequence of arrays; give shapes="):
        from_onnx(read(text))
    ours = embedded.load(from_onnx(read(text), shapes={"s": [(2,), (3,)]}))
    parts = [np.ones(2, np.float32), np.full(3, 2.0, np.float32)]
    np.testing.assert_array_equal(ours(parts, X[0]), np.concatenate([*parts, X[0]]))
    _, found = ours.vjp(parts, X[0], cotangent=np.arange(9, dtype=np.float32), wrt="s")
    np.testing.assert_array_equal(found[1], [2, 3, 4])


def test_two_initialisers_of_one_name_are_refused():
    model = read("agraph (float[2] x) => (float[2] y) <float[2] w = {1, 2}> {\ny = Add(x, w)\n}")
    model.graph.initializer.append(model.graph.initializer[0])
    with pytest.raises(InvalidGraph, match="agraph has 2 initialisers 'w'"):
        from_onnx(model)


def test_operators_of_optimised_models_are_refused():
    text = "agraph (float[2] x) => (float[2] y) {\ny = com.microsoft.QuickGelu(x)\n}"
    model = onnx.parser.parse_model(HEAD.replace("20]", '20, "com.microsoft" : 1]') + text)
    with pytest.raises(Untraceable, match="before ONNX Runtime optimised it"):
        from_onnx(model)
