"""Rounds of a loop that do the same to other parts of arrays run together, with NumPy's bits; rounds that need each other do not."""

import contextlib
import os
import subprocess
import sys

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import legate_jit
import legate_jit.numpy as ours
from same import assert_same


def rows(np, rows, columns, dtype="f8", seed=1):
    x = numpy.random.default_rng(seed).standard_normal((rows, columns)) * 10
    return np.array(x.astype(dtype))


@contextlib.contextmanager
def recorded():
    """A profiler sees every round, so each is recorded, whatever else a look at the loop would have come to."""
    profiler = sys.getprofile()
    sys.setprofile(lambda *_: None)
    try:
        yield
    finally:
        sys.setprofile(profiler)


def together(program, *args):
    """What a program gives, and how many rounds ran together."""
    legate_jit.sync()
    before = legate_jit.stats()["rounds_together"]
    with recorded():
        result = program(ours, *args)
    legate_jit.sync()
    return result, legate_jit.stats()["rounds_together"] - before


def check(program, least, most=None):
    got, count = together(program)
    assert_same(got, program(numpy))
    assert least <= count <= (most if most is not None else count), count


N, M = 60, 700


def results_in_a_list(np):
    x = rows(np, N, M)
    y = [np.sqrt(np.abs(x[k])) * 2.0 + k for k in range(N)]
    y[3] += 1.0
    y[4][5] = 7.0
    return [*y, x]


def numbers_in_a_list(np):
    x = rows(np, N, M)
    norms = [np.sqrt(np.sum(x[k] ** 2)) for k in range(N)]
    return np.array(norms), np.stack([x[k] * 2.0 for k in range(N)])


def totals(np):
    x, out = rows(np, N, M), np.zeros((N, M))
    total, square, largest = np.zeros(M), 0.0, np.full(M, -100.0)
    for k in range(N):
        y = x[k] * 2.0 - 1.0
        y = y * y + np.abs(x[k])
        out[k] = y
        total += y
        square = square + (y * y).sum()
        largest = np.maximum(largest, y)
    return total, square, largest, out


def products(np):
    """A product has no axis more; what comes before it has."""
    x, w, out = rows(np, N, M), rows(np, M, 6, seed=2), np.zeros((N, 6))
    for k in range(N):
        y = x[k] * 2.0 - 1.0
        y = np.sqrt(y * y + np.abs(x[k])) / 3.0
        out[k] = y @ w
    return out


def frames(np):
    """So large that most rounds go block by block, once there is a plan."""
    film, dark, gain = rows(np, 150, 64 * 64), rows(np, 1, 64 * 64, seed=2), rows(np, 1, 64 * 64, seed=3)
    film, dark, gain = film.reshape(150, 64, 64), dark.reshape(64, 64), gain.reshape(64, 64)
    out, level = np.empty((150, 64, 64)), np.empty(150)
    for k in range(150):
        flat = (film[k] - dark) / gain
        level[k] = flat.mean()
        out[k] = (flat - flat.mean()) / flat.std()
    return out, level


def polynomials(np):
    x, out = rows(np, N, M), np.zeros((N, M))
    for k in range(N):
        a = x[k]
        b = a * a + 1.0
        out[k] = b * 0.5 - a / b + np.sqrt(b)
    return out


def normalised(np):
    x, out = rows(np, N, M), np.zeros((N, M))
    for k in range(N):
        a = x[k]
        out[k] = (a - a.mean()) / a.std()
    return out


def in_place(np):
    x = rows(np, N, M)
    for k in range(N):
        x[k] -= x[k].mean()
        x[k] /= np.max(np.abs(x[k]))
    return x


def columns(np):
    x, out = rows(np, M, N), np.zeros((M, N))
    for k in range(N):
        out[:, k] = x[:, k] * 2.0 - np.sqrt(np.abs(x[:, N - 1 - k]))
    return out


def numbers(np):
    x, out, sums = rows(np, N, M), np.zeros((N, M)), np.zeros(N)
    for k in range(N):
        out[k] = x[k] * k + 0.25 * k
        sums[k] = (x[k] * (1.0 + k)).sum()
    return out, sums


