"""Functions that are made of views, copies and few operations, or have a short way for their plain forms: results, layouts and
errors are NumPy's."""

import numpy
import pytest

import legate_jit.numpy as ours
from same import seen


@pytest.mark.parametrize(
    "call",
    """
np.eye(3)
np.eye(3, 4)
np.eye(3, None, 1)
np.eye(4, k=1)
np.eye(4, k=-2)
np.eye(4, k=9)
np.eye(0)
np.eye(3, dtype=int)
np.eye(3, 5, -1, dtype=np.float32)
np.eye(3, k=1.5)
np.eye(-1)
np.eye(3, order="F")
np.identity(3)
np.identity(2, int)
np.identity(2, dtype=complex)
np.identity(n=2)
np.diag(a)
np.diag(a, 2)
np.diag(a, k=-1)
np.diag(a[:0])
np.diag(a[:0], 2)
np.diag(a[::-2])
np.diag(a > 2.0)
np.diag(m)
np.diag(m, 1)
np.diag(m, k=-9)
np.diag(m.T, 1)
np.diag(3)
np.diag([1, 2])
np.diag(m[None])
m.diagonal()
m.diagonal(1)
m.diagonal(-1)
m.diagonal(1, 1, 0)
m[None].diagonal(0, 1, 2)
np.linspace(0.0, 1.0, 11, endpoint=False)
np.linspace(0, 1, num=5)
np.linspace(2.0, 2.0, 3, endpoint=False)
np.linspace(0, 1, 0, endpoint=False)
np.linspace(0, 1, 1, endpoint=False)
np.linspace(0, 1, endpoint=True)
np.linspace(0, 1, 5, num=3)
np.linspace(0, 1, 3, endpoint=0)
np.concatenate([m, m], axis=1)
np.concatenate([m, m], 1)
np.concatenate([m, m], -1)
np.concatenate([m, m], axis=2)
np.concatenate([m, m], axis=None)
np.concatenate([m.T, m.T], axis=1)
np.concatenate([a, [1.0]], axis=None)
np.concatenate((m, m), None)
np.column_stack((a, a))
np.column_stack((m, m))
np.column_stack((m.T, m.T))
np.column_stack((a, m))
np.column_stack([i, i, i])
np.dstack((a, a))
np.dstack((m, m))
np.dstack((m[None], m[None]))
np.dstack((a, m))
np.nonzero(a)
np.nonzero(a[::-2])
np.nonzero(i)
np.nonzero(i.astype(np.int8))
np.nonzero(i.astype(np.uint16))
np.nonzero(i.astype(np.float32)[::2])
np.nonzero(i.astype(complex))
np.nonzero(i.astype(np.complex64))
np.nonzero(i * 1j)
np.nonzero(i > 9)
np.nonzero(a[:0])
np.nonzero(m)
np.where(i % 2)
np.flatnonzero(a > 1.0)
a.nonzero()
a.flat[2:5]
a.flat[::-1]
list(a.flat)
list(m.flat)
list(m.T.flat)
a.imag
a.real is a
(a * 1j).imag
np.arange(10.0)
np.arange(0.0, 1.0, 0.1)
np.arange(1.5, -2.0, -0.3)
np.empty((2, 3)).shape
np.result_type(a, i)
np.result_type(i, np.float32)
np.result_type(np.int8, np.uint8)
np.result_type(a.astype(np.float32), i.astype(np.int16))
np.result_type(i, 1.0)
np.result_type(float)
np.result_type("f4", i)
np.result_type()
np.can_cast(int, float)
np.can_cast(float, int)
np.can_cast(np.int8, np.uint8)
np.can_cast(a, np.float32)
np.can_cast(np.uint8, bool)
np.can_cast("i8", "f4")
np.can_cast(float, int, "unsafe")
np.can_cast(3, int)
""".strip().splitlines(),
)  # fmt: skip
def test_short_ways(call):
    results = []
    for np in (numpy, ours):
        place = dict(np=np, a=np.array([0.0, 3.0, -0.0, numpy.nan, 2.0]), i=np.array([0, 1, 0, -3, 256, 0]))
        place["m"] = np.arange(12.0).reshape(3, 4)
        try:
            results.append(eval(call, place))
        except Exception as e:
            results.append(e)
    want, got = results
    if isinstance(want, Exception):
        assert isinstance(got, type(want)) and str(got) == str(want)
        return
    assert not isinstance(got, Exception), got
    for w, g in zip(want, got, strict=True) if isinstance(want, (tuple, list)) else [(want, got)]:
        if not isinstance(w, numpy.ndarray):
            assert type(g) is type(w) and (g == w or g != g)
            continue
        assert type(g) is ours.ndarray and seen(numpy.asarray(g)) == seen(w)
        assert g.flags.writeable == w.flags.writeable


