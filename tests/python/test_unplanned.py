"""Traces that are new run without a plan, operation by operation: NumPy's bits whatever the views, types and orders are."""

import operator

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import legate_jit
import legate_jit.numpy as ours
from same import assert_same

DTYPES = ["f8", "f4", "i8", "i4", "u1", "c16", "c8", "?"]


@pytest.fixture(autouse=True)
def forgotten():
    """What earlier programs were like does not count."""
    legate_jit._native.set_inline(True)
    yield
    legate_jit._native.set_inline(legate_jit.config()["LEGATE_JIT_INLINE"][0] != "off")


def array(np, shape, dtype, seed):
    rng = numpy.random.default_rng(seed)
    x = rng.standard_normal(shape) * 10
    if dtype in ("c16", "c8"):
        x = x + 1j * rng.standard_normal(shape)
    return np.array(x.astype(dtype) if dtype != "u1" else numpy.abs(x).astype(dtype))


def unplanned(f):
    """What f gives, and how many traces it ran without a plan."""
    before = legate_jit.stats()["unplanned"]
    result = f(ours)
    legate_jit.sync()
    return result, legate_jit.stats()["unplanned"] - before


def factor(np, n):
    """A Cholesky decomposition by columns: every view has a shape of its own."""
    a = array(np, (n, n), "f8", 1)
    a = a @ a.T + n * np.eye(n)
    for k in range(n):
        a[k, k] = np.sqrt(a[k, k])
        a[k + 1 :, k] /= a[k, k]
        a[k + 1 :, k + 1 :] -= np.outer(a[k + 1 :, k], a[k + 1 :, k])
        a[k, k + 1 :] = 0
    return a


def test_a_program_of_new_shapes_is_not_planned():
    before = legate_jit.stats()
    got, want = factor(ours, 70), factor(numpy, 70)
    numpy.testing.assert_allclose(numpy.asarray(got), want, rtol=1e-12, atol=1e-12)
    after = legate_jit.stats()
    assert after["plans"] - before["plans"] <= 2
    assert after["unplanned"] > before["unplanned"]


def test_a_program_that_is_over_soon_is_not_planned():
    def program(n):
        x = ours.array(numpy.arange(float(n)))
        before = legate_jit.stats()["plans"]
        y = ((x + 1.0) * x - 2.0 * x) / (x * x + 3.0)
        legate_jit.sync()
        return y.shape, legate_jit.stats()["plans"] - before

    assert program(30_000) == ((30_000,), 0)
    # What takes longer than planning by itself is planned at once.
    assert program(3_000_000) == ((3_000_000,), 1)


def test_a_program_that_goes_on_is_planned():
    x = ours.array(numpy.arange(5000.0))
    before = legate_jit.stats()
    for _ in range(3000):
        x = x * 0.5 + 1.0
        total = float(x.sum())
    after = legate_jit.stats()
    assert total == 10000.0
    assert after["unplanned"] > before["unplanned"]
    # By a plan of its own, or as one of several rounds that the helper runs ahead.
    planned = [stats["plan_hits"] + stats["rounds_ahead"] for stats in (before, after)]
    assert planned[1] > planned[0] + 100


def test_long_traces_are_planned_by_the_helper():
    def program(np):
        a = array(np, (60, 70), "f8", 12) * 1.0
        for k in range(40):
            a = 0.25 * (np.roll(a, 1, 0) + np.roll(a, -1, 0) + np.roll(a, 1, 1) + np.roll(a, -1, 1)) + 0.001 * k
        return a

    want = program(numpy)
    start = legate_jit.stats()
    assert_same(program(ours), want)
    assert legate_jit.stats()["unplanned"] > start["unplanned"], "nobody waits for the plan"
    for _ in range(3000):
        before = legate_jit.stats()
        assert_same(program(ours), want)
        after = legate_jit.stats()
        if after["unplanned"] == before["unplanned"] and after["plan_hits"] > before["plan_hits"]:
            break
    else:
        raise AssertionError("the plan has never come")


