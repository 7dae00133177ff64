"""`while` loops run as a code of the runtime's: entered at an operation of ours in their body, with NumPy's bits, Python's types and errors,
and without anybody seeing it."""

import gc
import math
import os
import random
import signal
import sys
import threading
import warnings
import weakref

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import legate_jit
import legate_jit.numpy as ours
from same import assert_equal, check_text
from test_nests import check, in_a_process, left_to_python, some, translated

pytestmark = [
    pytest.mark.skipif(legate_jit.config()["LEGATE_JIT_LOOPS"][0] == "off", reason="loops are left to Python here"),
    # A translation that fails is said so there.
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]


def test_elements():
    def program(np):
        a = some(np, 1, 40)
        i = 1
        while i < 40:
            a[i] = 0.5 * a[i] + a[i - 1]
            i += 1
        return a, i

    check(program, 30)


def test_numbers_of_elements_are_conditions():
    def program(np):
        a = np.array([float(k * k) for k in range(200)])
        found = []
        for x in (3.0, 1000.0, 20000.0, -1.0, 39601.0):
            low, high = 0, 200
            while low < high:
                middle = (low + high) // 2
                if a[middle] < x:
                    low = middle + 1
                else:
                    high = middle
            found.append((low, middle))
        return found

    check(program, 10)


def test_break_continue_and_else():
    def program(np, stop):
        a, out = some(np, 2, 60), np.zeros(60)
        i, s = -1, 0.0
        while True:
            i += 1
            if i >= 60:
                break
            if a[i] < 0.3:
                continue
            s += a[i]
            out[i] = s
            if i == stop:
                break
        while i > 0:
            i -= 1
            if out[i] > 1e9:
                break
            out[i] *= 2
        else:
            s = -s
        return out, i, s

    check(lambda np: program(np, 41), 30)
    check(lambda np: program(np, 400), 40)


def test_loops_in_loops():
    def program(np):
        a = some(np, 3, 12, 12)
        i = turns = 0
        while i < 12:
            j = 0
            while j < i:
                a[i, j] -= a[j, i] * 0.5
                j += 1
                turns += 1
                while a[i, j] > 0.5:
                    a[i, j] *= 0.75
            for k in range(i, 12):
                a[k, i] += 0.125 * i
            i += 1
        return a, i, j, k, turns

    check(program, 10)


def test_conditions_with_and_and_or():
    def program(np):
        a = some(np, 4, 50)
        i, n = 0, 0
        while i < 49 and (a[i] < 0.9 or i % 2 == 0):
            a[i + 1] += 0.001 * a[i]
            i += 1
            if i == 48 and n < 3:
                i, n = 0, n + 1
        return a, i, n

    check(program, 2)


def test_an_error_in_the_middle_of_a_round():
    def program(np):
        a, b = np.arange(30.0), np.zeros(30)
        i = 0
        try:
            while True:
                b[i - 1] = i
                b[0] += a[i] * 2
                i += 1
        except IndexError as e:
            return a, b, i, str(e)

    check(program, 20)


def test_an_error_names_its_line():
    def program(np, i=0):
        a = np.arange(30.0)
        while i < 100:
            a[i] = a[i] + 1  # here
            i += 1

    legate_jit._native.look_for_loops()
    for _ in range(2):
        with pytest.raises(IndexError) as raised:
            program(ours)
        at = raised.value.__traceback__
        frames = []
        while at is not None:
            frames.append((at.tb_frame.f_code.co_name, at.tb_lineno, at.tb_frame.f_locals.get("i")))
            at = at.tb_next
        first = program.__code__.co_firstlineno
        assert frames[1:] == [("program", first + 3, 30)]


def test_warnings_come_as_ever():
    def program(np, of_python):
        x, y = np.arange(20.0) - 10, np.zeros(20)
        i = 0
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            try:
                while i < 20:
                    d = x[i]
                    if of_python:
                        d = float(d)
                    y[i] = 1.0 / d
                    i += 1
            except ZeroDivisionError as e:
                return y, i, str(e)
        return y, i, [str(w.message) for w in seen]

    check(lambda np: program(np, False), 5)
    check(lambda np: program(np, True), 5)


def test_operands_are_put_together_again():
    def program(np):
        a, b, k = np.zeros(64), some(np, 5, 64), 3
        i = 0
        while i < 60:
            a[(i * 7 + 1) % 64] = b[i - k : i + k + 1][k] + i % 3 if i % 2 and i > 9 else -b[-i]
            i += 1
            k = 3 - k
        return a, i, k

    got, _ = translated(program)
    assert_equal(got, program(numpy))


