"""Calls in the forms that have ways of their own, beside NumPy's: the same bits, types and aliasing."""

import numpy
import pytest

import legate_jit.numpy as ours

ODD = [3.0, -0.0, numpy.nan, 0.0, -numpy.inf, 2.5, -0.0, 3.0, numpy.inf, 0.0, numpy.nan, -1.0]


def same(got, want):
    got, want = numpy.asarray(got), numpy.asarray(want)
    assert (got.dtype, got.shape, got.tobytes()) == (want.dtype, want.shape, want.tobytes())


ARRAYS = [
    lambda np: np.array(ODD),
    lambda np: np.array(ODD, dtype="f4"),
    lambda np: np.array(ODD * 400),
    lambda np: np.array([5, -3, 2, 2, 7, -9]),
    lambda np: np.array([True, False, True]),
    lambda np: np.array(ODD).reshape(3, 4),
    lambda np: np.array(ODD).reshape(3, 4).T,
    lambda np: np.array(ODD)[::-2],
    lambda np: np.array(ODD) * 2.0 + 1.0,
    lambda np: np.zeros((0,)),
    lambda np: np.array([2.0 + 1.0j, 1.0 - 3.0j, 1.0 - 4.0j]),
]
FORMS = [
    lambda np, a: np.sort(a),
    lambda np, a: np.argsort(a),
    lambda np, a: a.argsort(),
    lambda np, a: np.sort(a, axis=0),
    lambda np, a: np.argsort(a, kind="stable"),
    lambda np, a: np.nonzero(a)[0],
    lambda np, a: a.nonzero()[-1],
    lambda np, a: a.astype("f8") if a.dtype.kind != "c" else a.astype("c8"),
    lambda np, a: a.astype("f4") if a.dtype.kind == "f" else a,
    lambda np, a: a.mean(0) if a.size and a.dtype.kind != "c" else a,
    lambda np, a: np.mean(a, axis=-1) if a.size and a.dtype.kind != "c" else a,
    lambda np, a: np.mean(a) if a.size and a.dtype.kind != "c" else a,
]


@pytest.mark.parametrize("form", range(len(FORMS)))
@pytest.mark.parametrize("array", range(len(ARRAYS)))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_as_numpy(form, array):
    want, a = ARRAYS[array](numpy), ARRAYS[array](ours)
    same(FORMS[form](ours, a), FORMS[form](numpy, want))
    same(a, want)


REDUCED = [
    lambda np, a: np.sum(a, axis=(0, 2)),
    lambda np, a: a.sum((0, 1, 2)),
    lambda np, a: np.sum(a, axis=()),
    lambda np, a: a.prod(axis=(-1,), keepdims=True),
    lambda np, a: np.max(a, axis=-1, keepdims=True),
    lambda np, a: a.min(keepdims=True),
    lambda np, a: np.any(a, (1, 2), keepdims=False),
    lambda np, a: np.all(a, keepdims=True, axis=1),
    lambda np, a: np.argmax(a, axis=1, keepdims=True),
    lambda np, a: np.mean(a, axis=(0, 1)),
    lambda np, a: a.mean((0, 2), keepdims=True),
    lambda np, a: np.var(a, axis=(1, 2), keepdims=True),
    lambda np, a: a.std(axis=(0, 2)),
]


@pytest.mark.parametrize("form", range(len(REDUCED)))
def test_reductions_over_several_axes(form):
    a = numpy.random.default_rng(5).standard_normal((4, 3, 5))
    for dtype in ("f8", "f4", "i4", "?"):
        x = a.astype(dtype) if dtype != "?" else a > 0
        same(REDUCED[form](ours, ours.array(x)), REDUCED[form](numpy, x))


@pytest.mark.parametrize("axis", [(0, 0), (0, 3), (-4,), (0, 1.5), [0, 1], (True,)])
@pytest.mark.parametrize("name", ["sum", "max", "argmax", "mean"])
def test_axes_that_there_are_not(name, axis):
    """The same exception as NumPy's, or the same result."""

    def run(np):
        try:
            return getattr(np, name)(np.arange(24.0).reshape(2, 3, 4), axis=axis)
        except Exception as error:
            return type(error)

    got, want = run(ours), run(numpy)
    if isinstance(want, type):
        assert got is want
    else:
        same(got, want)


def test_a_sorted_array_is_one_of_its_own():
    a = ours.array(ODD)
    b = ours.sort(a)
    b[0] = 77.0
    same(a, numpy.array(ODD))
    assert type(ours.argsort(a)) is type(a)


