"""Loops on small arrays that ask for a value in every round: the helper computes the next rounds meanwhile. Whatever the
program does in between, it gets NumPy's bits."""

import os
import subprocess
import sys
import threading

import numpy
import pytest
import test_ahead
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


PROGRAMS = [shrink, two_at_once, looks_back, a_view_of_numpys_stays, written_behind_a_read_only_view]


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
