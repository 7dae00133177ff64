"""Loops whose rounds do the same at places that move on evenly (`out[k] = f(a[k - 1 : k + 2])`) are recorded without Python once a few
rounds were seen: with NumPy's bits, whatever the numbers in their indices are. Rounds at the ends are Python's."""

import signal
import sys

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import legate_jit
import legate_jit.numpy as ours
from same import assert_equal, assert_same, counted

pytestmark = pytest.mark.skipif(
    legate_jit.config()["LEGATE_JIT_LOOPS"][0] == "off", reason="loops are left to Python here"
)

N = 40


def field(np, seed, *shape, dtype="f8"):
    return np.array(numpy.random.default_rng(seed).random(shape or (N, 24)).astype(dtype))


def repeated(program, *args, times=2):
    """What a program gives at last, and how many of its rounds needed no Python."""
    return counted("rounds_repeated", program, *args, times=times)


def check(program, least, most=None, times=2):
    got, count = repeated(program, times=times)
    assert_equal(got, program(numpy))
    assert least <= count and (most is None or count <= most), count


def rows(np):
    """(Standard deviations are not for machine code of whole loops, which would take these.)"""
    a, out = field(np, 1), np.empty((N, 24))
    for k in range(N):
        out[k] = (a[k] - 0.5) / a[k].std()
    return out


def level(np):
    a, dark = field(np, 1), field(np, 2, 24)
    out, levels = np.empty_like(a), np.empty(len(a))
    for k in range(len(a)):
        flat = (a[k] - dark) / 2.0
        levels[k] = flat.mean()
        out[k] = (flat - flat.mean()) / flat.std()
    return out, levels, flat, k


def windows(np):
    """A window that moves down, whose last rounds are shorter."""
    a, out = field(np, 1), np.zeros((N, 24))
    for k in range(N):
        out[k] = (a[k : k + 5] * 2.0).std(axis=0)
    return out


def backwards(np):
    a, out = field(np, 1), np.zeros((N, 24))
    for k in range(N - 1, -1, -1):
        out[k] = (a[k : k + 2, ::-1] * 2.0).std(axis=0)
    return out


def neighbours(np):
    """Counted from the end in the first round."""
    a, out = field(np, 1), np.zeros((N, 24))
    for k in range(N):
        out[k] = a[k - 1] * a[k].std()
    return out


def counted_from_the_end(np):
    a, out = field(np, 1), np.zeros((N, 24))
    for k in range(1, N):
        out[-k] = a[-k - 1] * a[k - N].std()
    return out


