"""Random programs with views, in-place writes, broadcasts and mixed types: NumPy, the interpreter, the prebuilt loops, the
compiled kernels and what is done at once must agree to the bit."""

import warnings

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from same import assert_same

import legate_jit.numpy as ours
from legate_jit import _native

SHAPES = [(), (1,), (5,), (0,), (3, 4), (4, 3), (1, 4), (3, 1), (2, 3, 4), (2, 0, 3), (130,), (9, 17), (300,), (16, 18)]
# No complex numbers: NumPy multiplies them with fused operations where the processor has them.
TYPES = ["d", "d", "f", "l", "i", "B", "?"]
NUMBERS = [0, 1, 2, -1, 3, 0.5, -2.0, 1e3, True, numpy.float32(1.5), numpy.int64(4)]
BINARY = ["add", "subtract", "multiply", "maximum", "minimum", "less", "equal", "greater_equal", "logical_and", "copysign",
          "bitwise_or", "floor_divide", "remainder", "divide", "fmin"]  # fmt: skip
UNARY = ["negative", "absolute", "square", "sqrt", "floor", "isfinite", "logical_not", "sign", "conjugate", "reciprocal", "rint"]
REDUCTIONS = ["sum", "min", "max", "prod", "any", "all", "argmax", "argmin", "mean", "cumsum"]

small = st.integers(0, 1 << 16)
step = st.tuples(
    st.sampled_from("new binary binary unary number view view view write write inplace inplace reduce copy cast where join shape "
                    "mask element forget".split()),
    small, small, small, small,
)  # fmt: skip


def pick(items, n):
    return items[n % len(items)]


def index_for(shape, seed):
    """A basic index that fits a shape."""
    rng = numpy.random.default_rng(seed)
    index = []
    for n in shape:
        kind = rng.integers(0, 7)
        if kind == 0 and n:
            index.append(int(rng.integers(-n, n)))
        elif kind <= 2:
            index.append(slice(None))
        elif kind == 3:
            index.append(slice(None, None, -1))
        elif kind == 4:
            index.append(slice(int(rng.integers(-n - 1, n + 1)), None, int(rng.choice([1, 2, -1, -2, 3]))))
        else:
            a, b = sorted(rng.integers(0, n + 1, 2).tolist())
            index.append(slice(a, b))
    if rng.integers(0, 5) == 0:
        index.insert(int(rng.integers(0, len(index) + 1)), None)
    cut = int(rng.integers(0, len(index) + 1)) if rng.integers(0, 4) == 0 else len(index)
    return tuple(index[:cut])


def fresh(np, shape, code, seed):
    """The same numbers in both modules; floats of moderate size, so that nothing overflows for long."""
    rng = numpy.random.default_rng(seed)
    dtype = numpy.dtype(code)
    if dtype.kind == "b":
        x = rng.integers(0, 2, shape).astype(dtype)
    elif dtype.kind in "iu":
        x = rng.integers(0, 7, shape).astype(dtype)
    else:
        x = (rng.integers(-8, 9, shape) / 4).astype(dtype)
        if dtype.kind == "c":
            x = x + 1j * rng.integers(-4, 5, shape).astype(dtype)
    return np.array(x)


def run(np, steps):
    """Runs a program; every array it made is returned, and what each step raised."""
    arrays = [fresh(np, (3, 4), "d", 1), fresh(np, (4,), "d", 2), fresh(np, (3, 4), "l", 3)]
    log = []
    for kind, a, b, c, d in steps:
        x, y = pick(arrays, a), pick(arrays, b)
        try:
            made = do(np, kind, x, y, c, d, arrays)
        except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError):
            # Which of several errors is found first may differ; test_exceptions compares classes and words.
            log.append("error")
            continue
        log.append("ok")
        if made is not None:
            arrays.append(made)
        if len(arrays) > 12:
            arrays.pop(0)
    return arrays, log


def settled(name, x):
    """Which of two zeros is the larger depends on where in its vectors NumPy meets them."""
    return x + 0 if name in ("maximum", "minimum", "fmin", "min", "max") and x.dtype.kind == "f" else x