def overlapping(np):
    a = array(np, (40, 50), "f8", 2)
    b = a * 1.0
    b[1:] = b[:-1]
    b[:, ::-1] += b
    b[2:, 3:] -= b[:-2, :-3]
    b.T[4:] = b[:, 4:].T * 2.0
    b[::2, ::3] = b[1::2, 1::3] if b[1::2, 1::3].shape == b[::2, ::3].shape else 7
    return b


def several_versions(np):
    a = array(np, (30, 30), "f8", 3) + 0.0
    old = a.copy()
    a[5:9] = 1.0
    middle = a.copy()
    a[:, 2] *= 3.0
    return old, middle, a


def mixed_types(np):
    i, f, c = array(np, (400,), "i4", 4), array(np, (400,), "f4", 5), array(np, (400,), "c8", 6)
    s = i + f
    s[::2] = i[::2]
    c.real = f
    c.imag[1:] = i[1:] * 2
    t = np.where(i > 0, f, s) * np.float32(2)
    i += 3
    i[::-1] -= 1
    return s, c, t, i, c.real * c.imag, f > s


def reductions(np):
    a = array(np, (13, 17, 19), "f8", 7) + 0.0
    at = a.transpose(2, 0, 1)
    out = []
    for x in (a, at, a[:, 1:-1], a[::2, :, ::3]):
        # Each of these is a trace, as some reductions are only planned.
        legate_jit.sync()
        for axis in (None, 0, 1, 2, (0, 1), (1, 2), (0, 2)):
            out += [np.sum(x, axis=axis), np.max(x, axis=axis), np.prod(x, axis=axis), np.mean(x, axis=axis)]
            legate_jit.sync()
        for axis in (None, 0, 1, 2):
            out += [np.argmin(x, axis=axis), np.cumsum(x, axis=axis)]
            legate_jit.sync()
        out += [np.sum(x.astype("f4")), np.sum(x > 0, axis=1), np.any(x > 30, axis=0), np.ptp(x)]
    return out


def joined(np):
    """Joined and rolled arrays are new memory of which every part is written."""
    out = []
    for dtype in DTYPES:
        a, b = array(np, (30, 40), dtype, 3), array(np, (30, 7), dtype, 4)
        for _ in range(2):
            a = np.roll(a, 3, axis=0)
            c = np.concatenate((a, b, a[:, ::-1]), axis=1)
            c[1:-1, 2:] = c[:-2, :-2]
            out += [np.concatenate((a.T, b.T)), np.stack((a, np.roll(a, -1, axis=1))), c]
        out.append(np.concatenate((a[:0], a, a[3:1])))
        legate_jit.sync()
    return out


def over_operands(np):
    """Results may take the memory of operands that nobody needs any more, but of no others."""
    out = []
    for dtype in DTYPES:
        for shape in [(5,), (40, 50), (7, 1, 9), (0, 3)]:
            a, b = array(np, shape, dtype, 5), array(np, shape, dtype, 6)
            x = a + b
            y = x + x
            z = y + y[::-1]
            out += [z, (a + b) + a[..., ::-1], (z + a) + (z + b), np.where((a + b) > (b + a), a + a, b + b)]
            w = a + b
            out += [w[:1] + (a + b), w + w.T.T, np.abs(a + b) + (a + b)]
            out.append((a + b).astype({"f8": "i8", "i8": "f8", "f4": "i4", "i4": "f4", "?": "u1", "u1": "?"}.get(dtype, "c16")))
            kept = a + b
            out += [kept + 1, kept, (a + b).T + (b + a).T]
            legate_jit.sync()
    return out


def products(np):
    a, b = array(np, (40, 30), "f8", 8) * 1.0, array(np, (30, 20), "f8", 9) * 1.0
    return a[::2] @ b, b.T @ a.T[:, 1:], a[:, :20].T @ a, np.dot(a[3], b[:, 4]), (a > 0) @ b


