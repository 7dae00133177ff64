"""Loops on small arrays that ask for a value in every round: the helper computes the next rounds meanwhile. Whatever the
program does in between, it gets NumPy's bits."""

import os
import subprocess
import sys
import threading

import numpy
import pytest
import test_ahead
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from same import assert_same

import legate_jit
import legate_jit.numpy as ours

N = 60  # of 64-bit floats: nothing that several threads would share


def shrink(np, n=N):
    """A loop whose old state nobody keeps, so that it would be overwritten."""
    x = np.linspace(0.0, 3.0, n * n).reshape(n, n)
    values = []
    for _ in range(120):
        x = np.sqrt(x * x + 1.0) * 0.75
        values.append(float(np.max(x)))
    return [x, *values]


def two_at_once(np):
    """Two loops that take turns."""
    a, b = test_ahead.start(np), test_ahead.start(np) * 0.5
    values = []
    for k in range(100):
        values.append(test_ahead.sweep(np, a)[1])
        if k > 40:
            values.append(test_ahead.sweep(np, b)[1])
    return [a, b, *values]


def looks_back(np):
    """Arrays of rounds long ago are read, changed in place and dropped."""
    p = test_ahead.start(np)
    kept, values = [], []
    for k in range(150):
        pn, change = test_ahead.sweep(np, p)
        values.append(change)
        kept.append(pn)
        if len(kept) > 5:
            old = kept.pop(0)
            if k % 10 == 3:
                values.append(float(old[N // 2, N // 3]))
                old[1, 1] = 5.0
                values.append(float(np.sum(old)))
    return [p, *kept, *values]


def a_view_of_numpys_stays(np):
    p = test_ahead.start(np)
    values, view = [], None
    for k in range(120):
        values.append(test_ahead.sweep(np, p)[1])
        if k == 50:
            view = numpy.asarray(p)
            view[7, 7:20] = 2.0
        if view is not None and k == 60:
            view[9, 7:20] = 3.0
            view = None
    return [p, *values]


def written_behind_a_read_only_view(np):
    b = test_ahead.start(np) * 0.01
    only = b.view()
    only.flags.writeable = False
    p = test_ahead.start(np)
    values = []
    for k in range(120):
        pn = p.copy()
        p[1:-1, 1:-1] = 0.25 * (pn[1:-1, 2:] + pn[1:-1, :-2] - b[1:-1, 1:-1])
        values.append(float(np.sum(np.abs(p - pn))))
        if k == 60:
            seen = numpy.asarray(only)
            b[5, 6] = 4.0
            values.append(float(seen[5, 6]))
            del seen
    return [p, b, *values]


def two_values(np):
    """Two flushes a round, each on arrays of several others; one array is written twice in a round."""
    p, q = test_ahead.start(np), test_ahead.start(np) * 0.5
    b = np.abs(q) + 0.1
    values = []
    for k in range(100):
        old = p.copy()
        p[1:-1, 1:-1] = 0.25 * (p[1:-1, 2:] + p[1:-1, :-2] + q[2:, 1:-1] + q[:-2, 1:-1])
        values.append(float(np.sum(p - old)))
        q += 0.1 * (p - q) / b
        q[0, :] = q[1, :]
        values.append(float(np.max(np.abs(q))))
        p[0, :] = old[1, :]
    return [p, q, b, *values]


def no_values(np):
    """Nothing is asked for until the end."""
    p, q = test_ahead.start(np), test_ahead.start(np) * 0.5
    for k in range(2500):
        p[1:-1, 1:-1] = 0.25 * (p[1:-1, 2:] + p[1:-1, :-2] + q[2:, 1:-1] + q[:-2, 1:-1])
        q += 0.1 * (p - q)
        if k in (1500, 2100):
            q[3, 3] = 7.0
    return [p, q]


def other_numbers_now_and_then(np):
    p, factor, values = test_ahead.start(np), 0.25, []
    for k in range(200):
        if k % 60 == 50:
            factor *= 0.99
        p[1:-1, 1:-1] = factor * (p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1])
        values.append(float(np.sum(p)))
    return [p, *values]


def the_same_again(np):
    """A loop that computes the same from nothing, and one on an array that does not change."""
    b, values = test_ahead.start(np), []
    for k in range(100):
        values.append(float(np.sum(np.sqrt(np.arange(3000.0)))))
        values.append(float(np.sum(b * b)))
        if k == 60:
            b[4] = 1.5
    return [b, *values]


def long_rounds(np):
    """Several flushes a round, because there are so many records."""
    p, b = test_ahead.start(np), test_ahead.start(np) * 0.01
    values = []
    for _ in range(25):
        for _ in range(80):
            pn = p.copy()
            p[1:-1, 1:-1] = 0.25 * (pn[1:-1, 2:] + pn[1:-1, :-2] + pn[2:, 1:-1] + pn[:-2, 1:-1] - b[1:-1, 1:-1])
            p[1:-1, 0] = 0.5 * (pn[1:-1, 0] + pn[1:-1, -2]) - b[1:-1, 0]
            p[0, :] = p[1, :]
            p[-1, :] = p[-2, :]
        b[1:-1, 1:-1] += 0.001 * p[1:-1, 1:-1]
        values.append(float(np.sum(p) - np.sum(pn)))
    return [p, b, *values]


PROGRAMS = [two_values, no_values, other_numbers_now_and_then, the_same_again, long_rounds, shrink, two_at_once, looks_back, a_view_of_numpys_stays, written_behind_a_read_only_view]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(test_ahead, "N", N)


def check(program, *args):
    want, got = program(numpy, *args), program(ours, *args)
    assert len(want) == len(got)
    for w, g in zip(want, got):
        assert_same(numpy.asarray(g), numpy.asarray(w))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_the_bits_are_numpys(program):
    for _ in range(4):
        check(program)


SHORT = [p for p in test_ahead.PROGRAMS if "numpy_writes" not in p.__name__ and p is not test_ahead.reads_on_the_way]


@pytest.mark.parametrize("program", SHORT, ids=lambda p: p.__name__)
def test_the_programs_of_large_arrays_on_small_ones(program):
    for rounds in (30, 120, 90, 200, 8, 150):
        check(program, rounds)


STATEMENTS = [
    lambda np, a, v: a.__setitem__(0, a[1] * 0.5 + a[0]),
    lambda np, a, v: a.__setitem__(1, np.minimum(np.abs(a[2] - a[0]), 3.0)),
    lambda np, a, v: a.__setitem__(2, a[2].T.copy()),
    lambda np, a, v: a[0].__setitem__((slice(1, -1), 0), a[1][2:, 3]),
    lambda np, a, v: a[2].__imul__(0.75),
    lambda np, a, v: a[1].__iadd__(a[1][::-1]),
    lambda np, a, v: a.__setitem__(2, np.sqrt(a[0] * a[0] + 1.0)),
    lambda np, a, v: a[1].__imul__(1.0 / 64.0),
    lambda np, a, v: a.reverse(),
    lambda np, a, v: v.append(float(np.max(a[0]))),
    lambda np, a, v: v.append(float(np.sum(a[1] - a[2]))),
    lambda np, a, v: v.append(float(a[2][3, 4])),
]
MEANWHILE = [
    lambda np, a, v: a[0].__setitem__((2, 2), 1.0),
    lambda np, a, v: numpy.asarray(a[1]).__setitem__(slice(0, 2), 0.5),
    lambda np, a, v: v.append(numpy.asarray(a[2]).copy()),
    lambda np, a, v: v.append(a[0]),
    lambda np, a, v: a.__setitem__(1, a[0].copy()),
    lambda np, a, v: a.__setitem__(2, np.ones((40, 40))),
]


def random_loop(np, body, meanwhile, rounds):
    a = [np.linspace(0.0, 1.0 + k, 1600).reshape(40, 40) for k in range(3)]
    values = []
    for k in range(rounds):
        for n in body:
            STATEMENTS[n](np, a, values)
        for at, n in meanwhile:
            if at == k:
                MEANWHILE[n](np, a, values)
    return a + values


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.integers(0, len(STATEMENTS) - 1), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(10, 90), st.integers(0, len(MEANWHILE) - 1)), max_size=4),
    st.integers(30, 100),
)
def test_random_loops_with_something_in_between(body, meanwhile, rounds):
    check(random_loop, [9, *body], meanwhile, rounds)