def do(np, kind, x, y, c, d, arrays):
    if kind in ("write", "inplace") and x.dtype.kind in "iu" and y.dtype.kind == "f":
        # What a float out of an integer's range becomes is not defined.
        y = np.where(abs(y) < 100, y, 3)
    if kind == "new":
        return fresh(np, pick(SHAPES, c), pick(TYPES, d), c)
    if kind == "binary":
        name = pick(BINARY, c)
        return settled(name, getattr(np, name)(x, y))
    if kind == "unary":
        return getattr(np, pick(UNARY, c))(x)
    if kind == "number":
        number = pick(NUMBERS, d)
        return pick([lambda: x + number, lambda: number - x, lambda: x * number, lambda: x < number, lambda: number / x], c)()
    if kind == "view":
        return pick([lambda: x[index_for(x.shape, c)], lambda: x.T, lambda: x.real, lambda: x[..., None]], d % 7)()
    if kind == "write":
        x[index_for(x.shape, c)] = pick([y, pick(NUMBERS, d), y * 1], d)
    elif kind == "inplace":
        index = index_for(x.shape, c) if d % 3 else (...,)
        name = pick(["__iadd__", "__isub__", "__imul__", "__iand__", "__itruediv__"], d)
        target = x[index]
        if hasattr(target, name):
            getattr(target, name)(y if d % 2 else pick(NUMBERS, c))
    elif kind == "reduce":
        name = pick(REDUCTIONS, c)
        if name == "cumsum":
            return x.cumsum(axis=None if d % 3 == 0 else d % 3 - 1)
        return settled(name, getattr(x, name)(axis=pick([None, 0, -1, 1], d), keepdims=bool(d & 8)))
    elif kind == "copy":
        return x.copy()
    elif kind == "cast":
        code = pick(TYPES, c)
        if numpy.dtype(code).kind in "iu" and x.dtype.kind in "fc":
            # What a float out of range becomes is not defined.
            x = np.where(abs(x) < 100, x, 3)
        return x.astype(code)
    elif kind == "where":
        return np.where(x > 0 if x.dtype.kind != "c" else x.real > 0, x, y)
    elif kind == "join":
        return np.concatenate([x, y], axis=c % 2)
    elif kind == "shape":
        return pick([lambda: x.reshape(-1), lambda: x.reshape(x.shape[::-1]), lambda: x.ravel(), lambda: x.flatten(),
                     lambda: np.squeeze(x), lambda: np.broadcast_to(x, (2, *x.shape))], c)()  # fmt: skip
    elif kind == "mask":
        if x.dtype.kind != "c":
            x[x > pick([0, 1, 2.5], c)] = pick(NUMBERS, d)
    elif kind == "element":
        if x.size:
            at = tuple(numpy.unravel_index(c % x.size, x.shape))
            x[tuple(int(k) for k in at)] = pick(NUMBERS, d)
            return x[tuple(int(k) for k in at)] + 1
    elif kind == "forget":
        if len(arrays) > 3:
            arrays.pop(c % len(arrays))
    return None


def check(steps, tier):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want, expected = run(numpy, steps)
        got, log = run(ours, steps)
    assert log == expected, [(s, g, w) for s, g, w in zip(steps, log, expected) if g != w][:1]
    for k, (g, w) in enumerate(zip(got, want)):
        # Complex products, quotients and roots are built of several roundings; NumPy's own differ by a unit or so.
        assert_same(g, w, ulps=0, context=f"{tier}: array {k}")


@pytest.fixture
def tier(request):
    _native.set_tier(request.param)
    yield request.param
    _native.set_tier("auto")


common = dict(deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True)


@pytest.mark.parametrize("tier", ["vm"], indirect=True)
@settings(max_examples=400, **common)
@given(steps=st.lists(step, min_size=1, max_size=25))
def test_prebuilt_loops(tier, steps):
    check(steps, tier)


@pytest.mark.parametrize("tier", ["auto"], indirect=True)
@settings(max_examples=400, **common)
@given(steps=st.lists(step, min_size=1, max_size=25))
def test_small_arrays_at_once_and_larger_ones_recorded(tier, steps):
    check(steps, tier)


@pytest.mark.parametrize("tier", ["interp"], indirect=True)
@settings(max_examples=200, **common)
@given(steps=st.lists(step, min_size=1, max_size=25))
def test_interpreter(tier, steps):
    check(steps, tier)


@pytest.mark.parametrize("tier", ["compiled"], indirect=True)
@settings(max_examples=40, **common)
@given(steps=st.lists(step, min_size=1, max_size=25))
def test_compiled(tier, steps):
    check(steps, tier)
