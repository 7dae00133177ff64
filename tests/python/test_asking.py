"""Loops that ask for one value in every round (`while change > tol`) need no Python for the rounds that are like the ones before: with
NumPy's bits, the numbers that the loop counts with included. The last round is Python's."""

import sys
import textwrap

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import legate_jit
import legate_jit.numpy as ours
from same import assert_equal, counted

pytestmark = pytest.mark.skipif(
    legate_jit.config()["LEGATE_JIT_LOOPS"][0] == "off", reason="loops are left to Python here"
)


# (Operations on up to 2048 elements may be done at once: then nothing is asked for.)
def field(np, seed, n=50, dtype="f8"):
    return np.array(numpy.random.default_rng(seed).random((n, n)).astype(dtype))


def check(program, least, most=None, times=2):
    got, count = counted("rounds_repeated", program, times=times)
    assert_equal(got, program(numpy))
    assert least <= count and (most is None or count <= most), count


def jacobi(np, tolerance=1e-4, most=1000):
    p = field(np, 1)
    l2, count, history = 1.0, 0, []
    while l2 > tolerance and count < most:
        count += 1
        pn = p.copy()
        p[1:-1, 1:-1] = 0.25 * (p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1])
        l2 = np.sqrt(np.sum((p - pn) ** 2) / np.sum(pn**2))
        if count % 20 == 0:
            history.append((count, float(l2)))
    return p, float(l2), count, history, pn


def counted_to_the_end(np):
    return jacobi(np, 0.0, 200)


def with_functions(np):
    u, v, b = field(np, 1), field(np, 2), field(np, 3)

    def source(a, scale):
        d = a[1:-1, 2:] - a[1:-1, :-2]
        return scale * d * d

    def relaxed(p, times):
        for _ in range(times):
            pn = p.copy()
            p[1:-1, 1:-1] = 0.25 * (pn[1:-1, 2:] + pn[1:-1, :-2] + pn[2:, 1:-1] + pn[:-2, 1:-1]) - b[1:-1, 1:-1]
            p[0, :] = p[1, :]
        return p

    change, steps = 1, 0
    while abs(change) > 1e-9 and steps < 150:
        un = u.copy()
        s = source(v, 0.01)
        v = relaxed(v, 7)
        u[1:-1, 1:-1] = 0.9 * un[1:-1, 1:-1] + 0.1 * v[1:-1, 1:-1] + s
        u[:, -1] = 0
        change = (np.sum(np.abs(u - un))) / np.sum(u)
        steps += 1
    return u, v, float(change), steps


def exchanged(np):
    u, un = field(np, 1), field(np, 2)
    k = 0
    while True:
        un[1:-1] = 0.5 * (u[2:] + u[:-2])
        u, un = un, u
        k += 1
        if np.max(np.abs(u - un)) < 1e-2 or k == 500:
            break
    return u, un, k


def numbers_of_all_kinds(np):
    u, t, dt, sign, even, phase = field(np, 1), 0.0, 0.1, 1, True, 7
    while np.max(u) > 1e-6 and t < 30.0:
        u = 0.9 * u
        t += dt
        sign = -sign
        even = not even
        phase = (phase * 5 + 3) % 16
    return u, t, sign, even, phase


def branches(np):
    """Every third round does something else."""
    u, k, kept = field(np, 1), 0, []
    while np.sum(u) > 1.0:
        u = 0.99 * u
        k += 1
        if k % 30 == 0:
            kept.append(u.copy())
            u[0] = 0.0
    return u, k, kept


def bound_before_the_end(np):
    """What only a round binds is read after the loop."""
    u, k = field(np, 1), 0
    while (m := np.max(u)) > 1e-3:
        before = u
        u = u * 0.95
        largest = np.max(before)
        k += 1
    return u, before, float(largest), float(m), k


def over_a_range(np):
    u, change = field(np, 1), 1.0
    for k in range(3, 400, 2):
        un = u.copy()
        u[1:-1] = 0.5 * (un[2:] + un[:-2])
        change = np.max(np.abs(u - un))
        if change < 1e-3 or k > 350:
            break
    else:
        k = -1
    return u, un, float(change), k


def over_a_whole_range(np):
    u = field(np, 1)
    for k in range(100):
        u = 0.99 * u
        if np.sum(u) < 0:
            break
    else:
        k = k * 10
    return u, k


def at_most_as_often_as(np):
    u, left = field(np, 1), 77
    while np.sum(u) > -1.0 and left:
        u = u + 1.0
        left -= 1
    return u, left


@pytest.mark.parametrize(
    "program, least",
    [
        (jacobi, 100),
        (counted_to_the_end, 250),
        (with_functions, 20),
        (exchanged, 100),
        (numbers_of_all_kinds, 50),
        (branches, 100),
        (bound_before_the_end, 50),
        (at_most_as_often_as, 50),
        (over_a_range, 50),
        (over_a_whole_range, 100),
    ],
)
def test_rounds_that_ask_need_no_python(program, least):
    check(program, least)


# Loops that do something else in each round, which Python has to do.


def counts_into_the_array(np):
    u, k = field(np, 1), 0
    while np.sum(u) < 1e6 and k < 100:
        u = u + k
        k += 1
    return u, k


def places_that_move(np):
    u, k = field(np, 1, 200), 0
    while np.sum(u) > 0 and k < 100:
        u[k] = 2.0 * u[k] + 0.0 * u[0]
        k += 1
    return u, k


def asks_twice(np):
    u, k, large = field(np, 1), 0, 0
    while np.sum(u) > 1.0:
        u = 0.97 * u
        if np.max(u) > 0.5:
            large += 1
        k += 1
    return u, k, large


