"""Small arrays: what is done at once, and what must not show that it is."""

import inspect
import itertools
import operator
import os

import numpy
import pytest
from same import assert_same

import legate_jit
import legate_jit.numpy as ours

off = os.environ.get("LEGATE_JIT_INLINE") == "off"


def both(program):
    """The same program on both sides."""
    assert_same(program(ours), program(numpy))


@pytest.mark.skipif(off, reason="everything is recorded")
def test_a_small_result_is_there_at_once_and_a_large_one_is_recorded():
    small, large = ours.array(numpy.arange(10.0)), ours.array(numpy.arange(50000.0))
    before = legate_jit.stats()
    s = small * 2 + small
    assert s[3] == 9.0
    after = legate_jit.stats()
    assert after["at_once"] == before["at_once"] + 2
    assert (after["recorded"], after["flushes"]) == (before["recorded"], before["flushes"])
    b = large * 2
    assert legate_jit.stats()["recorded"] == before["recorded"] + 1
    # An operand that is pending is waited for by what uses it.
    part = b[:4] + small[:4]
    assert legate_jit.stats()["recorded"] == before["recorded"] + 2
    assert_same(part, numpy.arange(50000.0)[:4] * 2 + numpy.arange(4.0))


def test_the_bits_of_sums_do_not_depend_on_the_way():
    rng = numpy.random.default_rng(5)
    for n in [1, 2, 7, 8, 9, 100, 128, 129, 200, 256, 257]:
        x = rng.standard_normal(n) * 10.0 ** rng.integers(-8, 8, n)
        for code in "dfl":
            v = x.astype(code)
            for f in (lambda a: a.sum(), lambda a: a[::-1].sum(), lambda a: a.mean(), lambda a: a.prod(), lambda a: (a > 0).sum()):
                assert_same(f(ours.array(v)), f(v), context=f"{n} {code}")
    for shape in [(3, 5), (1, 9), (9, 1), (2, 3, 4), (16, 16), (12, 20)]:
        v = rng.standard_normal(shape)
        a = ours.array(v)
        axes = [None, 0, -1, *itertools.combinations(range(len(shape)), 2)]
        for axis in axes:
            for name in ("sum", "max", "min", "prod"):
                assert_same(getattr(a, name)(axis=axis), getattr(v, name)(axis=axis), context=f"{name} {shape} {axis}")
                assert_same(getattr(a.T, name)(axis=axis), getattr(v.T, name)(axis=axis), context=f"{name} T {shape} {axis}")
        for axis in range(len(shape)):
            assert_same(a.argmax(axis=axis), v.argmax(axis=axis))
            assert_same((a > 0).any(axis=axis), (v > 0).any(axis=axis))


def test_writes_that_overlap_what_they_read():
    def program(np):
        a, m = np.arange(12.0), np.arange(36.0).reshape(6, 6)
        a[1:] = a[:-1]
        a[:-2] = a[2:]
        a[::-1] = a
        m[0, :] = m[1, :]
        m[:, 1] = m[:, 0]
        m[1:, 1:] = m[:-1, :-1]
        m[:] = m.T
        m[2] = m[:, 3]
        m[1:-1, 1:-1] += m[2:, 2:]
        m[::2] = 7
        m[:3] = m[0]
        return a, m

    both(program)


def test_writes_into_what_others_share():
    def program(np):
        a = np.arange(10.0)
        b = a.copy()
        c = b.copy()
        a[2:5] = 9
        b += 1
        v = c[3:]
        v *= 2
        d = np.zeros((4, 4))
        e = d.copy()
        d[1] = 3
        return a, b, c, v, d, e

    both(program)


def test_types_are_converted_on_the_way():
    def program(np):
        i, f, d, t = np.arange(6), np.arange(6).astype("f"), np.arange(6.0), np.arange(6) % 2 == 0
        d[1:4] = i[2:5]
        i[:2] = [7, 8]
        f[::2] = d[::2]
        return i + d, f + d, i * f, t + i, i / 2, i + t, np.where(t, i, d), np.sqrt(i), i.astype("f"), d, f, i**2

    both(program)


