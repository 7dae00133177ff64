"""Loops over single elements and short rows run as a code of the runtime's: with NumPy's bits, Python's types and everybody's errors, and
without anybody seeing it."""

import math
import os
import random
import signal
import subprocess
import sys
import threading
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
    # A translation that fails is said so there.
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]


def some(np, seed, *shape, dtype="f8"):
    return np.array(numpy.random.default_rng(seed).random(shape).astype(dtype))


def translated(program, *args, times=2):
    """What a program gives at last, and how many of its rounds needed no Python."""
    return counted("rounds_translated", program, *args, times=times)


def check(program, least=1, times=2):
    got, count = translated(program, times=times)
    assert_equal(got, program(numpy))
    assert count >= least, count


def left_to_python(program, times=2):
    got, count = translated(program, times=times)
    assert_equal(got, program(numpy))
    assert count == 0


def test_elements():
    def program(np):
        a, b, c = some(np, 1, 30, 20), some(np, 2, 30, 20), some(np, 3, 20)
        for i in range(1, 30):
            for j in range(20):
                a[i, j] = b[i - 1, j] + c[j] * a[i - 1, -j - 1]
        return a, i, j

    check(program, 40)


def test_cholesky():
    def program(np):
        B = some(np, 4, 25, 25)
        A = B @ B.T + 25 * np.eye(25)
        for i in range(A.shape[0]):
            for j in range(i):
                A[i, j] -= np.dot(A[i, :j], A[j, :j])
                A[i, j] /= A[j, j]
            A[i, i] -= np.dot(A[i, :i], A[i, :i])
            A[i, i] = np.sqrt(A[i, i])
        return A

    check(program, 20)


def test_gram_schmidt():
    def program(np):
        A = some(np, 5, 20, 12)
        Q, R = np.zeros((20, 12)), np.zeros((12, 12))
        for k in range(12):
            R[k, k] = np.sqrt(np.dot(A[:, k], A[:, k]))
            Q[:, k] = A[:, k] / R[k, k]
            for j in range(k + 1, 12):
                R[k, j] = np.dot(Q[:, k], A[:, j])
                A[:, j] -= Q[:, k] * R[k, j]
        return Q, R, A

    check(program, 10)


def test_recursion_with_numbers_that_go_on():
    def program(np):
        n = 40
        r = some(np, 6, n)
        y = np.zeros(n)
        y[0] = -r[0]
        alpha, beta = -r[0], 1.0
        for k in range(1, n):
            beta *= 1.0 - alpha * alpha
            alpha = -(r[k] + np.dot(r[:k][::-1], y[:k])) / beta
            y[:k] += alpha * y[:k][::-1]
            y[k] = alpha
        return y, alpha, beta, k

    check(program, 30)


def test_gathered_rows():
    def program(np):
        rng = numpy.random.default_rng(7)
        columns, values, x = np.array(rng.integers(0, 20, 120)), some(np, 8, 120), some(np, 9, 20)
        starts = np.arange(0, 121, 6)
        y = np.empty(20)
        for i in range(len(y)):
            row = slice(starts[i], starts[i + 1])
            y[i] = values[row] @ x[columns[row]]
        return y

    check(program, 15)


def test_lines_of_a_tridiagonal_system():
    def program(np):
        right = some(np, 10, 30, 30)
        upper, r = np.empty(30), 0.5
        upper[0] = 0.0
        for i in range(1, 29):
            pivot = 1.0 + 2.0 * r + r * upper[i - 1]
            upper[i] = -r / pivot
            right[i] = (right[i] + r * right[i - 1]) / pivot
        for i in range(28, 0, -1):
            right[i] -= upper[i] * right[i + 1]
        return right, upper[1:29], pivot, i

    check(program, 40)


def test_numbers_of_all_kinds():
    def program(np):
        x, k, w, m = some(np, 11, 50), np.arange(50) % 7, some(np, 12, 50, dtype="f4"), some(np, 13, 50) > 0.5
        total, count, most, product, single, any_ = 0.0, 0, 0, 1, w[0], False
        half = k[0]
        for i in range(50):
            total += x[i] / (1 + i)
            count += 1 if m[i] else 0
            most = max(most, i * 3 % 11)
            product = min(product * 3, 10**9) - i // 2
            single = single * w[i] + 0.5
            half = half + k[i] * 2
            any_ = any_ or x[i] > 2.0
            w[i] = single
            m[i] = not m[i]
            k[i] = -half % 5 + abs(-i)
        return x, k, w, m, float(total), count, most, product, single, any_, half, total

    check(program, 40)


def test_ways_through_a_round():
    def program(np):
        x = some(np, 14, 60)
        out = np.zeros(60)
        s, last = 0.0, -1
        for i in range(60):
            if x[i] < 0.2:
                continue
            elif x[i] < 0.5 and i % 2 == 0 or i == 7:
                s = s + x[i]
            else:
                n = 0
                while s > 0.3 and n < 5:
                    s *= 0.5
                    n += 1
                last = i
            out[i] = s if x[i] < 0.8 else -s
        return out, s, last

    check(program, 40)


