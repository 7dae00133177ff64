"""What every kind of call costs from Python, beside NumPy: one table.

    python bench/calls.py [--rounds 7] [--ms 4] [--only WORD] [--sizes 10,100,1000] [--out bench/results]

Each line is one statement, run many times in a loop in this process; NumPy and legate_jit take turns, and the least time of
the rounds counts (other processes only ever add). Times are processor time of the calling thread, so that a loaded machine
says the same, and are all there is: whatever is recorded is also run, a share of each flush falls on the call that fills
the trace, and results are dropped as a program would drop them. The cost of an empty loop is taken off.

The last column is NumPy's time over ours: above 1 we are faster. Lines below 1 are marked.
"""

import argparse
import json
import sys
import time
from itertools import repeat
from pathlib import Path

import harness

# (name, statement). Calls whose time does not depend on how many elements there are come at the first size only. What stands before `|` is set up once, with np, n, and what SETUP makes.
SETUP = """
a = np.arange(1.0, 1.0 + n)
b = np.arange(2.0, 2.0 + n)
i = np.arange(n)
side = max(10, int(n**0.5))
m = np.array([[float(r * 10 + c) for c in range(side)] for r in range(side)])
k = m * 1.5
s = a.sum()
"""
CALLS = [
    ("a + b", "a + b"),
    ("a * 2.0", "a * 2.0"),
    ("2 * a", "2 * a"),
    ("a ** 2", "a ** 2"),
    ("-a", "-a"),
    ("a > b", "a > b"),
    ("np.add(a, b)", "np.add(a, b)"),
    ("np.sqrt(a)", "np.sqrt(a)"),
    ("np.maximum(a, 2.0)", "np.maximum(a, 2.0)"),
    ("np.where(c, a, b)", "c = a > b | np.where(c, a, b)"),
    ("a += b", "a += b"),
    ("a *= 0.5", "a *= 0.5"),
    ("np.add(a, b, out=a)", "np.add(a, b, out=a)"),
    ("m[1:-1, 2:]", "m[1:-1, 2:]"),
    ("m[1:-1, 0]", "m[1:-1, 0]"),
    ("m[3]", "m[3]"),
    ("a[2:5]", "a[2:5]"),
    ("a[::-1]", "a[::-1]"),
    ("m[:, None]", "m[:, None]"),
    ("m[..., 0]", "m[..., 0]"),
    ("m.T", "m.T"),
    ("m.reshape(side, side)", "m.reshape(side, side)"),
    ("m.reshape(-1)", "m.reshape(-1)"),
    ("m.ravel()", "m.ravel()"),
    ("m.transpose(1, 0)", "m.transpose(1, 0)"),
    ("np.transpose(m)", "np.transpose(m)"),
    ("a.shape", "a.shape"),
    ("a.dtype", "a.dtype"),
    ("a.ndim", "a.ndim"),
    ("a.size", "a.size"),
    ("len(a)", "len(a)"),
    ("m[1:-1, 1:-1] = 0", "m[1:-1, 1:-1] = 0"),
    ("m[0, :] = m[1, :]", "m[0, :] = m[1, :]"),
    ("m[1:, :] = k[:-1, :]", "m[1:, :] = k[:-1, :]"),
    ("m[1:-1, 1:-1] += 1.0", "m[1:-1, 1:-1] += 1.0"),
    ("a[:] = b", "a[:] = b"),
    ("a[3]", "a[3]"),
    ("m[1, 2]", "m[1, 2]"),
    ("m[1][2]", "m[1][2]"),
    ("a[i[3]]", "a[i[3]]"),
    ("a.item(3)", "a.item(3)"),
    ("float(a[3])", "float(a[3])"),
    ("a[3] = 1.5", "a[3] = 1.5"),
    ("m[1, 2] = 1.5", "m[1, 2] = 1.5"),
    ("m[1, 2] += 1.0", "m[1, 2] += 1.0"),
    ("a[3] = b[4]", "a[3] = b[4]"),
    ("m[2, 3] = k[1, 3] + a[5]", "m[2, 3] = k[1, 3] + a[5]"),
    ("a[3] + b[4]", "a[3] + b[4]"),
    ("if a[3] > b[4]", "if a[3] > b[4]: pass"),
    ("x = a + b; x[0]", "x = a + b; x[0]"),
    ("float((a + b)[0])", "float((a + b)[0])"),
    ("loop with other work pending", "o = k * 2.0 | q = k * 2.0; m[2, 3] = k[1, 3] + a[5]; a[5] = m[2, 3]; a[6] = k[1, 2]"),
    ("a.sum()", "a.sum()"),
    ("np.sum(a)", "np.sum(a)"),
    ("float(a.sum())", "float(a.sum())"),
    ("float(np.sum(a * b))", "float(np.sum(a * b))"),
    ("m.sum(axis=0)", "m.sum(axis=0)"),
    ("a.max()", "a.max()"),
    ("a.mean()", "a.mean()"),
    ("a.argmax()", "a.argmax()"),
    ("np.any(a > b)", "np.any(a > b)"),
    ("bool((a > b).any())", "bool((a > b).any())"),
    ("if s < 1e9 (0-d result)", "if s < 1e9: pass"),
    ("if a.sum() < 1e9", "if a.sum() < 1e9: pass"),
    ("s + 1.0", "s + 1.0"),
    ("s * s", "s * s"),
    ("np.sqrt(s)", "np.sqrt(s)"),
    ("float(s)", "float(s)"),
    ("bool(s)", "bool(s)"),
    ("np.sqrt(2.0)", "np.sqrt(2.0)"),
    ("a.dot(b)", "a.dot(b)"),
    ("a @ b", "a @ b"),
    ("m @ k", "m @ k"),
    ("m @ m[0]", "m @ m[0]"),
    ("np.zeros(n)", "np.zeros(n)"),
    ("np.zeros((10, 10))", "np.zeros((10, 10))"),
    ("np.ones(n)", "np.ones(n)"),
    ("np.empty(n)", "np.empty(n)"),
    ("np.full(n, 2.5)", "np.full(n, 2.5)"),
    ("np.zeros_like(a)", "np.zeros_like(a)"),
    ("np.arange(n)", "np.arange(n)"),
    ("np.array([1.0, 2.0, 3.0])", "np.array([1.0, 2.0, 3.0])"),
    ("np.asarray(a)", "np.asarray(a)"),
    ("a.copy()", "a.copy()"),
    ("m.copy()", "m.copy()"),
    ("a.astype(int)", "a.astype(int)"),
    ("a.tolist()", "a.tolist()"),
    ("for x in a", "for x in a: pass"),
    ("for r in m", "for r in m: pass"),
    ("for x in a: t += x", "t = 0.0 | for x in a: t += x"),
    ("np.concatenate((a, b))", "np.concatenate((a, b))"),
    ("np.abs(a).max()", "float(np.abs(a).max())"),
    ("np.linspace(0, 1, 10)", "np.linspace(0, 1, 10)"),
    ("a[i > 3]", "a[i > 3]"),
    ("a[c]", "c = i % 3 > 0 | a[c]"),
    ("a[i]", "a[i]"),
    ("a[i > 3] = 0.0", "a[i > 3] = 0.0"),
    ("a[c] += 1.0", "c = i % 3 > 0 | a[c] += 1.0"),
    ("a[i] = b", "a[i] = b"),
    ("a[i] += 1.0", "a[i] += 1.0"),
    ("m[i[:5], i[:5]]", "j = i[:5].copy() | m[j, j]"),
    ("np.take(a, i)", "np.take(a, i)"),
    ("np.exp(a)", "a = a / n | np.exp(a)"),
    ("np.sin(a)", "np.sin(a)"),
    ("a / b", "a / b"),
    ("(a - b) ** 2", "(a - b) ** 2"),
    ("((a - b) ** 2).sum()", "((a - b) ** 2).sum()"),
    ("np.count_nonzero(c)", "c = i % 3 > 0 | np.count_nonzero(c)"),
    ("np.nonzero(c)", "c = i % 3 > 0 | np.nonzero(c)"),
    ("np.sort(a)", "np.sort(a)"),
    ("np.argsort(a)", "np.argsort(a)"),
    ("np.cumsum(a)", "np.cumsum(a)"),
    ("a.cumsum()", "a.cumsum()"),
    ("a.std()", "a.std()"),
    ("np.mean(a)", "np.mean(a)"),
    ("np.dot(a, b)", "np.dot(a, b)"),
    ("np.outer(a, b)", "np.outer(a, b)"),
    ("np.linalg.norm(a)", "np.linalg.norm(a)"),
    ("np.clip(a, 2.0, 5.0)", "np.clip(a, 2.0, 5.0)"),
    ("np.diff(a)", "np.diff(a)"),
    ("np.roll(a, 1)", "np.roll(a, 1)"),
    ("np.stack((a, b))", "np.stack((a, b))"),
    ("np.vstack((a, b))", "np.vstack((a, b))"),
    ("np.allclose(a, b)", "np.allclose(a, b)"),
    ("np.array_equal(a, b)", "np.array_equal(a, b)"),
    ("np.isnan(a).any()", "bool(np.isnan(a).any())"),
    ("m.sum(axis=1)", "m.sum(axis=1)"),
    ("m - m.mean(axis=0)", "m - m.mean(axis=0)"),
    ("m[:, 1] * a[0]", "m[:, 1] * a[0]"),
    ("np.eye(5)", "np.eye(5)"),
    ("np.meshgrid(a, b)", "np.meshgrid(a, b)"),
    ("np.searchsorted(a, 3.5)", "np.searchsorted(a, 3.5)"),
]
# Calls that take as long for many elements as for few.
SAME = {
    "m[1:-1, 2:]", "m[1:-1, 0]", "m[3]", "a[2:5]", "a[::-1]", "m[:, None]", "m[..., 0]", "m.T", "m.reshape(side, side)",
    "m.reshape(-1)", "m.ravel()", "m.transpose(1, 0)", "np.transpose(m)", "a.shape", "a.dtype", "a.ndim", "a.size", "len(a)",
    "a[3]", "m[1, 2]", "m[1][2]", "a[i[3]]", "a.item(3)", "float(a[3])", "a[3] = 1.5", "m[1, 2] = 1.5", "m[1, 2] += 1.0",
    "a[3] = b[4]", "m[2, 3] = k[1, 3] + a[5]", "a[3] + b[4]", "if a[3] > b[4]", "if s < 1e9 (0-d result)", "s + 1.0", "s * s",
    "np.sqrt(s)", "float(s)", "bool(s)", "np.sqrt(2.0)", "np.zeros((10, 10))", "np.array([1.0, 2.0, 3.0])", "np.asarray(a)",
    "np.linspace(0, 1, 10)", "m[i[:5], i[:5]]", "np.eye(5)",
}  # fmt: skip


