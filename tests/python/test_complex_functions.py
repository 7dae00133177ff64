"""Functions of complex numbers: NumPy's special values, and parts within a few units of the last place."""

import itertools
import warnings

import legate_jit
import legate_jit.numpy as np
import numpy
import pytest
from legate_jit import _native

FUNCTIONS = ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh")
# Units of the last place: the C library's own error is up to 2.
ULP = 4


@pytest.fixture(params=["vm", "compiled"])
def tier(request):
    _native.set_tier(request.param)
    yield
    _native.set_tier("auto")


def close(got, want, dtype):
    real = numpy.dtype(dtype).type(0).real.dtype
    for a, b in ((got.real, want.real), (got.imag, want.imag)):
        same = (a == b) | (numpy.isnan(a) & numpy.isnan(b))
        with numpy.errstate(all="ignore"):
            near = abs(a - b) <= ULP * numpy.spacing(abs(b).astype(real))
        assert (same | near).all(), (numpy.flatnonzero(~(same | near))[:5], a[~(same | near)][:5], b[~(same | near)][:5])
        zero = (b == 0) & (a == 0)
        assert (numpy.signbit(a) == numpy.signbit(b))[zero].all()


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(name, dtype, tier):
    big, small = (1e38, 1e-44) if dtype == "complex64" else (1.5e308, 1e-322)
    parts = [0.0, -0.0, 1.0, -1.0, 0.5, 3.0, -2.5, numpy.inf, -numpy.inf, numpy.nan, big, -big, small, -small]
    z = numpy.array([complex(a, b) for a, b in itertools.product(parts, parts)], dtype)
    with warnings.catch_warnings(), numpy.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        got = numpy.asarray(getattr(np, name)(np.array(z)))
        close(got, getattr(numpy, name)(z), dtype)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_ordinary_numbers(name, dtype, tier):
    rng = numpy.random.default_rng(5)
    angle = rng.uniform(-numpy.pi, numpy.pi, 3000)
    length = numpy.concatenate([numpy.exp(rng.uniform(-30, 4, 1000)), rng.uniform(0.99, 1.01, 1000), rng.uniform(0, 3, 1000)])
    z = (length * numpy.exp(1j * angle)).astype(dtype)
    before = legate_jit.stats()["numpy_calls"]
    got = numpy.asarray(getattr(np, name)(np.array(z)))
    assert legate_jit.stats()["numpy_calls"] == before
    # NumPy in f64 for complex64: its own last places are not the measure.
    want = getattr(numpy, name)(z.astype("complex128")).astype(dtype)
    close(got, want, dtype)


def test_where_the_exponential_of_the_real_part_overflows():
    z = np.array([complex(710.0, 1.5707), complex(1400.0, 1e-300), complex(711.0, 3.14159265358979)])
    with numpy.errstate(all="ignore"):
        close(numpy.asarray(np.exp(z)), numpy.exp(numpy.asarray(z)), "complex128")
