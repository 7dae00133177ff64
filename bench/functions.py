"""What an element of every elementwise function costs, beside NumPy: one table.

    python bench/functions.py [--rounds 9] [--only exp,log] [--types f64,f32,i64,i32,bool,c128,c64] [--sizes 4000,100000]
                              [--out bench/results]

For each function, type and size three take turns in this process: NumPy, our prebuilt loops (what runs until a kernel is
compiled), and the compiled kernel. Each computes `np.f(a, out=b)`, ours with a `sync()` behind it, so that all its cost is
counted, on one thread. Times are processor time of that thread, so that a loaded machine says the same; the median of the
rounds counts. The last two columns are our times over NumPy's: above 1 we are slower, and above 1.05 the line is marked.
"""

import os
import sys
import time

import beside
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
# Operations of other types: the ranges of their arguments, and their types.
WHOLE, COUNT, PART = (-1000, 1000), (1, 60), (-3.0, 3.0)
# (Some names come twice: what their operands are depends on the type.)
EXACT = (
    (("maximum", "minimum", "equal", "less", "logical_and"), [ANY, ANY], "f64,f32,i64,i32,bool"),
    (("fmax", "copysign", "multiply", "divide"), [ANY, ANY], "f64,f32"),
    (("floor_divide", "remainder", "fmod"), [WHOLE, COUNT], "f64,f32,i64,i32"),
    (("add", "multiply", "bitwise_and", "gcd", "lcm"), [WHOLE, WHOLE], "i64,i32"),
    (("left_shift", "right_shift"), [WHOLE, COUNT], "i64,i32"),
    (("rint", "floor", "ceil", "trunc", "isnan", "isfinite", "sign", "signbit"), [ANY], "f64,f32"),
    (("absolute", "negative", "square"), [ANY], "f64,f32,i64,i32"),
    (("logical_not",), [ANY], "bool"),
    (("exp", "log", "sqrt", "absolute", "angle", "conjugate", "square"), [PART], "c128,c64"),
    (("sin", "cos", "tan", "sinh", "cosh", "tanh"), [PART], "c128,c64"),
    (("add", "multiply", "divide"), [PART, PART], "c128,c64"),
)
CASTS = ["f64 f32", "f32 f64", "f64 i64", "f64 i32", "f32 i32", "i64 f64", "i32 f32", "i64 i32", "f64 bool", "bool f64", "f64 c128"]
TYPES = {
    "f64": "float64",
    "f32": "float32",
    "i64": "int64",
    "i32": "int32",
    "bool": "bool",
    "c128": "complex128",
    "c64": "complex64",
}


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
    return {who: beside.median(v) for who, v in took.items()}


def argument(random, bounds, n, dtype):
    a = random.uniform(*bounds, n)
    if dtype.startswith("complex"):
        a = a + 1j * random.uniform(*bounds, n)
    return a > 0 if dtype == "bool" else a.astype(dtype)


def row(name, dtype, n, rounds, ranges):
    import numpy

    import legate_jit
    import legate_jit.numpy as ours

    random = numpy.random.default_rng(7)
    theirs = [argument(random, bounds, n, dtype) for bounds in ranges]
    mine = [ours.array(a) for a in theirs]
    sync = legate_jit.sync
    if name.startswith("astype "):
        to = TYPES[name.split()[2]]

        def f(a, out):
            numpy.copyto(out, a, casting="unsafe")

        def g(a, out):
            ours.copyto(out, a, casting="unsafe")

    else:
        f, g = getattr(numpy, name), getattr(ours, name)
        to = f(*(a[:1] for a in theirs)).dtype
    b, c = numpy.empty(n, to), ours.empty(n, to)
    if name == "angle":
        f = lambda z, out: numpy.copyto(out, numpy.angle(z))  # noqa: E731
        g = lambda z, out: out.__setitem__(slice(None), ours.angle(z))  # noqa: E731

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


def table(args):
    """The rows that are asked for: name, type, ranges."""
    types = args.types.split(",")
    for name, ranges in FUNCTIONS.items():
        yield from ((name, short, ranges) for short in types if short in ("f64", "f32"))
    for names, ranges, those in EXACT:
        yield from ((name, short, ranges) for name in names for short in those.split(",") if short in types)
    for cast in CASTS:
        if cast.split()[0] in types:
            yield f"astype {cast}", cast.split()[0], [ANY]


def main():
    parser = beside.arguments("The cost of every function beside NumPy's.", "f64,f32", rounds=9, ms=None)
    parser.add_argument("--sizes", default="4000,100000")
    args = parser.parse_args()
    rows, slower = [], []
    print(f"{'':17}{'elements':>9}{'NumPy':>9}{'prebuilt':>10}{'compiled':>10}{'× NumPy':>9}{'':>6}")
    for name, short, ranges in table(args):
        if args.only and not any(word == name or word in name.split() for word in args.only.split(",")):
            continue
        for n in map(int, args.sizes.split(",")):
            took = row(name, TYPES[short], n, args.rounds, ranges)
            ratios = [took[who] / took["numpy"] for who in ("prebuilt", "compiled")]
            rows.append(dict(name=name, dtype=short, elements=n, nanoseconds=took))
            mark = "" if max(ratios) <= 1.05 else "  slower"
            slower += [f"{name} {short} {n}"] if mark else []
            times = f"{took['numpy']:9.2f}{took['prebuilt']:10.2f}{took['compiled']:10.2f}"
            print(f"{name:16}{short:5}{n:9}{times}{ratios[0]:9.2f}{ratios[1]:6.2f}{mark}", flush=True)
    beside.finish(slower, rows, args, "functions")
    return 0


if __name__ == "__main__":
    # One thread, so that its processor time is all there is.
    os.environ["LEGATE_JIT_THREADS"] = "1"
    harness.keep_heap()
    sys.exit(main())
