"""Boolean masks and integer indices: reads, writes, what is computed between them, and NumPy's words where they don't fit."""

import warnings

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from same import assert_same, outcome

import legate_jit
import legate_jit.numpy as ours
from legate_jit import _fallback

PROGRAMS = {}


def program(f):
    PROGRAMS[f.__name__] = f
    return f


@program
def mandelbrot(np):
    x, y = np.linspace(-2.0, 0.5, 40), np.linspace(-1.25, 1.25, 30)
    cr, ci = np.zeros((30, 40)) + x, np.zeros((30, 40)) + y[:, np.newaxis]
    zr, zi, counts = np.zeros_like(cr), np.zeros_like(ci), np.zeros(cr.shape, dtype=np.int64)
    for _ in range(25):
        alive = zr * zr + zi * zi <= 4.0
        re = zr[alive] * zr[alive] - zi[alive] * zi[alive] + cr[alive]
        zi[alive] = 2.0 * zr[alive] * zi[alive] + ci[alive]
        zr[alive] = re
        counts[alive] += 1
    return zr, zi, counts


@program
def a_read_keeps_the_value_of_its_moment(np):
    a = np.arange(12.0)
    m = a % 3 == 1
    picked = a[m]
    a[m] = -1
    m[0] = True
    a += 100
    return picked, picked + 1, a, m, a[m]


@program
def another_mask_of_the_same_count(np):
    a, b = np.arange(10.0), np.arange(10.0) * 10
    m, k = a > 5, a < 4
    a[m] = b[k]
    b[k] = a[m] + b[m]
    return a, b


@program
def the_mask_changes_between_read_and_write(np):
    a = np.arange(10)
    m = a > 6
    picked = a[m] * 2
    m[:] = False
    m[:3] = True
    a[m] = picked
    return a, m


@program
def an_operator_in_place_on_what_was_picked(np):
    a = np.arange(10.0)
    m = a > 4
    picked = a[m]
    same = picked
    picked += 3
    picked **= 2
    picked -= a[m]
    a[m] = picked
    same[0] = 7
    return picked, same, a


@program
def rows_of_a_matrix(np):
    points = np.arange(40.0).reshape(10, 4) % 7
    labels = np.arange(10) % 3
    out = np.zeros((3, 4))
    sizes = []
    for k in range(3):
        mine = points[labels == k]
        sizes.append(len(mine))
        out[k] = mine.mean(axis=0)
    points[labels == 1] += out[1]
    points[labels == 2] = out[2]
    points[labels == 0] = np.arange(16.0).reshape(4, 4)
    return out, points, np.asarray(sizes)


@program
def masks_of_views(np):
    a = np.arange(60.0).reshape(6, 10)
    m = a % 4 == 0
    b = a[::2, ::-1]
    b[m[::2, ::-1]] *= -1
    c = a.T
    c[m.T] = c[m.T] + 1
    d = a[1:4, 2:7][m[1:4, 2:7]]
    return a, b, c, d, a.T[m.T], a[:, 3][m[:, 3]], c[m.T].sum(), a[::-1][m]


@program
def types(np):
    i = np.arange(10, dtype=np.int32)
    m = i % 2 == 0
    i[m] = i[m] / 3
    f = np.arange(10, dtype=np.float32)
    f[m] = i[m] * 2.5
    z = np.zeros(10, dtype=np.complex128)
    z[m] = f[m] + 1j
    b = np.zeros(10, dtype=bool)
    b[m] = i[m] > 2
    u = i.astype(np.uint8)
    u[~m] = 250
    u[~m] += 10
    return i, f, z, b, u, i[m] + f[m], i[m] * 2, u[m] + 1, -f[m], np.sqrt(f[m]), ~b[m], i[m] == 4


@program
def numbers_from_arrays(np):
    a = np.arange(8.0)
    m = a > 3
    s = a.sum()
    a[m] = a[m] / s
    a[m] = a[m] + a[0]
    a[~m] = s
    a[m] -= np.float32(0.5)
    return a, (a[m] * s).max(), a[m].min(), a[m].std(), np.asarray(a[m].shape), a[m][1:], a[m][-1], a[m].reshape(2, 2)


