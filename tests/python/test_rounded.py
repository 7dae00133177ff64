"""Periodic boundaries: the nearest integers to quotients by one number, with NumPy's bits."""

import numpy
import pytest
from same import assert_same

import legate_jit.numpy as np


def wrapped(np, d, box):
    return d - box * np.rint(d / box)


def lengths(np, pos, box):
    d = pos[:, :, np.newaxis] - pos[:, np.newaxis, :]
    d = d - box * np.rint(d / box)
    return d, d[0] ** 2 + d[1] ** 2, np.round(pos / box), np.rint(pos / box) + pos / box


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("box", [17.0, 0.3, 1e-3, 3e20, -5.5])
def test_nearest_images(dtype, box):
    rng = numpy.random.default_rng(7)
    x = (rng.random(30_000) * 8 - 4) * box
    # Middles between two images, and what is next to them; large quotients; what is no number.
    x[5000:8000] = (rng.integers(-9, 9, 3000) + 0.5) * box
    x[8000:9000] = numpy.nextafter(x[5000:6000], 1e300)
    x[9000:10_000] *= numpy.exp2(rng.integers(-60, 60, 1000).astype(float))
    x[12_000:12_007] = [0.0, -0.0, numpy.inf, -numpy.inf, numpy.nan, 5e-324, -1e-310]
    with numpy.errstate(all="ignore"):
        x = x.astype(dtype)
        want = wrapped(numpy, x, box)
    for _ in range(3):
        assert_same(wrapped(np, np.array(x), box), want)


@pytest.mark.parametrize("box", [17.0, 4.0, 0.7])
def test_a_lattice(box):
    """Particles half a box apart, whose quotients lie in the middle."""
    side = numpy.arange(12) * (box / 12)
    pos = numpy.stack([side.repeat(12), numpy.tile(side, 12)])
    want = lengths(numpy, pos, box)
    for _ in range(3):
        for g, w in zip(lengths(np, np.array(pos), box), want):
            assert_same(g, w)