@pytest.mark.parametrize("key", [-1e9, 0.0, -0.0, 2.5, 3, 1e9, numpy.nan, numpy.inf, numpy.float64(2.5), numpy.int64(2), True])
def test_places_of_numbers(key):
    for values in ([-3.0, -0.0, 0.0, 2.5, 2.5, 9.0, numpy.inf, numpy.nan, numpy.nan], [5.0, 1.0, 3.0, 2.0, 4.0], [1, 2, 2, 3], []):
        got, want = ours.searchsorted(ours.array(values), key), numpy.searchsorted(numpy.array(values), key)
        assert got == want and type(got) is type(want)
        assert ours.array(values).searchsorted(key) == want
    strided = numpy.arange(20.0)
    assert ours.array(strided)[1::3].searchsorted(key) == strided[1::3].searchsorted(key)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 23, 24, 25, 100])
@pytest.mark.parametrize("dtype", ["f8", "i8", "f4", "i4"])
def test_few_elements_in_order(n, dtype):
    rng = numpy.random.default_rng(n)
    distinct = (rng.permutation(2 * n)[:n] - n).astype(dtype) * 3
    equal = rng.integers(-3, 3, n).astype(dtype)
    lists = [distinct, equal, distinct[::-1]]
    if dtype[0] == "f":
        info = numpy.finfo(dtype)
        signs = equal.copy()
        signs[1::2] *= -1.0
        special = distinct.copy()
        special[: min(n, 6)] = [info.max, -numpy.inf, info.smallest_subnormal, numpy.inf, -info.max, -info.smallest_subnormal][: min(n, 6)]
        nan = distinct.copy()
        nan[n // 2 : n // 2 + 1] = numpy.nan
        lists += [signs, special, nan]
    for x in lists:
        same(ours.sort(ours.array(x)), numpy.sort(x))
        same(ours.argsort(ours.array(x)), numpy.argsort(x))
        a, b = ours.array(x), x.copy()
        view = a[:]
        a.sort()
        b.sort()
        same(a, b)
        same(view, b)
        same(ours.array(x).argsort(), x.argsort())


def test_repeated_elements():
    for x in (numpy.arange(12.0).reshape(3, 4), numpy.arange(12).reshape(3, 4).T, numpy.arange(5), numpy.zeros((0, 3)), numpy.array(2.5)):
        a = ours.array(x)
        for times in (0, 1, 2, 7):
            same(a.repeat(times), x.repeat(times))
            same(ours.repeat(a, times), numpy.repeat(x, times))
            for axis in range(-x.ndim, x.ndim):
                same(ours.repeat(a, times, axis), numpy.repeat(x, times, axis))
                same(a.repeat(times, axis=axis), x.repeat(times, axis=axis))
    a = ours.arange(4.0)
    once = a.repeat(1)
    once[0] = 9.0
    same(a, numpy.arange(4.0))
    for wrong in ((-1,), (2, 1), (2**62,)):
        with pytest.raises(ValueError):
            a.repeat(*wrong)


def test_views_of_the_whole():
    a = ours.arange(6.0).reshape(2, 3)
    assert a.squeeze() is a and ours.squeeze(a) is a and a[0].squeeze() is not a
    b = a.view()
    assert b is not a and type(b) is type(a)
    b[0, 0] = 5.0
    a[1, 1] = 7.0
    b.shape = (6,)
    same(a, numpy.array([[5.0, 1.0, 2.0], [3.0, 7.0, 5.0]]))
    same(b, numpy.array([5.0, 1.0, 2.0, 3.0, 7.0, 5.0]))
    row = ours.ones((1, 3, 1))
    flat = row.squeeze()
    flat[1] = 4.0
    same(row, numpy.array([[[1.0], [4.0], [1.0]]]))


@pytest.mark.parametrize("n", [0, 1, 2, 5, 40, 300])
def test_eye(n):
    same(ours.eye(n), numpy.eye(n))


@pytest.mark.parametrize("n", [1, 2, 10, 255, 256, 300])
def test_in_place_operations_where_operands_meet(n):
    def run(np):
        a, b = np.arange(1.0, n + 1), np.arange(2.0, n + 2)
        a += a
        a *= b
        a[1:] += a[:-1]
        a[:-1] -= a[1:]
        a[::-1] += a
        c = a
        c += 1.5
        a -= c[-1]
        np.add(a, b, out=a)
        np.subtract(b, a, out=a)
        np.sqrt(np.abs(a), out=a)
        kept = a.copy()
        a *= 0.5
        i = np.arange(n)
        i += 3
        i *= i
        f = a.astype("f4")
        f += 1
        f *= f
        return a, b, kept, i, f

    for got, want in zip(run(ours), run(numpy)):
        same(got, want)


def test_in_place_operations_with_the_errors_of_numpy():
    a, i = ours.arange(5.0), ours.arange(5)
    with pytest.raises(ValueError):
        a += ours.arange(4.0)
    with pytest.raises(TypeError):
        i += 0.5
    with pytest.raises(ValueError):
        a.flags.writeable = False
        a += 1.0
    with pytest.raises(OverflowError):
        small = ours.zeros(3, dtype="i1")
        small += 1000
    b = ours.zeros(3)
    b += ours.ones((1,))
    same(b, numpy.ones(3))


def test_scalars_of_numpy_on_the_left():
    for n in (3, 1000):
        want = numpy.arange(1.0, n + 1)
        a = ours.array(want)
        for s in (numpy.float64(1.5), numpy.float32(1.5), numpy.int64(3), numpy.complex128(1 + 2j), numpy.bool_(True)):
            for f in (lambda x: s * x, lambda x: s - x, lambda x: s / x, lambda x: s < x, lambda x: s == x):
                same(f(a), f(want))
                same(f(a[::-1]), f(want[::-1]))
        assert type(numpy.float64(1.5) * a) is ours.ndarray
        assert type(numpy.add(want, a)) is ours.ndarray
        same(numpy.add.reduce(a), numpy.add.reduce(want))
        with pytest.raises(ValueError):
            numpy.float64(1.0) @ a


def test_views_of_views():
    want = numpy.arange(4 * 5 * 6.0).reshape(4, 5, 6)
    keys = [
        1, -1, slice(1, 3), slice(None, None, -1), slice(3, 1, -1), slice(2, 2), (slice(None), 2), (..., 1), (1, ...),
        (slice(0, 4, 3), slice(1, None, 2)), None, (slice(1, 2), None), (..., None), (slice(5, 0, -2),), (0, slice(1, 4)),
    ]  # fmt: skip
    for start in (lambda x: x, lambda x: x.T, lambda x: x[::-1, 1:]):
        for first in keys:
            for second in keys:
                for _ in range(3):
                    a, b = start(ours.array(want)), start(want)
                    try:
                        b = b[first][second]
                    except IndexError:
                        with pytest.raises(IndexError):
                            a[first][second]
                        continue
                    a = a[first][second]
                    assert a.shape == b.shape
                    if b.size > 0:
                        # Where an axis has one place, its stride says nothing.
                        steps = [[s for s, n in zip(x.strides, x.shape) if n > 1] for x in (a, b)]
                        assert steps[0] == steps[1]
                    flags = ("C_CONTIGUOUS", "F_CONTIGUOUS")
                    assert [a.flags[f] for f in flags] == [b.flags[f] for f in flags]
                    same(a, b)


def sorted_in_place(np, a, part):
    a = np.array(a)
    assert part(a).sort() is None
    return a


MORE = [
    lambda np, a: a.swapaxes(0, -1),
    lambda np, a: np.swapaxes(a, 1, 0),
    lambda np, a: a.diagonal(),
    lambda np, a: a.diagonal(1),
    lambda np, a: np.diagonal(a, -1),
    lambda np, a: a[None, :, None].squeeze(),
    lambda np, a: np.squeeze(a[:1]),
    lambda np, a: a.conj(),
    lambda np, a: a.ravel().take(np.array([0, -1, 5])),
    lambda np, a: a.take(np.array([2, 0]), 0),
    lambda np, a: np.array(list(a.tobytes())),
    lambda np, a: np.array(list((a + a).T.tobytes())),
    lambda np, a: sorted_in_place(np, a, lambda a: a),
    lambda np, a: sorted_in_place(np, a, lambda a: a.reshape(-1)[2:8]),
    lambda np, a: sorted_in_place(np, a, lambda a: a[:, ::2]),
]


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "?", "c16"])
@pytest.mark.parametrize("form", MORE)
def test_more_methods(form, dtype):
    want = (numpy.arange(12)[::-1] % 7).astype(dtype).reshape(3, 4)
    same(form(ours, ours.array(want)), form(numpy, want))


@pytest.mark.parametrize(
    "call",
    [lambda np, a: a.swapaxes(0, 5), lambda np, a: a[0].diagonal(), lambda np, a: a.swapaxes(1, "a")],
)
def test_their_mistakes(call):
    with pytest.raises(Exception) as want:
        call(numpy, numpy.ones((2, 3)))
    with pytest.raises(want.type, match=str(want.value).split("(")[0]):
        call(ours, ours.ones((2, 3)))


RANGES = [
    (5.0,), (0.0, 1.0, 0.1), (1, 2, 0.3), (1.5, -3.0, -0.7), (-0.0, 3), (2.0, 1.0), (0.1, 1e3, 0.1), (3, 0.5, -1), (0.3,),
    (-1.0,), (0.1, 1e4, 1e3), (1e16, 1e16 + 20, 1.5),
]  # fmt: skip


@pytest.mark.parametrize("args", RANGES)
def test_ranges_of_floats(args):
    same(ours.arange(*args), numpy.arange(*args))
