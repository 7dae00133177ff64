"""Inner loops of which is known before their first round which elements they use: with NumPy's bits and everybody's errors, whatever their
indices, branches and lengths."""

import random
import warnings

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import legate_jit
import legate_jit.numpy as ours
from same import assert_equal, check_text, counted

pytestmark = [
    pytest.mark.skipif(legate_jit.config()["LEGATE_JIT_LOOPS"][0] == "off", reason="loops are left to Python here"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]


def check(program):
    got, count = counted("rounds_translated", program, times=2)
    assert_equal(got, program(numpy))
    assert count > 0


def words(np, seed, n, of=4):
    return np.array(numpy.random.default_rng(seed).integers(0, of, n))


def test_tables_of_two_texts():
    def program(np, n=45, m=61):
        a, b = words(np, 1, n), words(np, 2, m)
        longest, distance = np.zeros((n + 1, m + 1), dtype=np.int64), np.zeros((n + 1, m + 1), dtype=np.int64)
        score, way = np.zeros((n + 1, m + 1)), np.zeros((n + 1, m + 1), dtype=np.int64)
        for i in range(n):
            for j in range(m):
                if a[i] == b[j]:
                    longest[i + 1, j + 1] = longest[i, j] + 1
                else:
                    longest[i + 1, j + 1] = max(longest[i, j + 1], longest[i + 1, j])
        for j in range(m):
            distance[0, j + 1] = j + 1
        for i in range(n):
            distance[i + 1, 0] = i + 1
            for j in range(m):
                cost = 0 if a[i] == b[j] else 1
                distance[i + 1, j + 1] = min(min(distance[i, j + 1] + 1, distance[i + 1, j] + 1), distance[i, j] + cost)
        for i in range(1, n + 1):
            for j in range(1, m + 1):
                best, of = score[i - 1, j - 1] + (2.0 if a[i - 1] == b[j - 1] else -1.5), 1
                if score[i - 1, j] - 0.5 > best:
                    best, of = score[i - 1, j] - 0.5, 2
                if score[i, j - 1] - 0.5 > best:
                    best, of = score[i, j - 1] - 0.5, 3
                if best < 0.0:
                    best, of = 0.0, 0
                score[i, j] = best
                way[i, j] = of
        return longest, distance, score, way

    check(program)


def test_counts_of_what_is_met():
    def program(np, n=40):
        x, counts, all_counts = words(np, 3, 500, 30) / 30.0, np.zeros((n, 30), dtype=np.int64), np.zeros(30)
        for i in range(n):
            for k in range(200):
                counts[i, int(x[k + i] * 30)] += 1
                all_counts[int(x[k] * 30)] += 0.5
        return counts, all_counts

    check(program)


def test_sums_that_stay_where_they_are():
    def program(np, n=30):
        a, x, y = np.array(numpy.random.default_rng(4).random((n, n))), np.zeros(n), np.ones(n)
        for i in range(n):
            for j in range(n):
                x[i] += a[i, j] * y[j]
            for j in range(n):
                if a[j, i] > 0.5:
                    y[-1] = y[-1] * 0.5 + a[j, i]
            for j in range(n - 1, -1, -1):
                y[j] = y[j - 1] * 0.5 + y[n - 1 - j] * x[i]
        return x, y

    check(program)


def test_what_a_loop_leaves_early():
    def program(np, n=40):
        a, first = np.array(numpy.random.default_rng(5).random((n, n))), np.zeros(n, dtype=np.int64)
        for i in range(n):
            for j in range(n):
                first[i] = j
                if a[i, j] > 0.9:
                    a[i, j] = -1.0
                    break
                a[i, j] += 0.5
        return a, first, i, j

    check(program)


def test_integers_that_have_no_room():
    def program(np, n=20):
        a = np.ones((n, n), dtype=np.int64)
        a[0] = 2**62
        b = np.array(a)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            for i in range(1, n):
                for j in range(n):
                    if b[i, j] > 1:
                        a[i, j] = a[i - 1, j] + a[i - 1, j]
                    else:
                        a[i, j] = a[i - 1, j]
                b[i - 1, i] = 2
        return a, len(seen)

    check(program)


def test_sums_of_what_is_chosen():
    def program(np, n=40):
        rng = numpy.random.default_rng(7)
        a, x, found = np.array(rng.random((n, n))), np.zeros(n), np.zeros(n)
        a[3, 5], a[7, 9], a[9, 1] = numpy.inf, 1e308, numpy.nan
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            for i in range(n):
                s, t, count, product = 0.0, 0.0, 0, 1.0
                for j in range(n):
                    if 0.3 < a[i, j] < 1.0:
                        s = s + a[i, j]
                        product = product * a[i, j] * 2.0
                        count += 1
                    elif a[i, j] < 0.2:
                        t = a[i, j] * a[i, j] - t
                x[i] = s - t + product
                found[i] = count
            for i in range(n):
                s = 0.0
                for j in range(n):
                    if a[i, j] > 0.1:
                        s = s + a[i, j] * 1.9
                x[i] += s
        return x, found, len(seen), count

    check(program)


class Writer:
    """Inner loops over elements, with all kinds of indices."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def index(self):
        r = self.r
        if r.random() < 0.8:
            return r.choice(("j", "j", "j", "j + 1", "j - 1", "i", "i", "i + 1", "i - 1", "k"))
        return r.choice(("n - 1 - j", "2 * j", "j + i", "-1", "0", "i - j", "q[j]", "q[i]", "-j", "p", "j // 2"))

    def float_element(self):
        pair, index = f"{self.index()}, {self.index()}", self.index()
        return self.r.choice((f"A[{pair}]", f"B[{pair}]", f"x[{index}]", f"w[{index}]"))

    def whole_element(self):
        return self.r.choice((f"T[{self.index()}, {self.index()}]", f"q[{self.index()}]", f"c[{self.index()}]"))

    def value(self, whole):
        r = self.r
        a = self.whole_element() if whole else self.float_element()
        b = r.choice((self.whole_element(), "1", "p") if whole else (self.float_element(), "s", "0.5"))
        return r.choice((
            a, f"{a} + {b}", f"{a} - {b}", f"{a} * {b}", f"max({a}, {a})", f"min({a}, {a})", b, f"{a} + 1",
            f"({a} if {self.test()} else {a})",
        ))  # fmt: skip

    def test(self):
        r = self.r
        floats, wholes = [self.float_element() for _ in range(2)], [self.whole_element() for _ in range(2)]
        return r.choice((" < ".join(floats), " == ".join(wholes), "j % 2", "i < j", "m[j]", f"{wholes[0]} > p and s > 0"))

    def statement(self, depth, last=""):
        r, kind = self.r, self.r.randrange(10)
        whole = r.random() < 0.5
        to = self.whole_element() if whole else self.float_element()
        while to.startswith("q"):
            to = self.whole_element()
        if r.random() < 0.5 and last and depth < 2:
            to, whole = last, last[0] in "Tqc"
        if kind < 5 or depth == 0:
            return [f"{to} {r.choice(('=', '=', '=', '+='))} {self.value(whole)}"], to
        if kind == 5:
            count = f"c[int(x[j] * n) % n] {r.choice(('+=', '='))} 1"
            return [r.choice((f"s = {self.float_element()}", "s = s * 0.5 + x[j]", "p = (p + j) % 3", count, "w[j] = s"))], to
        yes, to = self.block(depth - 1, to)
        lines = [f"if {self.test()}:"] + ["    " + line for line in yes + (["break"] if r.random() < 0.07 else [])]
        if r.random() < 0.7:
            no, to = self.block(depth - 1, to)
            lines += ["else:"] + ["    " + line for line in no]
        return lines, to

    def block(self, depth, last=""):
        lines = []
        for _ in range(self.r.choice((1, 1, 2))):
            some, last = self.statement(depth, last)
            lines += some
        return lines, last

    def program(self):
        r = self.r
        span = r.choice(("n", "n - 1", "1, n", "1, n - 1", "n - 1, -1, -1", "i", "i, n", "0, n, 2", "n + 1", "len(x) - 2"))
        body, _ = self.block(2)
        lines = ["def program(np, A, B, T, x, w, c, q, m, n):", "    s, p, k, j = 0.5, 1, 2, 0", "    try:"]
        lines += [f"        for i in range({r.choice(('n', 'n - 1', '1, n', '1, n - 1'))}):", f"            for j in range({span}):"]
        lines += ["                " + line for line in body]
        if r.random() < 0.3:
            lines += ["            x[i] = s"]
        lines += ["    except Exception as e:", "        return i, j, type(e), str(e), s, p, A, B, T, x, w, c"]
        lines += ["    return i, j, s, p, A, B, T, x, w, c"]
        return "\n".join(lines)


def given_arrays(np, n, seed):
    rng = numpy.random.default_rng(seed)
    a = [rng.random((n, n)), rng.random((n, n)), rng.integers(0, 3, (n, n)), rng.random(n), rng.random(n).astype("f4")]
    a += [rng.integers(0, 3, n), rng.integers(0, n, n), rng.random(n) > 0.5]
    return [np.array(v) for v in a]


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 2**32), st.integers(4, 40))
def test_random_inner_loops(seed, n):
    check_text(Writer(seed).program(), lambda np: given_arrays(np, n, seed), n)


def test_most_random_inner_loops_are_translated():
    count = 0
    for seed in range(20):
        before = legate_jit.stats()["rounds_translated"]
        check_text(Writer(seed).program(), lambda np: given_arrays(np, 20, seed), 20)
        count += legate_jit.stats()["rounds_translated"] > before
    assert count > 10
