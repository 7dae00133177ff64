"""Numbers that are not computed yet where programs put numbers, floating point errors, threads, forks, interrupts, and the
way through SciPy and pandas."""

import copy
import json
import math
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import warnings
import weakref

import numpy
import pytest
from same import assert_same, outcome

import legate_jit
import legate_jit.numpy as ours

USES = {
    "json": json.dumps,
    "%d": lambda x: "%d" % x,
    "%s %r": lambda x: "%s %r" % (x, x),
    "format": lambda x: "{:.3f}".format(x),
    "json in a list": lambda x: json.dumps({"a": [x, 1]}),
    "range": lambda x: list(range(x)),
    "index of a list": lambda x: list(range(30))[x],
    "slice of a list": lambda x: list(range(30))[:x],
    "repeat": lambda x: [1, 2] * x,
    "isinstance": lambda x: (isinstance(x, float), isinstance(x, numpy.floating), isinstance(x, numpy.integer)),
    "isscalar": numpy.isscalar,
    "sqrt": math.sqrt,
    "floor": math.floor,
    "round": lambda x: (round(x), round(x, 1)),
    "divmod": lambda x: divmod(x, 3),
    "deepcopy": lambda x: repr(copy.deepcopy([x])),
    "pickle": lambda x: repr(pickle.loads(pickle.dumps(x))),
    "hash": lambda x: hash(x) == hash(float(x)),
    "in": lambda x: (x in (1, 10), x in {10: 1}, x in [3.5]),
    "sorted": lambda x: sorted([x, 3, 99, x + 1]),
    "max": lambda x: max(x, 3),
    "sum": lambda x: sum([x, x]),
    "key": lambda x: {x: 1}[10],
    "numbers": lambda x: (int(x), float(x), complex(x), bool(x)),
    "compare": lambda x: (x == 10, x != 10, x < 11, 9.5 > x, not x),
    "bytes": bytes,
    "iter": iter,
    "len": len,
    "unpack": lambda x: [*x],
    "is_integer": lambda x: x.is_integer(),
    "of numpy": lambda x: numpy.array([x, x]).sum(),
}


@pytest.mark.parametrize("kind", ["f8", "i8", "f4"])
@pytest.mark.parametrize("use", USES)
def test_pending_numbers_act_as_numpys(use, kind):
    def number(np):
        return np.arange(5, dtype=kind).sum() * 1

    want, expected = outcome(USES[use], number(numpy))
    got, failed = outcome(USES[use], number(ours))
    if expected is not None:
        assert type(failed) is type(expected), (failed, expected)
    else:
        assert failed is None, failed
        assert repr(got) == repr(want)


