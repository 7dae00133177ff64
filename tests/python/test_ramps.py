"""Indices that count up evenly (`np.arange(n)`): they are slices, and what they name is a copy at that moment all the same."""

import numpy
import pytest
from same import assert_same

import legate_jit
import legate_jit.numpy as ours

N = 20_000
RNG = numpy.random.default_rng(1943)


def both(program, *arrays):
    """The same of NumPy and of us."""
    got, want = (program(np, *[np.array(a) for a in arrays]) for np in (ours, numpy))
    for g, w in zip(got, want, strict=True):
        assert_same(g, w)


INDICES = {
    "all": lambda np: np.arange(N),
    "from the second": lambda np: np.arange(N - 1) + 1,
    "every third": lambda np: 3 * np.arange(N // 3),
    "from the end": lambda np: np.arange(-N, -5),
    "over the end": lambda np: np.arange(-3, N - 5),
    "backwards": lambda np: np.arange(N)[::-1],
    "a part of more": lambda np: np.arange(2 * N)[7 : N - 7],
    "with a step": lambda np: np.arange(2 * N)[5:N:2],
    "one out of place": lambda np: np.where(np.arange(N) == N // 2, 3, np.arange(N)),
    "32 bits": lambda np: np.arange(N).astype("i4"),
    "two axes": lambda np: np.arange(N).reshape(100, -1),
}


@pytest.mark.parametrize("name", INDICES)
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "c16"])
def test_reads_and_writes(name, dtype):
    a = (9 * RNG.standard_normal(N)).astype(dtype)

    def program(np, a):
        i = INDICES[name](np)
        taken = a[i]
        a[i] = 2 * taken
        again = a.take(i)
        a[i] = 5
        b = a * 3  # pending
        late = b[i]
        b[i] = late + 1
        a[0] = 7
        return taken, again, late, a, b

    both(program, a)


@pytest.mark.parametrize("name", INDICES)
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8"])
def test_add_at(name, dtype):
    a = (9 * RNG.standard_normal(N)).astype(dtype)

    def program(np, a):
        i = INDICES[name](np)
        v = (a * 3)[i]
        zero = np.zeros_like(a)
        np.add.at(zero, i, v)
        np.subtract.at(a, i, v)
        np.add.at(a, i, 2)
        np.subtract.at(a, i, a.dtype.type(3))
        if dtype == "f8":
            np.add.at(a, i, 0.1)
        return zero, a

    both(program, a)


def test_rows():
    a = RNG.standard_normal((N, 3))

    def program(np, a):
        i = np.arange(N - 1)
        left, right = a[i], a[i + 1]
        a[i] = right - left
        a[i + 1] = np.array([1.0, 2.0, 3.0])
        return left, right, a

    both(program, a)


def test_an_index_that_changes():
    a = RNG.standard_normal(N)

    def program(np, a):
        i, results = np.arange(N - 9), []
        for k in range(4):
            results.append(a[i])
            results.append(a[i])
            i[5 + k] = 17
            results.append(a[i])
            i[5 + k] = 5 + k
            i += 1
            results.append((a * 2)[i])
        return results

    both(program, a)


def test_an_index_that_foreign_code_changes():
    a, i = ours.array(RNG.standard_normal(N)), ours.arange(N)
    before = numpy.array(a)
    assert_same(a[i], before)
    seen = numpy.asarray(i)
    seen[3] = 8
    expect = before.copy()
    expect[3] = before[8]
    assert_same(a[i], expect)
    seen[3] = 3
    assert_same(a[i], before)
    seen[4] = 0
    del seen
    expect = before.copy()
    expect[4] = before[0]
    assert_same(a[i], expect)


def test_nothing_is_computed_for_it():
    a, i = ours.array(RNG.standard_normal(N)), ours.arange(N - 1)
    a[i]  # the index is in memory from here on
    legate_jit.sync()
    flushes = legate_jit.stats()["flushes"]
    b = a * 2.0
    c = b[i] + 1.0
    ours.add.at(b, i, c)
    b[i] = b[i] - c
    assert legate_jit.stats()["flushes"] == flushes
    x = numpy.array(a)
    y = x * 2.0
    z = y[:-1] + 1.0
    y[:-1] += z
    y[:-1] -= z
    assert_same(b, y)


def test_the_words_for_a_wrong_index():
    for start in (1, -N - 1):
        words = []
        for np in (numpy, ours):
            a, i = np.zeros(N), np.arange(start, start + N)
            for wrong in (lambda: a[i], lambda: a.__setitem__(i, 1.0), lambda: np.add.at(a, i, 1.0)):
                with pytest.raises(IndexError) as raised:
                    wrong()
                words.append(str(raised.value))
        assert words[:3] == words[3:]
    for np in (numpy, ours):
        with pytest.raises(ValueError):
            np.zeros(N)[np.arange(N)] = np.zeros(5)
