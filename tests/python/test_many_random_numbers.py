"""Many numbers of NumPy's default generator: drawn by all threads, with NumPy's bits, and the generator left as NumPy leaves it."""

import os
import random
import subprocess
import sys

import numpy
import pytest

import legate_jit.numpy as np

MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
LAWS = {
    "random": lambda g, size: g.random(size),
    "random f8": lambda g, size: g.random(size=size, dtype=numpy.float64),
    "uniform": lambda g, size: g.uniform(-3, 2.5, size),
    "uniform, one end": lambda g, size: g.uniform(7.25, size=size, high=7.25),
    "standard_normal": lambda g, size: g.standard_normal(size),
    "normal": lambda g, size: g.normal(100.0, 1e-3, size=size),
    "normal, mean": lambda g, size: g.normal(5, size=size),
    "integers": lambda g, size: g.integers(10, size=size),
    "integers, rare": lambda g, size: g.integers(-5, 5000, size),
    "integers, often": lambda g, size: g.integers(0, 2**31 + 7, size),
    "integers, all 32": lambda g, size: g.integers(-9, 2**32 - 9, size),
    "integers, 63": lambda g, size: g.integers(2**63 - 1, size=size),
    "integers, 2 of 3": lambda g, size: g.integers(-(2**62), 2**63, size),
    "integers, 64": lambda g, size: g.integers(-(2**63), 2**63 - 1, size, endpoint=True),
    "integers, one": lambda g, size: g.integers(3, 3, size, endpoint=True),
    "integers i8": lambda g, size: g.integers(0, 100, size, numpy.int64),
    "integers i4": lambda g, size: g.integers(0, 100, size, numpy.int32),
    "random f4": lambda g, size: g.random(size, numpy.float32),
    "exponential": lambda g, size: g.exponential(2.0, size),
}


def same(ours, theirs, what):
    mine = numpy.asarray(ours)
    assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype), what
    assert mine.tobytes() == theirs.tobytes(), what


def both(seed):
    return np.random.default_rng(seed), numpy.random.default_rng(seed)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("size", [1 << 15, 100_003, (300, 400), 1_000_000])
def test_numbers_and_state_are_numpys(law, size):
    ours, theirs = both(numpy.prod(size))
    for half in (False, True):
        # Half of a raw number is left over by a single small integer.
        if half:
            assert int(ours.integers(7, dtype=numpy.int32)) == int(theirs.integers(7, dtype=numpy.int32))
        mine = LAWS[law](ours, size)
        assert type(mine) is np.ndarray
        same(mine, LAWS[law](theirs, size), law)
        assert ours.bit_generator.state == theirs.bit_generator.state, law


def test_one_law_after_the_other():
    ours, theirs = both(2026)
    dice = random.Random(5)
    for _ in range(60):
        law = dice.choice(list(LAWS))
        size = dice.choice([1, 3, 1000, 40_000, (7, 9000), 123_457, 600_001])
        same(LAWS[law](ours, size), LAWS[law](theirs, size), (law, size))
        assert ours.bit_generator.state == theirs.bit_generator.state, (law, size)


def test_they_do_not_depend_on_the_number_of_threads():
    program = (
        "import hashlib, numpy, legate_jit.numpy as np\n"
        "g = np.random.default_rng(3)\n"
        "a = [g.standard_normal(200_000), g.integers(0, 3 * 2**30, 600_001), g.random((5, 40_000))]\n"
        "print(hashlib.sha256(b''.join(numpy.asarray(x).tobytes() for x in a)).hexdigest(), g.bit_generator.state)\n"
    )

    def run(threads):
        env = dict(os.environ, LEGATE_JIT_THREADS=str(threads))
        return subprocess.run([sys.executable, "-c", program], env=env, check=True, capture_output=True, text=True).stdout

    assert len({run(threads) for threads in (1, 2, 5)}) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda g: g.normal(0, -1, 40_000),
        lambda g: g.uniform(0, numpy.inf, 40_000),
        lambda g: g.uniform(2, 1, 40_000),
        lambda g: g.integers(5, 5, 40_000),
        lambda g: g.integers(0, 2**63 + 1, 40_000),
        lambda g: g.random((-1, 40_000, 40_000)),
        lambda g: g.random((40_000, 1.5)),
        lambda g: g.random((2**40, 2**40)),
        lambda g: g.standard_normal(2**62),
        lambda g: g.standard_normal(40_000, dtype=int),
        lambda g: g.random(40_000, out=numpy.empty(3)),
    ],
)
def test_what_is_wrong_is_numpys(call):
    ours, theirs = both(1)
    with pytest.raises(Exception) as wanted:
        call(theirs)
    with pytest.raises(type(wanted.value)) as got:
        call(ours)
    assert str(got.value) == str(wanted.value)


def test_other_generators_stay_numpys():
    for bits in ("MT19937", "PCG64DXSM", "Philox", "SFC64"):
        ours = np.random.Generator(getattr(numpy.random, bits)(4))
        theirs = numpy.random.Generator(getattr(numpy.random, bits)(4))
        same(ours.standard_normal(50_000), theirs.standard_normal(50_000), bits)


def begin_with(generator, first, second=None):
    """Puts a generator where the next raw numbers are these; the state after the last of them."""
    state = generator.bit_generator.state
    inc, last = 2**127 + 12345, first
    if second is not None:
        # An increment is odd: a bit of the second number without meaning, or a high half, makes it so.
        choices = [(high << 64) | (second ^ bit ^ high) for high in (0, 1) for bit in (0, 1)]
        inc, last = next((i, c) for c in choices if (i := (c - MULTIPLIER * first) % 2**128) % 2)
    state["state"] = dict(state=(first - inc) * pow(MULTIPLIER, -1, 2**128) % 2**128, inc=inc)
    state["has_uint32"] = 0
    generator.bit_generator.state = state
    return last


def largest(end, holds):
    """How many of 0, 1, 2 … hold, of which all do up to some place."""
    begin = 0
    while begin < end:
        middle = (begin + end) // 2
        begin, end = (middle + 1, end) if holds(middle) else (begin, middle)
    return begin


def test_the_ziggurat_is_numpys():
    """At the edges of each layer, where one bit of a table decides: the first numbers of many, and the generator after them."""
    ours, theirs = both(0)
    dice = random.Random(1)

    def is_enough(*raw):
        last = begin_with(theirs, *raw)
        theirs.standard_normal()
        return theirs.bit_generator.state["state"]["state"] == last

    for layer in range(256):
        inside = largest(1 << 52, lambda r: is_enough(layer | r << 9))
        top = (1 << 52) - 1
        raws = [(layer | sign << 8 | r << 9,) for r in (max(inside - 1, 0), min(inside, top)) for sign in (0, 1)]
        # Second numbers at which the answer changes, for the outermost places.
        for r in (top, max(inside, top - dice.randrange(1 << 45))) if layer else ():
            below = largest(1 << 53, lambda u: is_enough(layer | r << 9, u << 11))
            raws += [(layer | r << 9, u << 11) for u in (max(below - 1, 0), min(below, (1 << 53) - 1))]
        for raw in raws:
            for generator in (ours, theirs):
                begin_with(generator, *raw)
            mine, wanted = ours.standard_normal(1 << 15), theirs.standard_normal(1 << 15)
            assert numpy.asarray(mine)[:4].tobytes() == wanted[:4].tobytes(), (layer, raw)
            assert ours.bit_generator.state == theirs.bit_generator.state, (layer, raw)
