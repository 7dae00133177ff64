"""Calls on few elements that have a way of their own: what NumPy's functions have made is taken over when somebody asks for it, elements
under masks and at places are written at once, generators and ufuncs find their methods as any class does."""

import copy
import gc
import pickle
import random
import weakref

import numpy
import pytest

import legate_jit
import legate_jit.numpy as ours
from legate_jit import _fallback
from same import assert_equal, assert_same, seen

DTYPES = ["?", "i1", "u2", "i4", "i8", "f4", "f8", "c8", "c16"]


def passed(function):
    return _fallback.function("a test's", function)


def outcome(call):
    try:
        return call()
    except Exception as e:
        return type(e), str(e)


@pytest.mark.parametrize("seed", range(6))
def test_what_numpy_has_made_is_an_array_like_any_other(seed):
    rng = random.Random(seed)
    uses = [
        lambda a: a.shape, lambda a: a.dtype, lambda a: a.tolist(), lambda a: a + a, lambda a: a[..., :1], lambda a: a.sum(),
        lambda a: len(a), lambda a: a.T, lambda a: seen(numpy.asarray(a)), lambda a: a.copy(), lambda a: a.reshape(-1), lambda a: a.nbytes,
        lambda a: a.flags.owndata, lambda a: a.itemsize, lambda a: repr(a), lambda a: a.astype("c16"),
        lambda a: pickle.loads(pickle.dumps(a)), lambda a: copy.copy(a), lambda a: a == a, lambda a: a.real, lambda a: a.base is None,
    ]  # fmt: skip
    for _ in range(80):
        shape = tuple(rng.choice([0, 1, 2, 3, 40]) for _ in range(rng.randrange(1, 6)))
        dtype = rng.choice(DTYPES)
        want = numpy.arange(int(numpy.prod(shape))).astype(dtype).reshape(shape).copy()
        got = passed(lambda: want.copy())()
        assert type(got) is ours.ndarray
        # (How far it is to the next element says nothing where there is none.)
        for use in rng.sample(uses + [lambda a: a.strides] * (want.size > 0), 3):
            g, w = outcome(lambda: use(got)), outcome(lambda: use(want))
            if isinstance(w, (numpy.ndarray, numpy.generic)):
                assert_same(g, w)
            else:
                assert_equal(g, w)


def test_what_numpy_has_made_is_written_and_written_out():
    made = passed(lambda: numpy.arange(10.0))()
    made[3] = 7.0
    assert made[3] == 7.0 and made.sum() == 49.0
    made = passed(lambda: numpy.arange(10.0))()
    made += 1.0
    assert made[0] == 1.0
    made = passed(lambda: numpy.arange(10.0))()
    out = ours.zeros(10)
    out[:] = made
    assert_same(out, numpy.arange(10.0))
    made = passed(lambda: numpy.arange(10.0) > 4)()
    assert_same(ours.arange(10)[made], numpy.arange(5, 10))
    made = passed(lambda: numpy.arange(3))()
    assert_same(ours.arange(10.0)[made], numpy.arange(3.0))
    made.shape = (3, 1)
    assert made.shape == (3, 1)


def test_what_somebody_else_has_is_shared():
    kept = []

    def make():
        kept.append(numpy.arange(10.0))
        return kept[-1]

    got = passed(make)()
    kept[0][3] = 70.0
    assert got[3] == 70.0
    got[4] = 80.0
    assert kept[0][4] == 80.0
    # A view of what somebody has, in a tuple that somebody has.
    pair = (kept[0][2:], 1)
    first, _ = passed(lambda: pair)()
    kept[0][5] = 90.0
    assert first[3] == 90.0


def test_what_numpy_has_made_goes_with_its_array():
    class Array(numpy.ndarray):
        pass

    for size in (10, 100_000):
        made = numpy.arange(float(size))
        gone = weakref.ref(made)
        holder = [made]
        del made
        got = passed(holder.pop)()
        assert gone() is not None
        if size == 10:
            assert got[3] == 3.0 and gone() is None
        del got
        gc.collect()
        assert gone() is None
    assert type(passed(lambda: numpy.arange(3.0).view(Array))()) is Array


def test_flags_and_flat_let_go_of_their_array():
    a = ours.arange(100_000.0)
    gone = weakref.ref(a)
    flags, flat = a.flags, a.flat
    assert flags["C"] and flags["OWNDATA"] and flat[3] == 3.0 and next(flat) == 0.0
    del a
    assert gone() is not None
    del flags, flat
    assert gone() is None


@pytest.mark.parametrize("key", ["C", "C_CONTIGUOUS", "F", "W", "WRITEABLE", "A", "O", "X", "FNC", "FORC", "B", "CA", "FA", "no", 3])
def test_flags_by_name(key):
    for make in (lambda np: np.ones((2, 3)), lambda np: np.ones((2, 3)).T, lambda np: np.ones(5)[::2]):
        assert outcome(lambda: make(ours).flags[key]) == outcome(lambda: make(numpy).flags[key])


