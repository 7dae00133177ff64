"""A function that is called again with arrays of the same shapes finds the plans of its first call."""

import numpy
import pytest

import legate_jit
import legate_jit.numpy as ours


def eliminate(np, a):
    """Reads one element of a pending array a round."""
    for k in range(len(a) - 1):
        a[k + 1 :, k] /= a[k, k]
        a[k + 1 :, k + 1 :] -= np.outer(a[k + 1 :, k], a[k, k + 1 :])
    return a


def relax(np, a):
    """Reads an element of a pending array in every third round."""
    for k in range(40):
        a = 0.5 * (a + np.roll(a, 1, 0)) + a[3, 4] if k % 3 == 0 else 0.25 * a + 1.0
    return a


@pytest.mark.parametrize("program", [eliminate, relax])
@pytest.mark.parametrize("n", [61, 62, 63, 64])
def test_the_second_call_makes_no_plans(program, n, planned):
    start = numpy.random.default_rng(n).random((n, n)) + 4 * numpy.eye(n)
    want = program(numpy, start.copy())
    made = []
    for _ in range(4):
        a = ours.array(start)
        legate_jit.sync()
        before = legate_jit.stats()["plans"]
        got = program(ours, a)
        legate_jit.sync()
        made.append(legate_jit.stats()["plans"] - before)
        assert numpy.asarray(got).tobytes() == want.tobytes()
        del got, a
    assert made[0] > 0 and made[1:] == [0, 0, 0], made
