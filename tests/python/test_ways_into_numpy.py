"""Calls that NumPy runs for us, and the short ways around it: the same values, types, aliasing and exceptions."""

import numpy
import pytest

import legate_jit.numpy as ours
from legate_jit import _fallback

ODD = [3.0, -0.0, numpy.nan, 0.0, -numpy.inf, 2.5, -0.0, 3.0, numpy.inf, 0.0, numpy.nan, -1.0]


def same(got, want):
    if isinstance(want, (tuple, list)):
        assert type(got) is type(want) and len(got) == len(want)
        for g, w in zip(got, want):
            same(g, w)
        return
    got, want = numpy.asarray(got), numpy.asarray(want)
    assert (got.dtype, got.shape, got.tobytes()) == (want.dtype, want.shape, want.tobytes())
    assert got.strides == want.strides or want.ndim < 2 or want.size == 0


def setting(np):
    m = np.array(ODD).reshape(3, 4)
    return dict(
        np=np, a=np.array(ODD), b=np.arange(12.0), m=m, i=np.array([2, 0, 1]), k=np.array([5, -3, 2, 2, 7, -9]), n=numpy.arange(3.0),
        s=np.sort(np.array(ODD)), t=np.sort(np.array([5, -3, 2, 2, 7, -9])), c=np.array([True, False, True]),
    )  # fmt: skip