def test_casts_that_are_allowed():
    types = "? i1 i2 i4 i8 u1 u2 u4 u8 f4 f8 c8 c16".split()
    for a in types:
        for b in types:
            p, q = numpy.dtype(a), numpy.dtype(b)
            assert ours.can_cast(p, q) is numpy.can_cast(p, q), (a, b)
            assert ours.result_type(p, q) == numpy.result_type(p, q), (a, b)
            assert ours.result_type(ours.zeros(2, p), q) == numpy.result_type(p, q), (a, b)


def test_fill():
    for np in (numpy, ours):
        a, i = np.zeros((2, 3)), np.zeros(3, int)
        a.fill(2)
        a[0].fill(1.5)
        i.fill(2.9)
        assert a.tolist() == [[1.5] * 3, [2.0] * 3] and i.tolist() == [2] * 3
        assert a.fill(np.float64(1.0)) is None
        a.flags.writeable = False
        with pytest.raises(ValueError, match="read-only"):
            a.fill(3.0)
        with pytest.raises(TypeError):
            a.fill()


@pytest.mark.parametrize("key", ["[1, 2]", "[-1, 0, 0]", "[4]", "[-5]", "[0, 1, 2, 3]", "[True, False, True, False]", "[]", "[1.5]"])
@pytest.mark.parametrize("rows", [":", "0:", "::1", "1:", "::-1", "None:", "None"])
@pytest.mark.parametrize("what", ["m", "m.T", "m[::-1, ::2]", "big", "m > 3.0", "m[:0]", "m[None]"])
def test_columns(what, rows, key):
    results = []
    for np in (numpy, ours):
        m, big = np.arange(24.0).reshape(6, 4), np.arange(4000).reshape(1000, 4)
        try:
            results.append(eval(f"({what})[{rows}, {key}]"))
        except Exception as e:
            results.append(e)
    want, got = results
    if isinstance(want, Exception):
        assert type(got) is type(want) and str(got) == str(want)
    else:
        assert seen(numpy.asarray(got)) == seen(want)