def test_a_key_that_is_a_number_of_the_round():
    def program(np):
        a = np.array(numpy.random.default_rng(6).permutation(100))
        seen = np.zeros(100)
        i, n = 0, 0
        while seen[i] < 3:
            seen[i] += 1
            i = int(a[i])
            n += 1
        return seen, i, n

    check(program, 5)


def test_names_that_are_bound_late():
    def program(np):
        a = some(np, 7, 50)
        i = 0
        while i < 50:
            if a[i] > 0.5:
                last = a[i]
            square = a[i] * a[i]
            a[i] = square
            i += 1
        return a, last, square, i

    check(program)


def test_names_of_other_types():
    def program(np):
        a = np.zeros(40)
        i, total = 0, 0
        while i < 40:
            total = total + a[i] + 1
            if i == 20:
                total = "words"
                a[i] = 7
                total = 1.5
            a[i] += i
            i += 1
        return a, total, i

    check(program, 20)


def test_closures_and_generators_are_left_to_python():
    def closure(np):
        a = np.zeros(40)
        i = 0

        def now():
            return i

        while i < 40:
            a[i] = i
            i += 1
        return a, now()

    def generator(np):
        def each(a):
            i = 0
            while i < 40:
                a[i] = i
                i += 1
                yield i

        a = np.zeros(40)
        return a, list(each(a))

    left_to_python(closure)
    left_to_python(generator)


def test_loops_that_look_at_their_names():
    def program(np):
        a = np.zeros(40)
        i = 0
        while i < 40:
            a[i] = len(locals())
            i += 1
        return a

    left_to_python(program)


def test_arrays_that_others_have():
    def program(np):
        a = some(np, 8, 30)
        copy, view, more = a.copy(), a[2:], a + 0
        i = 1
        while i < 30:
            a[i] += a[i - 1]
            view[0] += 1
            i += 1
        return a, copy, view, more

    check(program, 20)


def test_functions_of_the_program():
    def program(np):
        a, i = some(np, 9, 30), 0
        while i < 30:
            a[i] += 1.0
            i = halve(a, i)
        return a, i

    check(program, 20)


def halve(a, i):
    a[i] *= 0.5
    return i + 1


def test_references_are_counted():
    class Thing:
        pass

    def program(np, held, n):
        a, total, i, big = np.zeros(n), 0.0, 0, 1 << 40
        numbers = []
        while i < n:
            a[i] = i
            total += a[i]
            big += 1
            i += 1
            if i % 50 == 0:
                numbers.append(total)
        return sys.getrefcount(a), sys.getrefcount(held), sys.getrefcount(total), sys.getrefcount(big), sys.getrefcount(numbers)

    held = Thing()
    for _ in range(4):
        legate_jit._native.look_for_loops()
        before = legate_jit.stats()["rounds_translated"]
        assert program(ours, held, 300) == program(numpy, held, 300)
        assert legate_jit.stats()["rounds_translated"] > before + 200
    gone = weakref.ref(held)
    del held
    gc.collect()
    assert gone() is None


def test_debuggers_see_every_round():
    def program(np):
        a, i = np.zeros(30), 0
        while i < 30:
            a[i] = i
            i += 1
        return a

    lines = []

    def trace(frame, event, arg):
        if frame.f_code is program.__code__:
            lines.append(frame.f_lineno)
            return trace
        return None

    legate_jit._native.look_for_loops()
    old = sys.gettrace()
    sys.settrace(trace)
    try:
        got = program(ours)
    finally:
        sys.settrace(old)
    assert_equal(got, program(numpy))
    assert lines.count(program.__code__.co_firstlineno + 3) == 30