def timer(np, n, statement):
    """A function that runs the statement so many times and gives the seconds of processor time."""
    before, _, body = statement.rpartition("|")
    place = dict(np=np, n=n, repeat=repeat, clock=time.thread_time)
    exec(SETUP + before.strip(), place)
    lines = "; ".join(p.strip() for p in body.strip().split(";"))
    # Names are looked up as locals, as in a program's function.
    names = ", ".join(sorted(k for k in place if k.isidentifier() and not k.startswith("__") and k not in ("repeat", "clock")))
    body = f"for _ in turns:\n  {lines}" if not lines.startswith(("for ", "if ")) else f"for _ in turns:\n  {lines}"
    source = f"def run(count, {names}):\n turns = repeat(None, count)\n start = clock()\n {body}\n return clock() - start"
    source = source.replace("\n  ", "\n   ")
    exec(source, place)
    run = place["run"]
    arguments = {k: place[k] for k in names.split(", ")}
    return lambda count: run(count, **arguments)


def nothing(count):
    turns = repeat(None, count)
    start = time.thread_time()
    for _ in turns:
        pass
    return time.thread_time() - start


def measure(modules, n, statement, rounds, seconds):
    """Seconds a turn for each module, the least of the rounds, which alternate."""
    timers = {who: timer(np, n, statement) for who, np in modules.items()}
    counts = {}
    for who, run in timers.items():
        count = 16
        while count < 1_000_000:
            took = run(count)
            if took > seconds / 8:
                break
            count *= 4
        counts[who] = max(16, int(count * seconds / max(took, 1e-9)))
    least = {who: float("inf") for who in timers}
    for _ in range(rounds):
        for who, run in timers.items():
            least[who] = min(least[who], (run(counts[who]) - nothing(counts[who])) / counts[who])
    return {who: max(t, 0.0) for who, t in least.items()}


