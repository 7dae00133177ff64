"""What every kind of call costs from Python, beside NumPy: one table.

    python bench/calls.py [--rounds 7] [--ms 4] [--only WORD] [--sizes 10,100,1000] [--more] [--out bench/results]

Each line is one statement, run many times in a loop in this process; NumPy and legate_jit take turns, and the least time of
the rounds counts (other processes only ever add). Times are processor time of the calling thread, so that a loaded machine
says the same, and are all there is: whatever is recorded is also run, a share of each flush falls on the call that fills
the trace, and results are dropped as a program would drop them. The cost of an empty loop is taken off.

The last column is NumPy's time over ours: above 1 we are faster. Lines below 1 are marked.
"""

import argparse
import json
import sys
import time
from itertools import repeat
from pathlib import Path

import harness

# (name, statement). Calls whose time does not depend on how many elements there are come at the first size only. What stands before `|` is set up once, with np, n, and what SETUP makes.
SETUP = """
a = np.arange(1.0, 1.0 + n)
b = np.arange(2.0, 2.0 + n)
i = np.arange(n)
side = max(10, int(n**0.5))
m = np.array([[float(r * 10 + c) for c in range(side)] for r in range(side)])
k = m * 1.5
s = a.sum()
"""
CALLS = [
    ("a + b", "a + b"),
    ("a * 2.0", "a * 2.0"),
    ("2 * a", "2 * a"),
    ("a ** 2", "a ** 2"),
    ("-a", "-a"),
    ("a > b", "a > b"),
    ("np.add(a, b)", "np.add(a, b)"),
    ("np.sqrt(a)", "np.sqrt(a)"),
    ("np.maximum(a, 2.0)", "np.maximum(a, 2.0)"),
    ("np.where(c, a, b)", "c = a > b | np.where(c, a, b)"),
    ("a += b", "a += b"),
    ("a *= 0.5", "a *= 0.5"),
    ("np.add(a, b, out=a)", "np.add(a, b, out=a)"),
    ("m[1:-1, 2:]", "m[1:-1, 2:]"),
    ("m[1:-1, 0]", "m[1:-1, 0]"),
    ("m[3]", "m[3]"),
    ("a[2:5]", "a[2:5]"),
    ("a[::-1]", "a[::-1]"),
    ("m[:, None]", "m[:, None]"),
    ("m[..., 0]", "m[..., 0]"),
    ("m.T", "m.T"),
    ("m.reshape(side, side)", "m.reshape(side, side)"),
    ("m.reshape(-1)", "m.reshape(-1)"),
    ("m.ravel()", "m.ravel()"),
    ("m.transpose(1, 0)", "m.transpose(1, 0)"),
    ("np.transpose(m)", "np.transpose(m)"),
    ("a.shape", "a.shape"),
    ("a.dtype", "a.dtype"),
    ("a.ndim", "a.ndim"),
    ("a.size", "a.size"),
    ("len(a)", "len(a)"),
    ("m[1:-1, 1:-1] = 0", "m[1:-1, 1:-1] = 0"),
    ("m[0, :] = m[1, :]", "m[0, :] = m[1, :]"),
    ("m[1:, :] = k[:-1, :]", "m[1:, :] = k[:-1, :]"),
    ("m[1:-1, 1:-1] += 1.0", "m[1:-1, 1:-1] += 1.0"),
    ("a[:] = b", "a[:] = b"),
    ("a[3]", "a[3]"),
    ("m[1, 2]", "m[1, 2]"),
    ("m[1][2]", "m[1][2]"),
    ("a[i[3]]", "a[i[3]]"),
    ("a.item(3)", "a.item(3)"),
    ("float(a[3])", "float(a[3])"),
    ("a[3] = 1.5", "a[3] = 1.5"),
    ("m[1, 2] = 1.5", "m[1, 2] = 1.5"),
    ("m[1, 2] += 1.0", "m[1, 2] += 1.0"),
    ("a[3] = b[4]", "a[3] = b[4]"),
    ("m[2, 3] = k[1, 3] + a[5]", "m[2, 3] = k[1, 3] + a[5]"),
    ("a[3] + b[4]", "a[3] + b[4]"),
    ("if a[3] > b[4]", "if a[3] > b[4]: pass"),
    ("x = a + b; x[0]", "x = a + b; x[0]"),
    ("float((a + b)[0])", "float((a + b)[0])"),
    ("loop with other work pending", "o = k * 2.0 | q = k * 2.0; m[2, 3] = k[1, 3] + a[5]; a[5] = m[2, 3]; a[6] = k[1, 2]"),
    ("a.sum()", "a.sum()"),
    ("np.sum(a)", "np.sum(a)"),
    ("float(a.sum())", "float(a.sum())"),
    ("float(np.sum(a * b))", "float(np.sum(a * b))"),
    ("m.sum(axis=0)", "m.sum(axis=0)"),
    ("a.max()", "a.max()"),
    ("a.mean()", "a.mean()"),
    ("a.argmax()", "a.argmax()"),
    ("np.any(a > b)", "np.any(a > b)"),
    ("bool((a > b).any())", "bool((a > b).any())"),
    ("if s < 1e9 (0-d result)", "if s < 1e9: pass"),
    ("if a.sum() < 1e9", "if a.sum() < 1e9: pass"),
    ("s + 1.0", "s + 1.0"),
    ("s * s", "s * s"),
    ("np.sqrt(s)", "np.sqrt(s)"),
    ("float(s)", "float(s)"),
    ("bool(s)", "bool(s)"),
    ("np.sqrt(2.0)", "np.sqrt(2.0)"),
    ("a.dot(b)", "a.dot(b)"),
    ("a @ b", "a @ b"),
    ("m @ k", "m @ k"),
    ("m @ m[0]", "m @ m[0]"),
    ("np.zeros(n)", "np.zeros(n)"),
    ("np.zeros((10, 10))", "np.zeros((10, 10))"),
    ("np.ones(n)", "np.ones(n)"),
    ("np.empty(n)", "np.empty(n)"),
    ("np.full(n, 2.5)", "np.full(n, 2.5)"),
    ("np.zeros_like(a)", "np.zeros_like(a)"),
    ("np.arange(n)", "np.arange(n)"),
    ("np.array([1.0, 2.0, 3.0])", "np.array([1.0, 2.0, 3.0])"),
    ("np.asarray(a)", "np.asarray(a)"),
    ("a.copy()", "a.copy()"),
    ("m.copy()", "m.copy()"),
    ("a.astype(int)", "a.astype(int)"),
    ("a.tolist()", "a.tolist()"),
    ("for x in a", "for x in a: pass"),
    ("for r in m", "for r in m: pass"),
    ("for x in a: t += x", "t = 0.0 | for x in a: t += x"),
    ("np.concatenate((a, b))", "np.concatenate((a, b))"),
    ("np.abs(a).max()", "float(np.abs(a).max())"),
    ("np.linspace(0, 1, 10)", "np.linspace(0, 1, 10)"),
    ("a[i > 3]", "a[i > 3]"),
    ("a[c]", "c = i % 3 > 0 | a[c]"),
    ("a[i]", "a[i]"),
    ("a[i > 3] = 0.0", "a[i > 3] = 0.0"),
    ("a[c] += 1.0", "c = i % 3 > 0 | a[c] += 1.0"),
    ("a[i] = b", "a[i] = b"),
    ("a[i] += 1.0", "a[i] += 1.0"),
    ("m[i[:5], i[:5]]", "j = i[:5].copy() | m[j, j]"),
    ("np.take(a, i)", "np.take(a, i)"),
    ("np.exp(a)", "a = a / n | np.exp(a)"),
    ("np.sin(a)", "np.sin(a)"),
    ("a / b", "a / b"),
    ("(a - b) ** 2", "(a - b) ** 2"),
    ("((a - b) ** 2).sum()", "((a - b) ** 2).sum()"),
    ("np.count_nonzero(c)", "c = i % 3 > 0 | np.count_nonzero(c)"),
    ("np.nonzero(c)", "c = i % 3 > 0 | np.nonzero(c)"),
    ("np.sort(a)", "np.sort(a)"),
    ("np.argsort(a)", "np.argsort(a)"),
    ("np.cumsum(a)", "np.cumsum(a)"),
    ("a.cumsum()", "a.cumsum()"),
    ("a.std()", "a.std()"),
    ("np.mean(a)", "np.mean(a)"),
    ("np.dot(a, b)", "np.dot(a, b)"),
    ("np.outer(a, b)", "np.outer(a, b)"),
    ("np.linalg.norm(a)", "np.linalg.norm(a)"),
    ("np.clip(a, 2.0, 5.0)", "np.clip(a, 2.0, 5.0)"),
    ("np.diff(a)", "np.diff(a)"),
    ("np.roll(a, 1)", "np.roll(a, 1)"),
    ("np.stack((a, b))", "np.stack((a, b))"),
    ("np.vstack((a, b))", "np.vstack((a, b))"),
    ("np.allclose(a, b)", "np.allclose(a, b)"),
    ("np.array_equal(a, b)", "np.array_equal(a, b)"),
    ("np.isnan(a).any()", "bool(np.isnan(a).any())"),
    ("m.sum(axis=1)", "m.sum(axis=1)"),
    ("m - m.mean(axis=0)", "m - m.mean(axis=0)"),
    ("m[:, 1] * a[0]", "m[:, 1] * a[0]"),
    ("np.eye(5)", "np.eye(5)"),
    ("np.meshgrid(a, b)", "np.meshgrid(a, b)"),
    ("np.searchsorted(a, 3.5)", "np.searchsorted(a, 3.5)"),
]
# Other calls of ordinary programs, for `--more`: each line is a statement, with what MORE_SETUP makes besides.
MORE_SETUP = "c = i % 3 > 0; import copy; rng = np.random.default_rng(1)"
MORE = """
for x in a.flat: pass
a.flat[3]
a.flat[2:5]
a.flat[3] = 1.0
a.flat = 0.0
list(a.flat)
m.flat[::11]
a.view(np.int64)
a.view()
m.view(np.float64)
np.sort(a[c])
c
np.fromiter((x for x in range(10)), float)
np.fromiter(range(10), int)
a.partition(3)
np.partition(a, 3)
np.float64(2) * a
a * np.float64(2)
np.float64(2) + m
a.strides
a.itemsize
a.nbytes
a.flags
a.flags.c_contiguous
a.flags['C_CONTIGUOUS']
a.real
a.imag
a.base
a.T
m.T @ a
a.min()
a.prod()
a.var()
np.ptp(a)
a.any()
a.all()
a.argmin()
a.argsort()
a.cumprod()
a.clip(2.0, 5.0)
a.round(2)
a.round()
np.round(a, 2)
a.conj()
a.dot(b)
a.fill(1.0)
a.flatten()
m.flatten()
a.nonzero()
a.put([1], 2.0)
a.ravel()
a.repeat(2)
a.reshape(2, -1)
a.reshape((2, 5))
a.resize
a.searchsorted(3.0)
a.sort()
a.squeeze()
m.squeeze()
m.swapaxes(0, 1)
a.take([1, 2])
a.take(i)
a.tobytes()
a.tolist()
m.tolist()
m.trace()
m.diagonal()
m.sum(axis=0, keepdims=True)
m.mean(axis=0)
m.mean(axis=1)
m.max(axis=0)
m.min(axis=1)
m.std(axis=0)
m.argmax(axis=0)
m.argmax(axis=1)
m.cumsum(axis=0)
m.any(axis=0)
m.all(axis=1)
m.astype(np.float32)
a.astype(np.float64)
a.astype(np.float64, copy=False)
a.astype('f4')
a.astype(complex)
a.astype(bool)
str(a.dtype)
a.dtype == np.float64
a.dtype.kind
a.__len__()
a == b
a != b
a <= b
a // b
a % b
abs(a)
a ** 3
a ** 0.5
a ** b
2.0 ** a
1.0 / a
a - 1
i + 1
i * 2
i // 2
i % 3
i ** 2
i & 1
i ^ 1
~i
i << 1
i >> 1
i == 3
-i
divmod(a, b)
a @ b
a[-1]
a[1:]
a[:-1]
a[::2]
a[...]
a[None]
a[()]
m[1]
m[-1]
m[1, :]
m[:, 1]
m[1:3, 1:3]
m[::2, ::2]
m[[1, 2]]
m[[1, 2], [3, 4]]
m[:, [1, 2]]
m[m > 3.0]
m[i[:5]]
a[[1, 2, 3]]
a[np.array([1, 2])]
a[a > 3.0]
a[1:3] = 0.0
a[1:3] = b[1:3]
a[::2] = 1.0
m[1] = 0.0
m[1] = m[2]
m[:, 1] = 0.0
m[:, 1] = m[:, 2]
m[1, 1:3] = 1.0
m[m > 50.0] = 0.0
a[[1, 2]] = 0.0
a[1] += 1.0
a[1:3] += 1.0
m[1] += 1.0
m[1] *= 2.0
a -= b
a /= 2.0
a **= 1
i += 1
x, y = a[:2]
3.0 in a
a.shape[0]
m.shape == (10, 10)
for r in m: r[0]
for x in i: pass
for x, y in zip(a, b): pass
for k, x in enumerate(a): pass
sum(a)
max(a)
min(a)
len(m)
float(a[0])
int(i[3])
bool(a[0] > 1)
np.sin(a)
np.cos(a)
np.tan(a)
np.log(a)
np.log10(a)
np.log2(a)
np.log1p(a)
np.exp(-a)
np.tanh(a)
np.arctan2(a, b)
np.hypot(a, b)
np.power(a, 2)
np.square(a)
np.abs(a)
np.absolute(a)
np.fabs(a)
np.sign(a)
np.floor(a)
np.ceil(a)
np.trunc(a)
np.rint(a)
np.mod(a, 3.0)
np.fmod(a, 3.0)
np.maximum(a, b)
np.minimum(a, b)
np.fmax(a, b)
np.isfinite(a)
np.isnan(a)
np.isinf(a)
np.logical_and(c, c)
np.logical_or(c, c)
np.logical_not(c)
np.greater(a, b)
np.equal(a, b)
np.subtract(a, b)
np.multiply(a, 2.0)
np.divide(a, b)
np.floor_divide(a, b)
np.negative(a)
np.conj(a)
np.real(a)
np.imag(a)
np.angle(a + 1j)
np.deg2rad(a)
np.add.reduce(a)
np.add.accumulate(a)
np.multiply.outer(a, b)
np.add.at(a, [1, 2], 1.0)
np.minimum.reduce(a)
np.logical_and.reduce(c)
np.maximum.accumulate(a)
np.sum(m, axis=0)
np.sum(m, axis=1)
np.sum(m)
np.mean(m)
np.mean(m, axis=0)
np.std(a)
np.var(a)
np.min(a)
np.max(a)
np.amax(a)
np.prod(a)
np.median(a)
np.percentile(a, 50)
np.quantile(a, 0.5)
np.average(a)
np.average(a, weights=b)
np.argmax(a)
np.argmin(a)
np.argwhere(c)
np.flatnonzero(c)
np.where(c)
np.all(c)
np.any(c)
np.nansum(a)
np.nanmean(a)
np.nanmax(a)
np.cumprod(a)
np.ediff1d(a)
np.gradient(a)
np.trapezoid(a)
np.convolve(a, b)
np.correlate(a, b)
np.interp(2.5, a, b)
np.interp(b, a, b)
np.histogram(a)
np.bincount(i)
np.digitize(a, b)
np.unique(a)
np.unique(i)
np.isin(a, b)
np.intersect1d(a, b)
np.union1d(a, b)
np.flip(a)
np.fliplr(m)
np.flipud(m)
np.rot90(m)
np.roll(m, 1, axis=0)
np.tile(a, 2)
np.repeat(a, 2)
np.pad(a, 1)
np.append(a, 1.0)
np.insert(a, 1, 1.0)
np.delete(a, 1)
np.hstack((a, b))
np.column_stack((a, b))
np.dstack((a, b))
np.concatenate([m, k], axis=1)
np.split(a, 2)
np.array_split(a, 3)
np.hsplit(m, 2)
np.reshape(a, (2, -1))
np.ravel(m)
np.squeeze(m)
np.expand_dims(a, 0)
np.swapaxes(m, 0, 1)
np.moveaxis(m, 0, 1)
np.broadcast_to(a, (3, len(a)))
np.atleast_1d(a)
np.atleast_2d(a)
np.asarray([1.0, 2.0])
np.array([1, 2, 3])
np.array([[1.0, 2.0], [3.0, 4.0]])
np.array(a)
np.array(2.0)
np.array(a, dtype=np.float32)
np.array((1, 2), dtype=float)
np.array([a, b])
np.ascontiguousarray(m.T)
np.copy(a)
np.zeros(3, dtype=int)
np.zeros((2, 3))
np.zeros(10, np.float32)
np.ones((3, 3))
np.ones_like(a)
np.empty((3, 3))
np.empty_like(a)
np.full((2, 2), 7)
np.full_like(a, 2.0)
np.arange(0.0, 1.0, 0.1)
np.arange(1, 10, 2)
np.arange(10.0)
np.linspace(0.0, 1.0, 11, endpoint=False)
np.logspace(0, 1, 10)
np.identity(4)
np.eye(4, k=1)
np.diag(a)
np.diag(m)
np.tri(4)
np.tril(m)
np.triu(m)
np.trace(m)
np.indices((3, 3))
np.fromfunction(lambda x, y: x + y, (3, 3))
np.vander(a[:4])
np.inner(a, b)
np.vdot(a, b)
np.matmul(m, k)
np.dot(m, k)
np.dot(m, m[0])
np.tensordot(m, k)
np.einsum('ij,j->i', m, m[0])
np.einsum('ij,jk', m, k)
np.kron(a[:3], b[:3])
np.cross(a[:3], b[:3])
np.linalg.norm(m)
np.linalg.norm(a, 1)
np.linalg.norm(m, axis=1)
np.linalg.det(m + np.eye(len(m)) * 100)
np.linalg.inv(m + np.eye(len(m)) * 100)
np.linalg.solve(m + np.eye(len(m)) * 100, m[0])
np.linalg.eigvalsh(m + m.T)
np.linalg.qr(m)
np.linalg.svd(m, compute_uv=False)
np.linalg.cholesky(np.eye(len(m)))
np.fft.fft(a)
np.fft.rfft(a)
np.fft.fftfreq(10)
np.polyval([1.0, 2.0, 3.0], a)
np.polyfit(a, b, 1)
np.isclose(a, b)
np.array_equal(a, a)
np.result_type(a, b)
np.can_cast(int, float)
np.shape(a)
np.ndim(a)
np.size(a)
np.isscalar(2.0)
np.iscomplexobj(a)
np.dtype(float)
np.float64(3.0)
np.int64(3)
np.lexsort((a, b))
np.select([c], [a], 0.0)
np.choose(i % 2, [a, b])
np.putmask(a, c, 0.0)
np.place(a, c, [1.0])
np.copyto(a, b)
np.extract(c, a)
np.compress(c, a)
np.take(m, [1, 2], axis=0)
np.take_along_axis(m, np.argsort(m, axis=1), 1)
np.searchsorted(a, b)
np.nan_to_num(a)
np.clip(a, 1, 3)
np.errstate(all='ignore')
np.ix_([1, 2], [1, 2])
np.unravel_index(5, (3, 3))
np.ravel_multi_index((1, 2), (3, 3))
np.meshgrid(a, b, indexing='ij')
np.cov(m)
np.corrcoef(m)
np.apply_along_axis(sum, 0, m[:3, :3])
np.vectorize(float)
np.iterable(a)
np.ndenumerate(a)
for q in np.ndenumerate(a): pass
for q in np.ndindex(3, 3): pass
for q in np.nditer(a): pass
np.sqrt(a, out=a)
np.add(a, b, dtype=np.float64)
np.add(a, 1, where=c, out=a)
np.packbits(c)
np.char
a.tofile
copy.copy(a)
copy.deepcopy(a)
repr(a)
str(a)
np.array2string(a)
hash(a.dtype)
a.__array__()
a.byteswap()
np.modf(a)
np.divmod(a, b)
np.frexp(a)
np.ldexp(a, 2)
np.cbrt(a)
np.exp2(a)
np.expm1(a)
np.arcsin(a / 1e9)
np.sinh(a / 1e3)
np.floor(a).astype(int)
np.heaviside(a, 0.5)
np.sinc(a)
np.unwrap(a)
np.diff(m, axis=0)
np.resize(a, 20)
np.trim_zeros(a)
np.count_nonzero(m > 3)
np.array_equiv(a, b)
np.block([[m, k]])
np.r_[a, b]
np.c_[a, b]
np.s_[1:2]
np.mgrid[0:3, 0:3]
np.ogrid[0:3, 0:3]
np.random.default_rng(1)
rng.random(10)
rng.normal(size=10)
rng.integers(0, 10, 10)
s > 1.0
s / 2
s.item()
s.dtype
-s
abs(s)
s ** 2
round(s, 2)
int(s)
f'{s:.3f}'
a[0] * 2.0
a[0] == a[1]
np.sqrt(a[0])
np.abs(a[0])
np.float32(2) * a
a.astype(np.float32) * 2
m[0] @ m[1]
m.T.copy()
m + a[0]
m * m[0][:, None]
(m > 3).sum()
np.where(m > 3, m, 0.0)
m[m[:, 0].argsort()]
""".strip().splitlines()
# Calls that take as long for many elements as for few.
SAME = {
    "m[1:-1, 2:]", "m[1:-1, 0]", "m[3]", "a[2:5]", "a[::-1]", "m[:, None]", "m[..., 0]", "m.T", "m.reshape(side, side)",
    "m.reshape(-1)", "m.ravel()", "m.transpose(1, 0)", "np.transpose(m)", "a.shape", "a.dtype", "a.ndim", "a.size", "len(a)",
    "a[3]", "m[1, 2]", "m[1][2]", "a[i[3]]", "a.item(3)", "float(a[3])", "a[3] = 1.5", "m[1, 2] = 1.5", "m[1, 2] += 1.0",
    "a[3] = b[4]", "m[2, 3] = k[1, 3] + a[5]", "a[3] + b[4]", "if a[3] > b[4]", "if s < 1e9 (0-d result)", "s + 1.0", "s * s",
    "np.sqrt(s)", "float(s)", "bool(s)", "np.sqrt(2.0)", "np.zeros((10, 10))", "np.array([1.0, 2.0, 3.0])", "np.asarray(a)",
    "np.linspace(0, 1, 10)", "m[i[:5], i[:5]]", "np.eye(5)",
}  # fmt: skip