@pytest.mark.parametrize(
    "call",
    """
np.searchsorted(s, a)
np.searchsorted(s, a[::-1])
np.searchsorted(s[::2], a)
np.searchsorted(t, k)
np.searchsorted(t, k * 1.5)
np.searchsorted(t, np.repeat(k, 9))
np.searchsorted(s, m)
np.searchsorted(s, a, side="right")
np.searchsorted(s, a[:0])
s.searchsorted(a[2:5])
m[:, 1].argsort()
m[::-1].argsort()
np.argsort(m.T)
np.argsort(b[::-2])
np.argpartition(b[::-1], 3)
np.take(m, [1, 2], axis=0)
np.take(m, i, axis=1)
np.take(m, [1, 2], axis=None)
m.take([0, 1], axis=0)
np.take(m, [5], axis=0)
np.take(m, [1], nothing=0)
np.where(c)
np.where(m)
np.where(condition=c)
np.where(c, 1)
m[:, [1, 2]]
m[1:, i]
m[..., [True, False, True, True]]
m[:, [9]]
m[numpy.int64(1):, [1, 2]]
np.lexsort((a, b))
np.lexsort([b, a])
np.lexsort([a[::-1], [0.0] * 12])
np.correlate(a[3:6], b[:2])
np.packbits(c)
np.einsum("ij,j", m, b[:4])
np.cov(m[:2, :2], aweights=b[:2])
np.linalg.norm(b, 1)
np.unravel_index(5, (3, 3))
np.unravel_index(i, (3, 3))
np.histogram(b, weights=b)
np.broadcast_arrays(b[:3], m[:, :1])
np.split(b, 2)
np.result_type(a, k, 1.0)
np.iterable(a)
np.iterable(np.array(1.0))
np.iterable(3)
k.byteswap()
k.byteswap(True)
k.choose([np.arange(6)] * 6, mode="wrap")
b.put([1, 2], [5.0, 6.0]) or b
b.put(i, n) or b
np.add.at(b, [1, 2, 1], 1.0) or b
np.add.at(b, [99], 1.0)
np.add.at(b, [True], 1.0) or b
np.putmask(b, b > 3.0, n) or b
""".strip().splitlines(),
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_calls_are_numpys(call):
    results = []
    for np in (numpy, ours):
        try:
            results.append(eval(call, setting(np)))
        except Exception as e:
            results.append(e)
    want, got = results
    if isinstance(want, Exception):
        assert isinstance(got, type(want)), got
    elif want is None or isinstance(want, (bool, numpy.dtype)):
        assert got == want
    else:
        assert not isinstance(got, Exception), got
        same(got, want)


@pytest.mark.parametrize("make", ["b", "b[::2]", "m", "m.T", "m[:, 1]", "m[1:]", "m[:, None]", "np.zeros((2, 0))", "np.array(1.0)"])
def test_flags(make):
    a, b = eval(make, setting(ours)), eval(make, setting(numpy))
    names = "c_contiguous f_contiguous contiguous fortran writeable aligned writebackifcopy fnc forc behaved carray farray".split()
    for name in names:
        assert getattr(a.flags, name) == getattr(b.flags, name), name
    for key in "C F C_CONTIGUOUS F_CONTIGUOUS CONTIGUOUS FORTRAN W A X FNC FORC B CA FA WRITEABLE BEHAVED CARRAY FARRAY".split():
        assert a.flags[key] == b.flags[key], key
    for flags in (a.flags, b.flags):
        with pytest.raises(KeyError, match="Unknown flag"):
            flags["WHAT"]
        with pytest.raises(KeyError, match="Unknown flag"):
            flags["WHAT"] = True
        with pytest.raises(KeyError):
            flags[3]
        with pytest.raises(KeyError):
            flags["C"] = True
        with pytest.raises(KeyError):
            flags["c"]
        with pytest.raises(AttributeError):
            flags.c_contiguous = True
        with pytest.raises(AttributeError):
            flags.what
        with pytest.raises(TypeError):
            hash(flags)
    assert a.flags == a.flags and not a.flags != a.flags


def test_flags_that_are_set():
    for np in (numpy, ours):
        a = np.arange(4.0)
        flags, part = a.flags, a[1:]
        flags.writeable = False
        assert not a.flags.writeable and not a.flags["W"] and "WRITEABLE : False\n" in repr(a.flags)
        with pytest.raises(ValueError):
            a[0] = 1.0
        after = a[1:]
        with pytest.raises(ValueError, match="cannot set WRITEABLE flag to True of this array"):
            after.flags.writeable = True
        a.flags["WRITEABLE"] = True
        a[1] = 7.0
        assert part[0] == 7.0
    assert repr(ours.arange(3.0).flags) == repr(numpy.arange(3.0).flags)


def test_results_share_memory_where_numpys_do():
    real = numpy.arange(4.0)
    back = ours.require(real)
    real[0] = 9.0
    assert back[0] == 9.0
    for np in (numpy, ours):
        a = np.arange(4)
        seen = a.getfield(np.int64)
        a[1] = 8
        assert seen[1] == 8
        assert a.byteswap(inplace=True) is a
        words = ["a", "b", "c", "d", "e", "f", "g", "h"]
        np.random.default_rng(1).shuffle(words)
        assert words != sorted(words)


def test_calls_and_methods_are_counted():
    a, before = ours.arange(6.0), dict(_fallback.calls)
    ours.correlate(a, a)
    a.put([[1]], 2.0)
    a.byteswap()
    a.reshape(2, 3)[:, [[1, 2]]]
    more = {k: n - before.get(k, 0) for k, n in _fallback.calls.items() if n != before.get(k, 0)}
    assert more == {"correlate": 1, "ndarray.put": 1, "ndarray.__getitem__": 1}


def test_errstate_around_a_function():
    for np in (numpy, ours):

        @np.errstate(divide="raise")
        def inverse(x):
            """Words."""
            return 1.0 / x

        assert inverse.__doc__ == "Words." and inverse.__name__ == "inverse"
        for _ in range(2):
            with pytest.raises(FloatingPointError):
                inverse(np.zeros(3))
            assert inverse(np.ones(3)).sum() == 3.0
        with np.errstate(divide="ignore"):
            assert np.isinf(1.0 / np.zeros(3)).all()
        asked = np.errstate(divide="raise")
        with asked, pytest.raises(FloatingPointError):
            (1.0 / np.zeros(3)).sum()
        with np.errstate(divide="ignore"):
            assert np.isinf(1.0 / np.zeros(3)).all()
        with pytest.raises(TypeError):
            np.errstate(nothing="raise")


@pytest.mark.parametrize(
    "what",
    """
(1, 2)
(1, 2.5, 3)
((1, 2), [3, 4])
[(1, 2), (3, 4.5)]
((1, 2), (3,))
((1, 2), 3)
()
((), ())
(True, False)
(True, 2)
[1, 2, 2**53 + 1]
(2**53 + 1, 1.0)
(1, 2**70)
(numpy.float32(1.0), 2)
(1.0, "2")
(None, 1.0)
(((((1,),),),),)
[[0.5, (1,)], 2]
""".strip().splitlines(),
)
@pytest.mark.parametrize("how", ["array(x)", "array(x, float)", "array(x, dtype=float)", "asarray(x)", "asarray(x, dtype='f8')", "array(x, dtype=int)"])
def test_lists_and_tuples_of_numbers(what, how):
    results = []
    for np in (numpy, ours):
        try:
            results.append(eval("np." + how, dict(np=np, x=eval(what))))
        except Exception as e:
            results.append(e)
    want, got = results
    if isinstance(want, Exception):
        assert isinstance(got, type(want)) and str(got) == str(want)
    elif want.dtype == object:
        assert got.dtype == object and got.tolist() == want.tolist()
    else:
        same(got, want)