def main():
    parser = argparse.ArgumentParser(description="The cost of every kind of call beside NumPy's.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--ms", type=float, default=4.0, help="time of one measurement")
    parser.add_argument("--sizes", default="10,100,1000", help="elements of the one-dimensional arrays")
    parser.add_argument("--only", help="lines that contain this")
    parser.add_argument("--out", type=Path, help="a folder for calls.json")
    args = parser.parse_args()
    import numpy

    import legate_jit.numpy as ours

    modules = {"numpy": numpy, "ours": ours}
    sizes = [int(n) for n in args.sizes.split(",")]
    rows = []
    for n in sizes:
        print(f"{f'{n} elements':32}{'NumPy':>9}{'legate_jit':>12}{'× NumPy':>9}")
        for name, statement in CALLS:
            if args.only and args.only not in name or n != sizes[0] and name in SAME:
                continue
            took = measure(modules, n, statement, args.rounds, args.ms / 1e3)
            ratio = took["numpy"] / max(took["ours"], 1e-10)
            rows.append(dict(name=name, statement=statement, size=n, seconds=took, ratio=ratio))
            mark = "" if ratio >= 1 else "  slower"
            print(f"{name:32}{took['numpy'] * 1e9:7.0f}ns{took['ours'] * 1e9:10.0f}ns{ratio:9.2f}{mark}", flush=True)
        slower = [r["name"] for r in rows if r["ratio"] < 1 and r["size"] == n]
        count = sum(r["size"] == n for r in rows)
        print(f"{count - len(slower)} of {count} not slower than NumPy at {n}; slower: {', '.join(slower) or 'none'}\n")
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "calls.json").write_text(json.dumps(dict(machine=harness.machine(), calls=rows), indent=1))
    return 0


if __name__ == "__main__":
    harness.keep_heap()
    sys.exit(main())
