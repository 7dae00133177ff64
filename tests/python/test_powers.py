"""Powers to numbers: within a unit of NumPy's, the same bits in every tier, and programs whose exponents change."""

import os
import subprocess
import sys

import numpy
import pytest
from same import assert_same, real

import legate_jit
import legate_jit.numpy as np

EXPONENTS = [3, 4, 5, 8, 9, -1, -2, -3, -8, 1.5, 2.5, 3.5, 4.5, -0.5, -1.5, -2.5, -3.5, 0.75, 0, 1, 1 / 3]


def numbers(dtype):
    rng = numpy.random.default_rng(4)
    x = rng.random(20_003) * 4 + 0.01
    # Whole vectors that are within reach of all ways, and others.
    x[9_000:12_000] *= rng.choice([-1.0, 1.0], 3_000)
    x[12_000:] *= numpy.exp2(rng.integers(-1000, 1000, 8_003).astype(float))
    x[15_000:15_008] = [0.0, -0.0, numpy.inf, -numpy.inf, numpy.nan, 5e-324, -1e-310, 1.0]
    with numpy.errstate(over="ignore"):
        return x.astype(dtype)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("y", EXPONENTS)
def test_powers_are_within_a_unit(dtype, y):
    x = numbers(dtype)
    with numpy.errstate(all="ignore"):
        want = x**y, -((x[:-1] + x[1:]) ** y), numpy.power(x, y)
    for _ in range(3):
        o = np.array(x)
        got = o**y, -((o[:-1] + o[1:]) ** y), np.power(o, y)
        # (Each of the two is within one unit of the exact number in f8; f4 is NumPy's own 1.005 and half a one.)
        for g, w in zip(got, want):
            assert_same(g, w, ulps=2)


def sums(np, x, c):
    """Inverse cubes of distances of all pairs, summed by rows."""
    d = x - x[:, np.newaxis]
    r = (d**2 + c) ** -1.5
    return (d * r).sum(axis=1), np.sum(r, axis=1), (x[:, np.newaxis] * x) ** 3


PROGRAM = """
import sys, numpy
sys.path.insert(0, sys.argv[1])
import legate_jit.numpy as np
from test_powers import EXPONENTS, numbers, sums
bits = []
for dtype in ["f8", "f4"]:
    x = np.array(numbers(dtype))
    for y in EXPONENTS:
        for _ in range(2):
            r = (x ** y, (x[1:] * x[:-1]) ** y + 1.0)
        bits += [numpy.nan_to_num(numpy.asarray(a)).tobytes() for a in r]
    for n in (5, 700):
        bits += [numpy.asarray(a).tobytes() for a in sums(np, x[:n], 0.25)]
import hashlib
print(hashlib.sha256(b"".join(bits)).hexdigest())
"""


def test_all_tiers_have_the_same_bits():
    def run(tier, **more):
        env = {**os.environ, "LEGATE_JIT_TIER": tier, **more}
        here = os.path.dirname(__file__)
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PROGRAM, here], env=env, capture_output=True, text=True, check=True
        ).stdout

    want = run("vm")
    assert want == run("compiled") == run("compiled", LEGATE_JIT_THREADS="1") == run("vm", LEGATE_JIT_INLINE="off")


def test_sums_of_powers():
    x = numpy.random.default_rng(5).standard_normal(1203)
    want = sums(numpy, x, 0.25)
    for _ in range(4):
        for g, w in zip(sums(np, np.array(x), 0.25), want):
            numpy.testing.assert_allclose(real(g), w, rtol=1e-13, atol=1e-12)


def test_exponents_that_change_from_round_to_round():
    x = numpy.linspace(0.5, 1.5, 5000)

    def series(np, x):
        total = np.zeros_like(x)
        for k in range(12):
            total = total + x**k / (k + 1.0) - x ** (k / 2.0)
        return total

    want = series(numpy, x)
    for _ in range(3):
        numpy.testing.assert_allclose(real(series(np, np.array(x))), want, rtol=1e-12)


def test_whole_numbers():
    x = numpy.arange(-3000, 3000)
    for y in range(9):
        for _ in range(2):
            assert_same((np.array(x) + 1) ** y, (x + 1) ** y)


def test_arrays_of_exponents():
    """Each element has the bits that it has alone."""
    x = numpy.random.default_rng(6).random(999) * 3 + 0.2
    for y in [numpy.arange(999) % 17 - 8.0, (numpy.arange(999) % 15 - 7) / 2.0, numpy.arange(999) % 7 / 4.0]:
        together = real(np.array(x) ** np.array(y))
        for k in range(0, 999, 13):
            assert together[k] == real(np.array([x[k]]) ** float(y[k]))[0]


@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "i8"])
def test_powers_of_numbers_are_the_c_librarys(dtype, inline):
    # Which rounds one of a thousand squares otherwise than a product; the number is not computed yet when it is raised.
    was = legate_jit.config()["LEGATE_JIT_INLINE"][0] != "off"
    # (The first one's square is such a one; it is the larger of the first two.)
    x = numpy.array([2.6250660870312448, 0.0, *5 * numpy.random.default_rng(1829).random(98)]).astype(dtype)
    y = np.array(x)
    try:
        legate_jit._native.set_inline(inline)
        for exponent in (2, 3) if dtype == "i8" else (2, 0.5, -1, 3, -1.5):
            got = [np.max(y[i : i + 2]) ** exponent for i in range(0, 100, 2)]
            want = [numpy.max(x[i : i + 2]) ** exponent for i in range(0, 100, 2)]
            assert_same(np.array(got), numpy.array(want), context=f"to {exponent}")
    finally:
        legate_jit._native.set_inline(was)
