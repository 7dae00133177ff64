"""What the tests run on one rank and on several: prints a name and the exact bytes of each result."""

import hashlib
import importlib
import sys

import numpy

np = importlib.import_module(sys.argv[1])


def show(name, value):
    value = numpy.asarray(value)
    print(name, value.dtype, value.shape, hashlib.sha256(numpy.ascontiguousarray(value).tobytes()).hexdigest())


def elementwise():
    rng = np.random.default_rng(1)
    a, b = rng.random((301, 257)), rng.random((301, 257))
    show("elementwise", (a * 2.5 - b) / (a + b) + np.sqrt(a))
    show("broadcast", a + b[0] * 3 - b[:, :1])
    show("where", np.where(a > b, a, -b))
    show("reversed and transposed", a[::-1, ::-1] + b + 0 * a.T[:1, :257])
    show("cast", (a * 1000).astype(np.int32) % 7)
    one = rng.random(100_003)
    show("one axis", one[1:] - one[:-1])


def jacobi():
    n = 202
    p = np.zeros((n, n))
    p[:, -1] = np.arange(n) / n
    for _ in range(25):
        pn = p.copy()
        p[1:-1, 1:-1] = 0.25 * (pn[1:-1, 2:] + pn[1:-1, :-2] + pn[2:, 1:-1] + pn[:-2, 1:-1])
        p[0, :] = p[1, :]
        p[-1, :] = p[-2, :]
        p[:, 0] = p[:, 1]
        show("l2", np.sqrt(np.sum((p - pn) ** 2) / np.sum(pn**2)))
    show("field", p)
    p[:] = p[::-1]
    p[3:9] += p[1:7]
    show("overlapping writes", p)


def reductions():
    rng = np.random.default_rng(2)
    a = rng.random((407, 311))
    a[200, 300] = a[7, 5] = 2.0
    show("sum", a.sum())
    show("sum of a window", a[1:-1, 1:-1].sum())
    show("sum of rows", a.sum(axis=1))
    show("sum of columns", a.sum(axis=0))
    show("mean", a.mean())
    show("minimum of columns", a.min(axis=0))
    show("largest", a.argmax())
    show("any", (a > 1.5).any(axis=1))
    show("product with the rest", ((a - a.mean()) ** 2).sum())
    show("three axes", rng.random((40, 31, 57)).sum(axis=1))
    show("accumulated", np.cumsum(a[:, 3]))


def matrices():
    rng = np.random.default_rng(3)
    a, x = rng.random((513, 511)), rng.random(511)
    y = a @ x
    show("matvec", y)
    show("transposed", a.T @ y)
    show("dot", x @ x)
    show("matmul", a[:64] @ a.T[:, :32])
    r = y.copy()
    for _ in range(5):
        alpha = (r @ r) / (np.sum(r * r) + 1)
        r = r - alpha * (a @ (a.T @ r)) / 1e6
        show("iterated", r)


def written_by_the_program():
    a = np.ones((300, 200))
    b = a * 3
    b[17, 4] = 5
    b[299, 199] += 2
    host = numpy.asarray(b)
    show("what NumPy sees", host[290:])
    c = b + a
    a[5] = -1
    show("what was read before a write", c)
    show("what was written after", a + b)
    print("one element", float(c[17, 4]), float(b.sum()))


for part in (elementwise, jacobi, reductions, matrices, written_by_the_program):
    part()
if np is not numpy and len(sys.argv) > 2:
    import legate_jit

    print("launches", legate_jit.stats()["rank_launches"], file=sys.stderr)