@pytest.mark.parametrize("shape", [(7,), (5, 3), (4, 2, 3)])
def test_elements_by_arrays_of_integers(shape):
    n = numpy.arange(float(numpy.prod(shape))).reshape(shape)
    index = [[0, 2, 1], [-1, -shape[0], 3], [[1, 0], [2, 2]], [1]]
    for v in (n, n.astype("f"), n > 4, n[::-1], n.T if n.ndim == 1 else n):
        a = ours.array(v) if v.base is None else ours.array(n)[::-1]
        for i in index:
            i = numpy.array(i)
            assert_same(a[ours.array(i)], v[i] if v.base is None else n[::-1][i])
    a = ours.array(n)
    for bad in ([shape[0]], [-shape[0] - 1]):
        with pytest.raises(IndexError) as got:
            a[ours.array(bad)].tolist()
        with pytest.raises(IndexError) as want:
            n[numpy.array(bad)]
        assert str(got.value) == str(want.value)
    if n.ndim == 1:
        for i in index[:2]:
            for new in (5, 2.5, n[numpy.array(i)] * 2):
                w, b = n.copy(), ours.array(n)
                w[numpy.array(i)] = new
                b[ours.array(i)] = ours.array(new) if isinstance(new, numpy.ndarray) else new
                assert_same(b, w)
                w[numpy.array(i)] += 1
                b[ours.array(i)] += 1
                assert_same(b, w)
                assert_same(ours.take(b, ours.array(i)), numpy.take(w, numpy.array(i)))
        order, w = ours.array([2, 0, 1]), numpy.array([2, 0, 1])
        order[order], w[w] = order[::-1], w[::-1]
        assert_same(order, w)
    taken = a[ours.array([0, 1])]
    a[0] = -1
    assert_same(taken, n[numpy.array([0, 1])])


def test_joining():
    def program(np):
        a, b, m = np.arange(5.0), np.arange(3), np.arange(6.0).reshape(2, 3)
        return (
            np.concatenate((a, b)), np.concatenate([b, a, a]), np.concatenate((m, m)), np.concatenate((m, m), axis=1),
            np.vstack((a, a)), np.vstack([m, m]), np.hstack((a, a * 2)), np.hstack([m, m]), np.stack((m, m)), np.stack((a, a)),
            np.concatenate((m.T, m.T)), np.concatenate((a[::2], a[:0])), np.stack([a, a * 2], axis=1), np.hstack((m, m[:, :1])),
        )  # fmt: skip

    both(program)


def test_numbers_at_equal_distances():
    rng = numpy.random.default_rng(7)
    cases = [(0, 1, 10), (0, 1, 1), (0, 1, 0), (0, 0, 5), (3, -3, 7), (0.1, 0.7, 50), (-0.0, 0.0, 3), (0, 5e-324, 9), (2, 2, 1)]
    cases += [(a, b, int(n)) for a, b, n in zip(rng.standard_normal(40), 1e3 * rng.standard_normal(40), rng.integers(2, 999, 40))]
    for a, b, n in cases:
        assert_same(ours.linspace(a, b, n), numpy.linspace(a, b, n), context=f"{a} {b} {n}")
    assert_same(ours.linspace(0, 1), numpy.linspace(0, 1))
    assert_same(ours.linspace(0, 1, 5, endpoint=False), numpy.linspace(0, 1, 5, endpoint=False))
    for a, b, n in [(0, 1, 12), (1.5, 9, 40), (5, 2, 4)]:
        for delta in (1, 0.1, 3, -2.5):
            assert_same(ours.arange(a, b, delta), numpy.arange(a, b, delta))
    with pytest.raises(ValueError):
        ours.linspace(0, 1, -1)