def looks_at_an_element(np):
    u, seen, k = field(np, 1), 0.0, 0
    while np.sum(u) > 1.0:
        u = 0.97 * u
        seen = seen + float(u[1, 1])
        k += 1
    return u, seen, k


def multiplies_by_what_it_reads(np):
    u, k = field(np, 1), 0
    u[0, 0] = 0.0
    while k < 80 and np.sum(u) < 1e9:
        u = u * 1.01 + u[0, 0]
        u[0, 0] = 0.0 if k < 60 else 0.25
        k += 1
    return u, k


def appends(np):
    u, all_of_them = field(np, 1), []
    while np.sum(u) > 100.0:
        u = 0.97 * u
        all_of_them.append(u)
    return all_of_them


class Counter:
    def __init__(self):
        self.k = 0


def counts_elsewhere(np):
    u, c = field(np, 1), Counter()
    while np.sum(u) > 1.0:
        u = 0.97 * u
        c.k += 1
    return u, c.k


@pytest.mark.parametrize(
    "program",
    [
        counts_into_the_array,
        places_that_move,
        asks_twice,
        looks_at_an_element,
        multiplies_by_what_it_reads,
        appends,
        counts_elsewhere,
    ],
)
def test_other_rounds_are_left_to_python(program):
    check(program, 0, 0)


def test_a_loop_of_a_module():
    text = textwrap.dedent(
        """
        u, k, change = field(np, 1), 0, 1.0
        while change > 1e-3 and k < 200:
            un = u.copy()
            u[1:-1] = 0.5 * (un[2:] + un[:-2])
            change = np.max(np.abs(u - un))
            k += 1
        change = float(change)
        """
    )

    def program(np):
        names = {"np": np, "field": field}
        exec(compile(text, "a_module.py", "exec"), names)
        return names["u"], names["un"], names["change"], names["k"]

    check(program, 50)


def test_a_function_that_sees_the_count():
    text = textwrap.dedent(
        """
        def decayed(u):
            return u * (0.99 if k < 50 else 0.5)

        u, k = field(np, 1), 0
        while np.sum(u) > 1e-3:
            u = 1.0 * u
            u = decayed(u)
            k += 1
        """
    )

    def program(np):
        names = {"np": np, "field": field}
        exec(compile(text, "a_module.py", "exec"), names)
        return names["u"], names["k"]

    check(program, 0, 0)


def test_what_ends_a_loop_raises_as_it_would():
    def program(np):
        u, k = field(np, 1), 60
        try:
            while np.sum(u) > 0:
                u = 1.01 * u
                k -= 1
                if 100 // k < 0:
                    break
        except ZeroDivisionError as e:
            return u, k, str(e)
        return u, k

    check(program, 30)


def test_a_tracer_sees_every_round():
    seen = []

    def trace(frame, event, arg):
        if frame.f_code is numbers_of_all_kinds.__code__:
            seen.append(frame.f_lineno)
            return trace
        return None

    legate_jit._native.look_for_loops()
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        numbers_of_all_kinds(ours)
    finally:
        sys.settrace(before)
    assert len(seen) > 500


def test_a_loop_that_is_left_while_it_is_watched():
    def program(np):
        results = []
        for start in (2.0, 3.0, 4.0):
            u = field(np, 1) + start
            while np.max(u) > 1.9:
                u = u * 0.5
            results.append(u)
            w = np.array([1.0, 2.0]) + start
            results.append(w * 2)
        return results

    check(program, 0)


STATEMENTS = [
    "u[1:-1, 1:-1] = 0.25 * (u[1:-1, 2:] + u[1:-1, :-2] + u[2:, 1:-1] + u[:-2, 1:-1])",
    "v = 0.5 * (u + v)",
    "u, v = v, u",
    "w = u.copy()",
    "u[:, 0] = v[:, 1]",
    "u -= 0.01 * np.mean(v)",
    "v = np.maximum(u, w)",
    "w += 0.125",
    "for _ in range(3):\n        v = v * 0.9 + 0.05 * u",
    "n += 1",
    "t = t + 0.25",
    "if n % 7 == 3:\n        v = v + 0.5",
    "if t > 4.0:\n        t -= 3.0\n        w = w * 0.5",
    "m = np.sum(v * v)",
    "flag = not flag",
    "s = t * 2 + n",
]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(STATEMENTS), min_size=2, max_size=7),
    st.sampled_from(["np.max(np.abs(u)) < 1e3", "np.sum(v) > 1.0", "np.abs(np.sum(u) - np.sum(w)) > 0.5", "np.min(u) > 0.02"]),
    st.integers(20, 70),
    st.sampled_from(["f8", "f4"]),
    st.booleans(),
)
def test_random_loops(statements, condition, most, dtype, over_range):
    body = "\n    ".join(statements)
    text = f"""
def program(np):
    u, v, w = field(np, 1, 50, {dtype!r}), field(np, 2, 50, {dtype!r}), field(np, 3, 50, {dtype!r})
    n, t, k, flag, m, s = 0, 0.0, 0, True, 0.0, 0
    {f"for k in range({most})" if over_range else f"while {condition} and k < {most}"}:
        {body.replace(chr(10), chr(10) + "    ")}
        {f"if not {condition}: break" if over_range else "k += 1"}
    return u, v, w, n, t, k, flag, float(m), s
"""
    names = {"field": field}
    exec(compile(text, "random_loop.py", "exec"), names)
    with numpy.errstate(all="ignore"):
        want = names["program"](numpy)
        got, _ = counted("rounds_repeated", names["program"])
    assert_equal(got, want)