def test_who_wants_to_stop_the_program_can():
    def program(np):
        a, i = np.zeros(1000), 0
        while True:
            a[i % 1000] += 1
            i += 1

    legate_jit._native.look_for_loops()
    before = legate_jit.stats()["rounds_translated"]
    timer = threading.Timer(0.3, lambda: signal.raise_signal(signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt) as raised:
        program(ours)
    timer.join()
    at = raised.value.__traceback__
    while at.tb_frame.f_code is not program.__code__:
        at = at.tb_next
    names = at.tb_frame.f_locals
    assert legate_jit.stats()["rounds_translated"] > before
    a = numpy.asarray(names["a"])
    assert a.sum() in (names["i"], names["i"] + 1)
    assert a.max() - a.min() <= 1


def test_other_threads_have_their_turn():
    seen, done = [], []

    def watch():
        while not done:
            seen.append(1)

    def program(np):
        a, i = np.zeros(100), 0
        while i < 3_000_000:
            a[i % 100] += 1
            i += 1
        return a

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        got, count = translated(program, times=1)
    finally:
        done.append(1)
        thread.join()
    assert_equal(got, numpy.full(100, 30_000.0))
    assert count > 2_000_000 and len(seen) > 2


NAMES = """
i, n = 0, 0
a = np.zeros(60)
while i < 60:
    a[i] = 2 * i
    if i:
        a[i] += a[i - 1]
    i += 1
"""


def test_names_of_a_module():
    def program(np):
        names = {"np": np}
        exec(compile(NAMES, "module", "exec"), names)
        return names["a"], names["i"]

    check(program, 40)


def test_a_loop_in_a_for_loop_over_other_things():
    def program(np):
        out = []
        for word in ("one", "three", "fifteen"):
            a, i = np.zeros(50), 0
            while i < 50:
                a[i] = i * len(word) if i == 7 else i * 3
                i += 1
            out.append(a)
        return out

    got, _ = translated(program)
    assert_equal(got, program(numpy))


def test_squares_roots_and_windows():
    def program(np):
        p = some(np, 10, 10, 12)
        error, n = 1.0, 0
        history = []
        while error > 1e-3 and n < 300:
            n += 1
            before = p.copy()
            p[1:-1, 1:-1] = 0.25 * (p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1])
            error = np.sqrt(np.sum((p - before) ** 2) / np.sum(before**2))
            if n % 50 == 0:
                history.append(float(error))
        return p, float(error), n, history

    check(program, 50)


def test_sums_of_other_orders():
    def program(np):
        p, q = some(np, 11, 9, 12), some(np, 12, 12, 9).T
        error, n = 1.0, 0
        while error > 1e-3 and n < 40:
            n += 1
            p[1:-1] *= 0.9
            error = np.sum((p * q) ** 2) + np.sum(p[1:, 1:]) * 1e-3 + np.sum(q + q)
        return p, float(error), n

    got, _ = translated(program)
    assert_equal(got, program(numpy))


def right_side(np, u, dt):
    b = np.zeros_like(u)
    d = (u[2:, 1:-1] - u[:-2, 1:-1]) / (2 * dt)
    b[1:-1, 1:-1] = d / dt - d**2
    d = (u[2:, -1] - u[:-2, -1]) / (2 * dt)
    b[1:-1, -1] = d / dt - d**2
    return b


def relaxed(np, p, b, nit):
    for _ in range(nit):
        pn = p.copy()
        p[1:-1, 1:-1] = (pn[1:-1, 2:] + pn[1:-1, :-2] + pn[2:, 1:-1] + pn[:-2, 1:-1]) * 0.25 - b[1:-1, 1:-1] * 0.01
        p[:, 0] = p[:, 1]
        p[-1, :] = p[-2, :]
    return p


def test_functions_with_arrays():
    def program(np):
        u, p = some(np, 13, 9, 11), np.ones((9, 11))
        change, steps = 1, 0
        while change > 1e-12 and steps < 40:
            un = u.copy()
            b = right_side(np, u, 0.5)
            p = relaxed(np, p, b, 5)
            u[1:-1, 1:-1] = un[1:-1, 1:-1] * 0.9 + 0.1 * p[1:-1, 1:-1]
            u[0, :] = 0
            change = (np.sum(u) - np.sum(un)) / np.sum(u)
            change = change * change
            steps += 1
        return u, p, float(change), steps

    check(program, 20)


def test_arrays_of_a_round_that_are_needed_later():
    def program(np, stop):
        u, n = some(np, 14, 12), 0
        while n < 60:
            if n == stop:
                break
            before = u.copy()
            u[1:] = 0.5 * (before[1:] + before[:-1])
            n += 1
        return u, before, n

    got, _ = translated(lambda np: program(np, 41))
    assert_equal(got, program(numpy, 41))
    got, _ = translated(lambda np: program(np, 400))
    assert_equal(got, program(numpy, 400))


def test_large_arrays_are_not_for_this():
    def program(np):
        u, n = some(np, 15, 100, 100), 0
        while n < 60:
            before = u.copy()
            u[1:] = 0.5 * (before[1:] + before[:-1])
            n += 1
        return u, n

    got, count = translated(program)
    assert_equal(got, program(numpy))
    assert count <= 4


