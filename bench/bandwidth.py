"""Which share of the copy bandwidth each kind of fused map reaches, beside NumPy.

    python bench/bandwidth.py [--mib 256] [--threads 1,2] [--rounds 5] [--only strided,transposed]

Bytes are those that a program cannot do without: every input read once, every output written once. The copy that they are compared
with is NumPy's `copyto` between two arrays of the same size, cut among as many threads, in the same process and in turns with
what is measured. A share above 100 % is possible: a copy whose stores fetch the lines they overwrite moves three bytes for two.
"""

import argparse
import os
import statistics
import subprocess
import sys
import threading
import time

import legate_jit
import numpy

# name: (bytes moved per element of an f64 array, the call)
KINDS = {
    "plain: 2 * a + b": (24, lambda np, x: 2.0 * x["a"] + x["b"]),
    "in place: a += b": (24, lambda np, x: x["c"].__iadd__(x["b"])),
    "broadcast: a * row + column": (16, lambda np, x: x["a"] * x["row"] + x["column"]),
    "cast: a -> f32": (12, lambda np, x: x["a"].astype(np.float32)),
    "where(a > b, a, b)": (24, lambda np, x: np.where(x["a"] > x["b"], x["a"], x["b"])),
    "boolean assignment: c[a > .5] = 0": (24, lambda np, x: x["c"].__setitem__(x["a"] > 0.5, 0.0)),
    "strided: a[:, ::2] + 1": (12, lambda np, x: x["a"][:, ::2] + 1.0),
    "strided: a[::2] + 1": (8, lambda np, x: x["a"][::2] + 1.0),
    "transposed: a.T + b": (24, lambda np, x: x["a"].T + x["b"]),
    "sum": (8, lambda np, x: np.sum(x["a"])),
    "sum over axis 0": (8, lambda np, x: np.sum(x["a"], axis=0)),
    "sum over axis 1": (8, lambda np, x: np.sum(x["a"], axis=1)),
    "sum((a - b)**2)": (16, lambda np, x: np.sum((x["a"] - x["b"]) ** 2)),
}


def timed(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def copy(to, source, threads):
    """A copy by so many threads: NumPy gives up its lock while it copies."""
    cuts = [len(to) * k // threads for k in range(threads + 1)]
    parts = [(to[i:j], source[i:j]) for i, j in zip(cuts, cuts[1:])]
    workers = [threading.Thread(target=numpy.copyto, args=part) for part in parts[1:]]
    for worker in workers:
        worker.start()
    numpy.copyto(*parts[0])
    for worker in workers:
        worker.join()


def finish(np, call, x):
    """The call, and everything pending computed, with its result alive."""
    result = call(np, x)
    if np is not numpy:
        legate_jit.sync()
    return result


def measure(mib, threads, rounds, only):
    import legate_jit.numpy as ours

    n = int((mib * 2**20 / 8) ** 0.5)
    rng = numpy.random.default_rng(3)
    plain = {name: rng.random((n, n)) for name in "abc"}
    plain |= {"row": rng.random(n), "column": rng.random((n, 1))}
    source, to = numpy.ones(n * n), numpy.ones(n * n)
    theirs = {name: ours.array(value) for name, value in plain.items()}
    for name, (bytes_each, call) in KINDS.items():
        if only and not name.startswith(only):
            continue
        times = {"copy": [], "numpy": [], "ours": []}
        for k in range(rounds + 2):
            seen = {"copy": timed(lambda: copy(to, source, threads))}
            for peer, np, x in (("numpy", numpy, plain), ("ours", ours, theirs)):
                if peer == "numpy" and k > 4:
                    continue
                seen[peer] = timed(lambda: finish(np, call, x))
            # The first rounds compile, and touch fresh memory.
            if k >= 2:
                for peer, seconds in seen.items():
                    times[peer].append(seconds)
        median = {peer: statistics.median(t) for peer, t in times.items()}
        rate = 16 * n * n / median["copy"] / 1e9
        share = {peer: bytes_each * n * n / median[peer] / 1e9 / rate for peer in ("numpy", "ours")}
        print(
            f"{name:36s} {threads} thread{'s' * (threads > 1):1s}  copy {rate:5.1f} GB/s"
            f"  NumPy {share['numpy']:5.0%}  legate_jit {share['ours']:5.0%}",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=256, help="size of an array")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="kinds whose names begin so, separated by commas")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    for threads in map(int, args.threads.split(",")):
        if args.here:
            measure(args.mib, threads, args.rounds, tuple(filter(None, args.only.split(","))))
            continue
        command = [sys.executable, __file__, "--here", "--mib", str(args.mib), "--rounds", str(args.rounds)]
        command += ["--only", args.only]
        environment = os.environ | {"LEGATE_JIT_THREADS": str(threads)}
        subprocess.run([*command, "--threads", str(threads)], env=environment, check=True)


if __name__ == "__main__":
    main()
