"""What the Python tests share: the two modules, and comparison to the bit."""

import os
import signal
import sys
import tempfile

import numpy
import pytest

# A kernel cache of the tests' own, so that no run depends on what an earlier one left.
os.environ.setdefault("LEGATE_JIT_CACHE_DIR", tempfile.mkdtemp(prefix="legate-jit-tests-"))
sys.path.insert(0, os.path.dirname(__file__))

# A shell that starts the tests in the background has them ignore interrupts, which some of them send themselves.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import legate_jit  # noqa: E402
import on_cache  # noqa: E402
import legate_jit.numpy as ours  # noqa: E402


@pytest.fixture
def np():
    return ours


@pytest.fixture
def program(tmp_path):
    """The path of the program of `on_cache`."""
    path = tmp_path / "prog.py"
    path.write_text(on_cache.PROGRAM)
    return str(path)


@pytest.fixture(autouse=True)
def quiet():
    """Special values are meant to be met here."""
    with numpy.errstate(all="ignore"):
        yield


@pytest.fixture
def planned():
    """Everything is recorded, and every trace gets a plan when it is first met."""
    legate_jit._native.set_inline(False)
    yield
    legate_jit._native.set_inline(legate_jit.config()["LEGATE_JIT_INLINE"][0] != "off")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """Everything that the tests had computed has been compiled, but what only the prebuilt loops have."""
    refused = [(text, why) for text, why in legate_jit._native.kernels_refused() if "has no vector form" not in why]
    if refused:
        print("\nNot compiled:", *(f"{why}\n{text}" for text, why in refused), sep="\n")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
