"""Everything that NumPy has is there; what runs in NumPy is counted and reported; the settings and the command line."""

import io
import os
import subprocess
import sys

import numpy
import pytest
from same import assert_same

import legate_jit
import legate_jit.numpy as ours
from legate_jit import _fallback


def python(code, **env):
    env = {**os.environ, **env}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)


def test_every_name_of_numpys_is_there():
    for name in dir(numpy):
        if not name.startswith("_"):
            getattr(ours, name)
    for module in ("linalg", "fft", "random", "polynomial", "ma", "testing", "lib"):
        real = getattr(numpy, module)
        for name in dir(real):
            if not name.startswith("_"):
                getattr(getattr(ours, module), name)


def test_names_that_numpy_lacks():
    with pytest.raises(AttributeError, match="module 'numpy' has no attribute 'nonsense'"):
        ours.nonsense


def test_imports_below():
    for code in (
        "from legate_jit.numpy import linalg, fft, random",
        "import legate_jit.numpy.linalg as la; la.norm",
        "from legate_jit.numpy.linalg import solve, LinAlgError",
        "from legate_jit.numpy.random import default_rng; default_rng(0).random(2)",
        "from legate_jit.numpy.lib.stride_tricks import sliding_window_view",
        "from legate_jit.numpy import *; arange(3); sin(pi)",
        "from legate_jit.numpy.testing import assert_allclose",
    ):
        done = python(code)
        assert done.returncode == 0, (code, done.stderr)


