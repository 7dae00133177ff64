"""Results of more than a quarter of the last cache are stored past the caches: the same bits, wherever rows begin and end."""

import os
import subprocess
import sys

PROGRAM = """
import sys
import numpy, legate_jit.numpy as np

def same(ours, want):
    assert numpy.asarray(ours).tobytes() == want.tobytes(), (want.dtype, want.shape)

n = int(sys.argv[1])
for dtype in ("f8", "f4"):
    x = numpy.arange(n, dtype=dtype) / 7
    ours = np.array(x)
    same(ours + ours, x + x)
    # Rows that begin anywhere in a cache line, and a result that is read at once.
    same(ours[3:] * 2 + ours[:-3], x[3:] * 2 + x[:-3])
    y = ours - 1
    same(y * y, (x - 1) * (x - 1))
    rows = n // 1021
    x, ours = x[: rows * 1021].reshape(rows, 1021), ours[: rows * 1021].reshape(rows, 1021)
    same(ours[:, 1:] - ours[:, :-1], x[:, 1:] - x[:, :-1])
    # In place nothing goes past: the lines are read anyway.
    ours += 1
    same(ours, x + 1)
"""


def last_cache():
    """Bytes of the last-level cache, as the library reads them."""
    try:
        text = open("/sys/devices/system/cpu/cpu0/cache/index3/size").read().strip()
    except OSError:
        return 32 << 20
    return int(text.rstrip("KM")) << {"K": 10, "M": 20}[text[-1]]


def test_stores_past_the_caches_have_the_same_bits():
    # As f32 the results are half as large, and still large enough.
    n = last_cache() // 4 // 4 + 12_345
    env = {**os.environ, "LEGATE_JIT_TIER": "compiled", "LEGATE_JIT_DUMP": "kernel"}
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(n)], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "f64 past write" in done.stderr and "f32 past write" in done.stderr