def test_many_turns_of_a_while_loop_in_a_round():
    def program(np):
        a = some(np, 5, 50)
        for t in range(20):
            k = 0
            while k < 9000:
                a[k % 50] += 0.5 * t
                k += 1
            for j in range(0):
                k = j
        return a, k

    check(program, 10)


def test_the_end_of_a_loop_is_pythons():
    def program(np, stop=37):
        x = np.arange(50.0)
        where = None
        for i in range(50):
            x[i] += 1.0
            if i == stop:
                where = i
                break
        else:
            where = "nowhere"
        return x, where, i

    check(program, 30)
    check(lambda np: program(np, 99), 40)


def test_an_index_out_of_bounds_is_pythons_error():
    def program(np):
        x = np.arange(20.0)
        y = np.zeros(20)
        try:
            for i in range(30):
                y[i - 1] = i
                y[0] = x[i] * 2
        except IndexError as e:
            return x, y, i, str(e)

    check(program, 15)


def test_a_division_by_zero_warns_or_raises_as_ever():
    def program(np, of_python):
        x, y = np.arange(20.0) - 10, np.zeros(20)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            try:
                for i in range(20):
                    d = x[i]
                    if of_python:
                        d = float(d)
                    y[i] = 1.0 / d
            except ZeroDivisionError as e:
                return y, i, str(e)
        return y, i, [str(w.message) for w in seen]

    check(lambda np: program(np, False), 5)
    check(lambda np: program(np, True), 5)


def test_large_integers_are_pythons():
    def program(np):
        x = np.zeros(90)
        a, b = 1, 1
        for i in range(90):
            a, b = b, a + b
            x[i] = i
        for i in range(90):
            b = b * 3
            x[i] += i
        return x, a, b

    check(program, 60)


def test_a_copy_keeps_what_it_had():
    def program(np):
        a = some(np, 15, 40)
        b = a.copy()
        c = a[3:]
        d = a + 0
        for i in range(1, 40):
            a[i] += a[i - 1]
        return a, b, c, d

    check(program, 30)