@pytest.mark.parametrize(
    "call",
    """
np.moveaxis(c, 0, 2)
np.moveaxis(c, -1, 0)
np.moveaxis(c, 1, 1)
np.moveaxis(c, 0, 3)
np.moveaxis(c, -4, 0)
np.moveaxis(c, [0, 1], [1, 2])
np.atleast_2d(a)
np.atleast_2d(c) is c
np.atleast_2d(3.0)
np.tile(a, 3)
np.tile(a, 1)
np.tile(a, 0)
np.tile(a, 20)
np.tile(a, -1)
np.tile(a[:0], 2)
np.tile(a, True)
np.tile(c, 2)
np.tri(3)
np.tri(3, 4, 1)
np.tri(3, 4, -2, dtype=int)
np.tri(0)
np.tri(-1)
np.tri(2, k=5)
np.tri(3, dtype="f2")
np.indices((2, 3))
np.indices((2, 3), dtype=float)
np.indices((2, 3), dtype="f2")
np.indices((2,), sparse=True)
np.indices((2, 3), float, True)
np.indices(())
np.indices((0, 2))
np.indices((-1, 2))
np.indices(3)
np.fromfunction(lambda x, y: x * y, (2, 3))
np.fromfunction(lambda x, y: x * y, (2, 3), dtype=int)
np.fromfunction(lambda x, add: x + add, (2,), add=1.0)
np.fromfunction(lambda x: 3, (2,))
np.tensordot(c, c.T, 1)
np.tensordot(c, c, 3)
np.tensordot(c, c, 2)
np.tensordot(c, a, 0)
np.tensordot(c, c, -1)
np.einsum("ij,j->i", m, m[0])
np.einsum("ij,i->j", m, m[:, 0])
np.einsum("ij,j", m, m[0])
np.einsum("ij,jk", m, m.T)
np.einsum("ji,jk->ik", m, m)
np.einsum("ij,kj->ik", m, m)
np.einsum("ij,jk->ik", m, m)
np.einsum("ij,j->i", m, m[:, 0])
np.einsum("ij,j->i", m, m[:1, 0])
np.einsum("ij,j->ij", m, m[0])
np.einsum("ij,j->i", m > 2.0, m[0] > 2.0)
np.linalg.norm(a, 1)
np.linalg.norm(a, 2)
np.linalg.norm(a, 0)
np.linalg.norm(a.astype(np.float32), 1)
np.linalg.norm(m, 1)
np.linalg.norm(a, True)
np.isscalar(2.0)
np.isscalar("a")
np.isscalar(a)
np.isscalar(np.float64(2))
np.isscalar(a.sum())
np.isscalar(None)
np.place(a, a > 1.0, [9.0]) or a
np.place(i, i > 1, [9.5]) or i
np.place(a, a > 1.0, []) or a
np.place(a, a[1:] > 1.0, [1.0])
np.putmask(a, a > 1.0, 9.0) or a
np.putmask(i, i > 1, 9.5) or i
np.putmask(a, a > 1.0, 3) or a
np.array([a, a])
np.array((a, a[::-1]))
np.array([a, a[1:]])
np.array([m, m])
np.array([a, i])
np.array([a, i], dtype=float)
np.array(a, dtype=np.float32)
np.array(a, int)
np.array(m.T, dtype=complex)
np.array(m * 1j, dtype=float)
np.asarray(a, float) is a
np.asarray(a, int)
np.asarray(a, dtype="f4")
np.ascontiguousarray(m.T)
np.ascontiguousarray(m) is m
np.ascontiguousarray(a.sum())
np.add.accumulate(a)
np.add.accumulate(m)
np.add.accumulate(m, axis=1)
np.add.accumulate(m.T, 1)
np.add.accumulate(a[::-2])
np.add.accumulate(a[:0])
np.add.accumulate(i.astype(np.int8))
np.add.accumulate(a > 2.0)
np.add.accumulate(a * 1j)
np.multiply.accumulate(i)
np.maximum.accumulate(odd)
np.minimum.accumulate(odd)
np.maximum.accumulate(odd[::-1])
np.maximum.accumulate(i[::-1])
np.minimum.accumulate(i)
np.maximum.accumulate(odd.astype(np.float32))
np.cumsum(m, axis=0)
np.cumsum(m)
np.cumprod(m.T, axis=0)
np.add(a, a, dtype=float)
np.add(a, 1, dtype=np.float32)
np.add(i, 1, dtype=float)
np.add(i, 1, dtype=np.int32)
np.add(a, 1, dtype="f4")
np.add(a, 1, dtype=None)
np.add(a, 1, where=a > 1.0, out=a)
np.add(a, 1, where=a > 1.0, out=a, dtype=np.float32)
np.add(a, 1, where=True, out=a)
np.add(a, 1, where=i[:4], out=a)
np.add(a, 1, where=a[:1] > 1.0, out=a)
np.sqrt(a, dtype=np.float32)
np.sqrt(a, where=a > 1.0, out=a)
np.negative(i, dtype=float, out=a)
m.__setitem__((slice(None), 1), m[:, 2]) or m
m.__setitem__((slice(None), slice(1, None)), m[:, :-1]) or m
m.__setitem__(slice(None), m.T) or m
m.__setitem__(slice(None), m[::-1]) or m
a.__setitem__(slice(None), a[::-1]) or a
c.__setitem__(slice(None), c[::-1, ::-1, ::-1]) or c
a.view(np.int64)
a.view("i4")
a.view(np.complex128)
a[1:].view(np.int64)
a.view(dtype=np.uint8)
a.view(np.int64).__setitem__(0, 7) or a
m.tobytes() == numpy.arange(9.0).tobytes()
m.T.tobytes() == numpy.arange(9.0).reshape(3, 3).T.tobytes()
(a * 1j).imag.tobytes() == numpy.arange(4.0).tobytes()
np.ediff1d(a)
np.ediff1d(m)
np.ediff1d(a[:0])
np.ediff1d(i, to_end=3)
np.ediff1d(a > 1.0)
np.ediff1d([1, 4, 9])
(a / 7).round(2)
(a / 7).round(22)
(a / 7).round(23)
(a / 7).round(-1)
np.round(a / 7, 3)
np.round(a.astype(np.float32) / 7, 3)
np.round(a / 7, True)
np.round(odd / 7, 2)
np.round(i, 2)
np.argsort(m[::-1], axis=1)
np.argsort(-m, axis=-1)
np.argsort(-m, 0)
np.argsort(-m, axis=0)
np.argsort(-m, axis=2)
np.argsort(-m, axis=None)
np.argsort(np.array(3.0), axis=0)
np.argsort(a, kind="stable")
(-m).argsort(1)
(-m).argsort(axis=1)
np.sort(-m, axis=1)
np.sort(-m, 1)
np.sort(-m, axis=0)
np.sort(-m, axis=None)
np.take_along_axis(m, np.argsort(-m, axis=1), 1)
np.resize(a, 9)
np.resize(a, (3, 3))
np.ix_([1, 2], [1, 2])
np.vander(a)
np.r_[a, b]
np.r_[0:3, a]
np.c_[a, a]
np.mgrid[0:3, 0:2]
np.ogrid[0:3, 0:1:5j]
np.vectorize(lambda x: x + 1)(a)
np.vectorize(float).__doc__ is None
""".strip().splitlines(),
)
@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
def test_compositions(call):
    results = []
    for np in (numpy, ours):
        place = dict(np=np, numpy=numpy, a=np.arange(4.0), b=np.ones(2), i=np.arange(5), m=np.arange(9.0).reshape(3, 3), c=np.arange(24.0).reshape(2, 3, 4))
        place["odd"] = np.array([0.0, -0.0, 1.0, numpy.nan, 2.0, -numpy.inf])
        try:
            results.append(eval(call, place))
        except Exception as e:
            results.append(e)
    want, got = results
    if isinstance(want, Exception):
        assert isinstance(got, type(want)) and str(got) == str(want)
        return
    assert not isinstance(got, Exception), got
    for w, g in zip(want, got, strict=True) if isinstance(want, (tuple, list)) else [(want, got)]:
        if isinstance(w, numpy.ndarray):
            assert seen(numpy.asarray(g)) == seen(w)
        else:
            assert g == w


