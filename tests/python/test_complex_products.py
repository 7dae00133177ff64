"""Products of complex numbers, whose last bits depend on the order in which NumPy's loops go through memory."""

import legate_jit.numpy as ours
import numpy
import pytest
from same import assert_same


def pieces(rng, shape, dtype):
    """What makes an array of a shape, whose elements lie in any order, for a module."""
    turns = [slice(None, None, step) for step in rng.choice([1, 1, -1, 2, -2], len(shape))]
    axes = rng.permutation(len(shape))
    big = tuple(n * abs(t.step or 1) for n, t in zip(shape, turns))
    data = rng.standard_normal((*[big[k] for k in axes], 2)).astype(dtype)
    data = data.view({"f4": "c8", "f8": "c16"}[dtype])[..., 0]
    return lambda np: np.array(data).transpose(numpy.argsort(axes))[tuple(turns)]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_products_have_the_bits_of_the_order_in_which_elements_lie(dtype):
    # NumPy multiplies complex numbers of eight bytes otherwise where its innermost loop goes backwards.
    rng = numpy.random.default_rng(1843)
    for shape in [(2,), (7,), (40,), (1, 9), (9, 1), (5, 6), (17, 3), (3, 4, 5), (2, 1, 8), (70, 50)] * 6:
        x, y = pieces(rng, shape, dtype), pieces(rng, shape, dtype)
        row = pieces(rng, shape[-1:], dtype)

        def products(np):
            a, b, r = x(np), y(np), row(np)
            mask = a.real > 0
            out = y(np)
            into = x(np)
            into *= r
            np.multiply(a, r, out=out)
            where = np.multiply(a, b, where=mask, out=np.zeros(shape, a.dtype))
            return a * b, (a + b) * b, a * r, r * a, a * (1.5 - 2j), np.square(a), a * b.real, out, into, where

        for k, (got, want) in enumerate(zip(products(ours), products(numpy))):
            assert_same(got, want, context=f"{shape} {k} {x(numpy).strides} {y(numpy).strides} {row(numpy).strides}")