CALLS = [
    "np.linalg.solve(np.eye(3) * 2, np.ones(3))", "np.linalg.norm(np.arange(5.0))", "np.fft.fft(np.arange(8.0))",
    "np.einsum('ij,j->i', np.eye(3), np.arange(3.0))", "np.median(np.arange(7))", "np.percentile(np.arange(9.0), 30)",
    "np.unique(np.array([3, 1, 3]))", "np.unique(np.array([3, 1, 3]), return_counts=True)", "np.sort(np.array([2, 1]))",
    "np.argsort(np.array([2, 1, 3]))", "np.searchsorted(np.arange(5), 3)", "np.histogram(np.arange(10.0), 4)",
    "np.cross(np.arange(3), np.ones(3))", "np.kron(np.eye(2), np.ones(2))", "np.pad(np.arange(3), 2)",
    "np.interp(np.array([0.5]), np.arange(3.0), np.arange(3.0))", "np.convolve(np.ones(3), np.arange(4))",
    "np.nansum(np.array([1, np.nan]))", "np.bincount(np.array([0, 1, 1]))", "np.nonzero(np.arange(3))",
    "np.argwhere(np.arange(4) > 1)", "np.take(np.arange(5), [1, 2])", "np.choose(np.array([0, 1]), [np.zeros(2), np.ones(2)])",
    "np.polyfit(np.arange(5.0), np.arange(5.0), 1).round(6)", "np.gradient(np.arange(5.0) ** 2)", "np.cov(np.eye(3))",
    "np.meshgrid(np.arange(2), np.arange(3))", "np.atleast_2d(np.arange(3))", "np.atleast_3d(1, [2])", "np.roll(np.arange(5), 2)",
    "np.roll(np.arange(6).reshape(2, 3), (1, 1), (0, 1))", "np.tile(np.arange(3), (2, 2))", "np.repeat(np.arange(3), 2)",
    "np.repeat(np.arange(4).reshape(2, 2), [1, 2], axis=1)", "np.flip(np.arange(6).reshape(2, 3))", "np.rot90(np.eye(2))",
    "np.diff(np.arange(5.0) ** 2)", "np.diff(np.arange(6).reshape(2, 3), axis=0)", "np.diff(np.array([1, 2, 4]), prepend=0)",
    "np.trapezoid(np.arange(5.0))", "np.trapezoid(np.arange(4.0), np.arange(4.0) * 2)", "np.outer(np.arange(3), np.ones(2))",
    "np.inner(np.ones((2, 3)), np.ones((4, 3)))", "np.vdot(np.array([1j, 2]), np.array([1j, 1]))", "np.trace(np.eye(3))",
    "np.tensordot(np.ones((2, 3)), np.ones((2, 3)))", "np.tensordot(np.ones((2, 3, 4)), np.ones((4, 3, 5)), ((1, 2), (1, 0)))",
    "np.clip(np.arange(5), 1, 3)", "np.clip(np.arange(5.0), None, 2.5)", "np.round(np.array([0.5, 1.5, 2.567]), 1)",
    "np.round(np.array([15, 25]), -1)", "np.isclose(np.array([1, 2]), np.array([1, 2.1]))", "np.allclose(np.ones(2), 1)",
    "np.array_equal(np.arange(3), [0, 1, 2])", "np.mean(np.arange(6).reshape(2, 3), axis=0)", "np.var(np.arange(5.0), ddof=1)",
    "np.std(np.arange(6.0).reshape(2, 3), axis=1, keepdims=True)", "np.average(np.arange(4.0), weights=np.ones(4))",
    "np.ptp(np.arange(5))", "np.count_nonzero(np.arange(5))", "np.cumsum(np.arange(6).reshape(2, 3), axis=1)",
    "np.cumprod(np.arange(1, 5))", "np.where(np.arange(3) > 1)", "np.where(np.arange(3) > 1, 1.5, np.arange(3))",
    "np.select([np.arange(3) > 1], [np.arange(3)], 9)", "np.split(np.arange(6), 3)", "np.array_split(np.arange(7), 3)",
    "np.hstack([np.arange(2), np.arange(3)])", "np.vstack([np.arange(2), np.ones(2)])", "np.dstack([np.ones(2), np.zeros(2)])",
    "np.column_stack([np.arange(2), np.ones(2)])", "np.stack([np.arange(2), np.ones(2)], axis=1)",
    "np.concatenate([np.arange(2), [5]], axis=None)", "np.append(np.arange(2), 7)", "np.insert(np.arange(3), 1, 9)",
    "np.delete(np.arange(4), 2)", "np.broadcast_to(np.arange(2), (2, 2))", "np.moveaxis(np.ones((2, 3, 4)), 0, -1)",
    "np.vectorize(lambda x: x + 1)(np.arange(3))", "np.apply_along_axis(sum, 0, np.ones((2, 2)))", "np.real(np.array([1j, 2]))",
    "np.piecewise(np.arange(3.0), [np.arange(3) > 1], [5])", "np.finfo(float).eps", "np.iinfo('i4').max", "np.sum([1, 2, 3])",
    "np.sum([np.arange(2), np.arange(2)])", "np.max([3, 1])", "np.any([False, True])", "np.sum(np.ones((2, 3)), axis=(0, 1))",
    "np.add.reduceat(np.arange(6), [0, 3])", "np.add.at(np.zeros(3), [0, 0], 1)", "np.isin(np.arange(3), [1])",
    "np.linalg.eigh(np.eye(2))[0]", "np.linalg.svd(np.eye(2))[1]", "np.linalg.inv(np.eye(2) * 4)", "np.linalg.slogdet(np.eye(2))",
    "np.float32(3) + np.ones(2, 'f')", "np.result_type(np.ones(2, 'f'), 1.0)", "np.triu(np.ones((3, 3)))", "np.shape([[1, 2]])",
    "np.ndim(3)", "np.size([1, 2])", "np.fromiter((k for k in range(3)), int)", "np.frexp(8.0)", "np.ravel([[1], [2]])",
    "np.nan_to_num(np.array([np.nan, 1]))", "np.unwrap(np.arange(4.0))", "np.sinc(np.arange(3.0))", "np.i0(np.arange(3.0))",
    "np.lexsort((np.arange(3), np.ones(3)))", "np.partition(np.array([3, 1, 2]), 1)", "np.digitize(np.arange(3), [1])",
    "np.array([3, 1, 2]).argsort()", "np.arange(6).take([0, 5])", "np.arange(4).nonzero()", "np.arange(4).view('u8')",
    "np.ones(3).dot(np.ones(3))", "np.arange(4.).clip(1, 2)", "np.arange(4.).round(1)", "np.eye(3).diagonal()",
    "np.arange(6).reshape(2, 3).swapaxes(0, 1)", "np.arange(3).repeat(2)", "np.eye(2).trace()", "np.arange(4.).var()",
    "np.round(3)", "np.round(2.567, 2)", "np.real(2.5)", "np.imag(2.5)", "np.real(1 + 2j)", "np.imag([1j, 2])", "np.real([1, 2])",
    "np.count_nonzero([1, 0])", "np.count_nonzero(3)", "np.count_nonzero(np.eye(3), axis=0)", "np.std(np.array([1, 2, 7]), dtype=int)",
    "np.var(np.arange(6).reshape(2, 3), 1, int)", "np.array_split(np.arange(7), np.array(3))",
    "np.array_split(np.arange(7), np.array([1, 2]).max() + 1)", "np.split(np.arange(6), np.array(2))",
    "np.split(np.arange(6), np.array([2, 3]))",
    "np.arange(3).searchsorted(1)", "np.arange(4).reshape(2, 2).flat[2]", "np.arange(4).compress([0, 1, 1, 0])",
]  # fmt: skip


