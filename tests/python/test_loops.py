"""Rounds of a Python loop that do nothing but array operations are recorded without Python once they are known: with NumPy's bits, and
without anybody seeing it. Whatever has other effects runs as it always did."""

import signal
import sys
import threading

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import legate_jit
import legate_jit.numpy as ours
from same import assert_equal, assert_same, counted

pytestmark = pytest.mark.skipif(
    legate_jit.config()["LEGATE_JIT_LOOPS"][0] == "off", reason="loops are left to Python here"
)

N = 40


def field(np, seed, n=24, dtype="f8"):
    return np.array(numpy.random.default_rng(seed).random((n, n)).astype(dtype))


def repeated(program, *args, times=2):
    """What a program gives at last, and how many of its rounds needed no Python."""
    return counted("rounds_repeated", program, *args, times=times)


def check(program, least, most=None, times=2):
    got, count = repeated(program, times=times)
    assert_equal(got, program(numpy))
    assert least <= count and (most is None or count <= most), count


def relaxation(np):
    p, b = field(np, 1), field(np, 2)
    for _ in range(N):
        pn = p.copy()
        p[1:-1, 1:-1] = 0.25 * (pn[1:-1, 2:] + pn[1:-1, :-2] + pn[2:, 1:-1] + pn[:-2, 1:-1]) - b[1:-1, 1:-1]
        p[0, :] = p[1, :]
        p[:, -1] = 0.5
    return p


def leapfrog(np):
    u = field(np, 1)
    previous = u.copy()
    for _ in range(N):
        following = np.zeros_like(u)
        laplacian = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4.0 * u[1:-1, 1:-1]
        following[1:-1, 1:-1] = 2.0 * u[1:-1, 1:-1] - previous[1:-1, 1:-1] + 0.25 * laplacian
        previous, u = u, following
    return u, previous


def swapped(np):
    """Somebody else has the arrays that change places."""
    a, b = field(np, 1), field(np, 2)
    u, un = a, b
    for _ in range(N + 1):
        un[1:-1] = 0.5 * (u[2:] + u[:-2])
        u, un = un, u
    return a, b, u, un


def in_place(np):
    u, v = field(np, 1), field(np, 2, dtype="f4")
    for _ in range(N):
        u += 0.5 * v
        u -= np.mean(u)
        v *= 0.99
    return u, v


def laplacian(np, f):
    return np.roll(f, 1, 0) + np.roll(f, -1, 0) + np.roll(f, 1, 1) + np.roll(f, -1, 1) - 4.0 * f


def calls(np, feed=0.035, kill=0.065):
    u, v = field(np, 1), field(np, 2)
    for _ in range(N):
        reaction = u * v * v
        u = u + 0.16 * laplacian(np, u) - reaction + feed * (1.0 - u)
        v = v + 0.08 * laplacian(np, v) + reaction - (feed + kill) * v
    return u, v


def nested(np):
    u = field(np, 1)
    for _ in range(N):
        for _ in range(3):
            u = u * 0.5 + np.sqrt(u)
        u[1:] = u[:-1]
    return u


def closure(np):
    u, c = field(np, 1), 0.25

    def step(x):
        return x + c * (x[::-1] - x)

    for _ in range(N):
        u = step(u)
    return u


def totals(np):
    """A value that is not computed yet steers nothing."""
    u = field(np, 1)
    for _ in range(N):
        scale = np.sqrt(np.sum(u * u))
        u = u / scale + 0.5
    return u, scale


def tiny(np):
    """What is otherwise done at once."""
    x = np.array([1.0, 1.0, 1.0])
    m = np.array([[-1.0, 0.5, 0.0], [0.1, -1.0, 0.2], [0.0, 0.3, -0.5]])
    for _ in range(200):
        k1 = m @ x
        k2 = m @ (x + 0.005 * k1)
        x = x + 0.01 * k2
    return x


@pytest.mark.parametrize(
    "program", [relaxation, leapfrog, swapped, in_place, calls, nested, closure, totals, tiny], ids=lambda f: f.__name__
)
def test_rounds_need_no_python(program):
    check(program, N)


def test_a_loop_of_a_module():
    source = "p = field(np, 1)\nfor _ in range(40):\n    q = p * 0.5\n    p = q + np.sqrt(p)\nresult = p, q"

    def program(np):
        names = {"np": np, "field": field}
        exec(source, names)
        return names["result"]

    check(program, 30, times=1)


def test_the_variable_of_the_loop_has_its_last_value():
    def program(np):
        u = field(np, 1)
        for t in range(3, 90, 2):
            u = u * 0.5 + 1.0
        return u, t

    check(program, N)


