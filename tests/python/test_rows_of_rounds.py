"""Loops that do nothing but another loop at places that move on evenly (`out[i, j] = f(a[i : i + 3, j : j + 3])`): once some rows of rounds
were seen, the others run together. With NumPy's bits, whatever the numbers in their indices are; what only looks like it is Python's."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import legate_jit
import legate_jit.numpy as ours
from legate_jit import _places
from same import assert_equal, counted

pytestmark = pytest.mark.skipif(
    legate_jit.config()["LEGATE_JIT_LOOPS"][0] == "off", reason="loops are left to Python here"
)

N, M = 24, 20


def field(np, seed, *shape, dtype="f8"):
    return np.array(numpy.random.default_rng(seed).random(shape or (N, M, 6)).astype(dtype))


def check(program, least, most=None, times=3):
    """What NumPy gives; of all rounds so many ran together (all rows but the first and the last are at most four)."""
    got, count = counted("rounds_together", program, times=times)
    assert_equal(got, program(numpy))
    assert least <= count / times and (most is None or count / times <= most), count / times


def convolution(np):
    image, weights = field(np, 1, 2, N, M, 3, dtype="f4"), field(np, 2, 5, 5, 3, 4, dtype="f4")
    rows, columns = N - 4, M - 4
    out = np.empty((2, rows, columns, 4), dtype="f4")
    for i in range(rows):
        for j in range(columns):
            patch = image[:, i : i + 5, j : j + 5, :, np.newaxis]
            out[:, i, j, :] = np.sum(patch * weights, axis=(1, 2, 3))
    return out, i, j, patch


def pairs(np):
    a, d = field(np, 1, N, 7), np.zeros((N, N))
    for i in range(len(a)):
        for j in range(a.shape[0]):
            d[i, j] = ((a[i] - a[j]) * 2.0).std()
    return d


def one_axis(np):
    """Both variables in one index."""
    a, out = field(np, 1, N + M, 6), np.zeros((N * M, 6))
    for i in range(N):
        first = M * i
        for j in range(M):
            out[first + j] = a[i + j] / a[N - 1 - i].std()
    return out


def backwards(np):
    a, out = field(np, 1), np.zeros((N, M))
    for i in range(N - 1, -1, -1):
        for j in range(M - 1, -1, -1):
            out[i, j] = (a[i, -1 - j] * 2.0).std()
    return out


def every_other(np):
    a, out = field(np, 1), np.ones((N, M, 6))
    for i in range(0, N, 2):
        for j in range(1, M - 1, 2):
            out[i, j] = a[i, j - 1] + a[i, j + 1] * a[i, j].std()
    return out


def rows_alone(np):
    """An operand that is the same in a whole row."""
    a, b, out = field(np, 1), field(np, 2, N, 6), np.zeros((N, M, 6))
    for i in range(N):
        for j in range(M):
            out[i, j] = (a[i, j] - b[i]) / b[i].std()
    return out


def in_place(np):
    a = field(np, 1)
    for i in range(N):
        for j in range(M):
            a[i, j] = a[i, j] / a[i, j].std()
    return a


@pytest.mark.parametrize(
    ("program", "rows", "rounds"),
    [
        (convolution, N - 4, M - 4),
        (pairs, N, N),
        (one_axis, N, M),
        (backwards, N, M),
        (every_other, N // 2, M // 2 - 1),
        (rows_alone, N, M),
        (in_place, N, M),
    ],
)
def test_rows_run_together(program, rows, rounds):
    assert [loop[-1] is not None for loop in _places.places(program.__code__)] == [True]
    got, count = counted("rounds_repeated", program, times=4)
    assert_equal(got, program(numpy))
    # (By itself each row would have four rounds of Python's at least.)
    assert count > 4 * rows * (rounds - 4), count


def test_rows_at_the_ends_are_others():
    def program(np):
        a, out = field(np, 1), np.zeros((N, M, 6))
        for i in range(N):
            for j in range(M):
                out[i, j] = (a[i : i + 4, j] * 2.0).std(axis=0) + a[i, j - 1]
        return out

    check(program, 0)


def test_what_goes_on_from_row_to_row_is_not_taken():
    def before(np):
        a = field(np, 1)
        for i in range(1, N):
            for j in range(M):
                a[i, j] = a[i - 1, j] / a[i, j].std()
        return a

    def total(np):
        a, out, t = field(np, 1), np.zeros((N, M, 6)), np.zeros(6)
        for i in range(N):
            for j in range(M):
                t = t + a[i, j]
                out[i, j] = t / a[i, j].std()
        return out, t

    def overlaps(np):
        a, out = field(np, 1), np.zeros((N, M + N, 6))
        for i in range(N):
            for j in range(M):
                out[0, i + j] = a[i, j] / a[i, j].std()
        return out

    for program in (before, total, overlaps):
        check(program, 0)


SQUARES = """
def program(np, a, out, n, m):
    for i in range(n):
        for j in range(m):
            out[i, j] = a[{index}, j] / a[i, j].std()
    return out
