"""A program whose kernels are worth keeping, and running it in processes of its own on a kernel cache."""

import json
import os
import subprocess
import sys

PROGRAM = """
import json, sys
import legate_jit, legate_jit.numpy as np

n, steps = int(sys.argv[1]), int(sys.argv[2])
p = np.zeros((n, n))
p[:, -1] = np.linspace(0, 1, n)
change = 0.0
for step in range(steps):
    q = p.copy()
    p[1:-1, 1:-1] = 0.25 * (p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1])
    change = float(np.sum((p - q) ** 2))
total = float(np.sum(np.exp(-p) * np.tanh(p)))
print(json.dumps(dict(change=change, total=total, stats=legate_jit.stats())))
"""


def python(*args, cache, **env):
    env = {**os.environ, "LEGATE_JIT_CACHE_DIR": str(cache), **env}
    return subprocess.run([sys.executable, *args], env=env, capture_output=True, text=True, timeout=300)


def run(program, cache, n=300, steps=40, **env):
    done = python(program, str(n), str(steps), cache=cache, **env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def command(*args, cache, **env):
    return python("-m", "legate_jit", *args, cache=cache, **env)


def entries(cache):
    return sorted(name for name in os.listdir(cache) if name.endswith(".ljk"))
