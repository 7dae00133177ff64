"""Rounds whose inner loops wait for what they have just computed, several at once: with NumPy's bits and everybody's errors and warnings at
their own places."""

import random
import warnings

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import legate_jit
from same import assert_equal, check_text, counted

pytestmark = [
    pytest.mark.skipif(legate_jit.config()["LEGATE_JIT_LOOPS"][0] == "off", reason="loops are left to Python here"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]


def check(program):
    got, count = counted("rounds_translated", program, times=3)
    assert_equal(got, program(numpy))
    assert count > 0


def rates(np, n):
    return np.array(numpy.linspace(3.5, 3.99, n))


def test_where_orbits_go():
    def program(np, n=61, steps=70, parts=20):
        r, visits = rates(np, n), np.zeros((n, parts), dtype=np.int64)
        for k in range(len(r)):
            x = 0.5
            for _ in range(steps):
                x = r[k] * x * (1.0 - x)
                visits[k, int(x * parts)] += 1
        return visits, x, k

    check(program)


def test_filters_of_rows():
    def program(np, n=50, m=600):
        rng = numpy.random.default_rng(8)
        a, y, last, peak = np.array(rng.random((n, m))), np.zeros((n, m)), np.zeros(n), np.zeros((n, 2))
        for i in range(n):
            s, t = 0.0, a[i, -1]
            for j in range(m):
                s = s * 0.9 + a[i, j] * 0.1
                t = t * t * 0.5 - s
                y[i, j] = s + t
            last[i] = t
            peak[i, 1] = s
        for i in range(n):
            for j in range(1, m):
                y[i, j] = y[i, j - 1] * 0.5 + a[i, j]
        for i in range(n):
            s = 0.0
            for j in range(m - 1, 2, -2):
                if a[i, j] > s:
                    s = s * 0.25 + a[i, j]
                a[i, j] = s
        return a, y, last, peak, s, t, i, j

    check(program)


def test_rows_that_are_one_memory():
    def program(np, n=40):
        a = np.array(numpy.random.default_rng(9).random((n, n)))
        rows, other = a[:, ::-1], a[1:]
        for i in range(n - 1):
            s = 1.0
            for j in range(n):
                s = s * 0.5 + rows[i, j]
                other[i, j] = s
        for i in range(n - 1, -1, -1):
            s = 1.0
            for j in range(n):
                s = s * 0.5 + rows[i, j]
                rows[i, -j] = s
        return a

    check(program)


@pytest.mark.parametrize("row", [5, 6, 7, 30, 47])
def test_an_index_that_leaves_its_row(row):
    def program(np, n=48, m=40):
        r, visits = rates(np, n), np.zeros((n, m), dtype=np.int64)
        r[row] = 9.0
        try:
            for k in range(n):
                x = 0.5
                for j in range(m):
                    x = r[k] * x * (1.0 - x)
                    visits[k, int(x * 10)] += 1
        except (IndexError, OverflowError) as e:
            return visits, k, j, x, type(e)
        return visits

    check(program)


@pytest.mark.parametrize("rows", [[3], [2, 9, 41], list(range(0, 48, 2))])
def test_warnings_of_some_rows(rows):
    def program(np, n=48, m=30):
        a, y = np.ones((n, m)), np.zeros((n, m))
        for row in rows:
            a[row, 7] = 1e300
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            for i in range(n):
                s = a[i, 0]
                for j in range(m):
                    s = s * a[i, j] * a[i, j]
                    y[i, j] = s
        return y, len(seen), [str(w.message) for w in seen]

    check(program)


def test_ranges_that_differ_by_the_row():
    def program(np, n=50):
        a, x = np.array(numpy.random.default_rng(10).random((n, n))), np.zeros(n)
        ends = np.array([n - i // 8 for i in range(n)])
        for i in range(n):
            s = 0.5
            for j in range(i // 4, n):
                s = s * 0.5 + a[i, j]
                a[i, j] = s
            x[i] = s
        for i in range(n):
            s = 0.5
            for j in range(int(ends[i])):
                s = s * 0.5 + a[i, j]
            x[i] += s
        return a, x

    check(program)


class Writer:
    """Rows of recurrences."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def element(self):
        r = self.r
        j = r.choice(("j", "j", "j", "j - 1", "j + 1", "n - 1 - j", "-1", "2", "int(s * 3) % n", "q[j]", "i"))
        return r.choice((f"A[i, {j}]", f"A[i, {j}]", f"B[i, {j}]", f"w[{j}]", "y[i]", f"B[{r.choice('jk')}, {j}]"))

    def value(self):
        r = self.r
        a, b = self.element(), r.choice((self.element(), "s", "t", "0.5"))
        return r.choice((a, f"s * 0.5 + {a}", f"{a} * {b} - t", f"max({a}, s)", f"min({b}, {a})", f"{a} / (s + 2.0)", f"0.25 * {b}"))

    def statement(self):
        r = self.r
        to = r.choice(("s", "s", "t", "s", "A[i, j]", "A[i, j]", "C[i, int(s * n)]", "A[i, j - 1]", "C[i, (p + j) % n]", "p"))
        if to == "p":
            return "p = (p + q[j]) % 7"
        return f"{to} {'+=' if to[0] == 'C' else '='} {1 if to[0] == 'C' else self.value()}"

    def program(self):
        r = self.r
        span = r.choice(("n", "n", "n - 1", "1, n", "1, n - 1", "n - 1, -1, -1", "0, n, 2", "i", "m"))
        body = [self.statement() for _ in range(r.choice((1, 2, 3)))] + ["s = s * 0.5 + A[i, j]"]
        if r.random() < 0.4:
            yes, no = self.statement(), self.statement()
            body += [f"if {self.element()} < {r.choice(('s', '0.4'))}:", f"    {yes}"]
            body += ["else:", f"    {no}"] if r.random() < 0.5 else []
        lines = ["def program(np, A, B, C, w, y, q, m, n):", "    s, t, p, k, j = 0.5, 0.25, 1, 2, 0", "    try:"]
        lines += [f"        for i in range({r.choice(('n', 'n', 'n - 1', '1, n', 'n - 1, -1, -1'))}):"]
        lines += [f"            {first}" for first in ("s, t, p = 0.5, 0.25, 1", r.choice(("s = w[i]", "t = A[i, 0]", "s = B[k, i]")))]
        lines += [f"            for j in range({span}):"] + ["                " + line for line in body]
        lines += [r.choice(("            y[i] = s", "            y[i] = s + t * p", "            C[i, 0] = p", "            t = s"))]
        lines += ["    except Exception as e:", "        return i, j, type(e), str(e), s, t, p, A, B, C, w, y"]
        lines += ["    return i, j, s, t, p, A, B, C, w, y"]
        return "\n".join(lines)


def given_arrays(np, n, seed):
    rng = numpy.random.default_rng(seed)
    a = [rng.random((n, n)), rng.random((n, n)), numpy.zeros((n, n), dtype=numpy.int64), rng.random(n), rng.random(n)]
    return [*(np.array(v) for v in a), np.array(rng.integers(0, n, n)), n // 2]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(4, 50))
def test_random_rows(seed, n):
    check_text(Writer(seed).program(), lambda np: given_arrays(np, n, seed), n)


def test_most_random_rows_are_translated():
    count = 0
    for seed in range(20):
        before = legate_jit.stats()["rounds_translated"]
        check_text(Writer(seed).program(), lambda np: given_arrays(np, 30, seed), 30)
        count += legate_jit.stats()["rounds_translated"] > before
    assert count > 10