def test_views_of_one_array():
    def program(np):
        a = some(np, 16, 12, 12)
        t, row, flat = a.T, a[3], a[::2, 1]
        for i in range(12):
            t[i, 0] += row[i]
            row[i] = flat[i // 2] - t[0, i]
            a[i, :] = t[i]
            a[1:, i] -= a[:-1, i]
            a[i, 1:] = a[i, :-1]
            a[i, ::-1] += a[i]
        return a, t, row, flat

    check(program, 8)


def test_shared_memory_is_seen_by_its_other_owner():
    def program(np):
        a = np.zeros(30)
        other = numpy.asarray(a)
        for i in range(1, 30):
            a[i] = a[i - 1] + other[i - 1] + 1
        return a, other.copy()

    # (What NumPy reads in the loop Python has to read.)
    got, _ = translated(program)
    assert_equal(got, program(numpy))

    def writes(np):
        a = np.zeros(30)
        other = numpy.asarray(a)
        for i in range(1, 30):
            a[i] = a[i - 1] + 1
        return a, other.copy()

    check(writes, 20)


def test_read_only_arrays_raise():
    def program(np):
        a = np.zeros(30)
        a.flags.writeable = False
        try:
            for i in range(30):
                a[i] = i
        except ValueError as e:
            return a, i, str(e)

    left_to_python(program)


def test_temporaries_that_have_names():
    def program(np):
        A, s = some(np, 17, 15, 15), 0.0
        for i in range(15):
            t = A[i] * 2.0
            for j in range(3):
                t = t + A[j] * s
                u = t[::-1] * 1.0
                s = s * 0.5 + u[0]
            A[i] = t
            row = A[i - 1].copy()
            row[0] = s
            A[i] += row
        return A, s

    check(program, 2)


def test_shapes_that_do_not_fit():
    def program(np):
        A = some(np, 18, 15, 15)
        try:
            for i in range(15):
                A[i, : 15 - i // 10] = A[0] * 2
        except ValueError as e:
            return A, i, str(e)

    check(program, 5)


def test_matrices_and_reductions():
    def program(np):
        A, x, out = some(np, 19, 9, 9), some(np, 20, 9), np.zeros((9, 9))
        for i in range(9):
            out[i] = A @ x
            x[i] = out[i].sum() + out[:, i].max() - np.min(A[:, i]) + A[i].dot(x)
            out[i, : i + 1] = x[: i + 1] @ A[: i + 1, : i + 1]
            A[:, i] = A[i] ** 2 / x
        return A, x, out

    check(program, 5)


def test_single_precision():
    def program(np):
        A, x = some(np, 21, 12, 12, dtype="f4"), some(np, 22, 12, dtype="f4")
        s = x[0]
        for i in range(12):
            A[i, i] = A[i, 0] * 0.1 + s / 3
            A[i] -= x * A[i, i]
            s = np.sqrt(abs(np.dot(A[i], x)))
            x[i] = s
        return A, x, s

    check(program, 8)


def test_functions_of_numbers():
    def program(np):
        x, y = some(np, 23, 40), np.zeros(40)
        for i in range(40):
            y[i] = np.exp(-x[i]) + np.sin(x[i] * 3.0) ** 2 - np.log(x[i]) * np.pi + np.abs(np.cos(i)) + x[i] ** 0.3
        return y

    check(program, 30)


def step(x, r, by=0.25):
    if x < 0.5:
        return r * x * (1.0 - x)
    y = x * by
    return y * y + r


def spread_out(x, k):
    return x[k] * 2.0, x[k - 1] - step(x[k], 0.5)


def scaled(row, by):
    new = row * by
    new[0] = by
    return new


def added_to(row, by):
    row += by
    return row


def test_functions_of_the_program():
    def program(np):
        x, A, s = some(np, 30, 40), some(np, 31, 12, 12), 0.1
        for i in range(40):
            s = step(s, x[i]) + step(x[i], s, 0.5) * step(step(s, s), 1)
            a, b = spread_out(x, i)
            x[i] = a + b if step(b, a) > 0 else -a
        for i in range(12):
            row = scaled(A[i], s)
            A[i] = scaled(row, 0.5) + row
            added_to(A[i - 1], A[i, i])
        return x, A, s, a, b

    # (Each time by itself: what a look at the second loop came to would decide when the first is looked at in another run.)
    for _ in range(2):
        check(program, 36, times=1)


class Automaton:
    def __init__(self, np):
        self.cells = np.array(numpy.random.default_rng(33).integers(0, 2, 50).astype("u1"))
        self.counts, self.field, self.rate = np.zeros(4), some(np, 34, 50), 0.5

    def weight(self, i):
        return self.field[i] * self.rate + (1.0 if self.cells[i] else -1.0)

    def run(self):
        total = 0.0
        for i in range(1, 49):
            self.counts[self.cells[i] + int(self.cells[i - 1]) if self.rate > 1 else self.cells[i]] += 1
            self.field[i] = self.weight(i - 1) - self.weight(i + 1) + self.cells[i] * 0.25
            total += self.field[i]
        return total, i


def test_attributes_and_methods_of_objects():
    def program(np):
        automata = [Automaton(np) for _ in range(6)]
        totals = [a.run() for a in automata]
        automata[2].rate = 0.25
        totals.append(automata[2].run())
        automata[3].weight = lambda i: 1.0
        totals.append(automata[3].run())
        weight, Automaton.weight = Automaton.weight, lambda self, i: 2.0
        totals.append(automata[4].run())
        Automaton.weight = weight
        return totals, [a.counts for a in automata], [a.field for a in automata]

    check(program, 200)


def test_pictures():
    def program(np):
        image = np.array(numpy.random.default_rng(35).integers(0, 256, (20, 20)).astype("u1"))
        short = np.array(numpy.random.default_rng(36).integers(-999, 999, (4, 5, 6)).astype("i2"))
        counts, bright, sums = np.zeros(256, np.int64), 0, np.zeros(4)
        for i in range(20):
            for j in range(20):
                counts[image[i, j]] += 1
                if image[i, j] > 200:
                    bright += int(image[i, j])
        for i in range(4):
            for j in range(5):
                line = short[i, j].copy()
                sums[i] += short[i, j, i] * 0.5 + float(line[-1]) + float(line[0])
        return counts, bright, sums

    check(program, 20)


def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)


def test_functions_that_call_themselves():
    def program(np):
        x = np.zeros(30)
        for i in range(30):
            x[i] = factorial(i % 5)
        return x

    check(program, 20)


def test_functions_of_the_module_math():
    def program(np):
        x, y = some(np, 32, 40), np.zeros(40)
        for i in range(40):
            y[i] = math.sin(x[i]) * math.exp(-x[i]) + math.log(x[i] + 1) - math.tanh(i) + math.floor(x[i] * 9) % 4
            y[i] += math.sqrt(x[i]) + math.atan(y[i]) * math.pi
        return y

    check(program, 30)


def test_an_error_in_a_function():
    def program(np):
        x = np.arange(30.0) - 20
        try:
            for i in range(30):
                x[i] = step(x[i], 1.0) + 1.0 / float(x[i])
        except ZeroDivisionError as e:
            return x, i, str(e)

    check(program, 10)


def test_names_of_the_module():
    text = """
s = 0.0
for i in range(50):
    a[i] = a[i - 1] * 0.5 + i
    s += a[i]
"""

    def program(np):
        names = {"a": some(np, 24, 50)}
        exec(compile(text, "script", "exec"), names)
        return names["a"], names["s"], names["i"]

    check(program, 30)


def test_names_that_functions_share():
    def program(np):
        a, k = some(np, 25, 40), 3

        def inner():
            return a[k]

        for i in range(40):
            a[i] += 1.0
            k = i
        return a, inner()

    # (Such names lie elsewhere.)
    got, _ = translated(program)
    assert_equal(got, program(numpy))


def test_what_is_not_known_is_left_to_python():
    seen = []

    def program(np):
        a = np.zeros(100)
        seen.clear()
        for i in range(100):
            a[i] = i * 0.5
            if i % 20 == 0:
                seen.append(float(a[i]))
        return a, list(seen)

    check(program, 50)


def test_types_that_change():
    def program(np):
        a, s = np.arange(60.0), 0
        for i in range(60):
            if i == 30:
                s = 0.5
            a[i] += s
        for i in range(60):
            t = i if i < 40 else a[i]
            a[i] = t * 2
        return a, s, t

    check(program, 0)


def test_functions_that_are_exchanged():
    def program(np):
        a, f = np.arange(1.0, 41.0), np.sqrt
        for i in range(40):
            a[i] = f(a[i])
            if i == 20:
                f = np.abs
        return a

    left_to_python(program)


def test_a_loop_that_is_met_again():
    def sums(np, a):
        for i in range(1, len(a)):
            a[i] += a[i - 1]
        return a

    def program(np):
        return [sums(np, some(np, n, 30 + n)) for n in range(10)] + [sums(np, np.arange(30))]

    check(program, 200)


def test_iterators_look_alike():
    def program(np):
        a = np.zeros(40)
        numbers = iter(range(40))
        for i in numbers:
            a[i] = i
            if i == 30:
                break
        return a, list(numbers)

    got, _ = translated(program)
    assert_equal(got, program(numpy))


def test_large_rows_are_not_for_this():
    def program(np):
        a = np.zeros((60, 20_000))
        a[0] = 1.0
        for i in range(1, 60):
            a[i] = a[i - 1] * 1.5 + i
        return a

    got, count = translated(program)
    assert_equal(got, program(numpy))
    assert count < 10


def test_who_wants_to_stop_the_program_can():
    def stop(*_):
        raise InterruptedError

    def program():
        a = ours.zeros(1000)
        for t in range(10**7):
            for i in range(1, 1000):
                a[i] = a[i - 1] * 0.5 + t

    legate_jit._native.look_for_loops()
    old = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(InterruptedError):
            program()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def test_other_threads_have_their_turn():
    over = threading.Event()
    seen = []

    def other():
        while not over.wait(0.01):
            seen.append(1)

    def program():
        a = ours.zeros(1000)
        for t in range(3000):
            for i in range(1, 1000):
                a[i] = a[i - 1] * 0.5 + t

    legate_jit._native.look_for_loops()
    thread = threading.Thread(target=other)
    thread.start()
    try:
        for _ in range(12):
            program()
    finally:
        over.set()
        thread.join()
    assert len(seen) >= 2


def test_long_rounds_are_taken_apart():
    def program(np):
        a = np.zeros(300)
        for t in range(3):
            for k in range(200):
                for i in range(1, 300):
                    a[i] = a[i - 1] * 0.5 + t
        return a

    check(program, 100, times=3)


def in_a_process(program, **env):
    """What a program prints that has its loops compiled before they run."""
    env = {**os.environ, "LEGATE_JIT_TIER": "compiled", **env}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


COMPILED = """
import warnings, numpy, legate_jit, legate_jit.numpy as np

def sweep(np, a):
    for t in range(6):
        for i in range(1, len(a) - 1):
            for j in range(1, len(a) - 1):
                a[i, j] = (a[i - 1, j] + a[i + 1, j] + a[i, j - 1] + a[i, j + 1]) / 4.0
    return a

def factor(np, a):
    a = a @ a.T + len(a) * np.eye(len(a))
    for i in range(len(a)):
        for j in range(i):
            a[i, j] -= np.dot(a[i, :j], a[j, :j])
            a[i, j] /= a[j, j]
        a[i, i] = np.sqrt(a[i, i] - np.dot(a[i, :i], a[i, :i]))
    return np.tril(a)

def solve(np, a, way=sweep):
    return [v.tolist() for v in [way(np, np.array(a))]]

a = numpy.random.default_rng(3).random((40, 40))
for way in (sweep, factor):
    want = solve(numpy, a, way)
    for _ in range(3):
        legate_jit._native.look_for_loops()
        assert solve(np, a, way) == want, way
    stats = legate_jit.stats()
    print(stats["rounds_compiled"] > 0, stats["kernels_refused"])
"""


def test_compiled_loops():
    assert in_a_process(COMPILED).split() == ["True", "0"] * 2
    assert in_a_process(COMPILED, LEGATE_JIT_TIER="vm").split() == ["False", "0"] * 2


ROWS = """
import sys, warnings, numpy, legate_jit, legate_jit.numpy as np

def chains(np, a, b, x):
    for i in range(1, len(a)):
        a[i, :i] += x[i] * b[:i, i]
        b[i] = (a[i] + x[i] * a[i - 1]) / (1.5 + x[i]) - b[i - 1]
        x[i:] -= b[i, i:] * a[i:, i] * 0.25
        a[i, ::2] *= 0.5
        x[::-1] += b[::-1, i] - a[i]
    return a, b, x

def crossing(np, a, b, x):
    for i in range(1, len(a)):
        x[:i] += 0.5 * x[:i][::-1]
        x[1:] = x[:-1] * 0.5 + b[i, 1:]
        x[:] = x[::-1] - x[:]
        x[1:] = x[:-1]
        a[i, 1:] -= (a[i, :-1] + a[i, 1:]) * b[i, :-1]
        a[:, i] = (a[i] + a[:, i]) * 0.5
        a[i] = a[i] * 2.0 - a[i]
    return a, b, x

def boxes(np, a, b, x):
    for i in range(2, len(a) - 1):
        a[i:, i:] -= b[i:, i][:, None] * b[i, i:] * 0.125
        a[:i] += x * 0.5
        a[i - 1 : i + 1, ::-2] = b[:2, ::2] * a[i : i + 2, ::2] + b[i : i + 2, ::-2]
        a[:, :i] *= a[:, i - 1 : i]
        b[1:] = (b[:-1] + b[1:]) * 0.5
    return a, b, x

def broadcast(np, a, b, x):
    for i in range(len(a)):
        a[i, i:] += x[i:i + 1] * x[:1]
        x[i:] = x[i:i + 1] * 0.5
        b[i] = x[-1:] - a[i]
        b[:, i] = 0.0
    return a, b, x

def named(np, a, b, x):
    for i in range(1, len(a)):
        r = a[i] * 0.03
        b[i] = r + x * 0.1
        s = r - b[i]
        x[:i] = s[:i] * r[i]
        t = s.copy()
        s = t * t
        a[i, :] = s - t
        x[0] = np.dot(s, r) + np.dot(s[::-1], r) + np.dot(a[:, i], a[i]) + a[i, :i] @ b[:i, i]
    return a, b, x

def reduced(np, a, b, x):
    for i in range(1, len(a)):
        x[0] = (a[i] * b[i]).sum() * 0.1
        x[1] = a[:, i].max()
        x[2] = b[:i, i].min()
        a[i] *= np.sum(b[i, ::-1]) * 0.1
    return a, b, x

def taken(np, a, b, x):
    q = numpy.arange(len(x))
    q = np.array(q * 7 % len(x) - q % 2 * len(x))
    for i in range(len(a)):
        x[:i] += a[i][q[:i]] * 0.05
        b[i, 0] = b[i][q[::2]] @ x[q[::-2]] * 0.01
        b[i] = x[q]
    return a, b, x

def ends(np, a, b, x):
    n = len(a)
    try:
        for i in range(n + 1):
            k = min(i, n - 1)
            for j in range(3):
                a[k, j:] += x[j] * b[j:, k]
                a[:j, :] -= x * 0.5
                x[j:] = x[j:] * 0.5
                x[0] += 1.0
                b[k] = a[k]
            x[i] = 2.0
    except IndexError:
        x[0] = 7.0
    return a, b, x

def misfits(np, a, b, x):
    try:
        for i in range(len(a)):
            a[i] += x
            a[i] *= b[i] * x[: len(x) - max(0, i - 5)]
    except ValueError:
        x[0] = 7.0
    return a, b, x

def infinite(np, a, b, x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i in range(1, len(a)):
            if i == 9:
                x[3] = 0.0
            a[i] += b[i] * 2.0
            b[i] = a[i] / x
    return a, b, x

def solve(np, way, n, dtype):
    r = numpy.random.default_rng(n)
    arrays = [np.array((r.random(shape) + 0.5).astype(dtype)) for shape in ((n, n), (n, n), n)]
    return [numpy.asarray(v) for v in way(np, *arrays)]

bad = []
done = legate_jit.stats()["rounds_compiled"]
for way in (chains, crossing, boxes, broadcast, named, reduced, taken, ends, misfits, infinite):
    for n, dtype in ((12, "f8"), (21, "f8"), (40, "f8"), (21, "f4"), (40, "f4")):
        want = solve(numpy, way, n, dtype)
        for _ in range(3):
            legate_jit._native.look_for_loops()
            got = solve(np, way, n, dtype)
            bad += [(way.__name__, n, dtype)] * any(g.tobytes() != w.tobytes() for g, w in zip(got, want))
    now = legate_jit.stats()["rounds_compiled"]
    bad += [(way.__name__, "not compiled")] * (now == done)
    done = now
print(sorted(set(bad)), legate_jit.stats()["kernels_refused"])
"""


def test_operations_on_rows_in_machine_code():
    assert in_a_process(ROWS, LEGATE_JIT_CACHE="off").strip() == "[] 0"


def test_machine_code_comes_from_the_cache(tmp_path):
    count = COMPILED + 'print(stats["kernels_compiled"], stats["cache_hits"])\n'
    for compiled in (True, False):
        env = {"LEGATE_JIT_CACHE": "on", "LEGATE_JIT_CACHE_DIR": str(tmp_path / "cache")}
        *_, made, found = in_a_process(count, **env).split()
        assert (int(made) > 0) == compiled and (int(found) > 0) != compiled


OVERFLOWS = """
import warnings, numpy, legate_jit, legate_jit.numpy as np

def unused(np, x, y):
    t = 0.0
    for i in range(60):
        t = x[i] * x[i]
        if y[i] > 0.5:
            y[i] = t
    return y

for k in (40, 90):
    x, y = numpy.full(100, 1.0), numpy.zeros(100)
    x[k] = 1e300
    for numbers in (numpy, np):
        legate_jit._native.look_for_loops()
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            for _ in range(2):
                unused(numbers, numbers.array(x), numbers.array(y))
        print(len(seen))
print(legate_jit.stats()["rounds_compiled"] > 0)
"""


def test_what_overflows_is_said_though_nobody_uses_it():
    assert in_a_process(OVERFLOWS).split() == ["2", "2", "0", "0", "True"]


SHARED = """
import numpy, legate_jit, legate_jit.numpy as np

def loop(np, a, counts, out, stop):
    k = -1
    for i in range(len(a)):
        s = out[i]
        for k in range(int(counts[i])):
            s = s * 0.5 + a[i, k]
            a[i, k] = s
        out[i] = s
        if i == stop:
            a[i, 400] = 1.0
    return i, k, s

def rows(np, a, counts, stop):
    out = np.zeros(len(a))
    try:
        found = loop(np, a, counts, out, stop)
    except IndexError as e:
        found = str(e)
    return out.tolist(), a.tolist(), found

rng = numpy.random.default_rng(5)
a = rng.random((301, 400))
for counts in (numpy.full(301, 400), numpy.where(numpy.arange(301) < 7, 400, 0), rng.integers(0, 400, 301)):
    for stop in (-1, 3, 150, 299):
        want = rows(numpy, a.copy(), counts, stop)
        for _ in range(2):
            legate_jit._native.look_for_loops()
            assert rows(np, np.array(a), np.array(counts), stop) == want, stop
print(legate_jit.stats()["rounds_shared"] > 0)
"""


def test_rounds_of_several_threads():
    assert in_a_process(SHARED, LEGATE_JIT_THREADS="2").split() == ["True"]
    assert in_a_process(SHARED, LEGATE_JIT_THREADS="1").split() == ["False"]


DEPENDENT = """
import numpy, legate_jit, legate_jit.numpy as np

def chain(np, a):
    for i in range(1, len(a)):
        for k in range(400):
            a[i, k] = a[i - 1, k] * 0.5 + a[i, k]
    return a.tolist()

def shared_memory(np, a):
    b = a[1:]
    for i in range(len(b)):
        for k in range(400):
            b[i, k] = a[i, k] * 0.5 + b[i, k]
    return a.tolist()

def total(np, a):
    s = 0.0
    for i in range(len(a)):
        for k in range(400):
            s += a[i, k]
        a[i, 0] = s
    return a.tolist()

a = numpy.random.default_rng(5).random((301, 400))
for way in (chain, shared_memory, total):
    for _ in range(2):
        legate_jit._native.look_for_loops()
        assert way(np, np.array(a)) == way(numpy, a.copy()), way
print(legate_jit.stats()["rounds_shared"], legate_jit.stats()["rounds_compiled"] > 0)
"""


def test_rounds_that_need_others_are_done_in_order():
    assert in_a_process(DEPENDENT, LEGATE_JIT_THREADS="2").split() == ["0", "True"]


# Random programs: statements in one or two loops over elements, rows and numbers, which may well fail.

INTS, FLOATS = ("i", "j", "p", "3", "-1", "i - 1", "n - 1 - i", "q[i]"), ("s", "t", "0.5", "2", "p")
ARRAYS = {"x": 1, "y": 1, "A": 2, "B": 2, "w": 1}


def rounds_in_a_process(rounds):
    """Rounds that are translated of a loop of so many inside one that is not: in the 10000 first times and in as many more."""
    program = (
        "import legate_jit, legate_jit.numpy as np\ndef program(x, seen):\n    for t in range(10000):\n        seen.append(t)\n"
        f"        for i in range({rounds}):\n            x[i] = x[i - 1] * 0.5 + 1.0\n    return legate_jit.stats()['rounds_translated']\n"
        "x = np.ones(500)\nfirst = program(x, [])\nprint(first, program(x, []) - first)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return tuple(map(int, done.stdout.split()))


def test_short_loops_are_left_alone():
    assert rounds_in_a_process(10) == (0, 0)
    # Long ones are taken, all but the first rounds of each, and stay taken when machine code does them in no time. How soon a
    # process takes them is a matter of time.
    assert rounds_in_a_process(100)[1] > 800_000
    assert rounds_in_a_process(400)[1] > 3_700_000


def test_programs_that_run_for_a_moment_are_not_looked_at():
    program = (
        "import sys\nimport legate_jit.numpy as np\nx = np.ones(500)\nfor t in range(2):\n    for i in range(499):\n"
        "        x[i] = x[i - 1] * 0.5 + 1.0\nprint('legate_jit._nests' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.stdout == "False\n", done.stderr


def test_sums_that_begin_with_an_integer():
    def program(np):
        x, s, t = some(np, 37, 60), 0, 0
        for i in range(60):
            s += 0.5 * i
            t += x[i]
            x[i] = s + t
        return x, s, t

    check(program, 40)


def test_the_code_is_shown():
    program = (
        "import legate_jit, legate_jit.numpy as np\nlegate_jit._native.look_for_loops()\ndef cumulate(x):\n"
        "    for i in range(1, len(x)):\n        x[i] += x[i - 1]\n    return x\nassert cumulate(np.ones(99))[-1] == 99\n"
    )
    env = {**os.environ, "LEGATE_JIT_DUMP": "nest"}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for text in ("loops/cumulate-4 nest", "v0 = f64 1 written", "load_f64_1", "store_f64_1", "end_round"):
        assert text in done.stderr, done.stderr


FUNCTIONS = """
def f(a, b):
    c = a * 0.5
    for k in range(2):
        if c > b:
            return c - b
        c = c + a
    return c + h(a, k)

def h(a, k=1):
    return a if k > 0 and a < 1 else -a

def g(v, a):
    u = v * a
    u[0] = h(a)
    return u[-1] + v[0]
""".split("\n")


class Writer:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def index(self):
        return self.r.choice(INTS)

    def element(self):
        name = self.r.choice(list(ARRAYS))
        return f"{name}[{', '.join(self.index() for _ in range(ARRAYS[name]))}]"

    def row(self):
        return self.r.choice((
            f"A[{self.index()}]", f"B[:, {self.index()}]", "x", "y", f"x[{self.r.choice(('1:', ':-1', '::-1', ':i', 'i:'))}]",
            f"A[{self.index()}, {self.r.choice(('1:', ':-1', '::-1', ':i', 'i:', '::2'))}]", "x[q]", "A.T[i]",
        ))  # fmt: skip

    def number(self, depth=2):
        r = self.r
        if depth == 0 or r.random() < 0.2:
            return r.choice((r.choice(FLOATS), self.element(), self.element(), "m[i]" if r.random() < 0.1 else "i"))
        a, b = self.number(depth - 1), self.number(depth - 1)
        return r.choice((
            f"({a} + {b})", f"({a} - {b})", f"{a} * {b}", f"({a}) / ({b})", f"-({a})", f"abs({a})", f"min({a}, {a})",
            f"np.dot({self.row()}, {self.row()})", f"np.sqrt(abs({a}))", f"({a} if {self.test()} else {b})", f"({a}) ** 2",
            f"float({a})", f"{self.row()}.sum()", "max(i, j) % 3", "(i // 2 + p)",
            f"f({a}, {b})", f"g({self.row()}, {b})",
        ))  # fmt: skip

    def test(self):
        r = self.r
        return r.choice((
            f"{self.number(0)} {r.choice(('<', '<=', '>', '==', '!='))} {self.number(0)}", "m[i]", "not m[i]", "i % 2", "p > 3",
            "s > 0 and t < 1 or i == 2",
        ))  # fmt: skip

    def rows(self, depth=1):
        r = self.r
        if depth == 0:
            return r.choice((self.row(), self.row(), "s", "0.5", "2"))
        return f"{self.row()} {r.choice('+-*/')} {self.rows(depth - 1)}"

    def statement(self, depth):
        r = self.r
        kind = r.randrange(12)
        if kind < 3:
            return [f"{self.element()} {r.choice(('=', '=', '+=', '-=', '*='))} {self.number()}"]
        if kind < 5:
            return [f"{r.choice('st')} {r.choice(('=', '+=', '*='))} {self.number()}"]
        if kind < 7:
            to, depth = self.row(), r.randrange(2)
            of = self.rows(depth)
            # (NumPy writes a row on a column that it crosses element by element.)
            crossing = to[0] == of[0] and to[0] in "AB" and depth == 0
            return [f"{to} {r.choice(('=', '+=', '-=', '*='))} {of}" + " + 0.0" * crossing]
        if kind == 7:
            return [r.choice(("p = (p + i) % 5", "q[i] = i % 4", "m[i] = not m[i]", "s, t = t, s", "p += 1", "u = A[i] * s", "t = x[j]"))]
        if kind == 8 and depth > 0:
            body = self.block(depth - 1) + self.r.choice(([], ["continue"], ["break"]) if r.random() < 0.2 else ([],))
            return [f"if {self.test()}:"] + ["    " + line for line in body] + (
                ["else:"] + ["    " + line for line in self.block(depth - 1)] if r.random() < 0.4 else []
            )
        if kind in (9, 10) and depth > 0:
            span = r.choice(("i", "n", "1, n", "n - 1, 0, -1", "3", "p"))
            return [f"for j in range({span}):"] + ["    " + line for line in self.block(depth - 1)]
        return [f"x[i] = {self.number()}"]

    def block(self, depth):
        return [line for _ in range(self.r.randrange(1, 4)) for line in self.statement(depth)]

    def program(self):
        lines = self.block(2)
        return "\n".join(
            FUNCTIONS + ["def program(np, A, B, x, y, w, q, m, n):", "    s, t, p, j = 0.0, x[1], 1, 0", "    try:",
             f"        for i in range({self.r.choice(('n', '1, n', 'n - 1, -1, -1', '0, n + 3'))}):"]
            + ["            " + line for line in lines]
            + ["    except Exception as e:", "        return i, type(e), str(e), s, t, p, A, B, x, y, w, q, m",
               "    return i, s, t, p, A, B, x, y, w, q, m"]
        )  # fmt: skip


def given_arrays(np, n, seed):
    rng = numpy.random.default_rng(seed)
    a = [rng.random((n, n)), rng.random((n, n)), rng.random(n), rng.random(n), rng.random(n).astype("f4")]
    a += [rng.integers(0, n, n), rng.random(n) > 0.5]
    return [np.array(v) for v in a]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32), st.integers(5, 9))
def test_random_programs(seed, n):
    check_text(Writer(seed).program(), lambda np: given_arrays(np, n, seed), n)


def row_program(seed):
    """Rounds that mostly use the row of their own number, and so may mostly be done at once."""
    rng = random.Random(seed)

    def index():
        return "i" if rng.random() < 0.93 else rng.choice(("i - 1", "n - 1 - i", "q[i]", "k", "-1"))

    def number():
        return rng.choice(("s", "0.5", f"x[{index()}]", f"A[{index()}, k]", f"B[{rng.choice(('i', 'k', 'q[i]'))}, k]", "t"))

    def statement(deep=0):
        kind = rng.randrange(8 if deep < 2 else 5)
        value = f"{number()} {rng.choice('+-*')} {number()}"
        if kind == 0:
            return [f"s = {value}"]
        if kind == 1:
            return [f"A[{index()}, k] {rng.choice(('', '+', '-'))}= {value}"]
        if kind == 2:
            return [f"x[{index()}] = {value}"]
        if kind == 3:
            return [f"A[{index()}, :] {rng.choice(('', '+'))}= B[{index()}, :] * {number()}"]
        if kind == 4:
            return [f"s = np.dot(A[{index()}, :], B[{index()}, :])"]
        body = [line for _ in range(rng.randrange(1, 3)) for line in statement(deep + 1)]
        head = f"if {number()} > {number()}:" if kind == 5 else f"for k in range({rng.choice(('n', '3', 'int(q[i])', 'i'))}):"
        return [head] + ["    " + line for line in body]

    body = ["s = x[i]"] if rng.random() < 0.9 else []
    body += [line for _ in range(rng.randrange(1, 4)) for line in statement()]
    lines = ["def program(np, A, B, x, q, n):", "    s, t, k = x[0], x[1], 0", "    for i in range(n):"]
    lines += ["        " + line for line in body] + ["    return A, B, x, i, k, s"]
    return "\n".join(lines)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(5, 40))
def test_random_rows(seed, n):
    text, names, rng = row_program(seed), {}, numpy.random.default_rng(seed)
    exec(compile(text, "random", "exec"), names)
    arrays = [rng.random((n, n)), rng.random((n, n)), rng.random(n), rng.integers(0, n, n)]

    def outcome(np):
        try:
            return names["program"](np, *[np.array(a) for a in arrays], n)
        except (IndexError, OverflowError) as e:
            return type(e), str(e)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = outcome(numpy)
        for _ in range(2):
            legate_jit._native.look_for_loops()
            try:
                assert_equal(outcome(ours), want)
            except AssertionError as e:
                raise AssertionError(text) from e