def _outcome(call, names):
    try:
        return seen(numpy.asarray(eval(call, dict(names))))
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("dtype", [float, int, "f4", bool])
def test_lexsort_of_few(dtype):
    rng = numpy.random.default_rng(4)
    for n in (0, 1, 2, 7, 23, 24, 25, 60):
        # (Many are equal.)
        keys = [(rng.integers(-3, 3, n)).astype(dtype) for _ in range(5)]
        if dtype is float and n > 5:
            keys[1][3] = numpy.nan
            keys[2][2] = -0.0
        for used in ([0], [0, 3], [3, 0], [0, 1], [2, 0], [0, 3, 4], [0, 1, 2, 3], [0, 1, 2, 3, 4]):
            for form in ("np.lexsort(({}))", "np.lexsort([{}])", "np.lexsort(({}), axis=0)"):
                call = form.format("".join(f"k[{i}][::-1], " if i == 3 else f"k[{i}], " for i in used))
                want = _outcome(call, dict(np=numpy, k=keys))
                assert _outcome(call, dict(np=ours, k=[ours.array(k) for k in keys])) == want, (call, n)
    names = [dict(np=np, a=np.arange(4), b=np.arange(3.0), m=np.ones((3, 3)), s=np.float64(2)) for np in (ours, numpy)]
    for call in ("np.lexsort((a, b))", "np.lexsort(m)", "np.lexsort((m, m))", "np.lexsort((s, s))", "np.lexsort(())", "np.lexsort((b, m[0]))"):
        assert _outcome(call, names[0]) == _outcome(call, names[1]), call


@pytest.mark.parametrize("index", ["r_", "c_"])
def test_arrays_as_an_index_that_joins_them(index):
    def names(np):
        m = np.arange(6.0).reshape(2, 3)
        return dict(np=np, a=np.arange(3.0), i=np.arange(3), h=np.arange(2), m=m, t=m.T, f=m.astype(np.float32), e=np.zeros(0), s=m.sum())

    keys = (
        "a, a", "a,", "a", "a, i", "i, h", "a[::-1], i", "m, m", "m,", "t, t", "m, f", "m, t", "m, a", "e, a", "m, m[:, :1]", "m, m[:1]",
        "m[None], m[None]", "a, s", "a, 1.0", "0:3, a", "'1', a, a", "[1.0, 2.0], a", "a > 1, i",
    )  # fmt: skip
    for key in keys:
        call = f"np.{index}[{key}]"
        assert _outcome(call, names(ours)) == _outcome(call, names(numpy)), call
