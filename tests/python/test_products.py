"""Products of vectors and matrices through every kind of view, and averages, against NumPy.

A product's order of additions is nobody's promise, so that floats are compared within the bound that any order keeps:
n·eps times the sum of the absolute products.
"""

import itertools
import os
import subprocess
import sys

import numpy
import pytest
from same import assert_same, real

import legate_jit.numpy as ours

STEPS = [slice(None), slice(None, None, -1), slice(None, None, 2), slice(None, None, -3)]


def numbers(shape, dtype, seed=0):
    rng = numpy.random.default_rng(seed)
    x = 5 * rng.standard_normal(shape)
    if numpy.dtype(dtype).kind == "c":
        x = x + 1j * rng.standard_normal(shape)
    return x.astype(dtype)


def assert_product(got, a, b, context):
    want = real(a @ b)
    got = real(got)
    assert got.dtype == want.dtype and got.shape == want.shape, context
    if want.dtype.kind not in "fc":
        assert_same(got, want, context=context)
        return
    bound = 4 * a.shape[-1] * numpy.finfo(want.dtype).eps * (abs(a) @ abs(b))
    assert (abs(got - want) <= bound).all(), f"{context}: {got!r}, NumPy has {want!r}"


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16", "i8", "?"])
@pytest.mark.parametrize("n", [1, 2, 17, 400, 12_000])
def test_vectors_of_any_step(dtype, n):
    x, y = numbers(n, dtype, 1), numbers(n, dtype, 2)
    ox, oy = ours.array(x), ours.array(y)
    for s, t in itertools.product(STEPS, STEPS):
        k = min(len(x[s]), len(y[t]))
        a, b = x[s][:k], y[t][:k]
        assert_product(ox[s][:k] @ oy[t][:k], a, b, f"{s} @ {t}")
        assert_product(ours.dot(ox[s][:k], oy[t][:k]), a, b, f"dot({s}, {t})")


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16", "i8"])
@pytest.mark.parametrize("n", [0, 1, 2, 17, 400, 5000, 12_000, 100_000])
def test_vdot_conjugates_the_first(dtype, n):
    x, y = numbers(n, dtype, 1), numbers(n, dtype, 2)
    ox, oy = ours.array(x), ours.array(y)
    bound = 4 * max(n, 1) * numpy.finfo(dtype).eps * (abs(x) @ abs(y)) if numpy.dtype(dtype).kind in "fc" else 0
    for s, t in itertools.product(STEPS, STEPS):
        k = min(len(x[s]), len(y[t]))
        want = numpy.vdot(x[s][:k], y[t][:k])
        for got in (ours.vdot(ox[s][:k], oy[t][:k]), ours.vdot((ox + 0)[s][:k], oy[t][:k])):
            assert got.shape == () and got.dtype == want.dtype
            assert abs(real(got) - want) <= bound, f"vdot({s}, {t}): {got!r}, NumPy has {want!r}"
    if n > 1:
        with pytest.raises(ValueError, match=rf"cannot reshape array of size {n} into shape \({n - 1},\)"):
            ours.vdot(ox[1:], oy)


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16", "i8"])
@pytest.mark.parametrize(
    "shape", [(3, 5), (1, 9), (700, 23), (23, 700), (130, 131), (9, 1300), (1, 10_000), (10_000, 1), (9_999, 2)]
)
def test_matrices_and_vectors_of_any_step(dtype, shape):
    a = numbers(shape, dtype, 3)
    oa = ours.array(a)
    for s, t, turned in itertools.product(STEPS, STEPS, (False, True)):
        m, om = (a[s, t].T, oa[s, t].T) if turned else (a[s, t], oa[s, t])
        for step in STEPS[:3]:
            v, w = numbers(2 * m.shape[1], dtype, 4), numbers(2 * m.shape[0], dtype, 5)
            ov, ow = ours.array(v)[step][: m.shape[1]], ours.array(w)[step][: m.shape[0]]
            v, w = v[step][: m.shape[1]], w[step][: m.shape[0]]
            assert_product(om @ ov, m, v, f"[{s}, {t}] turned: {turned}, times a vector by {step}")
            assert_product(ow @ om, w, m, f"a vector by {step} times [{s}, {t}] turned: {turned}")
            assert_product(ours.dot(om, ov), m, v, f"dot of [{s}, {t}] turned: {turned} and a vector by {step}")


