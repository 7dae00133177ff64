"""Arrays of ours that NumPy is lent for the length of a call: it sees what it should, and may keep it."""

import functools
import gc
import inspect
import pickle
import random
import weakref

import numpy
import pytest

import legate_jit
import legate_jit.numpy as ours
from legate_jit import _fallback
from same import seen


def passed(function):
    return _fallback.function("a test's", function)


VIEWS = ["", "[::2]", "[::-1]", "[1:]", "[:0]", ".T", "[..., 0]", "[..., None]", "[..., ::-2]", ".swapaxes(0, -1)", ".real"]


@pytest.mark.parametrize("seed", range(8))
def test_what_is_shown_is_what_numpy_would_have(seed):
    rng = random.Random(seed)
    show = passed(lambda a: repr(seen(a)))
    for _ in range(60):
        shape = tuple(rng.choice([1, 2, 3, 5]) for _ in range(rng.randrange(6)))
        dtype = rng.choice(["?", "i1", "u2", "i4", "i8", "f4", "f8", "c8", "c16"])
        views = "".join(rng.choice(VIEWS) for _ in range(rng.randrange(3)))
        size = int(numpy.prod(shape))
        want = numpy.arange(size).astype(dtype).reshape(shape)
        got = ours.arange(size).astype(dtype).reshape(shape)
        try:
            want = eval("want" + views)
        except IndexError:
            continue
        if not isinstance(want, numpy.ndarray):
            continue
        got = eval("got" + views)
        if rng.random() < 0.2:
            want.flags.writeable = got.flags.writeable = False
        text = repr(seen(want))
        assert show(got) == text, (shape, dtype, views)
        assert show(got) == text, (shape, dtype, views)


def test_what_is_kept_stays_good():
    for size in (10, 5000):
        kept = []
        a = ours.arange(float(size))
        passed(kept.append)(a)
        view = kept[0]
        a[3] = 7.0
        assert view[3] == 7.0
        view[4] = 8.0
        assert a[4] == 8.0
        part = ours.asarray(view[4:])
        part[0] = 9.0
        assert a[4] == 9.0
        del a, part
        gc.collect()
        for _ in range(20):
            ours.zeros(size) + 1.0
        assert view[3] == 7.0 and view[5] == 5.0