def test_later_calls_take_the_round_that_is_known():
    def program(np):
        u = field(np, 1)
        for _ in range(20):
            u = relax(np, u, 20)
            u = u + float(u[3, 3])
        return u

    def relax(np, u, times):
        for _ in range(times):
            un = u.copy()
            u[1:-1] = 0.5 * (un[2:] + un[:-2])
        return u

    check(program, 2 * 19 * 18, times=2)


def test_another_form_is_learned_anew():
    def relax(np, u, times, factor):
        for _ in range(times):
            u = u * factor + np.sqrt(np.abs(u))
        return u

    def program(np):
        small = [relax(np, field(np, 1, n), 30, c) for n in (5, 30, 31) for c in (0.5, 0.25, 0.5)]
        return small + [relax(np, field(np, 1, 30, "f4"), 30, 0.5)]

    check(program, 40, times=3)


# What has to be left to Python.


def uses_its_variable(np):
    u = field(np, 1)
    for t in range(N):
        u = u * 0.5 + t
    return u


def number_that_changes(np):
    u, t = field(np, 1), 0.0
    for _ in range(N):
        u = u * 0.5 + t
        t += 0.125
    return u, t


def list_that_grows(np):
    u, all_of_them = field(np, 1), []
    for _ in range(N):
        u = u * 0.5 + 1.0
        all_of_them.append(u)
    return all_of_them


def list_that_is_written(np):
    u, last = field(np, 1), [None, 0]
    for _ in range(N):
        u = u * 0.5 + 1.0
        last[0] = u
    return u, last[0]


COUNT = {"calls": 0}


def counts(u):
    COUNT["calls"] += 1
    return u * 0.5


def function_with_an_effect(np):
    COUNT["calls"] = 0
    u = field(np, 1)
    for _ in range(N):
        u = counts(u) + 1.0
    return u, COUNT["calls"]


def global_that_changes(np):
    global LEVEL
    LEVEL = 0
    u = field(np, 1)
    for _ in range(N):
        LEVEL += 1
        u = u * 0.5 + 1.0
    return u, LEVEL


class Solver:
    def __init__(self, u):
        self.u, self.steps = u, 0

    def step(self):
        self.u = self.u * 0.5 + 1.0
        self.steps += 1


def object_of_the_program(np):
    solver = Solver(field(np, 1))
    for _ in range(N):
        solver.step()
    return solver.u, solver.steps


def values_that_are_read(np):
    u, seen = field(np, 1), 0.0
    for _ in range(N):
        u = u * 0.5 + 1.0
        if u[0, 0] > 1.5:
            u -= 0.5
        seen = float(u[1, 1])
    return u, seen


def element_of_what_is_known(np):
    """Which of two arrays an element is read from changes from round to round."""
    a, b, x = np.array([1.0, 2.0]), np.array([3.0, 4.0]), field(np, 1)
    for _ in range(N + 1):
        x = x * 0.5 + a[0]
        a, b = b, a
    return x


def scalar_of_what_is_known(np):
    a, b, x = np.sqrt(np.array(2.0)), np.sqrt(np.array(3.0)), field(np, 1)
    for _ in range(N + 1):
        x = x * 0.5 + (2.0 * a + 1.0)
        a, b = b, a
    return x


def random_numbers(np):
    rng, u = numpy.random.default_rng(1), field(np, 1)
    for _ in range(N):
        u = u * 0.5 + np.array(rng.random(24))
    return u


def generator(np):
    def rounds(u):
        for _ in range(N):
            u = u * 0.5 + 1.0
            yield u

    return list(rounds(field(np, 1)))


def by_turns(np):
    """Numbers that are tuples' and slices'."""
    u, s = field(np, 1), (slice(0, 5), 1)
    for _ in range(N):
        u[s] = u[s] * 0.5
        s = (slice(s[0].start + 1, s[0].stop + 1), 1) if s[0].stop < 20 else (slice(0, 5), 1)
    return u


@pytest.mark.parametrize(
    "program",
    [
        uses_its_variable,
        number_that_changes,
        list_that_grows,
        list_that_is_written,
        function_with_an_effect,
        global_that_changes,
        object_of_the_program,
        values_that_are_read,
        element_of_what_is_known,
        random_numbers,
        generator,
        by_turns,
    ],
    ids=lambda f: f.__name__,
)
def test_other_loops_are_left_to_python(program):
    check(program, 0, 0)


def test_known_numbers_that_change_places():
    check(scalar_of_what_is_known, 0)


