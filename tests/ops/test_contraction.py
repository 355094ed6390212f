"""contract: every arrangement of axes against einsum, derivatives against JAX, and what becomes one product."""

import itertools
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradserve.autodiff import derive, vmap
from gradserve.ir.types import ElementType, Symbol, TensorType
from gradserve.ops.contraction.contract import Contract
from gradserve.questions.derivations import Jvp, Vjp
from tests.ops.support import (
    check_batches,
    check_derivatives,
    evaluate,
    f64,
    gradients,
    infer,
    named,
    normal,
    refusal,
    run,
    trace,
)
from tests.rows import in_one
from tests.running import kernel_of

n = Symbol("n")
LENGTHS = {"b": 2, "c": 3, "i": 4, "j": 1, "k": 5, "l": 2, "m": 3}
PRODUCTS = [
    "k,k", "ik,k", "ki,k", "k,ki", "k,ik", "ik,km", "ki,km", "ik,mk", "ki,mk", "i,m", ",m", "i,", ",",
    "ikl,klm", "ikl,lkm", "kil,mkl", "kli,km", "ikl,mk", "lki,kcm", "jk,k", "jk,km", "kj,mk",
    "bk,bk", "bik,bk", "bki,bk", "bik,bkm", "bki,bmk", "kbi,mkb", "kib,bkm", "b,b", "bi,b", "bi,bm", "b,bm",
    "bcik,bckm", "cbik,bkcm", "bcikl,lbckm", "bcik,cbk", "bc,cb", "cb,bc", "bk,ck", "bik,ckm",
]  # fmt: skip


def from_letters(subscripts):
    """The op for a product whose labels in both operands are batch axes if they are b or c, else contracted."""
    x, y = subscripts.split(",")
    shared = [label for label in x if label in y]
    batch = [label for label in shared if label in "bc"]
    inner = [label for label in shared if label not in "bc"]
    left, right = ([label for label in term if label not in shared] for term in (x, y))
    op = Contract(*(tuple(map(t.index, labels)) for labels, t in itertools.product([inner, batch], [x, y])))
    return op, f"{subscripts}->{''.join(batch + left + right)}"


def operands(subscripts):
    return [normal(*(LENGTHS[label] for label in term), seed=k) for k, term in enumerate(subscripts.split(","))]


@in_one
@pytest.mark.parametrize("subscripts", PRODUCTS)
def test_values_are_those_of_einsum(subscripts):
    op, full = from_letters(subscripts)
    x, y = operands(subscripts)
    expected = np.einsum(full, x, y)
    kernel = kernel_of(op, [f64(*x.shape), f64(*y.shape)])
    # Every layout that an operand may have in memory: row-major, column-major, a strided view, repeated elements.
    for a, b in itertools.product(layouts(x), layouts(y)):
        np.testing.assert_allclose(kernel(a, b), np.einsum(full, a, b), atol=1e-13)
        assert np.asarray(kernel(a, b)).flags.c_contiguous
    assert kernel(x, y).shape == expected.shape
    np.testing.assert_allclose(op.impl(np, x, y), expected, atol=1e-13)
    np.testing.assert_allclose(evaluate(lambda a, b: a.builder.apply(op, [a, b])[0], x, y), expected, atol=1e-13)


def layouts(x):
    if not x.ndim:
        return (x,)
    view = np.zeros([2 * length for length in x.shape])[(slice(None, None, 2),) * x.ndim]
    view[...] = x
    return x, np.asfortranarray(x), view, np.broadcast_to(x[:1], x.shape)


@in_one
@pytest.mark.parametrize("subscripts", PRODUCTS)
def test_derivatives_and_batches(subscripts):
    # A pullback of a sum of products is the sum of products with the operand and the result exchanged.
    op, full = from_letters(subscripts)
    function = lambda a, b: a.builder.apply(op, [a, b])[0]  # noqa: E731
    (x, y), (dx, dy) = operands(subscripts), (-a for a in operands(subscripts))
    first, second, result = full.replace("->", ",").split(",")
    graph, given = trace(function, x, y), named([x, y])
    pushed = run(derive(graph, Jvp(("x0", "x1"))), given | named([dx, dy], "tangent:x"))
    np.testing.assert_allclose(pushed["tangent:y0"], np.einsum(full, dx, y) + np.einsum(full, x, dy), atol=1e-12)
    u = normal(*(LENGTHS[label] for label in result), seed=9)
    ct_x, ct_y = gradients(function, x, y, cotangent=u)
    np.testing.assert_allclose(ct_x, np.einsum(f"{result},{second}->{first}", u, y), atol=1e-12)
    np.testing.assert_allclose(ct_y, np.einsum(f"{result},{first}->{second}", u, x), atol=1e-12)
    check_batches(function, x, y)


@pytest.mark.parametrize("subscripts", ["ik,km", "bki,bmk", "cb,bc"])
def test_second_derivatives(subscripts):
    op, full = from_letters(subscripts)
    function = lambda a, b: a.builder.apply(op, [a, b])[0]  # noqa: E731
    check_derivatives(function, lambda a, b: jnp.einsum(full, a, b), *operands(subscripts))


def test_integers():
    x, y = np.arange(6).reshape(2, 3), np.arange(12, dtype=np.int32).reshape(3, 4)
    result = evaluate(lambda a, b: a.builder.contract(a, b, **attributes((1,), (0,))), x, y)
    assert result.dtype == np.int64
    np.testing.assert_array_equal(result, x @ y)


