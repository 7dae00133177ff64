"""Arrays and scalars as Python objects: printing, conversion, pickling, protocols, scalars that act as NumPy's."""

import copy
import json
import math
import numbers
import pickle

import numpy
import pytest
from same import assert_same

import legate_jit.numpy as ours

ARRAYS = [
    "np.arange(5)", "np.arange(5.0) / 3", "np.zeros((0, 3))", "np.array(2.5)", "np.array([True, False])",
    "np.arange(2000)", "np.arange(12).reshape(3, 4) * 1e10", "np.array([1 + 2j, -3.5j])", "np.ones((2, 2, 2), 'f')",
    "np.array([np.nan, np.inf, -0.0])", "np.arange(6, dtype='u1').reshape(2, 3).T", "np.array([], 'i2')",
]  # fmt: skip
SCALARS = [
    "np.arange(5).sum()", "(np.arange(5.0) / 3).sum()", "np.ones(3, 'f').sum()", "(np.arange(3) > 1).any()",
    "np.array([1 + 2j]).sum()", "np.arange(3, dtype='u1').max()", "np.float64(1) * np.arange(4.0)[2]", "np.arange(4.)[1]",
]  # fmt: skip


def each(text):
    return eval(text, {"np": numpy}), eval(text, {"np": ours})


@pytest.mark.parametrize("text", ARRAYS + SCALARS)
def test_prints_as_numpy(text):
    w, g = each(text)
    assert repr(g) == repr(w)
    assert str(g) == str(w)
    assert f"{g}" == f"{w}"
    assert "%s" % (g,) == "%s" % (w,)
    with numpy.printoptions(precision=2, suppress=True):
        assert repr(g) == repr(w)


@pytest.mark.parametrize("text", SCALARS)
def test_formats_as_numpy(text):
    w, g = each(text)
    spec = ".3f" if w.dtype.kind in "fc" else "d" if w.dtype.kind in "iu" else ""
    assert format(g, spec) == format(w, spec)
    if w.dtype.kind != "c":
        assert "%g" % g == "%g" % w
        assert f"{g:>12}" == f"{w:>12}"


@pytest.mark.parametrize("text", ARRAYS + SCALARS)
def test_lists_items_bytes(text):
    w, g = each(text)
    assert str(g.tolist()) == str(w.tolist())
    assert g.tobytes() == w.tobytes()
    assert (g.dtype, g.shape, g.size, g.ndim, g.nbytes, g.itemsize) == (
        w.dtype, w.shape, w.size, w.ndim, w.nbytes, w.itemsize,
    )  # fmt: skip
    if w.size == 1:
        assert str(g.item()) == str(w.item()) and type(g.item()) is type(w.item())


@pytest.mark.parametrize("text", SCALARS)
def test_scalars_are_numpys_to_isinstance(text):
    w, g = each(text)
    for kind in (float, int, complex, bool, numpy.generic, numpy.number, numpy.floating, numpy.integer, numpy.float64,
                 numpy.int64, numpy.bool_, numbers.Real, numbers.Integral, numbers.Number):  # fmt: skip
        assert isinstance(g, kind) == isinstance(w, kind), kind
    assert not isinstance(g, ours.ndarray) and ours.isscalar(g)
    assert hash(g) == hash(w)
    assert {g: 1}[w] == 1 if w == w else True
    assert (g == w) and not (g != w)
    assert bool(g) == bool(w)


@pytest.mark.parametrize("text", SCALARS)
def test_scalar_conversions(text):
    w, g = each(text)
    if w.dtype.kind != "c":
        assert float(g) == float(w) and int(g) == int(w)
        assert type(float(g)) is float and type(int(g)) is int
        assert round(float(g), 3) == round(float(w), 3)
        assert math.sqrt(abs(g)) == math.sqrt(abs(w))
    assert complex(g) == complex(w)
    if w.dtype.kind in "iu":
        assert list(range(100))[g] == list(range(100))[w]
        assert list(range(g)) == list(range(w))
        assert [1, 2] * g == [1, 2] * w
    assert json.dumps(float(abs(g))) == json.dumps(float(abs(w)))


