"""Loops over the elements of an array see what the program writes meanwhile, by whatever way, as NumPy's do."""

import numpy
import pytest

N = 200


def each(a, act):
    """What a loop over `a` sees that calls act(index) after each element."""
    seen = []
    for i, x in enumerate(a):
        seen.append((type(x), complex(x)))
        act(i)
    return seen


def both(np, make, act):
    """The same loop on ours and NumPy's: `act(module, array, index)`."""
    results = []
    for module in (np, numpy):
        a = make(module)
        results.append(each(a, lambda i, a=a, module=module: act(module, a, i)))
    assert results[0] == results[1]


@pytest.mark.parametrize("dtype", ("float64", "float32", "int64", "int8", "uint16", "bool", "complex64", "complex128"))
@pytest.mark.parametrize("n", (0, 1, 2, 3, 31, 64, 1000))
def test_elements(np, dtype, n):
    both(np, lambda m: m.array((numpy.arange(n) % 100).astype(dtype)), lambda m, a, i: None)
    both(np, lambda m: m.array((numpy.arange(3 * n) % 100).astype(dtype))[::-3], lambda m, a, i: None)


def write(m, a, i):
    if i + 1 < N:
        a[i + 1] = -i


def write_seldom(m, a, i):
    if i % 50 == 20:
        a[i + 1 :] += 100.0


def write_through_a_view(m, a, i):
    if i % 40 == 30:
        a[::2][i // 2 + 1] = 7.0


def write_by_numpy(m, a, i):
    if i % 40 == 30:
        numpy.asarray(a)[i + 1] = 5.0


def change_the_shape(m, a, i):
    if i % 40 == 30:
        a.shape = (N // 2, 2)
        a.shape = (N,)


@pytest.mark.parametrize("act", (write, write_seldom, write_through_a_view, write_by_numpy, change_the_shape))
def test_what_is_written_meanwhile(np, act):
    both(np, lambda m: m.arange(float(N)), act)


def test_numpys_own_memory(np):
    theirs = numpy.arange(float(N))
    seen = []
    for x in np.asarray(theirs):
        seen.append(float(x))
        theirs += 1.0
    assert seen == [2.0 * i for i in range(N)]


def test_a_numpy_view_that_lives(np):
    a = np.arange(float(N))
    view = numpy.asarray(a)
    seen = []
    for x in a:
        seen.append(float(x))
        view += 1.0
    assert seen == [2.0 * i for i in range(N)]


def test_two_loops_and_arrays_that_go(np):
    a, b = np.arange(float(N)), np.arange(float(N)) * 3.0
    assert [(float(x), float(y)) for x, y in zip(a, b)] == [(float(i), 3.0 * i) for i in range(N)]
    assert [(float(x), float(y)) for x, y in zip(a, a)] == [(float(i), float(i)) for i in range(N)]
    for k in range(30):
        part = a[k : k + 20]
        assert [float(x) for x in part] == [float(i) for i in range(k, k + 20)]
        del part
    it = iter(a)
    assert [float(next(it)) for _ in range(9)] == list(range(9))
    a *= 2.0
    assert float(next(it)) == 18.0
