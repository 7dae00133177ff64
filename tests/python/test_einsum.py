"""einsum, kron and cross against NumPy. Orders of additions are nobody's promise in a product."""

import numpy
import pytest
from same import assert_same, real

import legate_jit.numpy as ours

SIZES = dict(i=3, j=4, k=5, l=2, m=6)
SUBSCRIPTS = [
    "ij->ji", "ij->", "ij->i", "ij->j", "ijk->ki", "ij", "ji", "i->i", "ij,jk->ik", "ij,jk", "ij,kj->ki", "ij,jk->ki", "i,i->", "i,i",
    "i,j->ij", "i,j->ji", "ij,ij->", "ij,ij->i", "ij,ij->ij", "ij,ji->ij", "ij,j->ij", "ij,j->i", "i,ij->j", "ijk,ikl->ijl", "kij,kjl->kil",
    "ijk,jkl->il", "ijk,lkj->li", "ij,k->ijk", "ij,k->", "ij,jk->", "ijk,j->ik", "ijk,kim->mj", "ji,kj->ik", "ij,kl->ijkl", "ij,kl->lj",
    " i j , j k -> k i ", "ij,jk->j",
]  # fmt: skip


def operands(subscripts, dtype):
    rng = numpy.random.default_rng(3)
    for term in subscripts.replace(" ", "").partition("->")[0].split(","):
        a = rng.integers(-5, 6, [SIZES[c] for c in term]).astype(dtype)
        yield a + 1j * rng.integers(-5, 6, a.shape) if numpy.dtype(dtype).kind == "c" else a


@pytest.mark.parametrize("dtype", ["f4", "f8", "c16", "i4", "u1"])
@pytest.mark.parametrize("subscripts", SUBSCRIPTS)
def test_the_products_of_whole_numbers(subscripts, dtype):
    given = list(operands(subscripts, dtype))
    given = [a.astype(dtype) for a in given]
    assert_same(ours.einsum(subscripts, *map(ours.array, given)), numpy.einsum(subscripts, *given), context=subscripts)
    turned = [numpy.asfortranarray(a) for a in given]
    assert_same(ours.einsum(subscripts, *map(ours.array, turned)), numpy.einsum(subscripts, *turned), context=subscripts)


@pytest.mark.parametrize("dtype", ["f8", "?", "c8"])
@pytest.mark.parametrize("subscripts", ["ii->i", "ii", "...i,i->...", "ij,jk,kl->il", "ii,ij->j"])
def test_what_runs_in_numpy(subscripts, dtype):
    rng = numpy.random.default_rng(4)
    terms = subscripts.partition("->")[0].split(",")
    given = [rng.integers(0, 2, (4,) * len(t.replace("...", "zz"))).astype(dtype) for t in terms]
    assert_same(ours.einsum(subscripts, *map(ours.array, given)), numpy.einsum(subscripts, *given), context=subscripts)


@pytest.mark.parametrize(
    "call",
    [
        lambda np, a: np.einsum("ij,jk->ik", a, a[:3]),
        lambda np, a: np.einsum("ij,jk->ii", a, a),
        lambda np, a: np.einsum("ij->ik", a),
        lambda np, a: np.einsum("ijk->i", a),
        lambda np, a: np.einsum("ij,jk", a),
        lambda np, a: np.einsum("i1->i", a),
    ],
)
def test_what_numpy_refuses(call):
    a = numpy.ones((4, 4))
    with pytest.raises(Exception) as want:
        call(numpy, a)
    with pytest.raises(want.type) as got:
        call(ours, ours.array(a))
    assert str(got.value) == str(want.value)


def test_options():
    a = numpy.arange(16.0).reshape(4, 4)
    o = ours.array(a)
    out = ours.zeros((4, 4))
    assert ours.einsum("ij,jk->ik", o, o, out=out) is out
    assert_same(out, a @ a)
    assert_same(ours.einsum("ij,jk->ik", o, o, optimize=True), a @ a)
    assert_same(ours.einsum("ij,jk->ik", o, o, dtype="c16"), numpy.einsum("ij,jk->ik", a, a, dtype="c16"))
    assert_same(ours.einsum("ij,jk->ik", o, ours.ones((1, 3))), numpy.einsum("ij,jk->ik", a, numpy.ones((1, 3))))
    assert_same(ours.einsum(o, [0, 1], o, [1, 2], [0, 2]), a @ a)


@pytest.mark.parametrize("dtype", ["f4", "f8", "c16", "i8", "?"])
@pytest.mark.parametrize("shapes", [((2,), (3,)), ((2, 3), (4, 5)), ((3,), (2, 2)), ((2, 1, 3), (2, 2)), ((0, 2), (2, 3)), ((), (2,))])
def test_kron(shapes, dtype):
    rng = numpy.random.default_rng(5)
    a, b = ((9 * rng.standard_normal(s)).astype(dtype) for s in shapes)
    a, b = numpy.asarray(a), numpy.asarray(b)
    assert_same(ours.kron(ours.array(a), ours.array(b)), numpy.kron(a, b))


@pytest.mark.parametrize("dtype", ["f4", "f8", "c16", "i8"])
@pytest.mark.parametrize("shape", [(3,), (7, 3), (2, 5, 3), (0, 3)])
def test_cross(shape, dtype):
    rng = numpy.random.default_rng(6)
    a, b = ((9 * rng.standard_normal(shape)).astype(dtype) for _ in range(2))
    oa, ob = ours.array(a), ours.array(b)
    assert_same(ours.cross(oa, ob), numpy.cross(a, b))
    assert_same(ours.cross(oa, ob[..., ::-1]), numpy.cross(a, b[..., ::-1]))
    assert_same(ours.cross(oa, [1, 2, 3]), numpy.cross(a, [1, 2, 3]))
    assert real(ours.cross(oa, ob, axis=-1)).shape == shape
