"""Instructions of small fixed pieces of work, counted by valgrind and compared with what they were.

    python bench/instructions.py [--update] [--only a+b,jacobi] [--tolerance 5]

Wall times on a shared machine vary by more than most changes make; counts do not. One process does each piece of work
twice, with different numbers of repetitions, on one thread and without a kernel cache; the difference over the difference of
the repetitions is what one costs. The counts are of the machine's instructions as valgrind offers them, AVX2 at most: on
machines with AVX-512 other loops run in earnest, but recording, planning and compiling are the same.

The exit status is 1 where a count is more than the tolerance above bench/results/instructions.json; --update writes that
file. Baselines hold for the versions of Python, NumPy and valgrind that stand in it; with others the counts are only shown.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BASELINE = Path(__file__).resolve().parent / "results" / "instructions.json"

SETUP = """
import gc, os
import legate_jit, legate_jit.numpy as np
from legate_jit import _native
a, b = np.ones((10, 10)), np.ones((10, 10))
v = np.arange(64.0)
big = np.ones((100, 100))
big[0] = 2.0
s = np.float64(2.0)
legate_jit.sync()
gc.disable()
mark = os.getppid
"""

#: name: (what it is, repetitions of the shorter run, the body of the loop)
WORK = {
    "record a+b": ("a recorded call", 100, "for _ in range(20): c = a + b\nc = None; legate_jit.sync()"),
    "record view": ("two slices and an update", 100, "for _ in range(10): a[1:-1, 1:] = b[1:-1, :-1]\nlegate_jit.sync()"),
    "flush hit": ("one operation and its flush, plan known", 500, "float((v + 1.5)[3])"),
    "sum": ("a reduction and its flush, plan known", 500, "float(np.sum(v))"),
    "element": ("an element written and one read", 1000, "v[5] = v[4] + 1.0"),
    "scalar": ("arithmetic of known numbers", 1000, "s * s + 1.0"),
    "jacobi": (
        "a step on 100 x 100 with its residual",
        20,
        "p = big.copy()\n"
        "big[1:-1, 1:-1] = 0.25 * (p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1])\n"
        "float(np.sum((big - p) ** 2))",
    ),
    "new plan": (
        "a chain of six operations on a new shape: rewritten, fused, prepared",
        10,
        "x = np.ones(100 + n); float(np.sum(np.sqrt(x * 2.5 + 1.0) * x - x / 3.0))",
    ),
    "compile": (
        "a new kernel of four operations, through MLIR and LLVM",
        2,
        "x = np.ones(64)\nfor k in range(n % 7 + 1): x = x * 1.5 + x\nx = np.sqrt(x)\n"
        "for k in range(n // 7 + 1): x = x - 2.5\nlegate_jit.sync()",
    ),
}

#: what needs the compiler; the others run in the prebuilt loops, so that nothing is compiled meanwhile
COMPILED = {"compile"}


def program(names):
    """Each piece of work a few times, then three times as often; calls of `mark` part the counts."""
    lines = [SETUP]
    for name in names:
        _, few, body = WORK[name]
        lines.append(f"_native.set_tier({'compiled' if name in COMPILED else 'vm'!r})")
        body = "".join(f"    {line}\n" for line in body.splitlines())
        # A first round, not counted, makes the plans that are then known.
        lines.append(f"def work(numbers):\n  global c, x\n  for n in numbers:\n{body}  legate_jit.sync()")
        lines.append(f"work(range(3)); mark(); work(range(3, {few + 3})); mark(); work(range({few + 3}, {4 * few + 3})); mark()")
    return "\n".join(lines)


def measure(names):
    """Instructions of one piece of work of each name."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("LEGATE_JIT_")}
    env.update(
        LEGATE_JIT_THREADS="1",
        LEGATE_JIT_CACHE="off",
        # Each call is to be made.
        LEGATE_JIT_LOOPS="off",
        OPENBLAS_NUM_THREADS="1",
        OPENBLAS_CORETYPE="Haswell",
        PYTHONHASHSEED="0",
        PYTHONDONTWRITEBYTECODE="1",
    )
    with tempfile.TemporaryDirectory(prefix="instructions-") as scratch:
        out = Path(scratch) / "counts"
        # Nothing but `mark` calls getppid, and each of its calls ends a file of counts.
        tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--dump-before=getppid"]
        done = subprocess.run([*tool, sys.executable, "-c", program(names)], env=env, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"instructions: {done.stderr[-3000:]}")
        parts = [Path(f"{out}.{n + 1}").read_text() for n in range(3 * len(names))]
    totals = [int(re.search(r"^(?:summary|totals): (\d+)", part, re.M).group(1)) for part in parts]
    return {name: (totals[3 * k + 2] - totals[3 * k + 1]) / (2 * WORK[name][1]) for k, name in enumerate(names)}


def conditions():
    """What the counts depend on besides the code."""
    import numpy

    version = subprocess.run(["valgrind", "--version"], capture_output=True, text=True).stdout.strip()
    return {"python": platform.python_version(), "numpy": numpy.__version__, "valgrind": version, "machine": platform.machine()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--update", action="store_true", help="write the counts as the new baseline")
    parser.add_argument("--only", help="names, with commas between")
    parser.add_argument("--tolerance", type=float, default=5.0, help="per cent that a count may be above its baseline")
    args = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("instructions: valgrind is missing (scripts/setup)")
    names = args.only.split(",") if args.only else list(WORK)
    known = json.loads(BASELINE.read_text()) if BASELINE.exists() else {"counts": {}, "conditions": {}}
    here = conditions()
    others = [key for key, value in here.items() if known["conditions"].get(key, value) != value]
    for key in others:
        print(f"not compared: the baseline is of {key} {known['conditions'][key]}, this is {here[key]}")
    counts, worse = {name: round(n) for name, n in measure(names).items()}, []
    print(f"{'':<14}{'instructions':>14}{'baseline':>14}{'change':>9}")
    for name in names:
        before = known["counts"].get(name)
        change = 100 * (counts[name] / before - 1) if before else None
        if change is not None and change > args.tolerance:
            worse.append(name)
        print(
            f"{name:<14}{counts[name]:>14,}{before or 0:>14,}"
            f"{'new' if change is None else f'{change:+.1f} %':>9}   {WORK[name][0]}",
        )
    if args.update:
        BASELINE.write_text(json.dumps({"conditions": here, "counts": {**known["counts"], **counts}}, indent=1) + "\n")
    elif worse and not others:
        sys.exit(f"more than {args.tolerance:g} % above the baseline: {', '.join(worse)}")


if __name__ == "__main__":
    main()