def every_other(np):
    a, out = field(np, 1), np.zeros((N // 2, 12))
    for k in range(N // 2):
        j = 2 * k + 1
        out[k] = (a[j, 1::2] + a[j - 1, ::2]) / a[k * 2].std()
    return out


def columns(np):
    a, out = field(np, 1, 24, N), np.zeros((24, N))
    for k in range(N):
        out[..., k] = a[:, k] * a[:, N - 1 - k].std()
    return out


def totals(np):
    a = field(np, 1)
    total, most = np.zeros(24), np.zeros(24)
    for k in range(N):
        y = np.sqrt(a[k] * (1.0 - a[k])) / a[k].std()
        total += y
        most = np.maximum(most, y)
    return total, most, y


def one_after_the_other(np):
    a = field(np, 1)
    for k in range(1, N):
        a[k] = 0.5 * a[k] + a[k - 1] / a[k - 1].std()
    return a


def in_place(np):
    a, b = field(np, 1), field(np, 2)
    for k in range(N):
        a[k] += b[k] * b[k].std()
        a[k, 1:] *= 0.5
    return a


def convolution(np):
    a, w = field(np, 1, 3, 16, 18, 2, dtype="f4"), field(np, 2, 3, 3, 2, 4, dtype="f4")
    out = np.empty((3, 14, 16, 4), dtype="f4")
    for i in range(14):
        for j in range(16):
            patch = a[:, i : i + 3, j : j + 3, :, np.newaxis]
            out[:, i, j, :] = np.sum(patch * w, axis=(1, 2, 3))
    return out


def no_operators(np):
    a, means, spread = field(np, 1), np.empty(N), np.empty((N, 1))
    for k in range(N):
        means[k] = np.mean(a[k])
        spread[k, :] = a[k].std()
    return means, spread


def helper(np):
    def normed(row, by):
        return (row - row.mean()) / by

    a, out = field(np, 1), np.zeros((N, 24))
    for k in range(N):
        out[k] = normed(a[k], a[k].std())
    return out


def parts_of_parts(np):
    """A part of a part is cut off where that one ends."""
    a, out = field(np, 1), np.zeros((N, 24))
    b = a[2:30].T
    for k in range(26):
        out[k] = b[:, k : k + 3].std(axis=1) * b[:, k]
    return out


@pytest.mark.parametrize(
    "program, least",
    [
        (rows, 2 * 30),
        (level, 2 * 30),
        (windows, 2 * 25),
        (backwards, 2 * 25),
        (neighbours, 2 * 25),
        (counted_from_the_end, 2 * 25),
        (every_other, 2 * 10),
        (columns, 2 * 30),
        (totals, 2 * 30),
        (one_after_the_other, 2 * 30),
        (in_place, 2 * 30),
        (convolution, 2 * 10 * 10),
        (no_operators, 2 * 30),
        (helper, 2 * 30),
        (parts_of_parts, 2 * 15),
    ],
    ids=lambda p: getattr(p, "__name__", ""),
)
def test_rounds_at_other_places_need_no_python(program, least):
    check(program, least)


def test_a_loop_of_a_module():
    source = "a, out = field(np, 1), np.zeros((40, 24))\nfor k in range(40):\n    s = a[k].std()\n    out[k] = a[k] * s\nresult = out, s, k"

    def program(np):
        names = {"np": np, "field": field}
        exec(source, names)
        return names["result"]

    check(program, 25, times=1)


# What has to be left to Python.


def squares(np):
    a, out = field(np, 1), np.zeros((N, 24))
    for k in range(6):
        for j in range(6):
            out[k * j] = a[j * j] * a[j].std()
    return out


def number(np):
    a, out = field(np, 1), np.zeros((N, 24))
    for k in range(N):
        out[k] = a[k].std() * k
    return out


def items_of_tuples(np):
    a, out = field(np, 1), np.zeros((N, 24))
    numbers = (1.0,) * 30 + (2.0,) * 10
    for k in range(N):
        out[k] = a[k] * numbers[k]
    return out


def shrinking(np):
    a, out = field(np, 1), np.zeros((N, 24))
    for k in range(N):
        out[k] = a[k:].std(axis=0) * 2.0
    return out


def shrinks_now_and_then(np):
    """Each slice has three elements for some rounds."""
    a, out = field(np, 1), np.zeros((N, 24))
    for k in range(N):
        out[k] = a[k:N:5].std(axis=0) * 2.0
    return out


def empty_parts(np):
    a, out = field(np, 1), np.ones((N, 24))
    for k in range(N):
        out[k] = a[k + 5 : k + 5].sum(axis=0) * 2.0
    return out


def values_that_are_read(np):
    a, out, seen = field(np, 1), np.zeros((N, 24)), 0.0
    for k in range(N):
        out[k] = a[k] * a[k].std()
        seen += float(a[k, 0])
    return out, seen


def lists(np):
    a, out = [field(np, k, 24) for k in range(N)], np.zeros((N, 24))
    for k in range(N):
        out[k] = a[k] * a[k].std()
    return out


def names_that_change(np):
    a, out, j = field(np, 1), np.zeros((N, 24)), 0
    for k in range(N):
        out[k] = a[j] * a[k].std()
        j = j + 2 if j < 20 else 0
    return out


def tuples_of_integers(np):
    a, out = field(np, 1, 4, 4, 4, 4), np.zeros((N, 4))
    for k in range(4):
        out[k] = a[(0,) * k].sum() * 2.0
    return out


def indices(np):
    a, at, out = field(np, 1), np.arange(3), np.zeros((N, 24))
    for k in range(N - 3):
        out[k] = a[at, k % 24].sum() + a[k].std()
    return out


def conditions(np):
    a, out = field(np, 1), np.zeros((N, 24))
    for k in range(N):
        out[k] = a[k] * a[k].std() if k > 30 else a[k] + 1.0
    return out


@pytest.mark.parametrize(
    "program",
    [
        squares,
        number,
        items_of_tuples,
        shrinking,
        shrinks_now_and_then,
        empty_parts,
        values_that_are_read,
        lists,
        names_that_change,
        tuples_of_integers,
        indices,
        conditions,
    ],
    ids=lambda p: p.__name__,
)
def test_other_loops_are_left_to_python(program):
    check(program, 0, 0)


def test_indices_beyond_the_end_are_errors_of_their_round():
    def program(np):
        a, out = field(np, 1), np.zeros((N + 5, 24))
        try:
            for k in range(N + 5):
                out[k] = a[k] * a[k].std()
        except IndexError as e:
            return out, k, str(e)

    got, count = repeated(program)
    want = program(numpy)
    assert_same(got[0], want[0])
    assert got[1:] == want[1:] and count > N


def test_nobody_follows_the_program():
    lines = []

    def tracer(frame, event, arg):
        if frame.f_code.co_name == "rows" and event == "line":
            lines.append(frame.f_lineno)
        return tracer

    sys.settrace(tracer)
    try:
        got, count = repeated(rows)
    finally:
        sys.settrace(None)
    assert_same(got, rows(numpy))
    assert count == 0 and len(lines) > 2 * 2 * N


def test_a_signal_stops_the_loop_between_two_rounds():
    class Stop(Exception):
        pass

    def stop(*_):
        raise Stop

    rounds = 3_000_000
    a, out = ours.ones((rounds, 2)), ours.zeros((rounds, 2))
    legate_jit.sync()
    legate_jit._native.look_for_loops()
    before = signal.signal(signal.SIGALRM, stop)
    k = 0
    try:
        with pytest.raises(Stop):
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            for k in range(rounds):
                out[k] = a[k] + (a[k] * 2.0).std()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    done = numpy.asarray(out)[:, 0]
    assert done[:k].all() and not done[k + 1 :].any() and k < rounds - 1


def test_what_others_hold_keeps_its_value():
    def program(np):
        a, total = field(np, 1), np.zeros(24)
        first, kept = total, [total]
        for k in range(N):
            total = total + a[k] / a[k].std()
        return total, first, kept[0]

    check(program, 0)


@st.composite
def keys(draw, slices=True):
    """The text of an index along one axis that moves, or hardly ever does not."""
    by, at = draw(st.sampled_from([-2, -1, 1, 1, 2])), draw(st.integers(-6, 12))
    place = draw(st.sampled_from([f"{by} * k + {at}", f"k + {abs(at)}", f"k - {abs(at)}", f"{at + 20} - k"]))
    if not slices or draw(st.booleans()):
        return place
    length, step = draw(st.integers(-1, 6)), draw(st.sampled_from(["", "", ":2", ":-1"]))
    texts = [f"{place} : {place} + {length}{step}", f"{place} : {place} - {length}:-1", f"{place} :{step}", f": {place}{step}", "3"]
    return texts[draw(st.sampled_from([0, 0, 0, 0, 0, 1, 1, 2, 3, 4]))]


STILL = st.sampled_from([":", ":", "1:-1", "::2", "::-1", "...", "3"])


@st.composite
def programs(draw):
    rounds, start, step = draw(st.integers(12, 30)), draw(st.integers(-3, 9)), draw(st.sampled_from([1, 1, 1, 2, -1]))
    lines = [
        "def program(np, a, b, out):",
        "    total = np.zeros(3)",
        f"    for k in range({start}, {start + step * rounds}, {step}):",
    ]
    for _ in range(draw(st.integers(1, 3))):
        where = draw(st.sampled_from(["a", "b", "out"]))
        key = f"{draw(keys())}, {draw(STILL)}" if draw(st.integers(0, 3)) else f"{draw(STILL)}, {draw(keys())}"
        kind = draw(st.integers(0, 3))
        if kind == 0:
            lines.append(f"        out[{draw(keys(slices=False))}, {draw(STILL)}] = np.std({where}[{key}] * 2.0)")
        elif kind == 1:
            lines.append(f"        total = total + (({where}[{key}] + 0.5) / 3.0).std()")
        elif kind == 2:
            lines.append(f"        out[{key}] += 0.5 * b[{key}].std()")
        else:
            lines.append(f"        y = {where}[{key}] * 1.5")
            lines.append(f"        out[{key}] = y - y.std()")
    lines.append("    return total")
    return "\n".join(lines)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150, deadline=None)
@given(programs())
def test_random_loops(source):
    names = {}
    exec(source, names)
    program = names["program"]

    def run(np):
        a, b, out = (field(np, seed, 80, 60) for seed in (1, 2, 3))
        try:
            with numpy.errstate(all="ignore"):
                total = program(np, a, b, out)
        except (IndexError, ValueError) as e:
            return out, type(e).__name__
        return out, total

    legate_jit.sync()
    legate_jit._native.look_for_loops()
    got, again, want = run(ours), run(ours), run(numpy)
    for result in (got, again):
        assert_same(result[0], want[0])
        if isinstance(want[1], str):
            assert result[1] == want[1]
        else:
            assert_same(result[1], want[1])
