"""Inner loops whose rounds are done side by side, or that update one row by several rounds at once: with NumPy's bits."""

import pytest

import legate_jit
from test_nests import in_a_process

pytestmark = pytest.mark.skipif(legate_jit.config()["LEGATE_JIT_LOOPS"][0] == "off", reason="loops are left to Python here")

SETTINGS = {"LEGATE_JIT_TIER": "compiled", "LEGATE_JIT_CACHE": "off"}

COLUMNS = """
import sys, numpy, legate_jit, legate_jit.numpy as np

def gram_schmidt(np, A, Q, R, x, y):
    m, n = A.shape
    for k in range(n):
        R[k, k] = np.sqrt(np.dot(A[:, k], A[:, k]))
        Q[:, k] = A[:, k] / R[k, k]
        for j in range(k + 1, n):
            R[k, j] = np.dot(Q[:, k], A[:, j])
            A[:, j] -= Q[:, k] * R[k, j]
    return A, Q, R, j, k

def elements(np, A, B, C, x, y):
    n = len(A)
    for i in range(1, n - 1):
        for j in range(1, n - 1):
            t = A[i - 1, j] + A[i + 1, j] + A[i, j - 1] + A[i, j + 1]
            B[i, j] = np.sqrt(t * t + j) / (2.0 + abs(A[i, j])) - x[j + 1]
            C[i, j] = -B[i, j] + i * 0.5
    return A, B, C, t, i, j

def deep(np, A, B, C, x, y):
    n = len(A)
    D = np.zeros((3, n, n)) + A
    for i in range(n):
        for j in range(n):
            D[1, i, j] = D[2, i, j] + B[i, j]
            y[j] = D[0, 0, j] * 2.0
    return D, y

def copies(np, A, B, C, x, y):
    n = len(A)
    for i in range(2):
        for j in range(n):
            B[:, j] = A[:, j] * x + B[:, j] / y
            C[1:, j] = 0.25
            C[::2, j] *= B[::2, j]
            y[j] = np.dot(B[::2, j], C[1 : n : 2, j]) if n % 2 == 0 else y[j]
    return A, B, C, y

def rows(np, A, B, C, x, y):
    n = len(A)
    for i in range(n):
        C[i, : i + 1] *= 0.5
        for k in range(n):
            C[i, : i + 1] += x[k] * A[i, k] * A[: i + 1, k]
        for k in range(n):
            y[i:] -= A[k, i:] / (2.0 + B[i, k])
        for k in range(n - 1):
            x[1:] += (B[k + 1, 1:] - y[1:]) * (k * 0.01)
    return A, B, C, x, y, i, k

def solve(np, way, n):
    r = numpy.random.default_rng(n)
    return [numpy.asarray(v) for v in way(np, *[np.array(r.random(s)) for s in ((n, n), (n, n), (n, n), n, n)])]

bad, done = [], 0
for way in (gram_schmidt, elements, deep, copies, rows):
    for n in (*range(3, 20), 31, 32, 33, 40, 47, 80):
        want = solve(numpy, way, n)
        for _ in range(2):
            legate_jit._native.look_for_loops()
            got = solve(np, way, n)
            bad += [(way.__name__, n)] * any(g.tobytes() != w.tobytes() for g, w in zip(got, want))
    now = legate_jit.stats()["rounds_compiled"]
    bad += [(way.__name__, "not compiled")] * (now == done)
    done = now
print(sorted(set(bad)), legate_jit.stats()["kernels_refused"])
"""


@pytest.mark.parametrize("threads", ["1", "2"])
def test_columns_elements_and_rows(threads):
    assert in_a_process(COLUMNS, LEGATE_JIT_THREADS=threads, **SETTINGS).strip() == "[] 0"


