"""What an element of every mathematical function costs, beside NumPy: one table.

    python bench/functions.py [--rounds 9] [--only exp,log] [--types f64,f32] [--sizes 4000,100000] [--out bench/results]

For each function, type and size three take turns in this process: NumPy, our prebuilt loops (what runs until a kernel is
compiled), and the compiled kernel. Each computes `np.f(a, out=b)`, ours with a `sync()` behind it, so that all its cost is
counted, on one thread. Times are processor time of that thread, so that a loaded machine says the same; the median of the
rounds counts. The last two columns are our times over NumPy's: above 1 we are slower, and the line is marked.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import harness

# The range of each argument: typical ones, where NumPy takes its usual path too.
ANY = (-10.0, 10.0)
FUNCTIONS = {
    "exp": [ANY],
    "log": [(0.01, 100.0)],
    "power": [(0.01, 10.0), (-5.0, 5.0)],
    "sin": [ANY],
    "cos": [ANY],
    "tanh": [(-5.0, 5.0)],
    "sqrt": [(0.0, 100.0)],
    "arctan2": [ANY, ANY],
    "hypot": [ANY, ANY],
    "exp2": [ANY],
    "expm1": [(-5.0, 5.0)],
    "log1p": [(-0.9, 10.0)],
    "log2": [(0.01, 100.0)],
    "log10": [(0.01, 100.0)],
    "cbrt": [(-100.0, 100.0)],
    "tan": [ANY],
    "arcsin": [(-1.0, 1.0)],
    "arccos": [(-1.0, 1.0)],
    "arctan": [ANY],
    "sinh": [(-5.0, 5.0)],
    "cosh": [(-5.0, 5.0)],
    "arcsinh": [ANY],
    "arccosh": [(1.0, 10.0)],
    "arctanh": [(-1.0, 1.0)],
    "logaddexp": [ANY, ANY],
    "logaddexp2": [ANY, ANY],
}
TYPES = {"f64": "float64", "f32": "float32"}


def median(values):
    values = sorted(values)
    return values[len(values) // 2]


def measure(runs, rounds, n):
    """Nanoseconds an element of each run, which take turns."""
    took = {who: [] for who in runs}
    repeat = max(1, 40_000 // n)
    for _ in range(rounds):
        for who, (prepare, run) in runs.items():
            prepare()
            run()
            start = time.thread_time()
            for _ in range(repeat):
                run()
            took[who].append((time.thread_time() - start) / (repeat * n) * 1e9)
    return {who: median(v) for who, v in took.items()}


def row(name, dtype, n, rounds):
    import numpy

    import legate_jit
    import legate_jit.numpy as ours

    random = numpy.random.default_rng(7)
    theirs = [random.uniform(lo, hi, n).astype(dtype) for lo, hi in FUNCTIONS[name]]
    mine = [ours.array(a) for a in theirs]
    b, c = numpy.empty(n, dtype), ours.empty(n, dtype)
    f, g, sync = getattr(numpy, name), getattr(ours, name), legate_jit.sync

    def run():
        g(*mine, out=c)
        sync()

    tier = legate_jit._native.set_tier
    runs = {
        "numpy": (lambda: None, lambda: f(*theirs, out=b)),
        "prebuilt": (lambda: tier("vm"), run),
        "compiled": (lambda: tier("compiled"), run),
    }
    measure(runs, 2, n)
    return measure(runs, rounds, n)


def main():
    parser = argparse.ArgumentParser(description="The cost of every mathematical function beside NumPy's.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", help="these functions, with commas between")
    parser.add_argument("--types", default="f64,f32")
    parser.add_argument("--sizes", default="4000,100000")
    parser.add_argument("--out", type=Path, help="a folder for functions.json")
    args = parser.parse_args()
    rows, slower = [], []
    print(f"{'':17}{'elements':>9}{'NumPy':>9}{'prebuilt':>10}{'compiled':>10}{'× NumPy':>9}{'':>6}")
    for name in args.only.split(",") if args.only else FUNCTIONS:
        for short in args.types.split(","):
            for n in map(int, args.sizes.split(",")):
                took = row(name, TYPES[short], n, args.rounds)
                ratios = [took[who] / took["numpy"] for who in ("prebuilt", "compiled")]
                rows.append(dict(name=name, dtype=short, elements=n, nanoseconds=took))
                mark = "" if max(ratios) <= 1 else "  slower"
                slower += [f"{name} {short} {n}"] if mark else []
                times = f"{took['numpy']:9.2f}{took['prebuilt']:10.2f}{took['compiled']:10.2f}"
                print(f"{name:12}{short:5}{n:9}{times}{ratios[0]:9.2f}{ratios[1]:6.2f}{mark}", flush=True)
    print(f"{len(rows) - len(slower)} of {len(rows)} not slower than NumPy; slower: {', '.join(slower) or 'none'}")
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "functions.json").write_text(json.dumps(dict(machine=harness.machine(), functions=rows), indent=1))
    return 0


if __name__ == "__main__":
    # One thread, so that its processor time is all there is.
    os.environ["LEGATE_JIT_THREADS"] = "1"
    harness.keep_heap()
    sys.exit(main())