def test_products_of_what_is_computed():
    """A matrix that only a product reads, a broadcast one, and one that is read again."""
    n = 300
    x, mass = numbers(n, "f8", 6), abs(numbers(n, "f8", 7))
    ox, om = ours.array(x), ours.array(mass)
    d, od = x - x[:, None], ox - ox[:, None]
    r = (d**2 + 0.25) ** -1.5
    orr = (od**2 + 0.25) ** -1.5
    assert_product((od * orr) @ om, d * r, mass, "a matrix times a vector")
    assert_product(om @ (od * orr), mass, d * r, "a vector times a matrix")
    assert_product((od * orr) @ (om + 1.0), d * r, mass + 1.0, "two computed ones")
    e, oe = d * 0.5, od * 0.5
    assert_product(oe @ om, e, mass, "read again")
    assert_same(oe, e)
    wide, owide = numpy.broadcast_to(x, (n, n)), ours.broadcast_to(ox, (n, n))
    assert_product(owide @ om, wide, mass, "a broadcast matrix")
    assert_product((owide * 2.0) @ om, wide * 2.0, mass, "a computed broadcast matrix")


def test_a_product_of_negative_zeros():
    for n in (1, 3, 20, 200):
        a, v = numpy.full((n, n), -0.0), numpy.ones(n)
        oa, ov = ours.full((n, n), -0.0), ours.ones(n)
        assert_same(oa @ ov, a @ v)
        assert_same((oa * 1.0) @ ov, (a * 1.0) @ v)


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16", "i4", "?"])
@pytest.mark.parametrize("shape", [(5,), (1000,), (30, 40), (7, 3), (4, 5, 6)])
def test_averages_have_numpys_bits(dtype, shape):
    x = numbers(shape, dtype, 8)
    o = ours.array(x)
    for axis, keepdims in itertools.product([None, 0, -1], [False, True]):
        for name in ("mean", "var", "std", "sum"):
            got, want = (getattr(np, name)(v, axis=axis, keepdims=keepdims) for np, v in ((ours, o), (numpy, x)))
            assert_same(got, want, context=f"{name} over {axis}")
        for ddof in (1, 0.5):
            assert_same(ours.var(o, axis=axis, ddof=ddof), numpy.var(x, axis=axis, ddof=ddof), context=f"ddof {ddof}")


@pytest.mark.parametrize("n", [3, 40, 3000])
def test_dot_of_pending_vectors_that_run_backwards(n):
    # NumPy copies them first, and so adds the products up in another order than `@`.
    for seed in range(10):
        x, y = numbers((4, n), "f8", seed), numbers((4, n), "f8", seed + 100)

        def program(np, x, y):
            p, q = np.asarray(x) * 0.5 + 1.0, np.asarray(y) - 0.25
            return [np.dot(p[k, ::-1], q[k]) for k in range(4)] + [p[0] @ q[1, ::-1]]

        for got, want in zip(program(ours, x, y), program(numpy, x, y), strict=True):
            assert_same(got, want, context=(n, seed))


def filled_row(np, a, b, x):
    a = np.array(a)
    a[:, ::-1] = 1.25
    return [np.dot(a[1], x), a @ x]


def filled_columns(np, a, b, x):
    d = np.zeros(a.shape, a.dtype)
    d[:, 1:] = 0.3
    d[1] = 0.1
    return [d @ x, np.asarray(a).T @ d, np.full(a.shape, 0.7, a.dtype) @ x]


