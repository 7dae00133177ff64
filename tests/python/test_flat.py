"""`a.flat`, lists as indices, and other plain forms that do not go through NumPy: the same values, the same errors, the same memory."""

import numpy
import pytest

import legate_jit.numpy as ours
from same import assert_equal

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def run(np, program):
    """What a program gives, or what it raises."""
    try:
        return program(np)
    except Exception as e:
        return type(e).__name__, str(e)


def check(program):
    got, want = run(ours, program), run(numpy, program)
    assert_equal(got, want)


def table(np, order="C"):
    return np.arange(12.0).reshape(3, 4).copy(order=order)


SEEN = [lambda a: a, lambda a: a.T, lambda a: a[::2, ::-1], lambda a: a[1], lambda a: a[:, 2], lambda a: a[:0]]


@pytest.mark.parametrize("seen", range(len(SEEN)))
def test_one_after_the_other(seen):
    def program(np):
        a = SEEN[seen](table(np))
        f = a.flat
        first = [x for x, _ in zip(f, range(2))]
        return first, f.index, f.coords, list(f), f.index, f.coords, len(f), f.base is a, f.copy(), [*f]

    check(program)


KEYS = [0, 3, -1, 100, -100, slice(2, 5), slice(None, None, 5), slice(None, None, -1), slice(7, 2), [1, 2], ..., "x", 1.5, (1, 1)]


@pytest.mark.parametrize("seen", range(len(SEEN)))
@pytest.mark.parametrize("key", KEYS, ids=str)
def test_what_keys_give(seen, key):
    check(lambda np: SEEN[seen](table(np)).flat[key])


@pytest.mark.parametrize("new", [7, 2.5, [1, 2, 3], True])
@pytest.mark.parametrize("key", KEYS, ids=str)
def test_what_is_written(key, new):
    def program(np):
        wholes = [table(np), table(np, "F"), np.arange(12)]
        for a in (wholes[0], wholes[1].T, wholes[2]):
            a.flat[key] = new
        return wholes

    check(program)


@pytest.mark.parametrize("new", [3, 2.5, [1, 2], "x", 1j])
def test_all_at_once(new):
    def program(np):
        a, b = table(np), table(np)
        a.flat = new
        b.T.flat = a
        return a, b

    check(program)


def test_a_part_is_a_copy_and_an_iterator_sees_what_is_written():
    def program(np):
        a = table(np)
        f, part = a.flat, a.flat[2:5]
        next(f)
        a[0, 1] = 50.0
        part[0] = -1.0
        return next(f), part, a, a.flat == f, np.asarray(a.flat), float(np.sum(a.flat))

    check(program)


def test_lists_of_integers():
    def program(np):
        a, m = np.arange(6.0), table(np)
        a[[1, 3]] = 5.0
        a[[0, -1]] += 1.0
        return a, a[[2, 2, 0]], m[[0, 2]], m[[0, 2], [1, 1]], a.take([1, -1]), np.take(a, [0]), m.take([5, 1]), a[[]], a[[True] + 5 * [False]]

    check(program)
    check(lambda np: np.arange(3)[[3]])
    check(lambda np: np.arange(3)[[0, 1.5]])
    check(lambda np: np.arange(3).take([7]))


def broken():
    yield 1
    raise KeyError("from the generator")


@pytest.mark.parametrize("dtype", [float, int, "f4", "i4", bool, complex])
@pytest.mark.parametrize(
    "items",
    [
        lambda: (0.5 * x for x in range(5)),
        lambda: iter([1, 2, 3]),
        lambda: {3: 4, 5: 6},
        lambda: range(4),
        lambda: iter([]),
        lambda: (x for x in [1, True, 3]),
        lambda: (x for x in [2**60 + 1, 1]),
        lambda: (x for x in [2**70, 1]),
        lambda: (x for x in [1, "a"]),
        lambda: (numpy.float64(x) for x in range(3)),
        broken,
        lambda: 5,
    ],
    ids=range(12),
)
def test_arrays_of_what_an_iterator_gives(items, dtype):
    check(lambda np: np.fromiter(items(), dtype))


def test_attributes():
    def program(np):
        a, c = table(np), table(np) + 1j
        c.real = 5
        a.real[0] = 2.0
        a.real = a + 1.0
        same = (a.real is a, a.astype(float, copy=False) is a, a.astype(float, copy=True) is a, np.atleast_1d(a) is a)
        return a, c, c.real, a.itemsize, a.nbytes, a.strides, a.T.strides, same, a.astype("f4", copy=False), (a / 3).round(), np.atleast_1d(2.0)

    check(program)
    check(lambda np: np.atleast_1d(np.float64(3.0), [1, 2]))