def timer(np, n, statement):
    """A function that runs the statement so many times and gives the seconds of processor time."""
    before, _, body = statement.rpartition("|")
    place = dict(np=np, n=n, repeat=repeat, clock=time.thread_time)
    exec(SETUP + before.strip(), place)
    lines = "; ".join(p.strip() for p in body.strip().split(";"))
    # Names are looked up as locals, as in a program's function.
    names = ", ".join(sorted(k for k in place if k.isidentifier() and not k.startswith("__") and k not in ("repeat", "clock")))
    body = f"for _ in turns:\n  {lines}" if not lines.startswith(("for ", "if ")) else f"for _ in turns:\n  {lines}"
    source = f"def run(count, {names}):\n turns = repeat(None, count)\n start = clock()\n {body}\n return clock() - start"
    source = source.replace("\n  ", "\n   ")
    exec(source, place)
    run = place["run"]
    arguments = {k: place[k] for k in names.split(", ")}
    return lambda count: run(count, **arguments)


def outcome(np, n, statement):
    """What the statement gives, if it is an expression."""
    before, _, body = statement.rpartition("|")
    place = dict(np=np, n=n)
    exec(SETUP + before.strip(), place)
    try:
        code = compile(body.strip(), "<call>", "eval")
    except SyntaxError:
        return None
    return eval(code, place)