def test_known_numbers_give_numpys_scalars():
    s = ours.arange(5.0).sum()
    assert float(s) == 10
    for x in (s + 1, 2.5 * s, s / 4, s**2, -s, abs(s), s > 3, ours.sqrt(s), s % 3, s // 3):
        assert type(x).__module__ == "numpy", x
    assert type(s > 3) is numpy.bool and (s > 3) is numpy.True_


@pytest.mark.parametrize("text", ["s / 0.0", "i // 0", "i % 0", "big * big", "1.0 / (s - s)", "np.log(s - s)", "n + n"])
def test_known_numbers_warn_as_numpys(text):
    def seen(np):
        s, i = np.arange(5.0).sum(), np.arange(5).sum()
        big, n = np.array([1e200]).sum(), np.array([2**62]).sum()
        for x in (s, i, big, n):
            float(x)
        with warnings.catch_warnings(record=True) as caught, numpy.errstate(all="warn"):
            warnings.simplefilter("always")
            value = eval(text)
            return [(w.category, str(w.message)) for w in caught], float(value)

    want, got = seen(numpy), seen(ours)
    assert str(got) == str(want) and want[0]


def test_errstate_raises_as_numpy():
    for np in (numpy, ours):
        a, b = np.ones(3), np.zeros(3)
        with np.errstate(all="raise"):
            with pytest.raises(FloatingPointError, match="divide by zero encountered in divide"):
                a / b
            with pytest.raises(FloatingPointError, match="invalid value encountered in sqrt"):
                np.sqrt(-a)
            with pytest.raises(FloatingPointError):
                a /= b
            assert (b + 1).tolist() == [1, 1, 1]
        assert np.isinf((np.ones(3) / b).sum())
        seen = []
        old = np.seterrcall(lambda kind, flag: seen.append(kind))
        before = np.seterr(divide="call")
        np.ones(2) / np.zeros(2)
        np.seterr(**before)
        np.seterrcall(old)
        assert seen == ["divide by zero"]

        @np.errstate(invalid="raise")
        def f(x):
            return np.log(x)

        with pytest.raises(FloatingPointError):
            f(np.array([-1.0]))
    before = legate_jit.stats()["numpy_calls"]
    (ours.ones(3) / ours.zeros(3)).tolist()
    assert legate_jit.stats()["numpy_calls"] == before


@pytest.mark.parametrize("tier", ["vm", "compiled", "interp"])
def test_diagonals_are_written_where_they_lie(tier):
    from legate_jit import _native

    def write(np):
        out = []
        for shape, offset in (((3, 3), 0), ((3, 4), 1), ((4, 3), -1), ((2, 3, 3), 0)):
            for source in (7.0, "row"):
                a = np.arange(float(numpy.prod(shape))).reshape(shape)
                a = a * 1.0
                d = a.diagonal(offset, -2, -1)
                d.flags.writeable = True
                d[...] = np.arange(100.0, 100.0 + d.shape[-1]) if source == "row" else source
                out.append(a)
                b = a + 1
                d = b.diagonal(offset, -2, -1)
                d.flags.writeable = True
                d += 0.5
                d[..., 1:] *= 2
                out += [b, b * 2 + a]
        return out

    before = _native.config()["LEGATE_JIT_TIER"][0] if "LEGATE_JIT_TIER" in _native.config() else "auto"
    _native.set_tier(tier)
    try:
        for g, w in zip(write(ours), write(numpy), strict=True):
            assert_same(g, w)
    finally:
        _native.set_tier(before)


def test_writable_flags_follow_the_base():
    for np in (numpy, ours):
        a = np.zeros((3, 3))
        with pytest.raises(ValueError, match="read-only"):
            a.diagonal()[0] = 1
        a.flags.writeable = False
        b = a[1:]
        with pytest.raises(ValueError):
            b.flags.writeable = True
        with pytest.raises(ValueError, match="read-only"):
            b[0] = 1
        a.flags.writeable = True
        b = a[1:]
        b[0] = 1
        assert a.sum() == 3
        np.fill_diagonal(a, 4)
        assert a[0, 0] == 4 and a.sum() == 14
        assert weakref.ref(a)() is a


def test_subclasses_and_real_arrays_beside_ours():
    class Sub(numpy.ndarray):
        pass

    a, real = ours.arange(6.0), numpy.arange(6.0)
    assert type(a + real) is type(real + a) is type(numpy.sin(a)) is type(numpy.concatenate([real, a])) is ours.ndarray
    sub = real.view(Sub)
    assert type(a + sub) is Sub and type(sub + a) is Sub
    masked = numpy.ma.array(real, mask=real > 2)
    assert type(a + masked) is numpy.ma.MaskedArray and (masked + a).sum() == 6
    real += a
    real[2:] = a[2:]
    assert real.tolist() == [0, 2, 2, 3, 4, 5]
    assert real[ours.array([0, 1])].tolist() == [0, 2] and real[a > 3].tolist() == [4, 5]


def test_scipy_is_run_and_counted():
    pytest.importorskip("scipy")
    import scipy.linalg

    import legate_jit.scipy.linalg
    from legate_jit.scipy import sparse

    a, b = ours.array([[2.0, 1.0], [1.0, 3.0]]), ours.array([1.0, 2.0])
    calls = legate_jit._fallback.calls
    before = calls["scipy.linalg.solve"]
    x = legate_jit.scipy.linalg.solve(a, b)
    assert type(x) is ours.ndarray and calls["scipy.linalg.solve"] == before + 1
    assert numpy.array_equal(x, scipy.linalg.solve(a, b))
    assert numpy.allclose(a @ x, b)
    assert numpy.array_equal(sparse.csr_matrix(a) @ b, [4.0, 7.0])


def test_pandas_takes_our_arrays():
    pytest.importorskip("pandas")
    import legate_jit.pandas as pd

    frame = pd.DataFrame({"a": ours.arange(3.0), "b": ours.ones(3) * 2})
    assert frame.sum().tolist() == [3.0, 6.0]
    assert pd.DataFrame(ours.arange(4.0).reshape(2, 2)).values.tolist() == [[0.0, 1.0], [2.0, 3.0]]


def test_threads_may_call_at_once():
    wrong = []

    def work(k):
        try:
            x, n = ours.arange(100.0) + k, numpy.arange(100.0) + k
            for i in range(100):
                x, n = x * 1.0 + 1.0, n * 1.0 + 1.0
                y, m = x.copy(), n.copy()
                y[1:-1] = x[2:] + x[:-2]
                m[1:-1] = n[2:] + n[:-2]
                y[0] = m[0] = i
                if i % 7 == 0 and float(y.sum()) != m.sum() or i % 5 == 0 and float(y[3]) != m[3]:
                    wrong.append((k, i))
        except BaseException as e:
            wrong.append(e)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
    assert not wrong and not any(t.is_alive() for t in threads)


def _child(pending, answers):
    x = ours.ones((600, 600))
    answers.put((float((x * 3 + x).sum()), float(pending.sum())))


@pytest.mark.parametrize("kind", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process")
def test_processes_of_multiprocessing(kind):
    context = multiprocessing.get_context(kind)
    answers = context.Queue()
    pending = ours.ones((500, 500)) * 2
    process = context.Process(target=_child, args=(pending, answers))
    process.start()
    try:
        assert answers.get(timeout=60) == (4 * 600 * 600, 500000.0)
    finally:
        process.join(30)
        process.kill()
    assert process.exitcode == 0
    assert float(pending.sum()) == 500000.0


def test_equal_numbers_and_different_ones_are_not_one_plan(np, planned):
    x = numpy.arange(5000.0)
    for a, b, c in ((2.5, 2.5, 3.5), (2.5, 3.5, 2.5), (2.5, 2.5, 2.5), (3.5, 2.5, 4.5), (2.5, 3.5, 3.5)):
        want = ((x + a) * b - c) / a
        assert numpy.array_equal(((np.array(x) + a) * b - c) / a, want), (a, b, c)


@pytest.mark.filterwarnings("ignore:This process")
def test_a_fork_while_another_thread_computes():
    stop = threading.Event()

    def compute():
        x = ours.ones((600, 600))
        while not stop.is_set():
            float((x * 2 + 1).sum())

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                signal.alarm(30)
                good = float((ours.ones((500, 500)) * 3).sum()) == 750000.0
                os._exit(0 if good else 3)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        thread.join(60)


def test_a_fork_right_after_the_import():
    program = (
        "import os, sys\nimport legate_jit.numpy as np\nchild = os.fork()\n"
        "good = float((np.ones((500, 500)) * 3).sum()) == 750000.0\n"
        "if child == 0:\n    os._exit(0 if good else 3)\n"
        "sys.exit(0 if good and os.waitpid(child, 0)[1] == 0 else 4)\n"
    )
    for _ in range(5):
        assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


def test_an_interrupt_loses_nothing():
    # What starts in the background ignores interrupts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    x = ours.ones((1200, 1200))
    y = x
    for _ in range(3):
        y = (y @ x) * 1e-3
    timer = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT))
    interrupted = False
    try:
        timer.start()
        float(y[0, 0])
        timer.join()
        for _ in range(1000000):
            pass
    except KeyboardInterrupt:
        interrupted = True
    finally:
        signal.signal(signal.SIGINT, before)
    assert interrupted
    want = numpy.ones((1200, 1200))
    z = want
    for _ in range(3):
        z = (z @ want) * 1e-3
    assert math.isclose(float(y[0, 0]), z[0, 0], rel_tol=1e-12)