@program
def nothing_and_everything(np):
    a = np.arange(6.0)
    none, every = a > 9, a >= 0
    a[none] = a[none] * 2
    a[every] = a[every] + 1
    a[none] = np.zeros(0)
    a[every] = np.arange(6.0)[::-1]
    return a, a[none], a[none].sum(), a[every], np.zeros((0, 3))[np.zeros(0, bool)], np.zeros((0, 3))[np.zeros((0, 3), bool)]


@program
def a_value_for_each_place(np):
    a, g = np.arange(12.0).reshape(3, 4), np.zeros((3, 2, 2))
    a[a > 6] = np.arange(5) * 10
    a[a < 3] = [9]
    a[np.asarray([True, False, True])] = np.arange(8).reshape(2, 4)
    a[np.asarray([False, True, True])] = np.ones((2, 1))
    a[np.asarray([False, True, False])] = [5, 6, 7, 8]
    g[np.asarray([True, False, True])] = np.arange(8.0).reshape(2, 2, 2)
    g[np.asarray([[True, False], [False, False], [True, True]])] += 0.5
    return a, g


@program
def a_value_read_from_the_target(np):
    a = np.arange(10.0)
    m = a > 4
    a[m] = a[:5]
    b = np.arange(10.0)
    b[b > 4] = b[b > 4][::-1]
    return a, b


@program
def integers(np):
    a = np.arange(24.0).reshape(4, 6)
    i, j = np.asarray([3, 0, -1, 3]), np.asarray([[0], [2]], dtype=np.int32)
    v = np.arange(10) * 1.5
    v[[1, 3, 5]] = [7, 8, 9]
    v[np.asarray([0, 0, 2])] = np.asarray([4, 5, 6])
    v[np.asarray([8, 9])] += 1
    w = np.zeros((4, 6))
    w[i] = a[i] * 2
    w[np.arange(4), [0, 1, 2, 3]] = -1
    w[j, [1, 3]] = [5, 6]
    w[[2]] = np.arange(6)
    return (
        *(a[i], a[j], a[i, i], a[j, [1, 2, 3]], a[[0, 1], 2], a[-2, [0, -1]], a[[[0, 1], [2, 3]]], a[[]]),
        *(v, w, v[[2, 2, -1]], v[np.asarray([3], dtype=np.uint8)], a[1][[0, 5]], a[::2][[1, 0]], a[:, 1][[0, 3]]),
    )


@program
def functions(np):
    a = np.asarray([[0, 3, 0], [4, 0, 5.0]])
    b = np.arange(6)
    np.putmask(b, b % 2 == 0, -1)
    c = np.arange(6.0)
    np.place(c, c > 3, 9.0)
    np.copyto(c, -c, where=c < 2)
    return (
        *(np.nonzero(a), np.nonzero(a > 3), np.where(a == 0), np.flatnonzero(a), np.argwhere(a), a.nonzero()),
        *(np.count_nonzero(a), np.count_nonzero(a > 3, axis=0), np.take(a, [0, 5, 2]), np.take(a, [[1], [0]], axis=1)),
        *(np.take(a, 2), a.take([1, 0], axis=0), np.compress([True, False], a, axis=0), np.compress([0, 1], a, axis=1)),
        *(np.compress([1, 0, 1], b), b.compress(b > 2), np.extract(a > 2, a), np.extract([True, False, True], b), b, c),
        *(np.take(np.arange(24).reshape(2, 3, 4), [2, 0], axis=-1), np.take(np.arange(24).reshape(2, 3, 4), [1, 1], axis=1)),
    )