FILLS = """
np.putmask(a, c, 0.5)
np.putmask(a, c, 2)
np.putmask(a, c, True)
np.putmask(a, c, [1.0, 2.0])
np.putmask(a, c[:3], 1.0)
np.putmask(a, a > 3, 1j)
np.putmask(a, c, np.float64(3.5))
np.putmask(i, c, 3)
np.putmask(i, c, 3.5)
np.putmask(i, c, 1 << 60)
np.putmask(i, i, 7)
np.putmask(c, c, False)
np.putmask(m, m > 4, -1.0)
np.putmask(m.T, m.T > 4, -1.0)
np.putmask(a[::2], c[::2], -1.0)
np.putmask(a, mask=c, values=1.0)
np.place(a, c, [1.5])
np.place(a, c, [1.5, 2.5])
np.place(a, c, [])
np.place(a, c, 1.5)
np.place(i, c, [2])
np.place(i, c, [2.5])
np.place(m, m > 4, [0.25])
a.put([1], 2.0)
a.put([1, -1], 2)
a.put([1, 2], [3.0, 4.0])
a.put([10], 1.0)
a.put([1, 10], 1.0)
a.put([-11], 1.0)
a.put([11], 1.0, mode="wrap")
a.put([11], 1.0, "clip")
a.put(1, 2.0)
a.put([], 2.0)
a.put(i[:3], 9.0)
a.put(i[:4].reshape(2, 2), 9.0)
a.put([True, False], 9.0)
a.put([1.0], 9.0)
a.put([1], 1j)
a.put([1], "x")
i.put([1], 2)
i.put([1], 2.7)
i.put([1], 1 << 62)
i.put([1], 1 << 70)
m.put([5], 2.0)
m.T.put([5], 2.0)
a[::2].put([1], 2.0)
c.put([1], True)
f.put([1], 2.5)
f.put([1], 2)
a[c] = 0.5
a[c] = 1j
a[c] = np.float32(0.5)
c[c] = False
m[m > 4] = 0.5
m[::2][m[::2] > 4] = 0.5
b[c] = 5.0; a[c] = b[c]
d = a.copy(); a[c] = 1.0; m[0, :3] = d[:3]
d = a + 1.0; a[c] = 1.0; m[0, :3] = d[:3]
r[c] = 1.0
np.putmask(r, c, 1.0)
r.put([1], 1.0)
""".strip().splitlines()


@pytest.mark.parametrize("call", FILLS)
def test_elements_under_masks_and_at_places(call):
    def run(np):
        a, i = np.arange(10.0), np.arange(10)
        place = dict(
            np=np, a=a, b=a * 2.0, i=i, c=i % 3 > 0, m=np.arange(12.0).reshape(3, 4), f=np.arange(5, dtype="f4"), r=np.arange(10.0),
        )  # fmt: skip
        place["r"].flags.writeable = False
        try:
            exec(call, place)
            failed = None
        except Exception as e:
            failed = type(e), str(e)
        return failed, [numpy.asarray(place[name]).tolist() for name in "abimcfr"]

    assert run(ours) == run(numpy)


def test_masks_that_share_memory_with_what_they_choose():
    for np in (numpy, ours):
        shared = numpy.arange(8, dtype=np.uint8) % 2
        a, mask = np.asarray(shared), np.asarray(shared.view(bool))
        a[mask] = 0
        assert shared.sum() == 0


@pytest.mark.parametrize("dtype", DTYPES[:-2])
@pytest.mark.parametrize("n", [1, 2, 3, 9, 23, 24, 25, 40, 100])
def test_the_place_of_the_best_of_few(dtype, n):
    rng = numpy.random.default_rng(n)
    for kind in range(4):
        rows = rng.integers(0, 4 if kind % 2 else 100, (5, n)).astype(dtype)
        if kind > 1 and rows.dtype.kind == "f":
            rows[rng.random(rows.shape) < 0.2] = [numpy.nan, numpy.inf][kind % 2]
        mine = ours.asarray(rows)
        for name in ("argmin", "argmax"):
            want = getattr(rows, name)
            assert_same(getattr(mine, name)(axis=1), want(axis=1))
            assert_same(getattr(mine, name)(axis=0), want(axis=0))
            assert_equal(getattr(mine[0], name)(), want(axis=1)[0])


@pytest.mark.parametrize(
    "call",
    """
np.add.reduce(a)
np.add.reduce(m)
np.add.reduce(m, 1)
np.add.reduce(m, axis=1)
np.add.reduce(m, axis=-1, keepdims=True)
np.add.reduce(a, keepdims=True)
np.add.reduce(m, axis=None)
np.add.reduce(m, axis=(0, 1))
np.add.reduce(m, axis=())
np.add.reduce(a, 5)
np.add.reduce(3.0)
np.add.reduce([1, 2, 3])
np.add.reduce(array=a)
np.add.reduce()
np.add.reduce(a, initial=4.0)
np.add.reduce(a, dtype="f4")
np.add.reduce(a[:0])
np.minimum.reduce(a)
np.minimum.reduce(a[:0])
np.logical_and.reduce(c)
np.logical_and.reduce(a)
np.subtract.reduce(a)
np.sqrt.reduce(a)
np.hypot.reduce(a)
np.bitwise_xor.reduce(i)
np.add.nin
np.add.nout
np.add.types
np.add.identity
np.add.signature
np.add.__name__
np.add.nothing
np.sqrt.ntypes
hasattr(np.matmul, "at")
""".strip().splitlines(),
)
def test_ufuncs(call):
    def run(np):
        a = np.arange(1.0, 11.0)
        place = dict(np=np, a=a, i=np.arange(10), c=a > 0.5, m=np.arange(12.0).reshape(3, 4))
        return outcome(lambda: eval(call, place))

    got, want = run(ours), run(numpy)
    if isinstance(want, numpy.ndarray):
        assert_same(got, want)
    else:
        assert_equal(got, want)