def differ(numpy, got, want):
    """Whether two results are numbers and not the same ones, to some units in the last place."""
    if isinstance(want, (list, tuple)):
        return len(got) != len(want) or any(differ(numpy, g, w) for g, w in zip(got, want))
    got, want = numpy.asarray(got), numpy.asarray(want)
    if "O" in (got.dtype.kind, want.dtype.kind):
        return False
    exact = want.dtype.kind not in "fc"
    same = numpy.array_equal(got, want) if exact else numpy.allclose(got, want, rtol=1e-13, atol=1e-13, equal_nan=True)
    return got.dtype != want.dtype or got.shape != want.shape or not same


def nothing(count):
    turns = repeat(None, count)
    start = time.thread_time()
    for _ in turns:
        pass
    return time.thread_time() - start


def measure(modules, n, statement, rounds, seconds):
    """Seconds a turn for each module, the least of the rounds, which alternate."""
    timers = {who: timer(np, n, statement) for who, np in modules.items()}
    counts = {}
    for who, run in timers.items():
        count = 16
        while count < 1_000_000:
            took = run(count)
            if took > seconds / 8:
                break
            count *= 4
        counts[who] = max(16, int(count * seconds / max(took, 1e-9)))
    least = {who: float("inf") for who in timers}
    for _ in range(rounds):
        for who, run in timers.items():
            least[who] = min(least[who], (run(counts[who]) - nothing(counts[who])) / counts[who])
    return {who: max(t, 0.0) for who, t in least.items()}