def large(np, every):
    """Larger than a chunk of the counting, so that all threads take part, and for sparse masks the other ways."""
    n = 100_003
    x = np.arange(n) * 0.5
    m = np.arange(n) % every == 1
    legate_jit.sync()
    picked = x[m] * 2 + 1
    x[m] = picked - x[m]
    x[m] += 1.0
    y = x.copy()
    x[m] = -1.0
    rows = (np.arange(3 * n) % 1000).reshape(n, 3)
    return picked, x, y, rows[m], rows[m].sum(axis=0), np.nonzero(m), np.flatnonzero(x < 0), rows[np.flatnonzero(m)]


for _n in (2, 7, 1000):
    PROGRAMS[f"large_{_n}"] = lambda np, n=_n: large(np, n)


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    want, got = PROGRAMS[name](numpy), PROGRAMS[name](ours)
    assert len(want) == len(got)
    for k, (g, w) in enumerate(zip(got, want)):
        assert_same(g, w, context=f"result {k}")


@pytest.mark.parametrize("name", [n for n in PROGRAMS if n not in ("functions", "nothing_and_everything")])
def test_runs_in_our_own_code(name):
    before = dict(_fallback.calls)
    PROGRAMS[name](ours)
    after = {k: n for k, n in _fallback.calls.items() if n != before.get(k, 0)}
    # Where a value's shape has to be broadcast to what is selected, or rows lie in another order, NumPy does it.
    allowed = {"a_value_for_each_place": 4, "another_mask": 0}.get(name, 0)
    assert sum(after.values()) - sum(before.get(k, 0) for k in after) <= allowed, after


def test_masked_updates_are_one_pass():
    """Reads and writes under one mask never bring elements together: the loop records, and nothing runs before the end."""
    z = ours.zeros((50, 50))
    n = ours.zeros((50, 50), dtype=int)
    legate_jit.sync()
    before = legate_jit.stats()["flushes"]
    for _ in range(5):
        m = z < 2
        z[m] = z[m] ** 2 + z[m] * 0.5 + 0.3
        n[m] += 1
    assert legate_jit.stats()["flushes"] == before
    assert float(n.max()) == 5


EXPRESSIONS = """
a[m[:5]]
b[m]
a[b > 1]
b[(b > 1)[:, :3]]
b[np.ones((4, 3, 2), bool)]
a[m] + a[~m][:2]
a[m] * b
a[m] @ a[m][:1]
i[m] ** -1
i[m] + 2**70
b[m[:3]] + a[m]
a[[1, 7]]
a[np.asarray([-7])]
b[[0, 3]]
b[[0, 1], [0, 4]]
b[[0, 1], [0, 1, 2]]
b[[0, 1], [0, 1], [1, 1]]
a[np.asarray([1.5])]
np.zeros(0)[[0]]
np.zeros((3, 0))[[3]]
np.take(a, [9])
np.take(b, [9], axis=1)
np.take(b, [3], axis=2)
np.take(np.zeros(0), [0])
np.nonzero(np.float64(3))
np.compress([1, 0, 1, 1, 1, 1, 1, 1], a)
(a[m] > 1) or True
float(a[m])
np.concatenate([a[m], b])
"""
STATEMENTS = """
a[m] = [1, 2]
a[m] = [1, 2, 3, 4]
a[m] = [[1, 2, 3]]
a[m] = [[7]]
b[m[:3]] = [1, 2]
b[m[:3]] = np.ones((3, 4))
b[m] = 1
a[b > 1] = 1
a[m] = 1j
i[m] = 2**70
i[m] = float("nan")
a[m] = a[~m][:2]
a[m] = b[b > 4]
a[m] = a[a > 3]
a[m] += a[a > 3]
i[m] += 1.5
i[m] -= 2**70
a[[0, 1]] = [1, 2, 3]
b[[0, 1]] = [1, 2, 3]
a[[0, 9]] = 1
a[[0, 9]] += 1
b[[0, 1], [3, 4]] = 5
c[m] = 1
c[m] = a[m]
c[[0]] = 1
np.place(a, m, [])
np.putmask(a, m[:3], 1)
"""


def names(np):
    a = np.arange(6.0)
    c = np.arange(6.0)
    c.flags.writeable = False
    m = np.asarray([True, False, True, False, True, False])
    return dict(np=np, a=a, b=np.arange(12.0).reshape(3, 4), c=c, i=np.arange(6), m=m)


