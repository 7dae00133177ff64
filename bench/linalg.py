"""Linear algebra beside NumPy's: products, structured ones, and numpy.linalg, at several sizes and types; one table.

    python bench/linalg.py [--rounds 5] [--ms 10] [--only WORD,WORD] [--types f32,f64,c128] [--largest N] [--out bench/results]

Each line is one statement of NumPy. NumPy and legate_jit take turns in this process, the results are compared first, and the
median of the rounds counts. Times are wall-clock times on all threads, ours with a `sync()` behind each statement. Before
each turn both sides are idle for a while: a BLAS's threads go on spinning after its last product, and would take a
processor from whoever comes next.

The last columns are NumPy's time over ours (above 1 we are faster; lines below 0.95 are marked) and, where the statement is
bound by memory, the share of the read bandwidth, else the share of the arithmetic peak. Both are measured in this run: a
plain sum of ours over an array as large as the operands, and the faster of the two sides' largest product of matrices.
"""

import sys
import time

import beside
import harness

TYPES = {"f32": "float32", "f64": "float64", "c128": "complex128"}
# So long they have been seen to spin.
IDLE = 0.15


class Case:
    """A statement, the shapes of what stands in it (letters are n), and what it costs for n: elements read, multiplications
    and additions. `most` bounds n. `kind`: "spd" operands are symmetric and positive definite; "sum" is one sum of n products, which
    may come out near zero by chance."""

    def __init__(self, statement, shapes, sizes, reads=None, steps=None, kind=None, rtol=1.0):
        self.statement, self.shapes, self.sizes = statement, shapes, sizes
        self.reads, self.steps, self.kind, self.rtol = reads, steps, kind, rtol


