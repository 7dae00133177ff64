"""Reductions and cumulative operations beside NumPy's: functions, axes, layouts, types and sizes; one table.

    python bench/reductions.py [--rounds 5] [--ms 10] [--only WORD,WORD] [--types f64,f32,i64,bool] [--sizes 10,1000,100000,10000000]
                               [--threads 1] [--out bench/results]

Each line is one statement of NumPy. NumPy and legate_jit take turns in this process, the results are compared first (bit by bit,
but for functions of which the documentation promises less), and the median of the rounds counts. Times are wall-clock times,
ours with the value asked for. The last columns are NumPy's time over ours (above 1 we are faster; lines below 0.95 are marked)
and, for operands of a megabyte or more, the share of the read bandwidth: of what a loop in C takes that reads as many bytes on as
many threads and does nothing else (`reading.py`), which takes its turns with the two.
"""

import os
import sys

import beside
import harness
import reading

TYPES = {"f64": "float64", "f32": "float32", "i64": "int64", "bool": "bool"}
FLOATS, NUMBERS, ALL = ("f64", "f32"), ("f64", "f32", "i64"), ("f64", "f32", "i64", "bool")

# The statement over an array of one, two or three axes, its types, and the most elements.
CASES = [
    ("np.sum(a)", 1, ALL),
    ("np.prod(a)", 1, NUMBERS),
    ("np.min(a)", 1, ALL),
    ("np.max(a)", 1, NUMBERS),
    ("np.any(a)", 1, ALL),
    ("np.all(a)", 1, ALL),
    ("np.argmin(a)", 1, NUMBERS),
    ("np.argmax(a)", 1, ALL),
    ("np.mean(a)", 1, ALL),
    ("np.var(a)", 1, NUMBERS),
    ("np.std(a)", 1, NUMBERS),
    ("np.cumsum(a)", 1, ALL),
    ("np.cumprod(a)", 1, NUMBERS),
    ("np.median(a)", 1, FLOATS),
    ("np.ptp(a)", 1, NUMBERS),
    ("np.count_nonzero(a)", 1, ALL),
    ("np.nansum(a)", 1, FLOATS),
    ("np.nanmax(a)", 1, FLOATS),
    ("np.nanmean(a)", 1, FLOATS),
    ("np.linalg.norm(a)", 1, FLOATS),
    ("np.average(a, weights=b)", 1, FLOATS),
    ("np.sum(a[::2])", 1, NUMBERS),
    ("np.max(a[::2])", 1, NUMBERS),
    ("np.sum(a > 0)", 1, NUMBERS),
    ("np.sum(a * b)", 1, NUMBERS),
    *((f"np.{f}(a, axis={axis})", 2, NUMBERS) for f in ("sum", "max", "mean", "var", "argmax", "cumsum") for axis in (0, 1)),
    *((f"np.{f}(a, axis={axis})", 2, ("f64",)) for f in ("prod", "any", "std", "median", "ptp", "nansum") for axis in (0, 1)),
    *((f"np.sum({a}, axis={axis})", 2, ("f64",)) for a in ("a.T", "a[:, ::2]", "a[::2]") for axis in (None, 0, 1)),
    *((f"np.max({a}, axis={axis})", 2, ("f64",)) for a in ("a.T", "a[:, ::2]") for axis in (None, 0, 1)),
    ("np.any(a, axis=1)", 2, ("bool",)),
    ("np.sum(a, axis=0)", 2, ("bool",)),
    ("np.sum(a, axis=1)", 2, ("bool",)),
    ("np.count_nonzero(a, axis=1)", 2, ("f64", "bool")),
    ("np.linalg.norm(a, axis=1)", 2, FLOATS),
    *((f"np.{f}(a, axis={axis})", 3, FLOATS) for f in ("sum", "max") for axis in (0, 1, -1, (0, 2), (1, 2), (0, 1))),
    ("np.mean(a, axis=(0, 2))", 3, FLOATS),
    ("np.var(a, axis=(0, 2))", 3, FLOATS),
]


def shape(n, axes):
    """Some n elements, with as many axes."""
    if axes == 1:
        return (n,)
    side = max(2, round(n ** (1 / axes)))
    return (side,) * axes


def operand(numpy, dims, short, seed):
    rng = numpy.random.default_rng(seed)
    if short == "bool":
        # Nothing ends early.
        return numpy.zeros(dims, bool)
    if short == "i64":
        return rng.integers(1, 100, dims)
    return rng.uniform(-1.0, 1.0, dims).astype(TYPES[short])


def same(numpy, statement, a, b):
    a, b = numpy.asarray(a), numpy.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if "norm" in statement or "average" in statement:
        return numpy.allclose(a, b, rtol=1e-5)
    return numpy.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def row(statement, axes, short, n, args):
    import numpy

    import legate_jit
    import legate_jit.numpy as ours

    dims = shape(n, axes)
    theirs = {name: operand(numpy, dims, short, k) for k, name in enumerate("ab")}
    if statement.startswith("np.any") and short != "bool":
        theirs["a"] *= 0
    if statement.startswith("np.average"):
        theirs["b"] = abs(theirs["b"]) + 1
    mine = {name: ours.array(a) for name, a in theirs.items()}
    theirs["np"], mine["np"] = numpy, ours
    code = compile(statement, statement, "eval")
    sync = legate_jit.sync

    def run_ours():
        kept = eval(code, mine)
        sync()
        return kept

    with numpy.errstate(all="ignore"):
        if not same(numpy, statement, eval(code, theirs), run_ours()):
            print(f"{statement} ({short}, n = {n}): the results differ")
        runs = {"numpy": lambda: eval(code, theirs), "ours": run_ours}
        # Both operands of a statement of two.
        bytes = theirs["a"].nbytes * (2 if " * b" in statement or "weights" in statement else 1)
        readers = reading.loops(bytes, int(args.threads)) if bytes >= 1 << 20 else {}
        runs.update(readers)
        beside.take_turns(runs, 1, args.ms)
        took = beside.take_turns(runs, args.rounds, args.ms)
        return took, min((took.pop(name) for name in readers), default=None)


def main():
    parser = beside.arguments("Reductions beside NumPy's.", "f64,f32,i64,bool")
    parser.add_argument("--sizes", default="10,1000,100000,10000000")
    parser.add_argument("--threads", default="1", help="threads of ours")
    args = parser.parse_args()
    os.environ["LEGATE_JIT_THREADS"] = args.threads
    rows, slower = [], []
    print(f"{'':34}{'type':>6}{'n':>10}{'NumPy':>10}{'ours':>10}{'× NumPy':>9}   of the read bandwidth")
    for statement, axes, types in CASES:
        for short in types:
            if not beside.wanted(args, statement) or short not in args.types.split(","):
                continue
            for n in map(int, args.sizes.split(",")):
                if "median" in statement and n > 1_000_000:
                    continue
                took, read = row(statement, axes, short, n, args)
                of = f"{read / took['ours']:.0%}" if read else ""
                beside.line(statement, 34, short, n, took, of, slower, rows)
    beside.finish(slower, rows, args, "reductions")
    return 0


if __name__ == "__main__":
    harness.keep_heap()
    sys.exit(main())