def test_what_others_hold_keeps_its_value():
    """The names of a caller, a list and a second name see what they would see."""

    def relax(np, u):
        first, kept = u, [u]
        for _ in range(N):
            u = u * 0.5 + 1.0
        return u, first, kept[0]

    def program(np):
        mine = field(np, 1)
        view = mine[2:4]
        return relax(np, mine), mine, view

    check(program, 0)


def test_a_view_of_what_is_replaced_keeps_its_value():
    def program(np):
        u = field(np, 1)
        w = u[1:3]
        for _ in range(N):
            u = u * 0.5 + w[0]
            w = u[1:3]
        return u, w

    check(program, 0)


def test_a_second_name_that_the_loop_does_not_read():
    def program(np):
        u = field(np, 1)
        for _ in range(N):
            u = u * 0.5 + 1.0
            if u is None:
                break
            alias = u
        return u, alias

    check(program, 0)


def test_nobody_follows_the_program():
    lines = []

    def tracer(frame, event, arg):
        if frame.f_code.co_name == "relaxation" and event == "line":
            lines.append(frame.f_lineno)
        return tracer

    sys.settrace(tracer)
    try:
        got, count = repeated(relaxation)
    finally:
        sys.settrace(None)
    assert_same(got, relaxation(numpy))
    assert count == 0 and len(lines) > 2 * 4 * N


def assert_is_some_round(u, factor):
    """All elements were multiplied by the factor equally often."""
    got, start = numpy.asarray(u).ravel(), field(numpy, 1).ravel()
    x = float(start[0])
    for rounds in range(10_000_000):
        if x == float(got[0]):
            break
        x = x * factor
    for k in range(1, 20):
        x = float(start[k])
        for _ in range(rounds):
            x = x * factor
        assert x == got[k]


def test_a_signal_stops_the_loop_between_two_rounds():
    """Whoever presses Ctrl-C finds the arrays as they are after some round."""

    class Stop(Exception):
        pass

    def stop(*_):
        raise Stop

    u = field(ours, 1)
    factor = 1.0 - 2.0**-26
    legate_jit._native.look_for_loops()
    before = signal.signal(signal.SIGALRM, stop)
    try:
        with pytest.raises(Stop):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            for _ in range(100_000_000):
                u *= factor
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert_is_some_round(u, factor)


STOP = False


def waits_for_a_flag(start):
    """Runs until somebody sets a global name; the arrays are as after some round."""
    global STOP
    STOP = False
    u, factor = field(ours, 1), 1.0 - 2.0**-26
    legate_jit._native.look_for_loops()
    before = legate_jit.stats()["rounds_repeated"]
    start()
    for _ in range(100_000_000):
        u *= factor
        if STOP:
            break
    assert legate_jit.stats()["rounds_repeated"] > before
    assert_is_some_round(u, factor)


def stop(*_):
    global STOP
    STOP = True


def test_other_threads_have_their_turn():
    waits_for_a_flag(threading.Timer(0.1, stop).start)


def test_a_signal_may_say_that_it_is_enough():
    before = signal.signal(signal.SIGALRM, stop)
    try:
        waits_for_a_flag(lambda: signal.setitimer(signal.ITIMER_REAL, 0.1))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_foreign_code_sees_what_rounds_write():
    def relax(u):
        for _ in range(N):
            u[1:-1] = u[1:-1] * 0.5 + 0.25
        return u

    check(lambda np: relax(field(np, 1)), 1)
    u = field(ours, 1)
    view = numpy.asarray(u)
    relax(u)
    assert_same(view, relax(field(numpy, 1)))


def test_numbers_that_are_known():
    """What an operation is given as a number when its value is known, and as an array when it is not."""

    def decay(np, start):
        u, a = field(np, 1), np.array(start)
        for _ in range(N):
            u = u * 0.5 + a
            a *= 0.5
        return u, a

    def shift(np, start):
        u, a = field(np, 1), np.array(start)
        for _ in range(N):
            u = u * 0.5 + a
        return u

    def element(np, start):
        u, v = field(np, 1) + start, field(np, 2)
        legate_jit.sync()
        for _ in range(N):
            w = u[3:4, 4:5].reshape(())
            v = v * w
            u = u * 0.5 + 0.25
        return u, v

    for program in (decay, shift, element):
        check(lambda np: [program(np, start) for start in (0.5, 0.5, 0.75, 1.5)], 0)
    assert repeated(lambda np: shift(np, 0.5))[1] >= N


def test_threads_have_their_own_loops():
    results = {}

    def work(k):
        results[k] = relaxation(ours), leapfrog(ours)

    legate_jit._native.look_for_loops()
    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for k in range(4):
        assert_same(results[k], (relaxation(numpy), leapfrog(numpy)))