def main():
    parser = argparse.ArgumentParser(description="The cost of every kind of call beside NumPy's.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--ms", type=float, default=4.0, help="time of one measurement")
    parser.add_argument("--sizes", default="10,100,1000", help="elements of the one-dimensional arrays")
    parser.add_argument("--more", action="store_true", help="the other calls of ordinary programs, on few elements")
    parser.add_argument("--only", help="lines that contain this")
    parser.add_argument("--out", type=Path, help="a folder for calls.json")
    args = parser.parse_args()
    import numpy

    import legate_jit.numpy as ours

    modules = {"numpy": numpy, "ours": ours}
    sizes = [int(n) for n in args.sizes.split(",")]
    calls = CALLS
    if args.more:
        sizes, calls = sizes[:1], [(statement, f"{MORE_SETUP} | {statement}") for statement in MORE]
    rows = []
    for n in sizes:
        print(f"{f'{n} elements':32}{'NumPy':>9}{'legate_jit':>12}{'× NumPy':>9}")
        for name, statement in calls:
            if args.only and args.only not in name or n != sizes[0] and name in SAME:
                continue
            got, want = outcome(ours, n, statement), outcome(numpy, n, statement)
            if "empty" not in name and differ(numpy, got, want):
                sys.exit(f"{name}: {got!r} is not {want!r}")
            took = measure(modules, n, statement, args.rounds, args.ms / 1e3)
            ratio = took["numpy"] / max(took["ours"], 1e-10)
            rows.append(dict(name=name, statement=statement, size=n, seconds=took, ratio=ratio))
            mark = "" if ratio >= 1 else "  slower"
            print(f"{name:32}{took['numpy'] * 1e9:7.0f}ns{took['ours'] * 1e9:10.0f}ns{ratio:9.2f}{mark}", flush=True)
        slower = [r["name"] for r in rows if r["ratio"] < 1 and r["size"] == n]
        count = sum(r["size"] == n for r in rows)
        print(f"{count - len(slower)} of {count} not slower than NumPy at {n}; slower: {', '.join(slower) or 'none'}\n")
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "calls.json").write_text(json.dumps(dict(machine=harness.machine(), calls=rows), indent=1))
    return 0


if __name__ == "__main__":
    harness.keep_heap()
    sys.exit(main())