@pytest.mark.parametrize("program", [overlapping, several_versions, mixed_types, reductions, joined, over_operands])
def test_bits(program):
    got, count = unplanned(program)
    assert count > 0
    assert_same(got, program(numpy), context=program.__name__)


def test_products():
    got, _ = unplanned(products)
    for g, w in zip(got, products(numpy), strict=True):
        numpy.testing.assert_allclose(numpy.asarray(g), w, rtol=1e-13, atol=1e-12)


slices = st.one_of(
    st.builds(slice, st.integers(-4, 4), st.none(), st.sampled_from([1, 2, -1, 3])),
    st.builds(slice, st.integers(0, 3), st.integers(3, 30)),
    st.just(slice(None)),
)
steps = st.lists(
    st.tuples(st.sampled_from(["view", "add", "write", "inplace", "scalar", "sum", "where", "copy", "transpose"]),
              slices, slices, st.integers(0, 100)),
    min_size=1, max_size=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(steps, st.sampled_from(DTYPES), st.sampled_from([(1, 1), (7, 9), (20, 21), (40, 3), (0, 4)]))
def test_random_programs(steps, dtype, shape):
    # (NumPy's complex products depend on where in memory an element lies.)
    times = operator.iadd if dtype[0] == "c" else operator.imul

    def program(np):
        a = array(np, shape, dtype, 11)
        results = []
        with numpy.errstate(all="ignore"):
            b = a + a
            for what, s, t, k in steps:
                v = b[s, t]
                if what == "view":
                    results.append(v.copy())
                elif what == "add":
                    results.append(v + v[:1])
                elif what == "write" and v.size:
                    b[s, t] = v[::-1, ::-1] if k % 2 else v.T[:1, :1]
                elif what == "inplace":
                    b[s, t] = times(v, v[::-1])
                elif what == "scalar":
                    b[s, t] = k
                elif what == "sum":
                    results.append(np.sum(v, axis=(None, 0, 1)[k % 3]))
                elif what == "where":
                    results.append(np.where(v > 1, v, b[:1, :1]))
                elif what == "copy":
                    results.append(b.copy())
                elif what == "transpose":
                    b = b.T
            results.append(b)
        return results

    assert_same(program(ours), program(numpy), context=str(steps))


@pytest.mark.parametrize("seed", range(12))
def test_straight_rows_and_others(seed):
    """Views of all kinds, read and written to in place, each program met for the first time."""

    def program(np):
        rng = numpy.random.default_rng(seed)
        rows, columns = int(rng.integers(150, 260)), int(rng.integers(150, 260))
        dtype = ["f8", "f4", "c16", "i8"][seed % 4]
        a, b = array(np, (rows, columns), dtype, seed), array(np, (rows, columns), dtype, seed + 1)
        row = array(np, (columns,), dtype, seed + 2)
        for _ in range(8):
            i, j, kind = (int(k) for k in rng.integers(0, [rows // 2, columns // 2, 7]))
            if kind == 0:
                a = a * b + row
            elif kind == 1:
                a[i:, j:] -= b[: rows - i, : columns - j]
            elif kind == 2:
                b = np.roll(a, 1 + i, axis=i % 2) - b
            elif kind == 3:
                a[:, ::2] += row[::2]
            elif kind == 4:
                a[::-1] = a + b
            elif kind == 5:
                b = np.where(a == b, row, (a - row) * b[:, ::-1])
            else:
                a[1:, :j] *= a[:-1, columns - j :]
            # (One operation at a time is not worth a plan.)
            legate_jit.sync()
        return a, b

    with numpy.errstate(all="ignore"):
        got, runs = unplanned(program)
        want = program(numpy)
    for g, w in zip(got, want, strict=True):
        assert_same(g, w)
    assert runs > 0
