"""What does not fit into memory is NumPy's MemoryError, before anything is touched, and the program goes on.

Each test runs in a process of its own, whose address space is limited to what it has plus some megabytes.
"""

import os
import subprocess
import sys

import pytest

START = """
import resource
import numpy
import legate_jit, legate_jit.numpy as np

def limit(megabytes):
    "Allows so much more than there is now."
    np.sum(np.ones(300_000)).item()
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    used = int(status["VmSize"].split()[0]) << 10
    resource.setrlimit(resource.RLIMIT_AS, (used + (megabytes << 20), resource.RLIM_INFINITY))

def fails(f):
    try:
        f()
    except MemoryError as e:
        return str(e)
    raise AssertionError("it should not fit")
"""


def run(program, **env):
    # No compiler at work meanwhile: it ends the process where it gets no memory in the middle of its work.
    env = {**os.environ, "LEGATE_JIT_THREADS": "2", "LEGATE_JIT_TIER": "vm", **env}
    done = subprocess.run([sys.executable, "-c", START + program], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_new_arrays_have_numpys_words_at_the_call():
    run("""
for make in ("zeros", "ones", "empty"):
    message = fails(lambda: getattr(np, make)((10**6, 10**6)))
    assert message == "Unable to allocate 7.28 TiB for an array with shape (1000000, 1000000) and data type float64", message
try:
    numpy.ones((10**6, 10**6))
except MemoryError as e:
    assert str(e) == message
assert "data type complex64" in fails(lambda: np.full((10**6, 10**6), 1j, np.complex64))
assert np.ones(3).sum() == 3
""")


def test_what_is_never_in_memory_needs_none():
    run("""
limit(200)
x = np.arange(20_000.0)
assert float(np.sum(x[:, None] * x)) == float(numpy.sum(numpy.arange(20_000.0))) ** 2
""")


def test_a_result_that_cannot_fit_is_an_error_for_who_asks_for_it():
    run("""
limit(400)
x = np.arange(20_000.0)
before = x + 1
table = x[:, None] * x
after = before * 2
words = "Unable to allocate 2.98 GiB for an array with shape (20000, 20000) and data type float64"
assert fails(lambda: numpy.asarray(table)) == words
assert fails(lambda: table.sum().item()) == words
assert fails(lambda: (table + 1)[0, 0].item()) == words
# What was recorded with it is there, and so is what comes after.
assert before[7] == 8 and after[7] == 16 and x.sum() == 199990000
assert (np.ones((1000, 1000)) + x[:1000])[5, 6] == 7
table = x[:10, None] * x[:10]
assert table[3, 4] == 12
""")


def test_values_that_another_flush_could_not_make():
    run("""
limit(400)
x = np.arange(20_000.0)
table = x[:, None] * x
# Nobody needs the table for these.
assert float((x + 1)[3]) == 4
assert float(np.sum(x)) == 199990000
assert "(20000, 20000)" in fails(lambda: float(table[0, 0]))
""")


def test_several_arrays_that_only_fit_one_at_a_time():
    run("""
limit(700)
x = np.arange(3_000.0)
many = [x[:, None] * x + k for k in range(20)]
text = fails(legate_jit.sync)
# All of them together, one by its shape, one with what stands beside it, or (where threads need address space
# meanwhile) its bytes.
assert text.startswith("Unable to allocate 68.7 MiB") or (
    text.startswith("Unable to allocate ") and "arrays at a time, the largest with shape (3000, 3000)" in text
), text
made = lost = 0
for k, a in enumerate(many):
    try:
        assert a[2, 3] == 6 + k
        made += 1
    except MemoryError as e:
        lost += 1
assert made >= 3 and made + lost == 20, (made, lost)
many = a = None
assert (x[:, None] * x)[2, 3] == 6
""")


def test_a_promise_that_cannot_be_kept_is_kept_later():
    run("""
n = 1500
p = np.zeros((n, n))
p[:, -1] = np.linspace(0, 1, n)
reference = numpy.array(p)
held = []
for step in range(40):
    q = p.copy()
    p[1:-1, 1:-1] = 0.25 * (q[1:-1, 2:] + q[1:-1, :-2] + q[2:, 1:-1] + q[:-2, 1:-1])
    change = float(np.sum((p - q) ** 2))
    if step == 34:
        held.append(p.copy())
for step in range(35):
    q = reference.copy()
    reference[1:-1, 1:-1] = 0.25 * (q[1:-1, 2:] + q[1:-1, :-2] + q[2:, 1:-1] + q[:-2, 1:-1])
assert legate_jit.stats()["rounds_ahead"] > 0
legate_jit.sync()
limit(40)
taken = []
fails(lambda: [taken.append(numpy.asarray(np.ones(1 << 17) + k)) for k in range(10_000)])
for ask in (lambda: held[0][5, -2].item(), lambda: held[0].tolist(), lambda: held[0].__setitem__((3, 3), 1.0),
            lambda: (held[0] + 1)[0, 0].item(), lambda: numpy.asarray(held[0]), held[0].sum().item):
    assert "Unable to allocate" in fails(ask)
del taken
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert (numpy.asarray(held[0]) == reference).all()
""")
