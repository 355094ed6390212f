"""einsum against np.einsum."""

import jax.numpy as jnp
import numpy as np
import pytest

from gradserve import numpy as functions
from gradserve.ir.errors import InvalidGraph
from gradserve.ops import builder
from tests.ops.support import check_derivatives, evaluate, f64, normal, trace
from tests.rows import in_one

LENGTHS = {"a": 2, "b": 3, "c": 4, "d": 2, "e": 3, "i": 2, "j": 3, "k": 4, "l": 2, "m": 3, "n": 4, "A": 2, "Z": 3}
SUBSCRIPTS = [
    "i->i", "i->", "i", "ij->ji", "ij", "ji", "ij->i", "ij->j", "ij->", "ii->i", "ii->", "ii", "iij->ij", "iij->j",
    "iji->j", "iii->i", "jiji->ij", "bij->bji", "ba", "ZA",
    "i,i->", "i,i", "i,i->i", "i,j->ij", "i,j->ji", "i,j", "i,j->", ",->", ",i->i", "i,->i", "ij,ij->ij", "ij,ij->",
    "ij,ji->ij", "ij,j->i", "ij,i->j", "ij,jk->ik", "ij,jk", "ij,jk->ki", "ji,jk->ik", "ij,kj->ik", "ij,kj->ki",
    "ij,jk->", "ij,jk->ijk", "ij,jk->j", "ij,kl->ijkl", "ij,kl->", "ij,kl->ikjl", "ij,j->ij", "j,ij->ij",
    "aij,ajk->aik", "aij,jk->aik", "ij,ajk->aik", "aij,ajk->ik", "aij,ajk->", "aij,akj->aik", "aij,bjk->abik",
    "ijk,ijk->k", "ijk,kji->", "ijk,jkl->il", "ijkl,klmn->ijmn", "aabb->ab", "aab,b->a", "ii,i->i", "ii,jj->ij",
    "ij,jk,kl->il", "ij,jk,kl->", "i,ij,j->", "i,ij,j", "ij,ij,ij->ij", "i,j,k->ijk", "i,i,i->", "ab,bc,cd,de->ae",
    "ai,bi,ci->abc", "ab,ac,ad->bcd", "ijk,il,jm,kn->lmn", "ab,bc,cd,de,ea,ab->", "a,b,c,d,e,i->", "abc,bcd,cda,dab->",
]  # fmt: skip


@in_one
@pytest.mark.parametrize("subscripts", SUBSCRIPTS)
def test_values(subscripts):
    terms = subscripts.split("->")[0].split(",")
    operands = [normal(*(LENGTHS[label] for label in term), seed=k) for k, term in enumerate(terms)]
    expected = np.einsum(subscripts, *operands)
    found = evaluate(lambda *x: functions.einsum(subscripts, *x), *operands)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12, strict=True)


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("...->...", [(2, 3)]),
        ("...i->...", [(2, 3)]),
        ("i...->...i", [(2, 3, 4)]),
        ("...ij->...ji", [(5, 2, 3)]),
        ("...ij,...jk->...ik", [(5, 2, 3), (5, 3, 4)]),
        ("...ij,...jk", [(5, 2, 3), (3, 4)]),
        ("...ij,...jk->...ik", [(6, 1, 2, 3), (5, 3, 4)]),
        ("i...,i...->...", [(2, 3), (2, 3)]),
        ("...,...->...", [(2, 3), (3,)]),
        ("...i,i->...", [(5, 2, 3), (3,)]),
        ("ii...->...i", [(2, 2, 3)]),
        ("i...j,j->i...", [(2, 5, 3), (3,)]),
        ("... i j , j -> ... i", [(5, 2, 3), (3,)]),
        ("ij,ij->ij", [(2, 1), (1, 3)]),
        ("ij,jk->ik", [(2, 1), (3, 4)]),
        ("ij,ij->", [(1, 3), (2, 3)]),
        ("i,i->i", [(1,), (1,)]),
        ("ij,jk->ik", [(2, 0), (0, 3)]),
        ("ij->i", [(2, 0)]),
    ],
)
def test_ellipsis_and_lengths_of_one(subscripts, shapes):
    operands = [normal(*shape, seed=k) for k, shape in enumerate(shapes)]
    found = evaluate(lambda *x: functions.einsum(subscripts, *x), *operands)
    np.testing.assert_allclose(found, np.einsum(subscripts, *operands), atol=1e-12, strict=True)


def test_numbers_in_the_place_of_letters():
    x, y = normal(2, 3), normal(3, 4)
    found = evaluate(lambda a, b: functions.einsum(a, [0, 1], b, [1, 2], [2, 0]), x, y)
    np.testing.assert_allclose(found, (x @ y).T)
    found = evaluate(lambda a, b: functions.einsum(a, [Ellipsis, 1], b, [1, 2]), x, y)
    np.testing.assert_allclose(found, x @ y)


@pytest.mark.parametrize("subscripts", ["ii,ij,jk->k", "aij,bjk->abik"])
def test_derivatives(subscripts):
    terms = subscripts.split("->")[0].split(",")
    operands = [normal(*(LENGTHS[label] for label in term), seed=k) for k, term in enumerate(terms)]
    check_derivatives(
        lambda *x: functions.einsum(subscripts, *x), lambda *x: jnp.einsum(subscripts, *x), *operands, tolerance=1e-8
    )


def test_chains_are_contracted_in_the_cheapest_order():
    shapes = [(2, 100), (100, 100), (100, 3)]
    graph = trace(lambda *x: functions.einsum("ij,jk,kl->il", *x), *(np.zeros(shape) for shape in shapes))
    assert [node.types[0] for node in graph.nodes if node.op.name == "contract"] == [f64(2, 100), f64(2, 3)]


def test_products_without_sums_stay_elementwise():
    graph = trace(lambda x, y: functions.einsum("ij,j->ij", x, y), np.zeros((2, 3)), np.zeros(3))
    assert graph.nodes[-1].op.name == "mul"


@pytest.mark.parametrize(
    ("subscripts", "message"),
    [
        ("ij", "has 1 terms for 2 operands"),
        ("ij,jkl->ik", "does not have as many indices as"),
        ("ij,jk->iz", "an index of the result"),
        ("ij,jk->ii", "an index of the result"),
        ("ij,kj->ik", "index j has the lengths 3 and 4"),
        ("ii,jk->k", "index i of .* has two lengths"),
        ("i1,1k->ik", "may have letters, commas"),
        ("...j,jk->k", "needs an ellipsis"),
        ("...i...,jk->k", "may have letters, commas"),
    ],
)
def test_refusals(subscripts, message):
    g = builder()
    with pytest.raises(InvalidGraph, match=message):
        functions.einsum(subscripts, g.input("x", f64(2, 3)), g.input("y", f64(3, 4)))