def test_rounds_come_from_the_helper():
    if (os.cpu_count() or 1) < 2 or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("there is no helper on one processor")
    before = legate_jit.stats()["rounds_ahead"]
    # How many is a matter of the machine's other work.
    for _ in range(50):
        test_ahead.plain(ours, 500)
        if legate_jit.stats()["rounds_ahead"] > before:
            return
    raise AssertionError("no round was computed by the helper")


def test_many_sizes():
    for n in (1, 2, 3, 10, 33, 100, 200):
        check(shrink, n)


def test_threads_with_loops_of_their_own():
    want = test_ahead.plain(numpy, 200)
    got = {}

    def work(k):
        got[k] = test_ahead.plain(ours, 200)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for k in range(3):
        for w, g in zip(want, got[k]):
            assert_same(numpy.asarray(g), numpy.asarray(w))


def test_a_fork_in_the_middle():
    want = test_ahead.plain(numpy, 300)
    p = test_ahead.start(ours)
    values = [test_ahead.sweep(ours, p)[1] for _ in range(150)]
    child = os.fork()
    values += [test_ahead.sweep(ours, p)[1] for _ in range(150)]
    same = values == want[1:] and numpy.array_equal(numpy.asarray(p), want[0])
    if child == 0:
        os._exit(0 if same else 1)
    assert same
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def run(text):
    program = "import legate_jit.numpy as np\nimport test_ahead\ntest_ahead.N = 60\n" + text
    env = os.environ | {"PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
    return subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=120)


def test_a_process_ends_in_the_middle():
    done = run("p = test_ahead.start(np)\nfor _ in range(300): v = test_ahead.sweep(np, p)[1]\nprint(v)")
    assert done.returncode == 0 and done.stderr == ""
    assert float(done.stdout) == test_ahead.plain(numpy, 300)[-1]


def test_an_interrupt_in_the_middle():
    done = run(
        "import os, signal, threading\n"
        # What starts in the background ignores interrupts.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n"
        "p = test_ahead.start(np)\n"
        "n = 0\n"
        "try:\n"
        "    while True:\n"
        "        test_ahead.sweep(np, p); n += 1\n"
        "except KeyboardInterrupt:\n"
        "    import numpy\n"
        "    q = test_ahead.start(numpy)\n"
        "    states = [q.copy()]\n"
        "    for _ in range(n + 1):\n"
        "        test_ahead.sweep(numpy, q); states.append(q.copy())\n"
        "    p = numpy.asarray(p)\n"
        "    print(any(numpy.array_equal(p, s) for s in states[-2:]))\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "True"


def test_an_error_in_the_loop_leaves_it():
    p, q = test_ahead.start(ours), test_ahead.start(numpy)
    for np, a in ((ours, p), (numpy, q)):
        for k in range(200):
            if k == 90:
                with pytest.raises(ValueError):
                    a[1:-1] = np.zeros(7)
            test_ahead.sweep(np, a)
    assert_same(numpy.asarray(p), q)