def windows(np):
    image, weights = rows(np, 40, 80), rows(np, 5, 5, seed=2)
    out = np.zeros((36, 76))
    for i in range(36):
        for j in range(76):
            out[i, j] = np.sum(image[i : i + 5, j : j + 5] * weights)
    return out


def wide_windows(np):
    images, weights = rows(np, 8, 30 * 30 * 3).reshape(8, 30, 30, 3), rows(np, 27, 16, seed=2).reshape(3, 3, 3, 16)
    out = np.empty((8, 28, 28, 16))
    for i in range(28):
        for j in range(28):
            patch = images[:, i : i + 3, j : j + 3, :, np.newaxis]
            out[:, i, j, :] = np.sum(patch * weights, axis=(1, 2, 3))
    return out


def unset(np):
    """What nobody gives is anybody's guess; what is given is not."""
    x, out, flags, some = rows(np, N, M), np.empty((N, M)), np.empty((N, M), bool), np.empty((N, M), "f4")
    like, first = np.empty_like(x.T), np.empty((N + 1, 3))
    first[N] = 3.0
    for k in range(N):
        out[k] = x[k] * 2.0
        flags[k] = x[k] > 0.0
        some[k] = x[k] * 3.0
        like[:, k] = x[k] - 1.0
        first[k] = x[k, 5:8]
    return out, flags, some, like, first


def borders(np):
    """A temporary with a border of its own."""
    x, out = rows(np, N, M), np.zeros((N, M))
    for k in range(N):
        t = np.zeros(M)
        t[1:-1] = x[k, 2:] - x[k, :-2]
        t[:1] = x[k, 1:2]
        out[k] = t * 0.5
    return out


def planes(np):
    x, out = rows(np, N * 20, 40).reshape(N, 20, 40), np.zeros((N, 40, 20))
    for k in range(N):
        out[k] = np.cumsum(x[k], axis=1).T + x[k].max(axis=1)
    return out


def complex_parts(np):
    x, out = rows(np, N, M) + 1j * rows(np, N, M, seed=2), np.zeros((N, M), "c16")
    for k in range(N):
        out[k].real = x[k].imag * 2.0
        out[k].imag = x[k].real
    return out


def twice(np):
    x, out = rows(np, N, M), np.zeros((N, M))
    for k in range(N):
        out[k] = 1.0
        out[k, 5:-5] = x[k, 5:-5] * 2.0
        out[k] *= 3.0
    return out


def two_results(np):
    x, a, b = rows(np, N, M, "f4"), np.zeros((N, M), "f4"), np.zeros(N, "f4")
    for k in range(N):
        e = np.sqrt(x[k].max() - x[k])
        a[k] = e / e.sum()
        b[k] = e.max()
    return a, b