def test_lists_become_arrays_as_in_numpy():
    for given in (
        [1, 2], [1.5, 2], [1, 2.5], [True, False], [True, 2], [True, 2.5], [[1, 2], [3, 4]], [[1], [2.5]], [], [[]], [[], []],
        [[[1, 2]], [[3, 4]]], [2**62, 1.5], [2**53 + 1, 0.5], [2**63], [2**70], [-(2**63)], [1 + 2j, 1], [None], ["a"], [[1, 2], 3],
        [1, [2]], [[1, 2], [3]], [float("nan"), -0.0], [numpy.float32(1), 2.0], [[1, 2], (3, 4)], (1, 2.0), [[[[[1]]]]],
    ):  # fmt: skip
        for make in ("array", "asarray"):
            want, expected = outcome(getattr(numpy, make), given)
            got, failed = outcome(getattr(ours, make), given)
            assert type(failed) is type(expected) and str(failed) == str(expected), given
            if expected is None:
                assert_same(got, want, context=f"{make}({given})")


def test_plain_calls_and_their_general_forms():
    for text in (
        "np.zeros(3)", "np.zeros((2, 3))", "np.zeros([2, 3])", "np.zeros(3, int)", "np.ones(3, dtype=np.float32)",
        "np.empty((0, 2))", "np.ones((2,), dtype='i2')", "np.zeros(shape=(2,))", "np.zeros(3, dtype=bool)", "np.ones(2, complex)",
        "np.sum(m)", "np.sum(m, 0)", "np.sum(m, axis=1)", "np.sum(m, axis=-1)", "m.sum(1)", "m.sum(axis=(0, 1))",
        "m.sum(0, keepdims=True)", "np.max(m, axis=0)", "m.argmax()", "m.argmin(1)", "m.any(axis=0)", "np.all(m > 0)",
        "m.reshape(4, 3)", "m.reshape((4, 3))", "m.reshape([4, 3])", "m.reshape(-1)", "m.reshape(2, -1)", "m.T", "m.transpose()",
        "m.transpose(1, 0)", "m.transpose((1, 0))", "m.transpose([1, 0])", "m.ravel()", "m.T.ravel()", "m.astype(int)",
        "m.astype('f4')", "m.astype(np.int32, copy=False)", "m.dot(m.T)", "m[0].dot(m[1])", "m.dot(2)", "m.item(5)", "m.item(1, 2)",
        "m.item((1, 2))", "m[0].item(-1)", "m.tolist()", "m.T.tolist()", "(m > 3).tolist()", "m.astype('u1').tolist()",
        "np.asarray(m)", "np.asarray(m, dtype='f4')", "np.array(m)", "np.array(m, ndmin=3)", "np.where(m > 2, m, 0)",
        "np.where(m > 2)", "np.where(m > 2, 1, m)", "np.add(m, 1)", "np.add(m, m, out=m)", "np.sqrt(m, out=m)",
        "np.add(m, 1, where=m > 3, out=m)", "np.sqrt(m, dtype='f4')", "np.multiply(m, [[1], [2], [3]])", "np.add(1, 2)",
        "np.sqrt(4)", "np.add(m[0], m[1], m[2])", "[x for x in m[0]]", "[r.tolist() for r in m]", "list(m[:0])",
        "m.item(99)", "m.item(0, 9)", "m.reshape(5)", "m.transpose(0, 0)", "m.transpose(0, 5)", "m.sum(7)", "np.zeros(-1)",
        "np.zeros(2.5)", "np.zeros(3, 'nonsense')", "m.dot(m)", "m.astype('nonsense')", "np.sum(m, 0, 0, 0, 0, 0, 0, 0, 0)",
        "np.add(m)", "np.add(m, m, out=3)", "np.sqrt()", "m.copy('F').flags.f_contiguous", "m.copy(order='C')",
    ):  # fmt: skip
        def run(np, text=text):
            return eval(text, {"np": np, "m": np.arange(12.0).reshape(3, 4) + 1})

        want, expected = outcome(run, numpy)
        got, failed = outcome(run, ours)
        if expected is not None:
            assert type(failed).__name__.lstrip("_") == type(expected).__name__.lstrip("_"), (text, failed, expected)
        else:
            assert failed is None, (text, failed)
            if type(want) in (int, float, bool):
                assert type(got) is type(want) and got == want, text
            elif isinstance(want, list):
                assert str(list(map(float, want)) if want and not isinstance(want[0], list) else want) == str(
                    list(map(float, got)) if got and not isinstance(got[0], list) else got
                ), text
            else:
                assert_same(got, want, context=text)


def test_squares_of_numbers_that_are_not_computed_yet():
    def squares(np):
        x = np.random.default_rng(7).random((200, 3000)) * 1.5
        return [row.sum() ** 2 for row in x]

    assert [float(s) for s in squares(ours)] == [float(s) for s in squares(numpy)]