def test_views_that_functions_make_of_what_they_keep():
    kept = []

    def part(keep):
        whole = numpy.arange(6.0)
        if keep:
            kept.append(whole)
        return whole.reshape(2, 3)

    for keep in (False, True):
        a = passed(part)(keep)
        a[0, 0] = 7.0
        assert a.tolist() == [[7.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    memory = memoryview(bytearray(24))
    seen_by = passed(lambda: numpy.frombuffer(memory, dtype=numpy.int64))()
    seen_by[1] = 5
    assert memory.cast("q").tolist() == [0, 5, 0]


def test_what_is_kept_is_not_shown_again():
    kept = []
    keep = passed(kept.append)
    for i in range(20):
        keep(ours.full(3, float(i)))
    assert [k.tolist() for k in kept] == [[float(i)] * 3 for i in range(20)]


def test_weak_references_and_buffers():
    refs, views = [], []
    a = ours.arange(4.0)
    passed(lambda x: refs.append(weakref.ref(x)))(a)
    assert refs[0]() is None
    passed(lambda x: views.append(memoryview(x)))(a)
    a[1] = 5.0
    assert views[0][1] == 5.0
    passed(lambda x: memoryview(x).tolist())(a)
    assert passed(lambda x: x.tolist())(ours.zeros(2)) == [0.0, 0.0]


def test_an_array_that_comes_back_is_the_array():
    a, b = ours.arange(4.0), ours.zeros(4)
    same = passed(lambda x: x)
    assert same(a) is a
    add = passed(lambda x, y, out=None: numpy.add(x, y, out=out))
    assert add(a, a, out=b) is b and b.tolist() == [0.0, 2.0, 4.0, 6.0]
    assert passed(lambda x, y: x is y)(a, a)
    assert passed(lambda x, out: out[0])(a, out=(b,)) is b
    view = passed(lambda x: x[1:])(a)
    assert type(view) is ours.ndarray
    view[0] = 9.0
    assert a[1] == 9.0
    pair = passed(lambda x: (x[::2], [x + 1.0, 3]))(a)
    assert type(pair) is tuple and type(pair[0]) is type(pair[1][0]) is ours.ndarray and pair[1][1] == 3
    pair[0][0] = -1.0
    assert a[0] == -1.0


def test_arrays_in_lists_and_words():
    a = ours.arange(3.0)
    kinds = passed(lambda *args, **kwargs: repr([args, kwargs]))
    text = kinds([a, (a, [a])], {"a": a}, slice(a[:1].size), x=a, y=[[a]])
    assert "legate" not in text and text.count("array([0., 1., 2.])") == 6
    words = [["a"], ["b"]]
    assert passed(lambda x: x)(words) is words
    deep = [a]
    for _ in range(100):
        deep = [deep]
    assert repr(passed(lambda x: x)(deep)).count("array([0., 1., 2.])") == 1
    deep.append(deep)
    with pytest.raises(RecursionError):
        passed(len)(deep)
    scalar = (a * 2.0).sum()
    assert passed(lambda x: type(x))(scalar) is numpy.float64


def test_writes():
    a = ours.arange(4.0)
    copy = a.copy()
    passed(lambda x: x.__setitem__(0, 9.0))(a)
    assert a.tolist() == [9.0, 1.0, 2.0, 3.0] and copy.tolist() == [0.0, 1.0, 2.0, 3.0]
    a.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        passed(lambda x: x.__setitem__(0, 1.0))(a)
    with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
        passed(lambda x: x.setflags(write=True))(a)
    with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
        passed(lambda x: x[1:].setflags(write=True))(a)


def test_calls_within_calls():
    a = ours.arange(6.0)

    def within(x):
        a[0] = x[1] + 1.0
        assert x[0] == 2.0
        x[2] = 7.0
        assert a[2] == 7.0
        seen_again = ours.asarray(x)
        seen_again[3] = 5.0
        return numpy.asarray(a + 1.0).tolist()

    assert passed(within)(a) == [3.0, 2.0, 8.0, 6.0, 5.0, 6.0]
    assert a.tolist() == [2.0, 1.0, 7.0, 5.0, 4.0, 5.0]


def test_errors():
    a = ours.arange(4.0)

    def fail(x):
        raise RuntimeError(x)

    for _ in range(3):
        with pytest.raises(RuntimeError) as e:
            passed(fail)(a)
        e.value.args[0][0] += 1.0
    assert a[0] == 3.0
    for call in ("concatenate(5)", "convolve()", "convolve(1, 2, 3, 4)", "histogram([], nothing=3)", "lexsort(3)"):
        words = []
        for np in (numpy, ours):
            with pytest.raises(Exception) as e:
                eval("np." + call)
            words.append((type(e.value), str(e.value)))
        assert words[0] == words[1]


def test_the_functions_are_functions():
    f = ours.histogram
    assert (f.__name__, f.__qualname__, f.__module__) == ("histogram", "histogram", "numpy")
    assert f.__doc__ == numpy.histogram.__doc__ and inspect.signature(f) == inspect.signature(numpy.histogram)
    assert repr(f).startswith("<function histogram at 0x") and inspect.isroutine(f) and callable(f)
    assert functools.wraps(f)(lambda x: x).__wrapped__ is f and weakref.ref(f)() is f
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(f)
    a = ours.arange(4.0)
    assert f.__call__(a, bins=2)[0].tolist() == f(a, bins=2)[0].tolist() == [2, 2]

    class With:
        correlate = ours.correlate

        def __array__(self, dtype=None, copy=None):
            return numpy.ones(2)

    assert With().correlate(ours.ones(2)).tolist() == [2.0]
    assert ours.ndarray.put.__name__ == "put" and a.put.__self__ is a
    with pytest.raises(TypeError):
        ours.ndarray.put()
    scalar = ours.arange(3.0).sum()
    assert scalar.byteswap() == numpy.float64(3.0).byteswap()


def test_counts():
    a = ours.arange(4.0)
    before = _fallback.calls["correlate"], legate_jit.stats()["numpy_calls"]
    ours.correlate(a, a)
    ours.correlate(a, a)
    assert (_fallback.calls["correlate"], legate_jit.stats()["numpy_calls"]) == (before[0] + 2, before[1] + 2)
    assert dict(_fallback.calls)["correlate"] == before[0] + 2 and _fallback.calls["no function's"] == 0