def test_ufuncs_know_what_numpys_know():
    assert set(dir(numpy.add)) - {"__array_ufunc__"} <= set(dir(ours.add))
    assert ours.add.reduce.__name__ == "reduce"


@pytest.mark.parametrize("form", ["a", "m", "m.T", "m[:, ::2]", "m[None]", "a[:0]", "a[::-1]", "3.0", "[1, 2]", "'ab'", "a.reshape(1, 2, 1, 5)"])
def test_elements_with_their_indices(form):
    def run(np):
        return list(np.ndenumerate(eval(form, dict(a=np.arange(10.0), m=np.arange(12).reshape(3, 4)))))

    got, want = run(ours), run(numpy)
    assert got == want and [type(x) for x in got] == [type(x) for x in want]
    assert [type(v) for _, v in got] == [type(v) for _, v in want]
    assert isinstance(ours.ndenumerate(ours.arange(3)), ours.ndenumerate)


def test_generators_have_their_methods_in_their_class():
    g, w = ours.random.default_rng(5), numpy.random.default_rng(5)
    assert "random" in dir(ours.random.Generator) and "__dict__" not in dir(g)
    for name in dir(numpy.random.Generator):
        assert name.startswith("__") or hasattr(g, name), name
    draw = g.normal
    assert_same(draw(size=4), w.normal(size=4))
    assert_same(ours.random.Generator.random(g, 3), w.random(3))
    assert_same(g.random(size=3), w.random(size=3))
    assert_same(g.choice(ours.arange(10), 3), w.choice(numpy.arange(10), 3))
    assert repr(g).startswith("Generator(PCG64)") and str(g) == str(w)
    assert outcome(lambda: g.nothing) == outcome(lambda: w.nothing)
    assert outcome(lambda: g.integers(5, 2, 3)) == outcome(lambda: w.integers(5, 2, 3))
    assert outcome(lambda: ours.random.Generator(3)) == outcome(lambda: numpy.random.Generator(3))
    for again in (copy.copy(g), copy.deepcopy(g), pickle.loads(pickle.dumps(g))):
        assert type(again) is ours.random.Generator
        assert again.bit_generator.state["bit_generator"] == "PCG64"
    assert_same(copy.deepcopy(g).random(3), g.random(3))
    assert [type(child) for child in g.spawn(2)] == [ours.random.Generator] * 2
    r, s = ours.random.RandomState(3), numpy.random.RandomState(3)
    assert_same(r.rand(4), s.rand(4))
    assert_same(r.normal(size=2), s.normal(size=2))
    r.seed(4)
    s.seed(4)
    assert r.randint(1000) == s.randint(1000)


def test_objects_that_are_indexed():
    for call in ("np.r_[a, 1, b]", "np.c_[a, b]", "np.mgrid[0:3, 0:2]", "np.ogrid[0:3, 0:2]", "np.r_['x']", "np.r_[0:3, a]", "len(np.r_)"):
        got, want = (outcome(lambda: eval(call, dict(np=np, a=np.arange(3.0), b=np.arange(3.0)))) for np in (ours, numpy))
        if isinstance(want, numpy.ndarray):
            assert type(got) is ours.ndarray
            assert_same(got, want)
        else:
            assert_equal(got if type(got) is type(want) else want, want)
    assert legate_jit.numpy.r_ is legate_jit.numpy.r_


@pytest.mark.parametrize("shape", [(3,), (2, 3), (3, 2, 4), (2, 1, 3, 2)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_copies_in_another_order(shape, dtype):
    rng = random.Random(len(shape))
    want = numpy.arange(int(numpy.prod(shape))).astype(dtype).reshape(shape)
    got = ours.asarray(want.copy()) + ours.zeros(1, dtype)
    want = want + numpy.zeros(1, dtype)
    for _ in range(8):
        order = rng.sample(range(len(shape)), len(shape))
        step = rng.choice([1, 2, -1])
        g, w = got.transpose(order)[..., ::step], want.transpose(order)[..., ::step]
        for call in (lambda a, np: a.copy(), lambda a, np: np.ascontiguousarray(a), lambda a, np: a.ravel(), lambda a, np: a.flatten()):
            assert seen(numpy.asarray(call(g, ours))) == seen(call(w, numpy))