@pytest.mark.parametrize(
    "program",
    [results_in_a_list, numbers_in_a_list, totals, products, polynomials, normalised, columns, borders, planes, complex_parts, numbers, two_results, unset, frames],
    ids=lambda f: f.__name__,
)
def test_independent_rounds_run_together(program, planned):
    check(program, N // 2)


@pytest.mark.parametrize("program", [polynomials, normalised, in_place, twice], ids=lambda f: f.__name__)
def test_results_are_right_whatever_runs_at_once(program):
    check(program, 0)


def test_nothing_fills_what_rounds_write(tmp_path):
    """An array without values gets memory as it is; one of zeros is filled, as is one that something else reads."""
    program = """
import legate_jit, legate_jit.numpy as np
x, kind = np.arange(300.0 * 500).reshape(300, 500), {kind!r}
legate_jit.sync()
out = np.empty_like(x) if kind == "like" else getattr(np, kind)((300, 500), "i8" if kind == "empty" else "f8")
for k in range(300):
    out[k] = x[k] * 2.0
assert out.sum() == 2 * x.sum() and legate_jit.stats()["rounds_together"] > 250
"""
    fills = {}
    for kind in ("empty", "like", "zeros", "ones"):
        folder = tmp_path / kind
        env = {**os.environ, "LEGATE_JIT_DUMP": f"schedule@{folder}"}
        done = subprocess.run([sys.executable, "-c", program.format(kind=kind)], env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        plans = [path.read_text() for path in folder.rglob("*.plan")]
        fills[kind] = sum("kernel k0(#0: " in plan and "%0 = const" in plan and "load" not in plan for plan in plans)
    assert fills == dict(empty=0, like=0, zeros=1, ones=1)


def test_rounds_change_their_own_part(planned):
    check(in_place, N - 8)


@pytest.mark.parametrize("program", [windows, wide_windows], ids=lambda f: f.__name__)
def test_two_loops(program, planned):
    check(program, 500)


def test_rounds_that_need_the_last_one_stay_in_order(planned):
    def running(np):
        x = rows(np, N, M)
        for k in range(1, N):
            x[k] = x[k] * 0.5 + x[k - 1]
        return x

    def backwards(np):
        x = rows(np, N, M)
        for k in range(N - 1):
            x[k] = x[k] * 0.5 + x[k + 1]
        return x

    def overlapping(np):
        x = np.zeros(N + M)
        for k in range(N):
            x[k : k + M] = x[k : k + M] * 0.5 + k
        return x

    def carried(np):
        x, y = rows(np, N, M), np.zeros(M)
        for k in range(N):
            y = (y + x[k]) * 0.5 - y * y
        return y

    for program in (running, backwards, overlapping, carried):
        check(program, 0, 0)


def test_what_is_held_stays(planned):
    def program(np):
        x, out = rows(np, N, M), np.zeros((N, M))
        held = []
        for k in range(N):
            out[k] = np.sqrt(np.abs(x[k])) + 1.0
            if k == 25:
                held.append(out.copy())
                held.append(out)
            if k % 10 == 3:
                held.append(x[k] * 2.0)
        return [*held, out, x]

    check(program, 1)


def test_a_total_begins_with_what_is_written_to(planned):
    def program(np):
        x, out = rows(np, N, M), rows(np, N, M, seed=3) * 2.0
        total = out.copy()
        for k in range(N):
            y = np.sqrt(np.abs(x[k])) * 2.0 - 1.0
            out[k] = y * y + 1.0
            total = total + y
        return out, total

    check(program, 0)


def test_an_old_version_is_read(planned):
    def program(np):
        x = rows(np, N, M)
        old = x.copy()
        for k in range(N):
            x[k] = x[k] + old[N - 1 - k] * 2.0
        return x, old

    check(program, N - 6)


def test_foreign_memory_is_written_in_place(planned):
    mine = numpy.zeros((N, M))
    out, x = ours.asarray(mine), rows(ours, N, M)
    for k in range(N):
        out[k] = x[k] * 2.0 + 1.0
    assert_same(out, rows(numpy, N, M) * 2.0 + 1.0)
    assert_same(mine, rows(numpy, N, M) * 2.0 + 1.0)


def test_what_is_written_to_was_made_in_the_same_trace(planned):
    def program(np):
        x = rows(np, N, M) * 2.0
        out = x * 0.0
        for k in range(N):
            out[k] += x[k] / 3.0
        return out.sum(axis=0), out

    check(program, N - 6)


def test_the_same_loop_again_makes_no_plan(planned):
    x, out = rows(ours, 400, M), ours.zeros((400, M))

    def loop():
        for k in range(400):
            a = x[k]
            b = a * a + 1.0
            out[k] = b * 0.5 - a / b + ours.sqrt(b)
        legate_jit.sync()

    with recorded():
        for _ in range(3):
            loop()
        before = legate_jit.stats()
        loop()
        after = legate_jit.stats()
    assert after["plans"] == before["plans"]
    assert after["rounds_together"] - before["rounds_together"] > 350


WHERE = ["row", "row", "later row", "reversed", "fixed", "column", "window", "inside"]
WRITES = ["row", "row", "column", "inside", "number", "add", "own", "before", "reversed", "none"]


@st.composite
def bodies(draw):
    """A loop's body: each statement takes some parts, does something with them, and writes a part."""
    statements = []
    for _ in range(draw(st.integers(1, 3))):
        reads = draw(st.lists(st.tuples(st.sampled_from(WHERE), st.integers(0, 3)), min_size=1, max_size=3))
        operation = draw(st.sampled_from(["chain", "mean", "number", "sorted", "border", "cumsum", "kept", "list", "total"]))
        statements.append((reads, operation, draw(st.sampled_from(WRITES))))
    return statements


def run(np, body, n, m, dtype, hold):
    if np is ours:
        legate_jit.sync()
    a, b = rows(np, n + 4, m, dtype), rows(np, m, n + 4, dtype, 2)
    x = rows(np, 1, n + m, dtype, 3)[0]
    outs = dict(
        row=np.zeros((n, m), dtype),
        column=np.zeros((m, n), dtype),
        inside=np.zeros((n, m), dtype),
        number=np.zeros(n, dtype),
        add=np.ones((n, m), dtype),
        reversed=np.zeros((n, m), dtype),
    )
    held, totals = [], [np.zeros(m, dtype)] * 3

    def part(where, by, k):
        match where:
            case "row":
                return a[k]
            case "later row":
                return a[k + by]
            case "reversed":
                return a[n - 1 - k]
            case "fixed":
                return a[by]
            case "column":
                return b[:, k + by]
            case "window":
                return x[k : k + m]
            case "inside":
                return outs["inside"][k]

    for k in range(n):
        for s, (reads, operation, write) in enumerate(body):
            value = part(*reads[0], k)
            for where, by in reads[1:]:
                value = value * 2 + part(where, by, k)
            match operation:
                case "chain":
                    value = (value + 1) * value - 3
                case "mean":
                    value = value - value.max()
                case "number":
                    value = value * k + s
                case "sorted":
                    value = np.minimum(value, value[::-1])
                case "border":
                    t = np.zeros(m, dtype)
                    t[1:-1] = value[2:] - value[:-2]
                    value = t
                case "cumsum":
                    value = np.add.accumulate(value) + value.sum()
                case "kept":
                    held[s:] = [value]
                case "list":
                    held.append(value)
                case "total":
                    totals[s] = totals[s] + value
            match write:
                case "row" | "reversed":
                    outs[write][k if write == "row" else n - 1 - k] = value
                case "column":
                    outs["column"][:, k] = value
                case "inside":
                    outs["inside"][k, 1:-1] = value[1:-1]
                case "number":
                    outs["number"][k] = value.sum()
                case "add":
                    outs["add"][k] += value
                case "own":
                    a[k] = value
                case "before":
                    a[k + 1] = value
            if hold == (k, s):
                held.append(outs["row"].copy())
                held.append(outs["add"].sum())
    return [*outs.values(), *held, *totals, a, b, x]


@settings(max_examples=150, deadline=None)
@given(
    bodies(),
    st.integers(4, 30),
    st.integers(3, 40),
    st.sampled_from(["f8", "f4", "i8", "u1", "c16"]),
    st.tuples(st.integers(0, 30), st.integers(0, 2)),
    st.sampled_from([1000, 64, 37]),
)
def test_random_loops(body, n, m, dtype, hold, records):
    legate_jit._native.set_inline(False)
    try:
        got = run(ours, body, n, m, dtype, hold)
        want = run(numpy, body, n, m, dtype, hold)
        for g, w in zip(got, want, strict=True):
            assert_same(g, w)
    finally:
        legate_jit._native.set_inline(legate_jit.config()["LEGATE_JIT_INLINE"][0] != "off")


def test_a_filter_is_not_taken_apart(planned):
    """Sums of one array moved about are one pass over it."""

    def program(np):
        image, total = rows(np, 80, 90), np.zeros((80, 66))
        for k in range(25):
            total = total + np.sqrt(np.abs(image[:, k : k + 66])) * (k + 1.0)
        return total

    check(program, 0, 0)