def test_scalars_are_not_written_to():
    s = ours.arange(4.0).sum()
    t = s
    s += 1
    assert (float(s), float(t)) == (7.0, 6.0)
    with pytest.raises(TypeError):
        t[...] = 3
    a = ours.arange(4.0)
    x = a[1] + 0 * a.sum()
    a[1] = 50
    assert float(x) == 1.0


def test_a_scalar_is_not_computed_until_asked_for(planned):
    import legate_jit

    ours.arange(3.0).tolist()
    before = legate_jit.stats()["flushes"]
    a = ours.arange(5000.0)
    s = (a * 2).sum()
    t = ours.sqrt(s / (a.max() + 1))
    assert legate_jit.stats()["flushes"] == before
    assert float(t) == math.sqrt(24995000.0 / 5000.0)
    assert legate_jit.stats()["flushes"] == before + 1


def test_scalars_beside_python_and_numpy():
    s, w = ours.arange(5.0).sum(), numpy.arange(5.0).sum()
    for f in (
        lambda x: x + 1, lambda x: 1 - x, lambda x: 2.5 * x, lambda x: x / 3, lambda x: x**2, lambda x: 2**x, lambda x: -x,
        lambda x: abs(x), lambda x: x // 3, lambda x: x % 3, lambda x: divmod(x, 3), lambda x: x < 11, lambda x: 10 == x,
        lambda x: numpy.float64(2) * x, lambda x: x * numpy.float32(2), lambda x: numpy.arange(3) + x, lambda x: max(x, 3),
        lambda x: x.sum(), lambda x: x.mean(), lambda x: x.T, lambda x: x.real, lambda x: x.astype("i"), lambda x: x.round(),
    ):  # fmt: skip
        assert_same_or_plain(f(s), f(w))


def assert_same_or_plain(g, w):
    if isinstance(w, tuple):
        for a, b in zip(g, w):
            assert_same_or_plain(a, b)
    else:
        assert numpy.asarray(g).dtype == numpy.asarray(w).dtype and numpy.array_equal(g, w), (g, w)


@pytest.mark.parametrize("text", ARRAYS + SCALARS)
@pytest.mark.parametrize("protocol", [2, 5])
def test_pickle_and_copy(text, protocol):
    w, g = each(text)
    back = pickle.loads(pickle.dumps(g, protocol))
    assert type(back) is type(g)
    assert_same(back, w)
    for again in (copy.copy(g), copy.deepcopy(g), copy.deepcopy([g])[0]):
        assert_same(again, w)
    if isinstance(g, ours.ndarray) and g.size:
        again = copy.copy(g)
        again[...] = 0
        assert_same(g, w)


def test_pickled_ufunc():
    assert pickle.loads(pickle.dumps(ours.add)) is ours.add


def test_dlpack_both_ways():
    a = ours.arange(6.0).reshape(2, 3)
    b = numpy.from_dlpack(a)
    b[0, 0] = 9
    assert float(a[0, 0]) == 9
    real = numpy.arange(4)
    c = ours.from_dlpack(real)
    assert isinstance(c, ours.ndarray)
    real[1] = 7
    assert int(c[1]) == 7
    assert a.__dlpack_device__() == (1, 0)


def test_array_protocols():
    a = ours.arange(6.0)
    assert numpy.asarray(a).ctypes.data == a.__array_interface__["data"][0]
    assert numpy.array(a, dtype="f").dtype == numpy.float32
    assert numpy.array(a, copy=True).ctypes.data != numpy.asarray(a).ctypes.data
    assert memoryview(a.data).tolist() == a.tolist()
    assert math.fsum(a) == 15.0
    assert sorted(a, reverse=True)[0] == 5
    assert list(map(float, a)) == a.tolist()


