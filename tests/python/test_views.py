"""Views alias, writes show through them, and overlap acts as if the right side had been copied."""

import numpy
import pytest
from same import assert_same

import legate_jit.numpy as ours

both = pytest.mark.parametrize("np", [numpy, ours], ids=["numpy", "ours"])


def run(program):
    """What a program returns from both modules must be the same."""
    want, got = program(numpy), program(ours)
    assert len(want) == len(got)
    for k, (g, w) in enumerate(zip(got, want)):
        assert_same(g, w, context=f"result {k}")


PROGRAMS = {}


def program(f):
    PROGRAMS[f.__name__] = f
    return f


@program
def write_through_views(np):
    a = np.arange(24.0).reshape(4, 6)
    row, column, window, back = a[1], a[:, 2], a[1:3, 2:5], a[::-1, ::-2]
    row[0] = -1
    column += 10
    window[...] = window * 2
    back[0, 0] = 99
    a[2] = row
    return a, row, column, window, back, a.T, a.reshape(-1)


@program
def reads_see_the_moment(np):
    a = np.arange(6.0)
    before = a + 0
    view = a[::2]
    sums = [a.sum(), view.sum()]
    a[:] = 7
    after = a + 0
    return before, view, *sums, after, a.sum()


@program
def copies_are_apart(np):
    p = np.arange(9.0).reshape(3, 3)
    pn = p.copy()
    p[1, 1] = 50
    q = p.copy()
    q += 1
    pn[0] = -3
    return p, pn, q


@program
def overlap(np):
    a = np.arange(10.0)
    a[1:] += a[:-1]
    b = np.arange(10.0)
    b[:-1] = b[1:]
    c = np.arange(10.0)
    c[::-1] = c
    d = np.arange(16.0).reshape(4, 4)
    d[1:, 1:] = d[:-1, :-1]
    d[:] = d.T
    e = np.arange(5)
    e *= e[::-1]
    return a, b, c, d, e


@program
def stencil(np):
    p = np.zeros((8, 9))
    p[:, -1] = np.linspace(0, 1, 8)
    for _ in range(7):
        pn = p.copy()
        p[1:-1, 1:-1] = 0.25 * (pn[1:-1, 2:] + pn[1:-1, :-2] + pn[2:, 1:-1] + pn[:-2, 1:-1])
        p[0] = p[1]
    return p, pn, np.sqrt(np.sum((p - pn) ** 2))


@program
def swap(np):
    a, b = np.arange(5.0), np.zeros(5)
    for k in range(4):
        b[1:-1] = a[2:] - a[:-2]
        a, b = b, a
    return a, b


@program
def indices(np):
    a = np.arange(60).reshape(3, 4, 5)
    return (
        a[0], a[-1], a[0, 1], a[0, 1, 2], a[..., 0], a[:, None], a[None, ..., None, 1], a[1:2], a[::-1], a[:, ::-2, 1:],
        a[2:1], a[5:], a[-100:100:2], a[1:, 0, ::3], a[()], a[...], a[np.int64(1)], a[True], a[0:0, 1],
        a[1, 2, 3, ...], a[:, -1, -1],
    )  # fmt: skip


@program
def advanced(np):
    a = np.arange(20).reshape(4, 5)
    m = a % 3 == 0
    b = a.copy()
    b[m] = -1
    c = a.copy()
    c[[0, 2]] = c[[1, 3]]
    d = a.copy()
    d[m] = d[m] * 2
    e = a.copy()
    e[a > 7] += 100
    f = a.copy()
    f[np.array([0, 1]), np.array([2, 3])] = 77
    g = a.copy()
    g[g.sum(axis=1) > 20] = 0
    return a[m], a[[1, 2]], a[:, [0, 0, 4]], a[np.array([[0, 1], [2, 3]])], b, c, d, e, f, g, a[m].sum()


@program
def elements(np):
    a = np.zeros((5, 5))
    b = np.arange(5.0)
    for i in range(5):
        for j in range(5):
            a[i, j] = b[i] + b[j - 1] * 2 if i else b[j]
    for i in range(1, 5):
        a[i, 0] += a[i - 1, 0]
    total = 0
    for x in b:
        total = total + x
    return a, total, a[2, 3], b[-1]


@program
def pending_elements(np):
    b = np.arange(40.0) * 2
    total = 0.0
    for k in range(40):
        total = total + b[k]
    c = b + 1
    for k in range(1, 40):
        c[k] = c[k - 1] + b[k]
    return total, c


@program
def in_place_operators(np):
    f = np.arange(1.0, 7.0)
    f += 1; f -= 0.5; f *= 2; f /= 3; f //= 0.5; f %= 3; f **= 2  # fmt: skip
    i = np.arange(1, 7)
    i += 1; i -= 2; i *= 3; i //= 2; i %= 5; i **= 2; i <<= 1; i >>= 1; i |= 8; i &= 13; i ^= 5  # fmt: skip
    m = np.eye(3) * 2
    m @= np.ones((3, 3))
    return f, i, m


@program
def same_array_twice(np):
    a = np.arange(4.0)
    alias = a
    a += alias
    a[:2], b = a[2:], a[0]
    return a, alias, b


@program
def shapes(np):
    a = np.arange(24.0).reshape(2, 3, 4)
    b = a.reshape(6, 4)
    b[0] = -1
    c = a.T.reshape(-1)
    c[0] = 1000
    d = a.ravel()
    d[1] = 500
    e = a.transpose(1, 0, 2)[0]
    e += 0.25
    a.shape = (4, 6)
    f = a.swapaxes(0, 1).copy()
    g = np.squeeze(np.ones((1, 3, 1)))
    return a, b, c, d, e, f, g, a.flatten(), np.expand_dims(a, 1), np.moveaxis(a.reshape(2, 3, 4), 0, -1)