"""


@pytest.mark.parametrize("index", ["i * i % n", "i * j % n", "(i * i) - (i * i)", "i // 2", "min(i, 5)", "i % 3"])
def test_what_moves_in_another_way_is_not_taken(index):
    names = {}
    exec(SQUARES.format(index=index), names)
    code = names["program"].__code__
    assert all(loop[-1] is None for loop in _places.places(code))
    program = lambda np: names["program"](np, field(np, 1), np.zeros((N, M, 6)), N, M)  # noqa: E731
    check(program, 0)


HEADS = [
    "x = a[i]\n        for j in range(m):",
    "x = a * 2.0\n        for j in range(m):",
    "for j in range(i + 8):",
    "m = m + 0\n        for j in range(m):",
    "for j in list(range(m)):",
    "out[i] = 1.0\n        for j in range(m):",
    "for j in sorted(range(m)):",
]


@pytest.mark.parametrize("head", HEADS)
def test_more_than_numbers_between_the_rows_is_not_taken(head):
    text = f"""
def program(np, a, out, n, m):
    for i in range(n):
        {head}
            out[i, j] = a[i, j] / 2.0
    return out
"""
    names = {}
    exec(text, names)
    # (Whether `a * 2.0` is a number is only known when it runs.)
    assert all(loop[-1] is None or "a * 2.0" in head for loop in _places.places(names["program"].__code__))
    check(lambda np: names["program"](np, field(np, 1, 9, M, 6), np.zeros((9, M, 6)), 9, M - 4), 0)


def test_an_array_in_place_of_a_number_is_not_taken():
    def program(np, a, out, k):
        for i in range(12):
            y = i + k
            for j in range(M):
                out[i, j] = a[y, j] / a[i, j].std()
        return out

    for k in (0, 3):
        for kind in (int, lambda k: ours.array(k), numpy.int64):
            legate_jit._native.look_for_loops()
            got = [program(ours, field(ours, 1), ours.zeros((N, M, 6)), kind(k)) for _ in range(3)][-1]
            assert_equal(got, program(numpy, field(numpy, 1), numpy.zeros((N, M, 6)), k))


def test_names_of_functions_may_be_others():
    text = """
def len(a):
    return 11 if calls.append(0) is None else 0

def program(np, a, out, n):
    for i in range(n):
        for j in range(len(a)):
            out[i, j] = a[i, j] / a[i, j].std()
    return out
"""
    names = {"calls": []}
    exec(text, names)
    program = lambda np: names["program"](np, field(np, 1), np.zeros((N, M, 6)), N)  # noqa: E731
    check(program, 0)
    assert len(names["calls"]) == 4 * N


def names_of_a_module(text):
    """What the names of a module hold after it ran three times, with NumPy and with ours."""
    both = []
    for np in (numpy, ours):
        legate_jit._native.look_for_loops()
        names = {"np": np, "a": field(np, 1), "out": np.zeros((N, M, 6))}
        for _ in range(3):
            exec(compile(text, "module", "exec"), names)
        both.append(names)
    return both


def test_loops_of_a_module():
    text = """
for i in range(20):
    k = i + 2
    for j in range(a.shape[1] - 2):
        out[i, j] = np.sqrt(a[k, j : j + 3]).std(axis=0)
"""
    expect, names = names_of_a_module(text)
    for name in ("out", "i", "j", "k"):
        assert_equal(names[name], expect[name])


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_functions_of_a_module_may_read_its_variables():
    text = """
def part(k):
    return a[i % 7, k]

for i in range(20):
    for j in range(18):
        out[i, j] = np.sqrt(part(j)).std(axis=0)
"""
    expect, names = names_of_a_module(text)
    assert_equal(names["out"], expect["out"])


PROGRAM = """
def program(np, a, b, out):
    for i in range({start}, {start} + {rows} * {step}, {step}):
        for j in range({first}, {first} + {columns} * {by}, {by}):
            out[{to}] = {what}
    return out
"""
INDEX = ["i", "j", "i + j", "i - j", "2 * i", "j - 1", "-i", "-j - 1", "3 - i", "i + 1", "5 * i + j", "j - 2 * i"]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_places(data):
    draw = data.draw
    number = lambda low, high: draw(st.integers(low, high))  # noqa: E731
    index = lambda: draw(st.sampled_from(INDEX))  # noqa: E731

    def part():
        first = index()
        return draw(st.sampled_from([first, f"{first} : {first} + 3", f"{first}, 1:5", f"{first} : {first} + 2, ::-1"]))

    where = draw(st.sampled_from(["a", "b", "out"]))
    what = f"{draw(st.sampled_from(['a', 'b']))}[{index()}, {part()}]"
    other = f"{where}[{index()}, {index()}]"
    what = draw(st.sampled_from([f"{what}.std()", f"({what} * 2.0).sum() + {other}.std()", f"{other} / {what}.std()"]))
    text = PROGRAM.format(
        start=number(-2, 6), rows=number(9, 14), step=draw(st.sampled_from([1, 2, -1])), first=number(-2, 6),
        columns=number(8, 14), by=draw(st.sampled_from([1, 2, -1])), to=f"{index()}, {index()}", what=what,
    )  # fmt: skip

    def run(np):
        names = {}
        exec(text, names)
        a, b, out = field(np, 1, 30, 30, 7), field(np, 2, 30, 30, 7), np.zeros((30, 30, 7))
        try:
            for _ in range(2):
                names["program"](np, a, b, out)
            legate_jit.sync()
        except (IndexError, ValueError) as e:
            return type(e).__name__, numpy.asarray(out)
        return "", numpy.asarray(out)

    legate_jit._native.look_for_loops()
    with numpy.errstate(all="ignore"):
        (got, out), (want, expected) = run(ours), run(numpy)
    assert got == want, text
    assert numpy.array_equal(out, expected, equal_nan=True), text
