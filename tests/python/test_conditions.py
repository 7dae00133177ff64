"""Masks that are read as the comparisons they come from: what they select, in loops that ask about one array again and again, with
writes in between."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from same import assert_equal

import legate_jit.numpy as ours

SIDE = 150
N = SIDE * SIDE


def rings(np, dtype, shape, kind):
    """The parts of an array between steps, each asked about in several ways."""
    rng = numpy.random.default_rng(3)
    x = numpy.linspace(-1.0, 1.0, SIDE)
    field = {"smooth": numpy.hypot(x, x[:, None]), "sorted": numpy.linspace(0, 1.5, N), "noise": 1.5 * rng.random(N)}[kind]
    field = (field * (100 if numpy.dtype(dtype).kind in "iu" else 1)).astype(dtype).reshape(shape)
    if field.dtype.kind == "f":
        field.ravel()[[5, 700, 701, 9000]] = [numpy.nan, numpy.inf, -0.0, -numpy.inf]
    a, values = np.array(field), np.array(rng.random(shape))
    top = 150 if field.dtype.kind in "iu" else 1.5
    edges = [top * k / 12 for k in range(13)]
    if field.dtype.kind in "iu":
        edges = [int(e) for e in edges]
    out = []
    for lo, hi in zip(edges, edges[1:]):
        inside = np.logical_and(a >= lo, a < hi)
        if inside.any():
            out.append(values[inside].mean())
        out.append(bool(inside.all()))
        out.append(np.count_nonzero(inside))
        out.append(values[~(a > lo)])
        out.append(values[(a != lo) & (values < 0.5) & (hi >= a)])
        out.append(inside)
        out.append(np.sum(inside, axis=0))
    return out


@pytest.mark.parametrize("kind", ["smooth", "sorted", "noise"])
@pytest.mark.parametrize("shape", [(N,), (SIDE, SIDE)])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "i4", "i2", "u2", "u1", "i1"])
def test_parts_of_an_array(dtype, shape, kind):
    assert_equal(rings(ours, dtype, shape, kind), rings(numpy, dtype, shape, kind))


def odd_bounds(np):
    a = np.array(numpy.arange(N) % 100 - 50.0)
    out = []
    for bound in [numpy.nan, numpy.inf, -numpy.inf, 0.0, -0.0, 5e-324, 1e308]:
        for mask in (a > bound, a >= bound, a < bound, a <= bound, a == bound, a != bound, bound > a, bound <= a):
            out.append((bool(mask.any()), bool(mask.all()), a[mask], mask))
    return out


def test_odd_bounds():
    assert_equal(odd_bounds(ours), odd_bounds(numpy))


def test_a_mask_keeps_what_it_says():
    def run(np):
        a = np.array(numpy.arange(N) / 7.0)
        out = []
        for k in range(6):
            mask = a > 100.0 * k
            picked = a[mask]
            before = bool(mask.any())
            a[::3] = 50.0 * k
            out += [before, picked, a[mask], mask.copy()]
            mask[:5] = True
            out += [a[mask], mask]
            a[mask] += 1
            out.append(bool((a > 100.0 * k).all()))
        return [*out, a]

    assert_equal(run(ours), run(numpy))


def test_foreign_writes_are_seen():
    ours_a, numpy_a = ours.array(numpy.arange(N) * 1.0), numpy.arange(N) * 1.0
    for k in range(5):
        assert bool((ours_a > N - 2.0).any())
    shared = numpy.asarray(ours_a)
    for k in range(5):
        shared[:] = k
        numpy_a[:] = k
        assert bool((ours_a > 2.0).any()) == (k > 2)
        assert_equal(ours_a[ours_a > 2.0], numpy_a[numpy_a > 2.0])


STEPS = {
    "any": lambda np, a, b, m, t: bool((a > t).any()),
    "all": lambda np, a, b, m, t: bool(np.all(np.logical_and(a > t, b <= t))),
    "pick": lambda np, a, b, m, t: b[(a > t) & (a <= t + 0.25)],
    "sum": lambda np, a, b, m, t: b[a > t].sum(),
    "mask": lambda np, a, b, m, t: (a < t) & m,
    "known mask": lambda np, a, b, m, t: (bool(m.any()), a[m]),
    "write": lambda np, a, b, m, t: a.__setitem__(a > t, t),
    "write picked": lambda np, a, b, m, t: a.__setitem__(m, a[m] + b[m]),
    "write a part": lambda np, a, b, m, t: a.__setitem__(slice(10, 5000), b[10:5000]),
    "write one": lambda np, a, b, m, t: a.__setitem__(77, t),
    "in place": lambda np, a, b, m, t: a.__imul__(0.5) is None,
    "write the mask": lambda np, a, b, m, t: m.__setitem__(slice(0, 9), t > 0.5),
    "places": lambda np, a, b, m, t: np.nonzero((a >= t) & ~(b > t))[0],
}


def steps(np, names, bounds):
    rng = numpy.random.default_rng(4)
    a, b = np.array(numpy.sort(rng.random(N))), np.array(rng.random(N))
    out = []
    for k, (name, t) in enumerate(zip(names, bounds)):
        if k % 3 == 0:
            m = np.logical_and(a > t, a < t + 0.5)
        out.append(STEPS[name](np, a, b, m, t))
    return [*out, a, b, m]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.sampled_from([0.0, 0.25, 0.5, 0.9, 2.0])), min_size=3, max_size=25))
def test_random_steps(chosen):
    names, bounds = zip(*chosen)
    assert_equal(steps(ours, names, bounds), steps(numpy, names, bounds))
