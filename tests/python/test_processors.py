"""Threads that look for work leave the processors to those that have some."""

import os
import subprocess
import sys

import pytest

BLAS_THREADS = """
import os, threading, time
import numpy

def threads():
    return len(os.listdir("/proc/self/task"))

a = numpy.random.default_rng(1).random((400, 400))
want = a @ a
there = threads()
stop = threading.Event()
others = [threading.Thread(target=stop.wait) for _ in range({others})]
[t.start() for t in others]
import legate_jit.numpy
# (Threads end when the system comes to it; what the import makes ready takes one for some milliseconds.)
soon = time.monotonic() + 20
while (left := threads() - len(others)) > there - (not others) and time.monotonic() < soon:
    time.sleep(0.01)
assert (a @ a == want).all()
after = threads() - len(others)
stop.set()
print(there, left, after)
"""


def counts(others):
    """Threads before the import, after it, and after another product of NumPy's; those of Python's own aside."""
    words = [sys.executable, "-c", BLAS_THREADS.format(others=others)]
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    there, left, after = (int(n) for n in done.stdout.split())
    if there < 2:
        pytest.skip("NumPy's BLAS has no threads")
    return there, left, after


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_threads_of_a_blas_that_was_there_end():
    there, left, after = counts(others=0)
    assert left == there - 1
    # NumPy's next product has them again.
    assert after == there


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_they_stay_where_another_thread_may_use_them():
    there, left, after = counts(others=1)
    assert there == left == after
