"""Bad input raises NumPy's exception with NumPy's words, where the call stands, and the session goes on."""

import numpy
import pytest
from same import assert_same

import legate_jit.numpy as ours

# Each case is an expression over the array module `np`, run with both; `a` is 3x4, `v` has 3 elements, `i` is integer,
# `z` is complex, `s` a scalar, `e` is empty, `c` a writable copy of `a`.
EXPRESSIONS = """
a + v
v + np.ones(4)
np.add(a, np.ones((2, 2)))
a * np.ones((4, 3))
a[3]
a[-4]
a[0, 4]
a[0, 0, 0]
a[1, -5]
a[:, :, :]
a[..., ...]
a["x"]
a[1.5]
a[0, 1.5]
v[10**30]
v[::0]
a[[5]]
a[np.ones(4, bool)]
a[np.ones((3, 4, 1), bool)]
a.sum(axis=2)
a.sum(axis=-3)
a.sum(axis=(0, 0))
a.sum(axis=(0, 5))
np.sum(a, axis=2)
np.sum(a, axis=np.array([0, 1]))
a.max(axis=np.array([1]))
a.argmax(axis=np.array([0]))
np.any(a, axis=[0])
np.mean(a, axis=np.array([0, 1]))
np.zeros(3, dtype=np.array([1.0]))
a.astype(np.array([1]))
a.max(axis=7)
a.mean(axis=2)
a.argmax(axis=3)
np.argmin(e)
np.argmax(e)
e.min()
np.max(e)
np.max(np.ones((0, 3)), axis=0)
a.reshape(5, 5)
a.reshape(-1, -1)
a.reshape(7, -1)
a.transpose(0)
a.transpose(0, 0)
a.transpose(0, 2)
a.swapaxes(0, 2)
np.moveaxis(a, 0, 3)
a.squeeze(0)
np.squeeze(a, axis=5)
np.expand_dims(a, 4)
np.zeros(-1)
np.zeros((2, -3))
np.zeros(2.5)
np.zeros("ab")
np.zeros((2, "a"))
np.ones(3, dtype="nonsense")
np.concatenate([])
np.concatenate([a, v])
np.concatenate([a, a[:, :2]])
np.concatenate([a, a], axis=2)
np.concatenate(5)
np.concatenate([s, s])
np.stack([])
np.stack([v, v[:2]])
np.stack([a, a], axis=5)
np.vstack([a, v])
np.hstack([a, v])
np.broadcast_to(v, (2, 4))
np.broadcast_to(a, (4,))
np.broadcast_arrays(a, v)
a @ a
a @ v
v @ np.ones(4)
a @ 3
2 @ a
s @ v
np.matmul(a, a)
np.dot(a, a)
np.dot(a, v)
np.tensordot(a, a, 1)
float(a)
int(v)
complex(v)
bool(a)
bool(e)
if_(a > 1)
a.item()
a.item(100)
len(s)
len(np.array(1.0))
hash(a)
[1, 2, 3][v]
range(v)
range(s)
iter(np.array(2.0))
np.bitwise_and(v, v)
v & v
~v
v << 1
np.left_shift(1.5, i)
i ** -1
2 ** -i
np.invert(z)
z < "x"
np.floor(z)
np.remainder(z, 2)
z % 2
z // 2
np.maximum(a, np.ones(7))
np.add(a)
np.add(a, a, a, a)
np.sqrt()
np.add(a, a, dtype=int)
np.add(a, a, dtype=bool)
np.add(a, a, casting="nonsense")
np.sqrt(i, casting="no")
np.sqrt(i, casting="equiv")
np.add(i, a, casting="no")
np.equal(i, a, casting="equiv")
np.add(i, 1.5, casting="no")
np.less(a, v, dtype=float)
np.less(i, i, dtype=int)
np.logical_not(i, dtype=int)
np.isnan(a, dtype=float)
np.sin(a, dtype=int)
np.add(a, a, out=np.zeros(3))
np.add(a, a, out=np.zeros((3, 4), int))
np.add(a, 1, out=5)
np.add(a, 1, nonsense=2)
np.exp(a, where=a)
a.astype("nonsense")
a.astype(int, casting="safe")
z.astype(float, casting="same_kind")
np.uint8(3) + i.astype("u1") + 300
i.astype("u1") + 256
i.astype("i1") * -129
i.astype("u1") - (-1)
np.full(3, 300, dtype="u1")
c.__setitem__(5, 1)
c.__setitem__((0, 9), 1)
c.__setitem__(0, np.ones(3))
c.__setitem__((slice(None), 1), np.ones(4))
c.__setitem__(slice(0, 2), np.ones((3, 4)))
c.__setitem__((0, 0), "x")
c.__setitem__((0, 0), [1, 2])
c.__setitem__((0, 0), 1j)
c.__setitem__((slice(None), slice(None)), [[1, 2], [3]])
c.__setitem__(c > 100, np.ones((2, 7)))
c.__delitem__(0)
c.__iadd__(np.ones(3))
c.__iadd__(np.ones((2, 3, 4)))
i.copy().__iadd__(0.5)
i.copy().__itruediv__(2)
i.copy().__imul__(1j)
np.broadcast_to(v, (3, 3)).__setitem__(0, 1)
np.broadcast_to(v, (3, 3)).__iadd__(1)
a.diagonal().__setitem__(0, 1)
np.where(a, v, v)
np.where(v > 0, a, a)
np.where(1, 2)
np.linspace(0, 1, -1)
np.arange(0, 1, 0)
np.arange()
np.eye(3, 3, 0.5)
a.reshape(-1, 7, 2)
a.reshape(2.5)
a.sum(axis=1.5)
a.sum(axis='x')
np.zeros(None)
np.diff(s)
np.diff(v, n=-1)
np.trace(v)
np.diagonal(v)
a.diagonal(0, 0, 0)
a.diagonal(0, 0, 2)
np.flip(a, 2)
np.roll(a, 1, 5)
np.tile(a, -1)
np.repeat(v, -1)
np.repeat(v, [1, 2])
np.meshgrid(v, indexing="zz")
np.split(v, 2)
np.array_split(v, 0)
np.nonsense
np.linalg.nonsense
a.nonsense
s.nonsense
np.linalg.inv(a)
np.linalg.inv(np.zeros((2, 2)))
np.linalg.cholesky(-np.eye(2))
np.fft.fft(a, axis=4)
np.random.default_rng(0).integers(5, 1)
np.random.rand(-1)
np.random.normal(0, -1)
np.cumsum(a, axis=2)
np.take(v, 7)
np.sum(a, dtype="nonsense")
np.array([[1, 2], [3]])
np.array([1, 2], dtype="i1", ndmin=100)
np.array(300, dtype="u1")
np.asarray(v, dtype="nonsense")
np.outer(a)
np.einsum("ij,jk", a, a)
np.tri(-2, 2, "x")
np.tensordot(a, a, ((0,), (1,)))
np.tensordot(a, a, ((0, 0), (1, 1)))
np.tensordot(a, a, ((7,), (0,)))
np.tensordot(a, a, 5)
np.tensordot(a, a, None)
np.tensordot(a, a, ((0, 1), (0,)))
np.copyto(c, np.ones(7))
np.copyto(i, 1.5)
np.expand_dims(v, (0, 0))
np.rot90(v)
np.unstack(s)
""".strip().splitlines()


