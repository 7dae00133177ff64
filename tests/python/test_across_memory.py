"""Operands that do not lie along the rows of what is computed: transposed, reversed, every second element, and all of these at
sizes from which on such operands are packed tile by tile."""

import warnings

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from same import assert_same

import legate_jit.numpy as ours
from legate_jit import _native

TYPES = ["f8", "f4", "i8", "i4", "i2", "u1", "?", "c16", "c8"]


@pytest.fixture
def tier(request):
    _native.set_tier(request.param)
    yield request.param
    _native.set_tier("auto")


def laid_out(np, values, order, steps):
    """An array of these values whose axes lie in memory in this order, with these steps."""
    inverse = numpy.argsort(order)
    shape = [n * abs(s) for n, s in zip(values.shape, steps)]
    base = np.zeros([shape[axis] for axis in order], dtype=values.dtype)
    view = base.transpose([int(k) for k in inverse])
    view = view[tuple(slice(None, None, s) for s in steps)]
    view[...] = np.array(values)
    return view


side = st.integers(1, 90)
steps = st.sampled_from([1, 1, 1, -1, 2, -2, 3, 4, -4, 5])
operand = st.tuples(st.permutations(range(3)), st.tuples(steps, steps, steps), st.sampled_from(TYPES), st.booleans())


def compute(np, shape, operands, seed):
    """Maps of operands of one shape, some spread along an axis, into new arrays and into a view of one."""
    rng = numpy.random.default_rng(seed)
    made = []
    for k, (order, by, dtype, spread) in enumerate(operands):
        own = [1 if spread and d == k % len(shape) else n for d, n in enumerate(shape)]
        order = [axis for axis in order if axis < len(shape)]
        made.append(laid_out(np, (rng.random(own) * 100 - 20).astype(dtype), order, by[: len(shape)]))
    a, b = made[0], made[1 % len(made)]
    results = [a + b, np.where(a > b, a, b), a.copy(), np.ascontiguousarray(b), a.astype("f4"), a * 2 + b, a.T + b.T]
    target = laid_out(np, numpy.zeros(shape, "c16"), list(range(len(shape)))[::-1], [1] * len(shape))
    target[...] = a + b
    target += a
    # Into what was read before, in any layout.
    last = made[-1]
    last[...] = a * 3 if last.dtype == a.dtype and last.shape == tuple(shape) else 7
    return [*results, target, last]


def check(shape, operands, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want, got = compute(numpy, shape, operands, seed), compute(ours, shape, operands, seed)
    for k, (g, w) in enumerate(zip(got, want)):
        assert_same(g, w, context=f"result {k}")


common = dict(deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
cases = dict(
    shape=st.lists(side, min_size=1, max_size=3),
    operands=st.lists(operand, min_size=1, max_size=3),
    seed=st.integers(0, 99),
)


@pytest.mark.parametrize("tier", ["auto", "vm"], indirect=True)
@settings(max_examples=60, **common)
@given(**cases)
def test_any_order_and_steps(tier, shape, operands, seed):
    check(shape, operands, seed)


@pytest.mark.parametrize("tier", ["compiled"], indirect=True)
@settings(max_examples=10, **common)
@given(**cases)
def test_compiled(tier, shape, operands, seed):
    check(shape, operands, seed)


@pytest.mark.parametrize("tier", ["interp"], indirect=True)
@settings(max_examples=6, **common)
@given(**{**cases, "shape": st.lists(st.integers(1, 24), min_size=1, max_size=3)})
def test_interpreter(tier, shape, operands, seed):
    check(shape, operands, seed)


@pytest.mark.parametrize("tier", ["vm", "compiled"], indirect=True)
@pytest.mark.parametrize("shape", [(700, 1100), (1100, 700), (1537, 129), (129, 1537), (40, 50, 600), (600, 50, 40)])
def test_many_tiles(tier, shape):
    for dtype, order in [("f8", "210"), ("f4", "201"), ("i2", "210"), ("?", "120"), ("c16", "210")]:
        order = [int(k) for k in order if int(k) < len(shape)]
        check(shape, [(order, (1, 1, 1), dtype, False), ([0, 1, 2], (1, 1, 2), "f8", False)], 5)


@pytest.mark.parametrize("tier", ["compiled"], indirect=True)
@pytest.mark.parametrize("step", [2, 3, 4, 5, 6, 8, 9, -1, -2, -7])
@pytest.mark.parametrize("dtype", TYPES)
def test_rows_of_every_second_element(tier, step, dtype):
    # The last row's elements are the last of their memory, so nothing may be read behind them.
    for n in (63, 64, 65, 1000, 40_000):
        values = (numpy.arange(n * 3) % 100).astype(dtype).reshape(3, n)
        want, got = values[:, ::step], ours.array(values)[:, ::step]
        assert_same(got + got, want + want, context=f"{n} points")