@pytest.mark.parametrize("text", CALLS)
def test_call(text):
    want, got = eval(text, {"np": numpy}), eval(text, {"np": ours})
    _compare(got, want, text)


def _compare(got, want, text):
    if isinstance(want, (tuple, list)):
        assert len(got) == len(want)
        for g, w in zip(got, want):
            _compare(g, w, text)
    elif isinstance(want, (numpy.ndarray, numpy.generic)):
        # The order of a library's sums may differ by a few units in the last place.
        assert_same(got, want, ulps=4, context=text)
        if isinstance(want, numpy.ndarray):
            assert isinstance(got, ours.ndarray), text
    else:
        assert got == want, text


def test_fallbacks_are_counted_and_reported():
    before = legate_jit.stats()["numpy_calls"]
    named = _fallback.calls["linalg.tensorsolve"]
    for _ in range(3):
        ours.linalg.tensorsolve(ours.eye(3), ours.ones(3))
    assert _fallback.calls["linalg.tensorsolve"] == named + 3
    assert legate_jit.stats()["numpy_calls"] == before + 3
    text = io.StringIO()
    legate_jit.report(text)
    assert "linalg.tensorsolve" in text.getvalue() and "flushes" in text.getvalue()


def test_kernels_that_have_no_code_are_reported():
    program = (
        "import legate_jit, legate_jit.numpy as np\n"
        "x = np.arange(1_000_000)\n"
        "for k in range(20):\n    y = np.gcd(x, k + 2) + k\n    legate_jit.sync()\n"
        "legate_jit.report()\n"
    )
    done = python(program, LEGATE_JIT_TIER="compiled")
    assert done.returncode == 0 and "gcd of [i64, i64] has no vector form" in done.stdout, done
    done = python(program, LEGATE_JIT_TIER="compiled", LEGATE_JIT_DUMP="kernel")
    assert "there is no code for it" in done.stderr, done


def test_ordinary_work_never_falls_back():
    before = dict(_fallback.calls)
    a = ours.arange(60.0).reshape(3, 4, 5)
    b = (a * 2 - a.T.T + 1) / 3 ** (a > 5)
    b[1:, ::2] = ours.where(a > 3, a, -1)[1:, ::2]
    b[b > 7] = 0
    for x in (b.sum(), b.mean(axis=0), b.var(), b.std(axis=1), b.min(), b.max(axis=(0, 2)), b.argmax(), (b > 1).any(),
              ours.sqrt(b), ours.exp(b).prod(), b @ b[0].T, ours.dot(b[0], b[0].T), b.cumsum(), ours.concatenate([b, b], 1),
              ours.stack([b, b]), b.reshape(-1), b.astype("f"), b.copy(), ours.clip(b, 0, 1), ours.round(b, 2), ours.diff(b),
              ours.linspace(0, 1, 5), ours.eye(3), ours.outer(b[0, 0], b[0, 1]), ours.roll(b, 1, 0), ours.meshgrid(b[0, 0], b[0, 1]),
              ours.tile(b, 2), ours.repeat(b, 2), ours.allclose(b, b), ours.maximum(b, 1), divmod(b, 2), b.real, b.imag, ours.trapezoid(b),
              ours.random.rand(3), float(b[0, 0, 0]), b.tolist(), repr(b), ours.tensordot(b, b, 3), b.diagonal(), b[..., None]):  # fmt: skip
        for part in x if isinstance(x, tuple) else (x,):
            numpy.asarray(part)
    assert dict(_fallback.calls) == before


def test_stats_are_numbers():
    stats = legate_jit.stats()
    for name in ("flushes", "plans", "numpy_calls", "bytes_live", "bytes_peak", "kernels_compiled", "cache_hits", "cache_misses"):
        assert isinstance(stats[name], int), name