class Writer:
    """Random programs with `while` loops."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lines = []
        self.counters = 0

    def number(self, depth=0):
        r = self.random
        leaves = ["x", "y", "float(i)", "a[i % n]", "b[(i + k) % n, i % n]", "0.5", "1.25", "a[-1 - i % n]", "b[k % n][i % n]"]
        if depth > 2 or r.random() < 0.3:
            return r.choice(leaves)
        op = r.choice(["+", "-", "*"])
        return f"({self.number(depth + 1)} {op} {self.number(depth + 1)})"

    def small(self):
        return f"({self.number()}) * 0.25"

    def test(self):
        r = self.random
        return r.choice(["x < y", "i % 3 == 1", "a[k % n] > 0.5", "k > 2 and x < 1", "not y > 0.25", "i == 11 or x > 2"])

    def block(self, indent, depth):
        for _ in range(self.random.randint(1, 4)):
            self.statement(indent, depth)

    def statement(self, indent, depth):
        r, pad = self.random, "    " * indent
        kind = r.randint(0, 13)
        if kind < 3:
            self.lines.append(f"{pad}{r.choice('xy')} = {self.small()}")
        elif kind < 5:
            self.lines.append(f"{pad}a[{r.choice(['i % n', '-k % n', '(i + k) % n'])}] = {self.small()}")
        elif kind < 7:
            self.lines.append(f"{pad}b[i % n, k % n] {r.choice(['=', '+=', '-='])} {self.small()}")
        elif kind == 7:
            self.lines.append(f"{pad}k = (k * 5 + i) % 7")
        elif kind == 8 and depth < 3:
            self.lines.append(f"{pad}if {self.test()}:")
            self.block(indent + 1, depth + 1)
            if r.random() < 0.5:
                self.lines.append(f"{pad}else:")
                self.block(indent + 1, depth + 1)
        elif kind == 9 and depth < 3:
            self.loop(indent, depth + 1)
        elif kind == 10 and depth > 0 and r.random() < 0.5:
            self.lines.append(f"{pad}if {self.test()}:")
            self.lines.append(f"{pad}    {r.choice(['break', 'seen.append(k)', 'z = x', 'a[3 * n] = 1' if depth == 9 else 'z = y'])}")
        elif kind == 11:
            self.lines.append(f"{pad}a[1:] {r.choice(['+=', '*=', '='])} {r.choice(['a[:-1]', 'b[i % n, 1:]', '0.5'])} * 0.5")
        elif kind == 12:
            self.lines.append(f"{pad}c = {r.choice(['a', 'b[k % n]'])}.copy()")
            self.lines.append(f"{pad}a[:] = 0.5 * c + a")
        else:
            self.lines.append(f"{pad}z = {self.small()}")

    def loop(self, indent, depth):
        r, pad = self.random, "    " * indent
        self.counters += 1
        count = f"t{self.counters}"
        self.lines.append(f"{pad}{count} = 0")
        if r.random() < 0.25:
            self.lines.append(f"{pad}for {count} in range({r.randint(0, 6)}):")
            self.lines.append(f"{pad}    i += 1")
            self.block(indent + 1, depth)
            return
        most = r.randint(1, 40 if depth < 2 else 6)
        form = r.randint(0, 3)
        head = ["while {0} < {1}:", "while {0} < {1} and x < 50:", "while True:", "while {0} < {1} or a[k % n] > 9:"][form]
        self.lines.append(pad + head.format(count, most))
        self.lines.append(f"{pad}    {count} += 1")
        self.lines.append(f"{pad}    i += 1")
        if form == 2:
            self.lines.append(f"{pad}    if {count} > {most}:")
            self.lines.append(f"{pad}        break")
        elif form == 3:
            self.lines.append(f"{pad}    if {count} > 60:")
            self.lines.append(f"{pad}        break")
        self.block(indent + 1, depth)
        if r.random() < 0.3:
            self.lines.append(f"{pad}    if {self.test()}:")
            self.lines.append(f"{pad}        continue")
            self.block(indent + 1, depth)
        if r.random() < 0.3:
            self.lines.append(f"{pad}else:")
            self.lines.append(f"{pad}    y = y + 1.0")

    def program(self):
        self.lines = ["def program(np, a, b, n):", "    x, y, z, i, k = 0.5, 0.25, 0.0, 0, 3", "    seen, c = [], None"]
        for _ in range(2):
            self.loop(1, 0)
        self.lines.append("    return a, b, x, y, z, i, k, seen")
        return "\n".join(self.lines)


def given_arrays(np, n, seed):
    rng = numpy.random.default_rng(seed)
    return np.array(rng.random(n)), np.array(rng.random((n, n)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(4, 9))
def test_random_programs(seed, n):
    check_text(Writer(seed).program(), lambda np: given_arrays(np, n, seed), n)


def test_most_random_programs_are_translated():
    count = 0
    for seed in range(20):
        names = {}
        exec(compile(Writer(seed).program(), "random", "exec"), names)
        legate_jit._native.look_for_loops()
        before = legate_jit.stats()["rounds_translated"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            names["program"](ours, *given_arrays(ours, 6, seed), 6)
        count += legate_jit.stats()["rounds_translated"] > before
    assert count >= 10, math.nan


def test_arrays_that_exchange_their_names():
    def two(np):
        u, v, n, s = some(np, 16, 9, 8), np.zeros((9, 8)), 0, 1.0
        first, second = u, v
        while s > 1e-9 and n < 51:
            v[1:-1, 1:-1] = 0.25 * (u[1:-1, 2:] + u[1:-1, :-2] + u[2:, 1:-1] + u[:-2, 1:-1])
            u, v = v, u
            s = np.sum(u)
            n += 1
        return u, v, first, second, n, u is first, float(s)

    def three(np):
        a, b, c, n = some(np, 17, 30), some(np, 18, 30), np.zeros(30), 0
        one, two, three = a, b, c
        while n < 100:
            c[1:-1] = 2 * b[1:-1] - a[1:-1] + 0.1 * (b[2:] - 2 * b[1:-1] + b[:-2])
            a, b, c = b, c, a
            n += 1
            if n == 70:
                a[3] = 7
        return a, b, c, one, two, three, n, a is one

    def sometimes(np):
        a, b, n = some(np, 19, 30), some(np, 20, 30), 0
        one = a
        while n < 60:
            a[n % 30] += b[0]
            if n % 7 == 3:
                a, b = b, a
            n += 1
        return a, b, n, a is one

    check(two, 20)
    check(three, 20)
    got, _ = translated(sometimes)
    assert_equal(got, sometimes(numpy))


def test_a_second_name_for_an_array():
    def program(np):
        a, b, n = some(np, 21, 30), some(np, 22, 30), 0
        while n < 60:
            a[n % 30] += b[0]
            if n == 20:
                a = b
            n += 1
        return a, b, n, a is b

    got, _ = translated(program)
    assert_equal(got, program(numpy))


COMPILED = """
import sys
sys.path.insert(0, {here!r})
import warnings
import numpy, legate_jit, legate_jit.numpy as ours
from test_while_nests import Writer, assert_equal, given_arrays