def every_other_of_a_sum(np, a, b, x):
    d = np.asarray(a) + np.asarray(b)
    return [np.dot(d[1, ::2], x[::2]), d[::2, ::-1] @ x, d.T @ d[:, 0]]


def transposed_copy(np, a, b, x):
    d = np.empty(a.shape[::-1], a.dtype)
    d[:] = np.asarray(a).T
    return [x @ d, np.dot(d[:, 1], x), np.asarray(b).T.copy() @ d.T[:, 0]]


def spread_over_rows(np, a, b, x):
    d = np.broadcast_to(np.asarray(x), a.shape)
    return [d @ x, (d + 0.0) @ x, d.copy() @ x]


@pytest.mark.parametrize("program", [filled_row, filled_columns, every_other_of_a_sum, transposed_copy, spread_over_rows])
@pytest.mark.parametrize("shape", [(2, 3), (17, 38), (30, 130)])
def test_operands_lie_where_the_program_has_them(program, shape):
    # BLAS adds up in an order that depends on it, whatever is known of where an operand's elements come from.
    for seed in range(5):
        for dtype in ("f8", "f4", "c16"):
            a, b, x = (numbers(s, dtype, seed + k) for k, s in enumerate((shape, shape, shape[1:])))
            want = program(numpy, a, b, x)
            for got, want in zip(program(ours, a, b, ours.array(x)), want, strict=True):
                assert_same(got, want, context=(shape, dtype, seed))


THREADS = """
import hashlib, numpy, legate_jit.numpy as ours
rng = numpy.random.default_rng(24)
digest, other = hashlib.sha256(), []
for dtype in ("f8", "f4", "c16", "c8"):
    for m, n, p in [(145, 145, 145), (301, 97, 410), (777, 203, 301), (1003, 801, 97), (500, 90, 900), (50, 300, 1100), (120, 125, 118),
                    (70, 70, 70), (66, 300, 20), (260, 130, 260)]:
        for turned in range(4):
            def matrix(rows, columns, turned):
                x = rng.standard_normal((columns, rows) if turned else (rows, columns))
                x = (x + 1j * rng.standard_normal(x.shape) if dtype[0] == "c" else x).astype(dtype)
                return x.T if turned else x
            a, b = matrix(m, n, turned & 1), matrix(n, p, turned & 2)
            mine = ours.array(a)
            got, own = numpy.asarray(mine @ ours.array(b)), numpy.asarray(mine @ mine.T)
            digest.update(got.tobytes() + own.tobytes())
            if m // 48 * 24 * n * p > 1_000_000 and 2 * m >= p and (got != a @ b).any():
                other.append((dtype, m, n, p, turned))
print(digest.hexdigest(), other)
"""


def test_threads_show_in_no_bit_and_large_products_are_those_of_one_thread():
    def run(threads):
        env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "LEGATE_JIT_THREADS": str(threads)}
        # (A library that waits for threads it has not started would wait for ever.)
        run = [sys.executable, "-c", THREADS]
        return subprocess.run(run, env=env, capture_output=True, text=True, check=True, timeout=300).stdout

    alone = run(1)
    assert alone.split(maxsplit=1)[1].strip() == "[]"
    assert run(2) == alone == run(5)


@pytest.mark.parametrize("dtype", ["f8", "c8", "c16"])
def test_stacks_of_matrices_of_every_size(dtype):
    """Products from small ones to those that a BLAS would share among threads of its own, several at a time."""
    for n in (5, 17, 33, 52, 60, 64, 81):
        a, b = numbers((24, n, n), dtype, 8), numbers((24, n, n), dtype, 9)
        mine = ours.array(a)
        assert_product(mine @ ours.array(b), a, b, f"{n} × {n}")
        assert_product(mine @ mine.swapaxes(1, 2), a, a.swapaxes(1, 2), f"{n} × {n}, turned")