@program
def complex_parts(np):
    z = np.arange(6) * (1 + 2j)
    z.real = 7
    z.imag[::2] = -1
    w = z.copy()
    w.imag += 3
    return z, z.real, z.imag, w, z.conj(), abs(z[1]), np.arange(3.0).imag


@program
def empties(np):
    e = np.zeros((0, 3))
    return e, e + 1, e.sum(), e.sum(axis=0), e.sum(axis=1), e.T, e[:, 1], np.concatenate([e, np.ones((2, 3))]), e.prod()


@program
def zero_dimensions(np):
    a = np.array(3.0)
    b = a + 1
    a[...] = 5
    a += 2
    c = a[()]
    s = np.arange(4).sum()
    s += 1
    return a, b, c, s, a * np.ones(2), np.array(2) ** 3, a.reshape(1, 1)


@program
def broadcast_writes(np):
    a = np.zeros((3, 4))
    a[:] = np.arange(4)
    a[:, 0] = 5
    a[1] += np.arange(4)[::-1]
    a[:, 1:3] = np.array([[1], [2], [3]])
    a[...] *= np.array([[2.0], [1], [0.5]])
    b = np.zeros((2, 2), int)
    b[0] = 3.9
    b[1] = True
    return a, b


@program
def orders(np):
    a = np.arange(12.0).reshape(3, 4)
    f = a.T + 1
    g = np.zeros_like(a.T)
    return f, g, a.T.copy(), f.sum(axis=0), f.sum(axis=1), f.ravel(), np.concatenate([a.T, a.T]), (a.T + a.reshape(4, 3))


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name):
    run(PROGRAMS[name])


def test_strides_and_flags_are_numpys():
    for make in (
        lambda np: np.zeros((3, 4)),
        lambda np: np.zeros((3, 4)).T,
        lambda np: np.zeros((3, 4))[:, ::-2],
        lambda np: np.zeros((3, 4), order="F"),
        lambda np: np.zeros((3, 4)).T + 1,
        lambda np: np.zeros((3, 4), "F").imag,
        lambda np: np.broadcast_to(np.zeros(3), (2, 3)),
        lambda np: np.zeros((3, 4)).reshape(2, 6)[1:],
    ):
        w, g = make(numpy), make(ours)
        assert (g.strides, g.shape, g.ndim, g.size, g.itemsize, g.nbytes) == (
            w.strides, w.shape, w.ndim, w.size, w.itemsize, w.nbytes,
        )  # fmt: skip
        for flag in ("c_contiguous", "f_contiguous", "writeable", "aligned"):
            assert getattr(g.flags, flag) == getattr(w.flags, flag), flag
        assert g.flags["C_CONTIGUOUS"] == w.flags["C_CONTIGUOUS"]


def test_base():
    a = ours.zeros((3, 4))
    assert a.base is None
    assert a[1:].base is not None and a[1:].base.shape == (3, 4)


def test_numpy_sees_the_same_memory():
    a = ours.arange(12.0).reshape(3, 4)
    real = numpy.asarray(a)
    a[0, 0] = 100
    assert real[0, 0] == 100
    real[1] = -1
    assert_same(a[1], numpy.full(4, -1.0))
    a[2] += 1
    assert real[2, 0] == 9
    view = a[:, 1]
    real[:, 1] = 5
    assert_same(view + 0, numpy.full(3, 5.0))
    b = a.copy()
    real[:] = 0
    assert float(b[1, 1]) == 5
    del real
    a += 1
    assert_same(a, numpy.ones((3, 4)))


def test_we_see_numpys_memory():
    real = numpy.arange(6.0)
    a = ours.asarray(real)
    real[0] = 50
    assert float(a[0]) == 50
    a[1] = 60
    a[2:] *= 2
    assert real.tolist() == [50, 60, 4, 6, 8, 10]
    part = ours.asarray(numpy.arange(20).reshape(4, 5)[::2, 1::2])
    part += 1
    assert part.tolist() == [[2, 4], [12, 14]]


def test_a_pending_read_comes_before_numpys_write():
    a = ours.arange(4.0)
    b = a * 10
    numpy.asarray(a)[:] = -1
    assert b.tolist() == [0, 10, 20, 30]


def test_results_of_numpy_alias_as_they_should():
    a = ours.arange(10.0)
    windows = ours.lib.stride_tricks.sliding_window_view(a, 3)
    a[0] = 42
    assert windows[0, 0] == 42 and windows.shape == (8, 3)
    ours.fill_diagonal(m := ours.zeros((3, 3)), 4)
    assert_same(m, numpy.eye(3) * 4)
    x = ours.array([3.0, 1.0, 2.0])
    x.sort()
    assert x.tolist() == [1, 2, 3]


def test_shapes_and_axes_may_be_arrays():
    def program(np, made):
        a = np.array(numpy.arange(24.0).reshape(2, 3, 4))
        axes, shape = made([2, 0, 1]), made([6, 4])
        yield a.transpose(axes)
        yield np.transpose(a, axes)
        yield a.reshape(shape)
        yield np.reshape(a, shape)
        yield np.zeros(shape)
        yield np.full(shape, 2.5)
        yield np.broadcast_to(a[0, 0], shape)
        yield np.zeros(made(5))
        yield np.sum(a, axis=made(1))

    for made in (numpy.array, ours.array, lambda x: x, lambda x: x if isinstance(x, int) else tuple(x)):
        for got, want in zip(program(ours, made), program(numpy, made)):
            assert_same(got, want)
