"""What lies interleaved in one array (colours, coordinates, faces) is loaded together: the same bits, whichever of it is asked for."""

import os
import subprocess
import sys

PROGRAM = """
import numpy, legate_jit.numpy as np

def same(ours, want):
    ours = numpy.asarray(ours)
    assert ours.dtype == want.dtype and ours.tobytes() == want.tobytes(), (want.dtype, want.shape)

rng = numpy.random.default_rng(5)
for dtype, steps in (("u1", (3, 4, 8)), ("i2", (5,)), ("f4", (3,)), ("f8", (2, 3, 6, 8, 9))):
    for step in steps:
        # The last element of the memory is one of those that are read.
        for shape in ((21, 61, step), (3, 2, step)):
            x = rng.integers(1, 99, shape).astype(dtype)
            ours = np.array(x)
            weighted = lambda a: a[..., 0] - 3 * a[..., step // 2] + 5 * a[..., step - 1]
            same(weighted(ours), weighted(x))
            mixed = lambda a: 0.3 * a[..., step - 1] + 0.6 * a[..., 0]
            same(mixed(ours), mixed(x))
            window = lambda a: a[1:, ::2, -1] - a[:-1, ::2, -2]
            same(window(ours), window(x))
            same(ours[..., step - 1] + ours[..., step - 1], x[..., step - 1] + x[..., step - 1])
            # Neighbouring points' elements: none of them is behind another one by less than a step.
            across = lambda a: a.reshape(-1)[step::step] - a.reshape(-1)[:-step:step]
            same(across(ours), across(x))
            same(np.max(weighted(ours), axis=1), numpy.max(weighted(x), axis=1))
            same(np.sum(mixed(ours)), numpy.sum(mixed(x)))
            # One of them is written where the others are read.
            ours[..., 0] += ours[..., step - 1]
            x[..., 0] += x[..., step - 1]
            same(ours, x)
"""


def test_interleaved_elements_have_the_same_bits():
    env = {**os.environ, "LEGATE_JIT_TIER": "compiled", "LEGATE_JIT_DUMP": "kernel"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "u8 apart 3 at 2 of #" in done.stderr and "f64 apart 8 at 7 of #" in done.stderr