def test_an_error_comes_from_the_line_that_made_it():
    def program(np):
        u = field(np, 1)
        for _ in range(N):
            u = u * 0.5 + 1.0
        return u + np.zeros((3, 5))

    legate_jit._native.look_for_loops()
    with pytest.raises(ValueError, match="could not be broadcast"):
        program(ours)


# Loops made of random statements.

STATEMENTS = [
    "u = u * 0.5 + v",
    "v = 0.25 * (u - v)",
    "u += 0.125 * w",
    "w -= 0.5",
    "un = u.copy()",
    "un = v",
    "u[1:-1, 1:-1] = 0.25 * (un[2:, 1:-1] + un[:-2, 1:-1]) + v[1:-1, 1:-1] * 0.5",
    "v[0, :] = u[1, :]",
    "w[:, 2] = 0.5",
    "u, v = v, u",
    "u, v, w = v, w, u",
    "un, u = u, 0.75 * u + 0.25 * un",
    "w = np.roll(u, 1, 0)",
    "w = np.where(u > v, u, w)",
    "s = np.sum(u) * 0.001",
    "v = v * s",
    "u = u - np.mean(u)",
    "u = f(u, v)",
    "w = g(w)",
    "t = u.T",
    "v = 0.5 * (v + t[-1])",
    "t = (u, v)",
    "u[::2] = u[::2] * 0.5",
    "m = u[2:5]",
    "m *= 0.5",
    "v[2:5] = m",
    "for _ in range(2): u = 0.5 * u + 0.5 * v",
    "u = np.sqrt(np.abs(u)) if c > 0.5 else u",
    "w = u @ v * 0.01",
    "u = 0.5 * u + a",
    "a = 0.5 * a",
    "u[u > 1.0] = 0.5",
    "x = u[3, 4]",
    "if x > 0.5: v *= 0.5",
]

PROGRAM = """
def f(x, y):
    z = x * 0.5
    return z + c * y

def g(x):
    x[1:] *= 0.5
    return x + 0.125

def program(np, rounds):
    u, v, w, un = field(np, 1, n), field(np, 2, n), field(np, 3, n), field(np, 4, n)
    t, m, s, x, a = u.T, u[2:5], np.sum(v), 0.0, np.array(0.5)
    first = u, v, w, un, m
    for _ in range(rounds):
        {}
    return u, v, w, un, m, s, a, first
"""


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=7),
    st.sampled_from([5, 9, 40, 40, 300]),
    st.sampled_from([6, 24, 60]),
    st.integers(1, 3),
)
def test_random_loops_have_numpys_bits(statements, rounds, n, times):
    names = {"field": field, "n": n, "c": 0.25}
    exec(PROGRAM.format("\n        ".join(statements)), names)
    program = names["program"]
    expected = program(numpy, rounds)
    legate_jit._native.look_for_loops()
    for _ in range(times):
        assert_equal(program(ours, rounds), expected)


def test_rounds_go_into_traces_as_long_as_the_program_made_them():
    """A program whose loop went over memory as one trace is not cut into short ones, with plans of their own, once its rounds are
    repeated."""

    def program(np, start, rounds):
        u = start
        for _ in rounds:
            around = np.roll(u, 1, 0) + np.roll(u, -1, 0) + np.roll(u, 1, 1) + np.roll(u, -1, 1)
            u = u + 0.2 * (around - 4.0 * u) - 0.01 * u * u
        return u

    start = field(ours, 3, n=500)

    def run(rounds):
        for _ in range(4):
            got = program(ours, start, rounds)
            legate_jit.sync()
        return got

    # (Only loops over a range are looked at.)
    run(list(range(20)))
    legate_jit._native.look_for_loops()
    before = legate_jit.stats()
    got = run(range(20))
    after = legate_jit.stats()
    assert after["rounds_repeated"] - before["rounds_repeated"] > 40
    assert after["plans"] == before["plans"] and after["flushes"] - before["flushes"] == 4
    assert_equal(got, program(numpy, numpy.array(start), range(20)))


def test_rounds_of_large_arrays_are_the_programs_own():
    """What recording takes does not matter there, and the program's traces have their plans."""

    def program(np):
        u = field(np, 4, n=600)
        for _ in range(N):
            u = u + 0.1 * (np.roll(u, 1, 0) - u)
        return u

    check(program, 0, 0)


def test_rounds_on_small_parts_of_large_arrays_are_repeated():
    """What counts is what a round computes, not the arrays that it writes to."""

    def program(np):
        film = np.ones((200, 60, 60))
        for _ in range(200):
            film[3] *= 0.999
            film[5] = film[3] + film[4]
        return film

    check(program, 150)