ENDS = """
import warnings, numpy, legate_jit, legate_jit.numpy as np

def outside(np, A, B, x):
    for i in range(len(A)):
        for j in range(len(x)):
            x[j] = x[j] * 0.5
            B[i, j + (0 if i < 30 else 1)] = A[i, j] + x[j]

def divided(np, A, B, x):
    for i in range(len(A)):
        for j in range(len(x)):
            B[i, j] += 1.0
            B[i, j] = A[i, j] / x[j]
        if i == 20:
            x[11] = 0.0

def large(np, A, B, x):
    for i in range(len(A)):
        for j in range(len(x)):
            A[:, j] -= B[:, i] * x[j]
            x[j] = np.dot(A[:, j], B[:, i])
        if i == 20:
            x[13] = 1e300
    for i in range(len(A)):
        for k in range(len(x)):
            x[:] += A[i, k] * B[:, k]
            if False:
                pass

def negative(np, A, B, x):
    for i in range(len(A)):
        for j in range(-3, 20):
            x[j] = A[i, j] + x[j]
        for j in range(20, 0, -1):
            x[j] = x[j - 1] * 0.5
        for j in range(0, 30, 2):
            B[i, j] = A[i, j]
    return j

def ways(np, A, B, x):
    for i in range(1, len(A)):
        for j in range(1, len(x)):
            x[j] = x[j - 1] + A[i, j]
        for j in range(len(x) - 1):
            x[j] = x[j + 1] * 0.5
        for j in range(len(x)):
            B[1:, j] += B[:-1, j]
        for j in range(len(x)):
            B[i, j] = B[i - 1, j] + B[0, i]
        for j in range(len(x)):
            A[j, j] = A[j, 0] * 0.5
        for j in range(len(x)):
            A[j, :] = B[j, :] * x[j]
        for k in range(len(x)):
            x[:] += A[k] * x[k]
        for k in range(len(x)):
            A[i] += A[k] * 0.01
    return j, k

def run(np, way, arrays):
    given = [np.array(a) for a in arrays]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            end = way(np, *given)
        except Exception as e:
            end = repr(e)
    return [numpy.asarray(a).tobytes() for a in given], end

def crossing(np, base, i):
    A = base[:40, :40]
    return [(A, A, base[0, :40]), (A, base[:40, 3:43], base[41, :40]), (A, A.T, base[1, 2:42]), (A[::-1], A, base[:40, 5]),
            (A[:, ::-1], base[1:41, :40], base[41, 40:0:-1])][i]

def shared(np, way, i, numbers):
    base = np.array(numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            end = way(np, *crossing(np, base, i))
        except Exception as e:
            end = repr(e)
    return numpy.asarray(base).tobytes(), end

r = numpy.random.default_rng(2)
arrays, numbers = [r.random((40, 40)), r.random((40, 40)), r.random(40)], r.random((45, 45))
bad = []
for way in (outside, divided, large, negative, ways):
    want = run(numpy, way, arrays)
    for _ in range(3):
        legate_jit._native.look_for_loops()
        bad += [way.__name__] * (run(np, way, arrays) != want)
    for i in range(5):
        want = shared(numpy, way, i, numbers)
        for _ in range(2):
            legate_jit._native.look_for_loops()
            bad += [(way.__name__, i)] * (shared(np, way, i, numbers) != want)
print(bad, legate_jit.stats()["rounds_compiled"] > 0, legate_jit.stats()["kernels_refused"])
"""


def test_ends_within_and_arrays_that_share_memory():
    assert in_a_process(ENDS, **SETTINGS).strip() == "[] True 0"