def _setting(np):
    a = np.arange(12.0).reshape(3, 4)
    return dict(
        np=np, a=a, v=np.arange(3.0), i=np.arange(1, 5), z=np.array([1 + 2j, 3.0]), s=np.arange(4.0).sum(), e=np.zeros(0),
        c=a.copy(), if_=lambda x: 1 if x else 2,
    )  # fmt: skip


def _fails(np, text):
    try:
        result = eval(text, _setting(np))
        # Errors that depend on values come at the latest when the value is asked for.
        numpy.asarray(result)
    except Exception as e:
        return e
    raise AssertionError(f"{text}: no exception from {np.__name__}, but {result!r}")


def _words(e):
    return str(e).replace("legate_jit.numpy.", "numpy.").replace("'numpy.scalar'", "'numpy.float64'").strip()


@pytest.mark.parametrize("text", EXPRESSIONS)
@pytest.mark.filterwarnings("ignore")
def test_same_exception(text):
    want = _fails(numpy, text)
    got = _fails(ours, text)
    builtin = next(c for c in type(want).__mro__ if c.__module__ in ("builtins", "numpy.exceptions", "numpy.linalg"))
    assert isinstance(got, builtin), f"{type(got).__name__}: {got}; NumPy: {type(want).__name__}: {want}"
    assert _words(got) == _words(want)


def test_the_traceback_ends_at_the_call():
    a = ours.zeros(3)
    with pytest.raises(ValueError) as caught:
        b = a + 1
        c = b * ours.zeros(4)
        c.sum()
    assert caught.traceback[-1].lineno + 1 == caught.traceback[-1].frame.code.firstlineno + 5


def test_work_goes_on_after_an_error():
    a = ours.arange(6.0)
    b = a * 2
    for text in ("b + ours.zeros(4)", "b[9]", "b.sum(axis=3)"):
        with pytest.raises((ValueError, IndexError)):
            eval(text, dict(b=b, ours=ours))
        b += 1
    assert_same(b, numpy.arange(6.0) * 2 + 3)


def test_an_in_place_error_changes_nothing():
    a = ours.arange(6)
    with pytest.raises(TypeError):
        a += 0.5
    with pytest.raises(ValueError):
        a += ours.zeros(4, int)
    assert_same(a, numpy.arange(6))


def test_too_much_memory_is_a_memory_error():
    with pytest.raises(MemoryError):
        ours.zeros((1 << 50,))
    with pytest.raises(ValueError, match="too big|Maximum allowed"):
        ours.zeros((1 << 40, 1 << 40))