def mixed(np, a, b, n):
    i, total, moves = 0, 0.0, 0
    while i < 3000:
        k = i % n
        if a[k] > b[n - 1 - k, k]:
            a[k], b[n - 1 - k, k] = b[n - 1 - k, k], a[k]
            moves += 1
        else:
            a[k] += 0.001 * b[k, 0]
        total = 0.5 * total + a[k]
        if total > 1e6:
            break
        i += 1
    return a, b, i, total, moves

warnings.simplefilter("ignore")
programs = [mixed]
for seed in range(40, 52):
    names = {{}}
    exec(compile(Writer(seed).program(), "random", "exec"), names)
    programs.append(names["program"])
for program in programs:
    want = program(numpy, *given_arrays(numpy, 7, 1), 7)
    for _ in range(2):
        legate_jit._native.look_for_loops()
        assert_equal(tuple(program(ours, *given_arrays(ours, 7, 1), 7)), tuple(want))
stats = legate_jit.stats()
print(stats["rounds_compiled"] > 2000, stats["kernels_refused"])
"""


def test_loops_with_machine_code():
    assert in_a_process(COMPILED.format(here=os.path.dirname(__file__))).split() == ["True", "0"]


def test_operands_below_which_functions_wait():
    """What lies on the stack below an access while it runs: functions, places without anything, numbers of the round."""

    def program(np):
        a, out = some(np, 25, 40), np.zeros(40)
        i, s, t = 0, 0.0, 1.5
        while i < 40:
            s = s * 0.5 + np.sqrt(a[i])
            i += 1
        while i > 0:
            i -= 1
            out[i] = plus(t, abs(a[i]))
            t = t + i * 0.25
        while i < 40:
            t = max(s, t * i + a[i] * 0.5, 2.0) if i == 50 else min(s + i, a[i])
            out[i], s = out[i] + t, s + a[-i]
            i += 1
        return out, i, s, t

    check(program, 50)


def plus(x, y):
    return x + y