@pytest.mark.parametrize(("x", "y"), [((2, 0), (0, 3)), ((0, 2), (2, 3)), ((2, 3), (3, 0)), ((0,), (0,))])
def test_nothing(x, y):
    result = evaluate(lambda a, b: a.builder.contract(a, b, **attributes((len(x) - 1,), (0,))), np.ones(x), np.ones(y))
    np.testing.assert_array_equal(result, np.ones(x) @ np.ones(y))


def attributes(lhs_contract=(), rhs_contract=(), lhs_batch=(), rhs_batch=()):
    return {
        "lhs_contract": lhs_contract,
        "rhs_contract": rhs_contract,
        "lhs_batch": lhs_batch,
        "rhs_batch": rhs_batch,
    }


def nodes(graph):
    return [node.op.name for node in graph.nodes]


def product_of_matrix_and_vector(x, w):
    return x.builder.contract(x, w, **attributes((1,), (0,)))


def test_a_batch_of_vectors_is_one_product_of_matrices():
    graph = trace(product_of_matrix_and_vector, np.zeros((7, 3)), np.zeros(3))
    batched = vmap(graph, ["x1"], 5)
    assert nodes(batched) == ["contract"]
    assert batched.output_types["y0"] == f64(5, 7)
    assert batched.nodes[0].op == Contract((1,), (1,), (), ())
    gradient = vmap(derive(graph, Vjp(("x1",))), ["x1", "cotangent:y0"], 5)
    assert "broadcast_to" not in nodes(gradient)
    assert all(not node.op.lhs_batch for node in gradient.nodes if isinstance(node.op, Contract))


def test_pullbacks_of_matrix_products_need_no_permutation():
    graph = trace(product_of_matrix_and_vector, np.zeros((7, 3)), np.zeros((3, 4)))
    assert nodes(derive(graph, Vjp(("x0", "x1")))) == ["contract"] * 3


@pytest.mark.parametrize(
    "subscripts", ["ik,k", "ki,k", "ik,km", "ki,km", "ik,mk", "ki,mk", "ikl,km", "bik,bkm", "bki,bmk"]
)
def test_matrices_are_read_where_they_lie(subscripts):
    op, _ = from_letters(subscripts)
    lengths = {"b": 2, "i": 100, "k": 110, "m": 120, "l": 1}
    x, y = (np.ones([lengths[label] for label in term]) for term in subscripts.split(","))
    kernel = kernel_of(op, [f64(*x.shape), f64(*y.shape)])
    tracemalloc.start()
    result = kernel(x, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < result.nbytes + 5000


def test_cost_counts_a_multiplication_and_an_addition_for_each_product():
    op, types = Contract((2,), (1,), (0,), (0,)), (f64(2, 3, 4), f64(2, 4, 5))
    cost = op.cost(types, op.infer(*types))
    assert cost.flops == 2 * 2 * 3 * 4 * 5
    assert cost.bytes == 8 * (2 * 3 * 4 + 2 * 4 * 5 + 2 * 3 * 5)


def test_other_array_namespaces():
    x, y = operands("bik,bkm")
    with jax.enable_x64(True):
        result = from_letters("bik,bkm")[0].impl(jnp, jnp.asarray(x), jnp.asarray(y))
    np.testing.assert_allclose(result, x @ y)


def test_symbols_pass_through():
    assert infer(Contract((1,), (0,), (), ()), f64(n, 3), f64(3, 2)) == (n, 2)
    assert infer(Contract((0,), (0,), (), ()), f64(n, 3), f64(n, 2)) == (3, 2)


@pytest.mark.parametrize(
    ("op", "types", "message"),
    [
        (Contract((), (), (), ()), [f64(3)], "C0: contract takes 2 operands, not 1"),
        (Contract((0,), (), (), ()), [f64(3), f64(3)], "C1: lhs_contract (0,) and rhs_contract () differ in length"),
        (Contract((), (), (), (0,)), [f64(3), f64(3)], "C1: lhs_batch () and rhs_batch (0,) differ in length"),
        (Contract((1,), (0,), (), ()), [f64(3), f64(3)], "C2: axes (1,) are not distinct axes of f64[3]"),
        (Contract((0,), (0,), (0,), (1,)), [f64(3), f64(3, 3)], "C2: axes (0, 0) are not distinct axes of f64[3]"),
        (
            Contract((1,), (0,), (), ()),
            [f64(3, 4), f64(5, 2)],
            "C3: inner lengths differ: 4 from f64[3,4] and 5 from f64[5,2]",
        ),
        (
            Contract((), (), (0,), (1,)),
            [f64(3, 4), f64(3, n)],
            "C4: batch lengths differ: 3 from f64[3,4] and n from f64[3,n]",
        ),
        (
            Contract((0,), (0,), (), ()),
            [f64(3), TensorType(ElementType.FLOAT32, (3,))],
            "C5: element types differ: f64[3] and f32[3]",
        ),
        (
            Contract((0,), (0,), (), ()),
            [TensorType(ElementType.BOOL, (3,))] * 2,
            "C5: truth values cannot be multiplied: bool[3] and bool[3]; convert them, as by .astype(int)",
        ),
    ],
)
def test_refusals(op, types, message):
    assert refusal(op, *types) == message
