"""Comparisons with NumPy: values to the bit (any NaN equals any NaN), types, shapes, exceptions."""

import warnings

import numpy

import legate_jit
import legate_jit.numpy as ours


def real(x):
    """NumPy's array of the same value."""
    return numpy.asarray(x)


def seen(a):
    """All that an array of NumPy's says of itself, and its elements."""
    flags = a.flags
    order = flags.c_contiguous, flags.f_contiguous, flags.aligned, flags.writeable
    # (How far it is to the next element says nothing where there is none.)
    strides = [step for n, step in zip(a.shape, a.strides) if n > 1 and a.size]
    return a.shape, strides, a.dtype.str, order, a.tobytes().hex()


def assert_equal(got, want):
    """The same bits, also in lists and tuples; of Python's own values the same types."""
    if isinstance(want, (tuple, list)):
        assert type(got) is type(want) and len(got) == len(want)
        for g, w in zip(got, want):
            assert_equal(g, w)
    elif isinstance(want, (numpy.generic, numpy.ndarray)):
        assert_same(got, want)
    else:
        assert type(got) is type(want) and (got == want or got != got and want != want)


def check_text(text, arrays, n):
    """A program in words, `program(np, *arrays(np), n)`, gives what it gives with NumPy; its loops are looked at from the first
    operation on."""
    names = {}
    exec(compile(text, "random", "exec"), names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = names["program"](numpy, *arrays(numpy), n)
        for _ in range(2):
            legate_jit._native.look_for_loops()
            got = names["program"](ours, *arrays(ours), n)
            try:
                assert_equal(got, want)
            except AssertionError as e:
                raise AssertionError(text) from e


def counted(name, program, *args, times=2):
    """What a program gives at last, and by how much a count of `stats()` has grown: loops are looked at from the first operation on."""
    legate_jit.sync()
    legate_jit._native.look_for_loops()
    before = legate_jit.stats()[name]
    for _ in range(times):
        result = program(ours, *args)
        legate_jit.sync()
    return result, legate_jit.stats()[name] - before


def assert_same(got, want, ulps=0, context=""):
    """Equal in type, shape and bits; `ulps` allows floats to be so many units in the last place apart."""
    if isinstance(want, (tuple, list)):
        assert type(got) is type(want) and len(got) == len(want), f"{context}: {got!r} is not {want!r}"
        for g, w in zip(got, want):
            assert_same(g, w, ulps, context)
        return
    g, w = real(got), real(want)
    assert g.dtype == w.dtype, f"{context}: dtype {g.dtype}, NumPy has {w.dtype}"
    assert g.shape == w.shape, f"{context}: shape {g.shape}, NumPy has {w.shape}"
    scalar = isinstance(want, numpy.generic)
    assert scalar == (not isinstance(got, (ours.ndarray, numpy.ndarray))), f"{context}: {type(got)} for {type(want)}"
    if g.size == 0:
        return
    bad = ~_equal(g, w)
    if ulps and bad.any() and g.dtype.kind in "fc":
        bad &= ~(_distance(g, w) <= ulps)
    if bad.any():
        at = tuple(int(i[0]) for i in numpy.nonzero(numpy.atleast_1d(bad)))
        a, b = numpy.atleast_1d(g)[at], numpy.atleast_1d(w)[at]
        raise AssertionError(f"{context}: {int(bad.sum())} of {g.size} differ, at {at}: {a!r}, NumPy has {b!r}")


def _parts(x):
    x = numpy.ascontiguousarray(x)
    return x.view(numpy.float32 if x.dtype == numpy.complex64 else numpy.float64).reshape(*x.shape, 2)


def _equal(g, w):
    if g.dtype.kind == "c":
        return _equal(_parts(g), _parts(w)).all(axis=-1).reshape(g.shape)
    if g.dtype.kind != "f":
        return g == w
    bits = {2: numpy.uint16, 4: numpy.uint32, 8: numpy.uint64}[g.dtype.itemsize]
    same = numpy.ascontiguousarray(g).view(bits) == numpy.ascontiguousarray(w).view(bits)
    return (same | (numpy.isnan(g) & numpy.isnan(w))).reshape(g.shape)


def _ordered(x):
    bits = {4: numpy.int32, 8: numpy.int64}[x.dtype.itemsize]
    i = numpy.ascontiguousarray(x).view(bits).astype(object)
    low = -(2 ** (8 * x.dtype.itemsize - 1))
    return numpy.where(i < 0, low - i, i)


def _distance(g, w):
    if g.dtype.kind == "c":
        return _distance(_parts(g), _parts(w)).max(axis=-1).reshape(g.shape)
    nan = numpy.isnan(g) != numpy.isnan(w)
    apart = abs(_ordered(g) - _ordered(w)).astype(float)
    return numpy.where(nan, numpy.inf, apart).reshape(g.shape)


def outcome(f, *args, **kwargs):
    """(result, None) or (None, exception), with warnings silenced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return f(*args, **kwargs), None
        except Exception as e:
            return None, e