@pytest.mark.parametrize("n", [10, 300, 1500, 2048, 2049])
def test_a_program_that_asks_for_every_value(n):
    """It gets more done at once, with the same values."""
    v = numpy.linspace(0.1, 3.0, n)
    a = ours.array(v)
    for k in range(200):
        assert (a * k + v[0])[n // 2] == (v * k + v[0])[n // 2]
    assert_same(ours.sqrt(a[::2]) + ours.array(v[::2]), numpy.sqrt(v[::2]) + v[::2])
    assert_same((a + a).sum(), (v + v).sum())
    assert_same(a.astype("f") * 2, v.astype("f") * 2)
    # And less again when it does not.
    x, w = a, v
    for k in range(200):
        x, w = x * 0.5 + a, w * 0.5 + v
    assert_same(x, w)


def test_products():
    rng = numpy.random.default_rng(3)
    m, k, x = rng.standard_normal((6, 5)), rng.standard_normal((5, 7)), rng.standard_normal(5)
    for f in (lambda a, b, v: a @ b, lambda a, b, v: a @ v, lambda a, b, v: v @ b, lambda a, b, v: v.dot(v), lambda a, b, v: b.T @ a.T,
              lambda a, b, v: a[::2] @ b[:, ::3], lambda a, b, v: a.T @ a, lambda a, b, v: v @ v):  # fmt: skip
        assert_same(f(ours.array(m), ours.array(k), ours.array(x)), f(m, k, x))
        i, j, l = (q.round(1) * 10 for q in (m, k, x))
        i, j, l = i.astype(int), j.astype(int), l.astype(int)
        assert_same(f(ours.array(i), ours.array(j), ours.array(l)), f(i, j, l))


def test_memory_that_numpy_shares():
    n = numpy.arange(8.0)
    a = ours.asarray(n)
    a[2:4] = 7
    assert n[2] == 7 and n[3] == 7
    a += 1
    assert_same(a, n.copy())
    n[:] = 3
    assert_same(a * 2, n * 2)
    back = numpy.asarray(ours.zeros(4))
    back[0] = 5
    o = ours.zeros(4)
    seen = numpy.asarray(o)
    o[1:3] = 2
    seen[0] = 9
    assert_same(o + 0, numpy.array([9.0, 2, 2, 0]))


def test_functions_say_what_arguments_they_take():
    from legate_jit.numpy import _index, _math, _shape

    names = dict(transpose=_shape, reshape=_shape, ravel=_shape, stack=_shape, vstack=_shape, hstack=_shape, dot=_math,
                 linspace=_math, count_nonzero=_math, take=_index)  # fmt: skip
    for name, module in names.items():
        assert inspect.signature(getattr(ours, name)) == inspect.signature(getattr(module, name)), name
        assert getattr(ours, name) is not getattr(module, name)


def test_numpys_scalars_on_the_left_of_our_arrays():
    """NumPy's scalars hand such operations to NumPy's ufuncs, and those to us."""
    a = numpy.arange(1.0, 5.0)
    o = ours.array(a)
    for s in (numpy.float64(1.5), numpy.float32(2.5), numpy.int64(3), numpy.complex128(1j), numpy.bool_(True)):
        for f in (operator.add, operator.mul, operator.sub, operator.truediv, operator.lt, operator.eq):
            if f is operator.lt and s.dtype.kind == "c":
                continue
            got = f(s, o)
            assert type(got) is ours.ndarray
            assert_same(got, f(s, a))
    assert_same(numpy.sqrt(o), numpy.sqrt(a))
    assert_same(numpy.add(a, o), a + a)
    assert_same(numpy.divmod(numpy.float64(7.0), o), numpy.divmod(numpy.float64(7.0), a))


OPERATORS = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod,
    operator.and_, operator.lt, operator.ge, operator.eq, operator.ne,
]  # fmt: skip
NUMBERS = [2, -3, 2.5, 1.5 - 2j, True, 300, 2**40, -(2**70), numpy.float32(1.5), numpy.int64(7), numpy.complex64(2j)]


@pytest.mark.parametrize("code", "?bBilfdFD")
def test_numbers_beside_small_arrays(code):
    """On either side, of every kind, fitting or not: type, bits and errors."""
    values = (numpy.arange(12) - 3).astype(code)
    a = ours.array(values)
    for op, number, turned in itertools.product(OPERATORS, NUMBERS, [False, True]):
        def call(x):
            with numpy.errstate(all="ignore"):
                return op(number, x) if turned else op(x, number)

        try:
            want = call(values)
        except Exception as e:
            with pytest.raises(type(e)):
                legate_jit.sync(), numpy.asarray(call(a))
            continue
        assert_same(call(a), want, context=f"{op.__name__} {number!r} {code} {turned}")


