"""Launches of microseconds that threads go through in step, and loops that ask for a value and compute several rounds at once."""

import random

import numpy
import pytest

import legate_jit
import legate_jit.numpy as np


def channel(np, u, v, p, rounds):
    """Stencils over several fields, boundaries by row and column, a sum that the next round needs."""
    for _ in range(rounds):
        un, pn = u.copy(), p.copy()
        p[1:-1, 1:-1] = 0.25 * (pn[1:-1, 2:] + pn[1:-1, :-2] + pn[2:, 1:-1] + pn[:-2, 1:-1]) - 0.1 * u[1:-1, 1:-1]
        p[:, -1] = p[:, -2]
        p[0, :] = p[1, :]
        p[:, 0] = p[:, 1]
        p[-1, :] = 0.0
        u[1:-1, 1:-1] = un[1:-1, 1:-1] - 0.2 * (p[1:-1, 2:] - p[1:-1, :-2]) + 0.05 * v[1:-1, 1:-1]
        v = v * 0.99 + u.mean() * 1e-3
        u[0, :], u[-1, :] = 0.0, v[3, :]
    return u, v, p, u.sum(axis=0), (p**2).sum(axis=1)


def relaxed(np, p, most):
    """Jacobi's iteration with its residual in every round, and a number that is asked for every 25th."""
    change, rounds, seen = 1.0, 0, []
    while change > 1e-7 and rounds < most:
        rounds += 1
        pn = p.copy()
        p[1:-1, 1:-1] = 0.25 * (p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1])
        change = np.sqrt(np.sum((p - pn) ** 2) / np.sum(pn**2))
        if rounds % 25 == 0:
            seen.append(float(change))
    return p, rounds, seen, float(change)


def halved(np, x, least):
    """A loop whose length the start decides."""
    rounds = 0
    while np.max(np.abs(x)) > least:
        x = x * 0.5 + x[::-1] * 0.25
        rounds += 1
    return x, rounds


LOOPS = legate_jit.config()["LEGATE_JIT_LOOPS"][0] != "off"


@pytest.fixture(autouse=True)
def looked_for():
    """Loops are looked for from the beginning."""
    legate_jit._native.look_for_loops()


def flat(results):
    return [numpy.asarray(r).tobytes() for r in results]


@pytest.mark.parametrize("shape", [(97, 131), (200, 64), (60, 300)])
def test_fields_with_boundaries(shape):
    dice = numpy.random.default_rng(sum(shape))
    fields = [dice.random(shape) for _ in range(3)]
    for rounds in (1, 7, 60):
        mine = channel(np, *(np.array(f) for f in fields), rounds)
        assert flat(mine) == flat(channel(numpy, *(f.copy() for f in fields), rounds)), rounds


@pytest.mark.parametrize("n", [40, 101, 150])
def test_residuals_in_every_round(n):
    start = numpy.random.default_rng(n).random((n, n))
    for most in (31, 40, 77, 203, 204, 205):
        mine = relaxed(np, np.array(start), most)
        assert flat(mine) == flat(relaxed(numpy, start.copy(), most)), most


def test_loops_end_where_their_answers_say():
    """Wherever in a batch of rounds the answer is another one, what comes after it has not happened."""
    dice = random.Random(7)
    start = numpy.random.default_rng(7).random(3000)
    for _ in range(40):
        least = 0.75 ** dice.randrange(20, 140)
        mine = halved(np, np.array(start), least)
        assert flat(mine) == flat(halved(numpy, start.copy(), least)), least


@pytest.mark.skipif(not LOOPS, reason="loops are left to Python here")
def test_several_rounds_are_computed_at_once():
    start = numpy.random.default_rng(1).random(3000)
    # (Whether loops are looked for depends on what looking has brought before.)
    legate_jit._native.look_for_loops()
    for _ in range(4):
        halved(np, np.array(start), 1e-9)
    before = legate_jit.stats()
    _, rounds = halved(np, np.array(start), 1e-9)
    after = legate_jit.stats()
    assert after["rounds_repeated"] - before["rounds_repeated"] > rounds / 2 > 30
    assert after["flushes"] - before["flushes"] < rounds