RANDOM = """
import random, sys, warnings, numpy, legate_jit, legate_jit.numpy as np

def written(seed):
    r = random.Random(seed)
    pick = r.choice

    def column(of=None):
        of = of or pick((':', ':', ':', '1:', ':-1', '::2', ':p'))
        return f"{pick('ABC')}[{of}, {pick(('j', 'j', 'j', 'k', 'j + 1', '0'))}]"

    def dot():
        of = pick((":", "1:", "::2", ":p"))
        return f"np.dot({column(of)}, {pick((column(of), 'x[' + of + ']'))})"

    def row():
        return pick((f"A[{pick('jk')}, {pick((':', ':p', '1:'))}]", f"B[{pick((':', ':p', '1:'))}, {pick('jk')}]", "x", "x[:p]", "y[1:]"))

    def number(deep=2):
        if deep == 0 or r.random() < 0.3:
            return pick(("s", "t", "0.5", "y[j]", "x[k]", "x[j]", "A[k, j]", "B[k, j + 1]", "C[k, j]", "B[j, k]", "j", "y[j - 1]"))
        a, b = number(deep - 1), number(deep - 1)
        return pick((f"({a} + {b})", f"({a} - {b})", f"{a} * {b}", f"{a} / ({b} + 2.0)", f"abs({a})", f"np.sqrt(abs({a}))", f"-({a})",
                     f"np.dot({column()}, {column()})"))

    def statement():
        kind = r.randrange(7)
        if kind == 0:
            return f"{pick(('s', 't', 'C[k, j]', 'y[j]'))} = {pick((number(), dot(), dot() + ' * ' + number(1)))}"
        if kind in (1, 2):
            to = pick(("y[j]", "x[j]", "A[k, j]", "B[k, j]", "C[k, j + 1]", "C[k, j]", "C[j, k]"))
            return f"{to} {pick(('=', '+=', '*='))} {number()}"
        if kind in (3, 4):
            return f"{column()} {pick(('=', '+=', '-=', '*='))} {pick((number(1) + ' * ' + column(), column() + ' + 0.0', number(0)))}"
        of = pick((f"{number(1)} * {row()}", row(), f"({row()} - {row()}) * {number(0)}"))
        return f"{pick(('y', 'y[:p]', 'A[k]', 'C[k, 1:]', 'C[k, :p]', 'x[1:]'))} {pick(('+=', '-=', '*='))} {of}"

    # What may mostly be done side by side: A and x are read, of B, C and y each round has its own.
    of = pick((":", "1:", "::2", ":p"))

    def tame_number(deep=2):
        if deep == 0:
            return pick(("0.5", "y[j]", "x[k]", "A[k, j]", "A[k - 1, j]", "C[k, j]", "C[1, j]", "A[k, 2]", "j", "t"))
        a, b = tame_number(deep - 1), tame_number(deep - 1)
        columns = f"A[{of}, j]", f"B[{of}, j]", f"x[{of}]", f"A[{of}, k]"
        return pick((f"({a} + {b})", f"({a} - {b})", f"{a} * {b}", f"{a} / ({b} + 2.0)", f"abs({a})", f"np.sqrt(abs({a}))",
                     f"np.dot({pick(columns[:2])}, {pick(columns)})", f"np.dot({pick(columns[:2])}, {pick(columns)})"))

    def tame():
        kind = r.randrange(4)
        if kind == 0:
            return f"s = {tame_number()}"
        if kind == 1:
            return f"{pick(('y[j]', 'C[k, j]', 'C[k, j]'))} {pick(('=', '+=', '*='))} {tame_number()}"
        with_ = pick((f"A[{of}, k]", f"x[{of}]", f"B[{of}, j]", f"A[{of}, j]", tame_number(1)))
        return f"B[{of}, j] {pick(('=', '+=', '-=', '*='))} {with_} * {tame_number(1)}"

    def tame_loop():
        head = f"for j in range({pick(('n', '1, n', 'k, n', 'p'))}):"
        return [head] + ["    " + tame() for _ in range(r.randrange(1, 4))]

    def loop():
        if seed % 2:
            return tame_loop()
        head = f"for j in range({pick(('n', 'n', '1, n', 'n - 1', 'p', 'k, n', '0, n, 2', 'n - 1, -1, -1', '-2, n - 2'))}):"
        return [head] + ["    " + statement() for _ in range(r.randrange(1, 4))]

    lines = [line for _ in range(r.randrange(1, 3)) for line in loop()]
    return "\\n".join(
        ["def program(np, A, B, C, x, y, n, p):", "    s, t, j = 0.5, 0.25, 0", "    try:", "        for k in range(n):"]
        + ["            " + line for line in lines]
        + ["    except Exception as e:", "        return type(e).__name__, str(e), float(s), float(t), j", "    return float(s), float(t), j, k"]
    )

def arrays(np, n, seed):
    r = numpy.random.default_rng(seed)
    a = [r.random((n, n)) - 0.3, r.random((n, n)) * 0.1, r.random((n, n)), r.random(n), r.random(n) - 0.5]
    if seed % 5 == 0:
        a[seed % 2][seed % n, seed % (n - 1)] = (0.0, 1e308, numpy.inf, numpy.nan)[seed // 5 % 4]
    a = [np.array(v) for v in a]
    if seed % 4 == 1:
        a[1] = a[0]
    if seed % 4 == 2:
        a[2] = a[1].T
    if seed % 4 == 3:
        a[4] = a[0][2]
    return a

def same(x, y):
    x, y = numpy.asarray(x), numpy.asarray(y)
    return x.shape == y.shape and ((x == y) & (numpy.signbit(x) == numpy.signbit(y)) | (x != x) & (y != y)).all()

first = int(sys.argv[1])
warnings.simplefilter("ignore")
for seed in range(first, first + int(sys.argv[2])):
    text, names = written(seed), {}
    exec(compile(text, "random", "exec"), names)
    n = 3 + seed * 7 % 41
    p = 1 + seed % n
    want = arrays(numpy, n, seed)
    end = names["program"](numpy, *want, n, p)
    for _ in range(2):
        legate_jit._native.look_for_loops()
        got = arrays(np, n, seed)
        now = names["program"](np, *got, n, p)
        fine = all(map(same, got, want)) and len(now) == len(end) and all(a == b or a != a and b != b for a, b in zip(now, end))
        if not fine:
            print(seed, n, p, text, now, end)
            break
print("done", legate_jit.stats()["rounds_compiled"] > 0, legate_jit.stats()["kernels_refused"])
"""


@pytest.mark.parametrize("first", [0, 1000])
def test_random_loops(first):
    text = RANDOM.replace("sys.argv[1]", str(first)).replace("sys.argv[2]", "60")
    assert in_a_process(text, **SETTINGS).strip() == "done True 0"