@pytest.mark.parametrize("text", (EXPRESSIONS + STATEMENTS).split("\n")[1:-1])
def test_words(text):
    if not text:
        return
    env_want, env_got = names(numpy), names(ours)

    def run(env):
        if "=" in text and text in STATEMENTS:
            exec(text, env)
            return env["a"], env["b"], env["i"]
        return eval(text, env)

    (want, error), (got, ours_error) = outcome(run, env_want), outcome(run, env_got)
    assert type(ours_error).__name__ == type(error).__name__, (error, ours_error)
    assert str(ours_error) == str(error)
    if error is None:
        assert_same(got, want, context=text)
    for name in ("a", "b", "i", "m"):
        assert_same(env_got[name], env_want[name], context=f"{name} after {text}")


@st.composite
def programs(draw):
    """Lines of a random program over two arrays, two masks and what they select."""
    pick = lambda *options: draw(st.sampled_from(options))  # noqa: E731
    lines = []
    for _ in range(draw(st.integers(1, 9))):
        a, b, m, k = pick("x", "y"), pick("x", "y"), pick("m", "n"), pick("m", "n")
        op, number = pick("+", "-", "*", "/"), pick("2", "0.5", "-1.0", "s", "np.float32(3)")
        lines.append(
            pick(
                f"{a}[{m}] = {b}[{m}] {op} {number}",
                f"{a}[{m}] = {b}[{m}] {op} {a}[{m}] * {number}",
                f"{a}[{m}] {op}= {number}",
                f"{a}[{m}] {op}= {b}[{m}]",
                f"{a}[{m}] = {number}",
                f"{m} = {a} > {b} {op} {number}",
                f"{m} = ~{m} | ({a} < 0)",
                f"{m}[1] = {a}[1] > 0",
                f"v = {a}[{m}]; w = v {op} {b}[{m}]; {a} += 1",
                f"v = {a}[{m}] {op} {number}; out.append(v)",
                "v += 1",
                f"{m}.shape == x.shape and v.shape == x[{m}].shape and {a}.__setitem__({m}, v)",
                f"out.append({a}[{m}].sum())",
                f"out.append(np.asarray(len({a}[{m}])))",
                f"out.append({a}[{m}][::2])",
                "s = x.sum() / 100",
                f"{a}[{m}] = np.sqrt(abs({b}[{m}])) if ({m} is {k}) else 1",
                f"{a} = {b}.copy()",
                f"{a}[np.flatnonzero({m})] = {b}[{m}] {op} 2",
                f"out.append({a}[np.nonzero({k})[0]])",
            )
        )
    return lines


def run_lines(np, lines, n, shape):
    def fresh(scale):
        return (np.arange(n) * scale % 13 - 4.0).reshape(shape)

    env = dict(np=np, x=fresh(5), y=fresh(3), out=[], s=1.5)
    env.update(m=env["x"] > 0, n=env["y"] > 2, v=env["x"][env["x"] > 3])
    for line in lines:
        try:
            exec(line, env)
        except (ValueError, IndexError, TypeError) as e:
            env["out"].append(numpy.asarray(len(str(e))))
    return [env[k] for k in "xymnv"] + env["out"]


@settings(max_examples=150, deadline=None)
@given(programs(), st.sampled_from([1, 6, 35]), st.booleans())
def test_random_programs(lines, n, flat):
    shape = (n,) if flat or n == 1 else (n // (5 if n == 35 else 2), 5 if n == 35 else 2)
    lines = [line for line in lines if flat or n == 1 or "nonzero" not in line and "[1]" not in line]
    with warnings.catch_warnings(), numpy.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        want, got = run_lines(numpy, lines, n, shape), run_lines(ours, lines, n, shape)
    assert len(want) == len(got)
    for k, (g, w) in enumerate(zip(got, want)):
        assert_same(g, w, context=f"result {k} of {lines}")