def test_numpys_functions_give_ours():
    a = ours.arange(6.0)
    real = numpy.arange(6.0)
    for got, want in (
        (numpy.add(a, real), real + real),
        (real + a, real + real),
        (real * 2 - a, real),
        (numpy.float64(2) * a, real * 2),
        (numpy.sum(a), real.sum()),
        (numpy.concatenate([a, real]), numpy.concatenate([real, real])),
        (numpy.linalg.norm(a), numpy.linalg.norm(real)),
        (numpy.fft.fft(a), numpy.fft.fft(real)),
        (numpy.add.reduce(a), real.sum()),
        (numpy.multiply.outer(a, real), numpy.multiply.outer(real, real)),
    ):
        if isinstance(want, numpy.ndarray):
            assert isinstance(got, ours.ndarray)
        assert numpy.array_equal(numpy.asarray(got), want)
    real += a
    assert real.tolist() == [0, 2, 4, 6, 8, 10]


def test_iteration_and_membership():
    a = ours.arange(6).reshape(3, 2)
    assert [row.tolist() for row in a] == [[0, 1], [2, 3], [4, 5]]
    assert 4 in a and 9 not in a
    assert len(a) == 3
    x, y, z = a
    y[:] = -1
    assert a.tolist() == [[0, 1], [-1, -1], [4, 5]]
    assert [int(k) for k in reversed(ours.arange(3))] == [2, 1, 0]


def test_construction():
    for text in (
        "np.array([[1, 2], [3, 4]])", "np.array([1, 2.5])", "np.array((1, 2), 'f')", "np.array([1, 2], ndmin=3)",
        "np.array(5)", "np.array([np.arange(3), np.arange(3)])", "np.array([np.arange(3).sum(), 2])", "np.asarray([1, 2])",
        "np.arange(5)", "np.arange(2, 9, 3)", "np.arange(9, 2, -2)", "np.arange(0.1, 1, 0.1)", "np.arange(5.0)",
        "np.arange(3, dtype='f')", "np.arange(5, 2)", "np.arange(-3)", "np.linspace(0, 1, 7)", "np.linspace(1, 0, 3, dtype=int)",
        "np.linspace(0, 1, 5, endpoint=False)", "np.linspace(2, 3, 1)", "np.linspace(0, 1, 0)", "np.linspace(5, 5, 3)",
        "np.zeros(3, int)", "np.ones((2, 3), 'F')", "np.full((2, 2), 7)", "np.full(3, 2.5)", "np.full(3, [1, 2, 3])",
        "np.full(2, True)", "np.zeros_like(np.arange(3))", "np.ones_like([1.5, 2])", "np.full_like(np.arange(3), 2.7)",
        "np.empty((0, 2))", "np.eye(3)", "np.eye(3, 4, 1)", "np.eye(3, 4, -2, dtype=int)", "np.identity(2)", "np.eye(2, k=5)",
        "np.diag(np.arange(3))", "np.diag(np.arange(9).reshape(3, 3), 1)", "np.tri(3)", "np.tril(np.ones((3, 3)))",
        "np.triu(np.arange(12).reshape(3, 4), 1)", "np.zeros(())", "np.zeros([2, 3])", "np.ndarray((2, 0))",
        "np.fromfunction(lambda i, j: i + j, (3, 3))", "np.indices((2, 3))", "np.mgrid[0:3, 0:2]", "np.r_[1:4, 9]",
        "np.frombuffer(b'abcd', 'u1')", "np.array('abc')", "np.array([None])", "np.float64(3)", "np.array([1], 'f2')",
    ):  # fmt: skip
        w, g = each(text)
        assert_same(g, w, context=text)


def test_our_objects_are_none_of_the_garbage_collectors():
    """They are made without its header, which it must never look for."""
    import gc

    array, number = ours.ones(3), ours.sum(ours.ones(3))
    for x in (array, number):
        assert not type(x).__flags__ & (1 << 14)  # Py_TPFLAGS_HAVE_GC
        assert not gc.is_tracked(x)
    kept = [dict(array=ours.ones(3) + k) for k in range(1000)]
    gc.collect()
    assert float(kept[7]["array"][0]) == 8.0