@pytest.mark.parametrize("code", "ilfdFD")
@pytest.mark.parametrize("n", [1, 2, 7, 255, 256, 257, 600, 2000])
def test_elements_at_equal_distances(code, n):
    """Columns, every other one, from the end to the beginning, one for all: alone, with others and with numbers."""
    rng = numpy.random.default_rng(n)
    table = rng.integers(-50, 50, (n, 3)).astype(code)
    flat = rng.integers(1, 50, 2 * n).astype(code)

    def program(np):
        t, f = np.array(table), np.array(flat)
        same = np.broadcast_to(f[:1], (n,))
        lines = [t[:, 1], f[::2], f[:n][::-1], f[n:], same, t[::-1, 2]]
        out = [x * 3 for x in lines] + [2 - x for x in lines] + [-x for x in lines] + [abs(x) for x in lines]
        out += [op(x, y) for op in (np.add, np.multiply, np.equal) for x in lines for y in lines]
        into = f[:n].copy()
        into += t[:, 0]
        into *= into[::-1]
        into[:] = into[::-1]
        half = into[: n // 2]
        half -= into[: n // 2][::-1]
        half += 2 * half[::-1]
        np.subtract(t[:, 2], f[::-2], out=into)
        t[:, 0] += t[:, 2]
        return (*out, into, half, t)

    both(program)


def counted(body, times):
    """Operations that were done at once and that were recorded, of so many rounds, after as many that nobody counts."""
    for _ in range(times):
        body()
    before = legate_jit.stats()
    for _ in range(times):
        body()
    after = legate_jit.stats()
    return after["at_once"] - before["at_once"], after["recorded"] - before["recorded"]


@pytest.mark.skipif(off, reason="everything is recorded")
def test_who_asks_for_all_of_every_result_has_them_at_once():
    # (As in a new process: what was learnt of programs before, which may have been best not recorded at all, is forgotten.)
    legate_jit._native.set_inline(True)
    want = numpy.arange(4000.0)
    a = ours.array(want)

    def whole():
        nonlocal x
        x = a * 2.5
        legate_jit.sync()

    x = None
    assert counted(whole, 1000)[0] > 900
    assert_same(x, want * 2.5)

    # Into an array that is there, too; what is written may be what is read, or lie over it.
    into, flags = ours.empty(4000), ours.empty(4000, bool)

    def written():
        ours.multiply(a, 2.5, out=into)
        legate_jit.sync()
        ours.less(a, into, out=flags)
        legate_jit.sync()

    assert counted(written, 1000)[0] > 1800
    assert_same(into, want * 2.5)
    assert_same(flags, want < want * 2.5)
    mine, theirs = ours.array(want), want.copy()
    for np, b in ((ours, mine), (numpy, theirs)):
        for _ in range(100):
            np.subtract(b[1:], b[:-1], out=b[1:])
            legate_jit.sync()
            np.negative(b, out=b)
            legate_jit.sync()
    assert_same(mine, theirs)

    # One element of a result does not need the others.
    def element():
        assert (a * 2.5)[7] == 17.5

    assert counted(element, 1000)[1] > 1900

    def reduced():
        assert float(a.sum()) == 7998000.0

    assert counted(reduced, 1000)[0] > 900

    # Several operations are one pass.
    def chain():
        nonlocal x
        x = (a * 2.5 + a) / 3.0
        legate_jit.sync()

    assert counted(chain, 1000)[1] > 2900
    assert_same(x, (want * 2.5 + want) / 3.0)


@pytest.mark.skipif(off, reason="everything is recorded")
def test_new_arrays_of_some_elements_are_there_at_once():
    before = legate_jit.stats()
    made = [ours.zeros(1000), ours.ones((20, 30)), ours.zeros_like(ours.zeros(700)), ours.ones_like(ours.zeros((3, 4), int))]
    after = legate_jit.stats()
    assert after["recorded"] == before["recorded"]
    for got, want in zip(made, [numpy.zeros(1000), numpy.ones((20, 30)), numpy.zeros(700), numpy.ones((3, 4), int)]):
        assert_same(got, want)
    assert ours.empty_like(made[1]).shape == (20, 30)
    for like in (ours.zeros_like, ours.ones_like):
        view = made[1][::2].T
        assert_same(like(view), getattr(numpy, like.__name__)(numpy.ones((20, 30))[::2].T))


def test_elements_by_index_are_written_from_and_to_all_kinds_of_places():
    rng = numpy.random.default_rng(8)
    for code in "dfl?":
        for n, step in [(7, 1), (7, 2), (300, 1), (300, -1)]:
            for low in (-n, 0):
                want = rng.integers(0, 2 if code == "?" else 50, abs(step) * n).astype(code)
                got = ours.array(want)
                index = rng.integers(low, n, 40)
                values = rng.integers(0, 2, 40).astype(code)
                want[::step][index] = values
                got[::step][ours.array(index)] = ours.array(values)
                assert_same(got, want)
                want[::step][index] = 1
                got[::step][ours.array(index)] = 1
                assert_same(got, want)


def test_parts_of_arrays_are_filled_and_copied():
    for n in (17, 31, 40):
        want = numpy.arange(n * n * 1.0).reshape(n, n)
        got, other = ours.array(want), ours.array(want[::-1].copy())
        kept = got.copy()
        for np, a, b in ((numpy, want, want[::-1].copy()), (ours, got, other)):
            a[1:-1, 1:-1] = 0.5
            a[1:, :] = b[:-1, :]
            a[:, 2:] = a[:, :-2].copy()
            a[::2] = b[0]
        assert_same(got, want)
        assert_same(kept, numpy.arange(n * n * 1.0).reshape(n, n))