def test_memory_is_given_back():
    before = legate_jit.stats()["bytes_live"]
    a = ours.ones(1 << 20)
    float((a + 1)[5])
    assert legate_jit.stats()["bytes_live"] >= before + (8 << 20)
    del a
    legate_jit.sync()
    assert legate_jit.stats()["bytes_live"] <= before + 4096


def test_memory_stays_constant_in_a_long_loop():
    a = ours.ones(1000)
    for k in range(3000):
        a = a * 0.5 + 1
        if k == 1000:
            legate_jit.sync()
            middle = legate_jit.stats()["bytes_peak"]
    legate_jit.sync()
    assert legate_jit.stats()["bytes_peak"] <= 2 * middle
    assert_same(a[0] + 0, numpy.float64(2.0))


def test_the_import_leaves_the_environment_alone():
    code = "import os; before = dict(os.environ); import legate_jit.numpy; print(dict(os.environ) == before)"
    for settings in ({}, {"OPENBLAS_THREAD_TIMEOUT": "26"}):
        assert python(code, **settings).stdout == "True\n"


def test_fallback_error_setting():
    code = "import legate_jit, legate_jit.numpy as np\nnp.arange(3).sum()\ntry: np.linalg.tensorsolve(np.eye(3), np.ones(3))\n" \
        "except legate_jit.FallbackError as e: print('refused', e)"  # fmt: skip
    done = python(code, LEGATE_JIT_FALLBACK="error")
    assert "refused linalg.tensorsolve" in done.stdout, done.stderr


def test_unknown_settings_say_so_once():
    done = python("import legate_jit.numpy", LEGATE_JIT_TEIR="vm")
    assert done.returncode == 0
    assert done.stderr.count("LEGATE_JIT_TEIR") == 1 and "LEGATE_JIT_TIER" in done.stderr
    done = python("import legate_jit.numpy", LEGATE_JIT_TIER="fast")
    assert done.returncode != 0
    assert "LEGATE_JIT_TIER=fast: expected one of auto, compiled, vm, interp" in done.stderr
    done = python("import legate_jit.numpy", LEGATE_JIT_MAX_PENDING="lots")
    assert "LEGATE_JIT_MAX_PENDING=lots: expected a number of bytes" in done.stderr


def test_every_setting_is_documented():
    for name, (value, meaning) in legate_jit.config().items():
        assert name.startswith("LEGATE_JIT_") and isinstance(value, str) and len(meaning) > 10


def command(*args, **env):
    env = {**os.environ, **env}
    return subprocess.run([sys.executable, "-m", "legate_jit", *args], env=env, capture_output=True, text=True, timeout=120)


def test_command_line(tmp_path):
    cache = str(tmp_path / "cache")
    program = tmp_path / "prog.py"
    program.write_text(
        "import sys, legate_jit, legate_jit.numpy as np\na = np.arange(1000.0)\nprint(float((a * 2 + 1).sum()), sys.argv[1])\n"
        "np.linalg.tensorsolve(np.eye(2), np.ones(2))\n"
    )
    env = dict(LEGATE_JIT_CACHE_DIR=cache, LEGATE_JIT_TIER="compiled")
    done = command("report", str(program), "there", **env)
    assert done.stdout == "1000000.0 there\n", done.stderr
    assert "linalg.tensorsolve" in done.stderr and "kernels_compiled" in done.stderr
    listed = command("cache", "ls", **env)
    assert " kernels, " in listed.stdout and not listed.stdout.startswith("0 kernels"), listed
    assert command("cache", "verify", **env).returncode == 0
    entry = next(f for f in os.listdir(cache) if f.endswith(".ljk"))
    (tmp_path / "cache" / entry).write_bytes(b"not a kernel")
    bad = command("cache", "verify", **env)
    assert bad.returncode == 1 and entry in bad.stdout
    assert command("report", str(program), "there", **env).stdout == "1000000.0 there\n"
    assert "removed" in command("cache", "prune", "--max-size", "0", **env).stdout
    assert command("cache", "ls", **env).stdout.startswith("0 kernels")
    assert command("cache", "prune", "--max-size", "much", **env).returncode == 2
    assert "LEGATE_JIT_TIER" in command("config").stdout