VECTOR, SQUARE, SOLVE = (30, 96, 400, 2000, 8000), (3, 20, 60, 150, 300, 1000), (3, 10, 30, 100, 300, 1000)
CASES = [
    # Bound by memory.
    Case("A @ x", dict(A="nn", x="n"), VECTOR, reads=lambda n: n * n),
    Case("x @ A", dict(A="nn", x="n"), VECTOR, reads=lambda n: n * n),
    Case("A.T @ x", dict(A="nn", x="n"), VECTOR, reads=lambda n: n * n),
    Case("A[::2, 1:] @ x[1:]", dict(A="nn", x="n"), (30, 400, 2000), reads=lambda n: n * n // 2),
    Case("A[:, ::2] @ x[::2]", dict(A="nn", x="n"), (30, 400, 2000), reads=lambda n: n * n),
    Case("x @ y", dict(x="n", y="n"), (10, 1000, 100_000, 10_000_000), reads=lambda n: 2 * n, kind="sum"),
    Case("np.vdot(x, y)", dict(x="n", y="n"), (10, 1000, 100_000, 10_000_000), reads=lambda n: 2 * n, kind="sum"),
    Case("np.inner(x, y)", dict(x="n", y="n"), (10, 1000), reads=lambda n: 2 * n, kind="sum"),
    Case("np.linalg.norm(x)", dict(x="n"), (10, 1000, 100_000, 10_000_000), reads=lambda n: n),
    Case("np.outer(x, y)", dict(x="n", y="n"), (10, 100, 1000, 4000)),
    Case("np.trace(A)", dict(A="nn"), (10, 1000)),
    Case("np.tril(A)", dict(A="nn"), (10, 100, 1000, 4000)),
    Case("np.triu(A, 1)", dict(A="nn"), (10, 100, 1000, 4000)),
    Case("np.kron(A, B)", dict(A="nn", B="nn"), (3, 10, 40)),
    Case("np.cross(P, Q)", dict(P="n3", Q="n3"), (3, 100, 10_000, 1_000_000)),
    # Bound by arithmetic.
    Case("A @ B", dict(A="nn", B="nn"), (*SQUARE, 2000), steps=lambda n: n**3),
    Case("A.T @ B", dict(A="nn", B="nn"), SQUARE, steps=lambda n: n**3),
    Case("A @ B.T", dict(A="nn", B="nn"), SQUARE, steps=lambda n: n**3),
    Case("A @ A.T", dict(A="nn"), SQUARE, steps=lambda n: n**3 // 2),
    Case("A.T @ A", dict(A="nn"), SQUARE, steps=lambda n: n**3 // 2),
    Case("A[::2] @ B[:, ::2]", dict(A="nn", B="nn"), (20, 300, 1000), steps=lambda n: n**3 // 4),
    Case("2.0 * A @ B + C", dict(A="nn", B="nn", C="nn"), (20, 150, 300, 1000), steps=lambda n: n**3),
    Case("np.maximum((A @ B).real + x.real, 0)", dict(A="nn", B="nn", x="n"), (20, 300, 1000), steps=lambda n: n**3),
    Case("np.einsum('ij,jk->ik', A, B)", dict(A="nn", B="nn"), (20, 300), steps=lambda n: n**3),
    Case("np.tensordot(S, R, ((1, 2), (0, 1)))", dict(S="nn4", R="n4n"), (20, 300), steps=lambda n: 4 * n**3),
    # Many small products.
    Case("S @ R", dict(S="n44", R="n44"), (10, 1000, 50_000), steps=lambda n: n * 64),
    Case("S @ R", dict(S="n88", R="n88"), (10, 1000, 20_000), steps=lambda n: n * 512),
    Case("S @ R", dict(S="n" + "hh", R="n" + "hh"), (4, 32, 500), steps=lambda n: n * 32**3),
    Case("S @ R.transpose(0, 2, 1)", dict(S="n" + "kh", R="n" + "kh"), (4, 32, 200), steps=lambda n: n * 64 * 64 * 32),
    Case("S @ x", dict(S="n88", x="8"), (10, 1000, 50_000), reads=lambda n: n * 64),
    # Of numpy.linalg.
    Case("np.linalg.solve(A, x)", dict(A="nn", x="n"), SOLVE, kind="spd"),
    Case("np.linalg.inv(A)", dict(A="nn"), SOLVE, kind="spd"),
    Case("np.linalg.det(A)", dict(A="nn"), SOLVE[:-1], kind="spd"),
    Case("np.linalg.cholesky(A)", dict(A="nn"), SOLVE, kind="spd"),
    Case("np.linalg.qr(A)[1]", dict(A="nn"), SOLVE),
    Case("np.linalg.eigvalsh(A)", dict(A="nn"), SOLVE[:-1], kind="spd"),
    Case("np.linalg.eigh(A)[0]", dict(A="nn"), SOLVE[:-1], kind="spd"),
    Case("np.linalg.svd(A)[1]", dict(A="nn"), SOLVE[:-1]),
    Case("np.linalg.lstsq(A, x)[0]", dict(A="nn", x="n"), SOLVE[:-1], kind="spd"),
]
LETTERS = {"h": 32, "k": 64}


def operands(numpy, case, n, dtype):
    rng = numpy.random.default_rng(1965)
    made = {}
    for name, shape in case.shapes.items():
        dims = tuple(n if s == "n" else LETTERS.get(s) or int(s) for s in shape)
        a = rng.standard_normal(dims)
        if dtype == "complex128":
            a = a + 1j * rng.standard_normal(dims)
        if case.kind == "spd" and len(dims) == 2:
            a = (a + a.conj().T) / (4 * n**0.5) + 3 * numpy.eye(n)
        made[name] = a.astype(dtype)
    return made


def turn(run, ms):
    """Seconds a run, of as many as fit the time."""
    time.sleep(IDLE)
    return beside.turn(run, ms)


def agree(numpy, a, b, tolerance, least):
    a, b = numpy.asarray(a), numpy.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    # (A large matrix's determinant is infinite on both sides.)
    differ = a != b
    scale = max(float(numpy.abs(a[numpy.isfinite(a)]).max(initial=0)), least) or 1.0
    return bool((numpy.abs(a[differ] - b[differ]) <= tolerance * scale).all())


def row(case, n, dtype, rounds, ms):
    import numpy

    import legate_jit
    import legate_jit.numpy as ours

    theirs = operands(numpy, case, n, dtype)
    mine = {name: ours.array(a) for name, a in theirs.items()}
    code = compile(case.statement, case.statement, "eval")
    theirs["np"], mine["np"] = numpy, ours
    sync = legate_jit.sync
    tolerance = 1e-4 if dtype == "float32" else 1e-11
    # What such a sum is made of is about as large as the root of their number.
    least = n**0.5 if case.kind == "sum" else 0.0
    if not agree(numpy, eval(code, theirs), eval(code, mine), tolerance, least):
        raise SystemExit(f"{case.statement} ({dtype}, n = {n}): the results differ")

    def run_ours():
        kept = eval(code, mine)
        sync()
        return kept

    took = {"numpy": [], "ours": []}
    for _ in range(rounds):
        took["numpy"].append(turn(lambda: eval(code, theirs), ms))
        took["ours"].append(turn(run_ours, ms))
    return {who: beside.median(v) for who, v in took.items()}


def read_bandwidth(cache, bytes):
    """Bytes a second of a plain sum over so many bytes."""
    import legate_jit.numpy as ours

    size = 1 << max(bytes - 1, 1).bit_length()
    if size not in cache:
        a = ours.ones(size // 8)
        cache[size] = size / min(turn(lambda: float(a.sum()), 20) for _ in range(3))
    return cache[size]


def peak(cache, dtype):
    """Multiplications and additions a second of NumPy's largest product here."""
    if dtype not in cache:
        import numpy

        n = 1500
        a = numpy.ones((n, n), dtype)
        cache[dtype] = n**3 / min(turn(lambda: a @ a, 20) for _ in range(3))
    return cache[dtype]


def main():
    parser = beside.arguments("Linear algebra beside NumPy's.", "f32,f64,c128")
    parser.add_argument("--largest", type=int, help="leave larger n out")
    args = parser.parse_args()
    rows, slower, bandwidth, peaks = [], [], {}, {}
    print(f"{'':40}{'type':>6}{'n':>10}{'NumPy':>10}{'ours':>10}{'× NumPy':>9}   of the limit")
    for case in CASES:
        if not beside.wanted(args, case.statement):
            continue
        for short in args.types.split(","):
            dtype = TYPES[short]
            item = dict(f32=4, f64=8, c128=16)[short]
            for n in case.sizes:
                if (args.largest and n > args.largest) or (short == "c128" and n >= 8000 and case.reads and "A" in case.shapes):
                    continue
                took = row(case, n, dtype, args.rounds, args.ms)
                of = ""
                if case.reads and case.reads(n) * item >= 1 << 18:
                    bytes = case.reads(n) * item
                    share = bytes / took["ours"] / read_bandwidth(bandwidth, bytes)
                    of = f"{share:.0%} of the read bandwidth"
                elif case.steps and case.steps(n) >= 1 << 20:
                    share = case.steps(n) / took["ours"] / peak(peaks, dtype)
                    of = f"{share:.0%} of the BLAS's peak"
                beside.line(case.statement, 40, short, n, took, of, slower, rows)
    beside.finish(slower, rows, args, "linalg")
    return 0


if __name__ == "__main__":
    harness.keep_heap()
    sys.exit(main())
