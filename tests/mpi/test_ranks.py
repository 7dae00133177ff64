"""The same program on one rank and on several gives the same bytes, and a job that fails says why and ends."""

import os
import re
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("program.py")


def command(*args, env=None, timeout=300):
    """Runs Python with these arguments; ranks start with one thread each."""
    env = {**os.environ, "LEGATE_JIT_THREADS": "1", **(env or {})}
    return subprocess.run(
        [sys.executable, *map(str, args)], env=env, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
    )


def on_ranks(ranks, *args, **options):
    return command("-m", "legate_jit.cli", "run", "-n", ranks, *args, **options)


@cache
def alone(module):
    done = command(PROGRAM, module)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


# Products of matrices have an order of additions of their own; how far they are from NumPy's is tested elsewhere.
PRODUCTS = ("matvec", "transposed", "dot", "matmul", "iterated")


def test_one_process_has_numpys_bits():
    def comparable(lines):
        return [line.rsplit(" ", 1)[0] if line.startswith(PRODUCTS) else line for line in lines]

    assert comparable(alone("legate_jit.numpy")) == comparable(alone("numpy"))


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("partition", ["64K", "1K"])
def test_ranks_have_the_bits_of_one_process(ranks, partition):
    done = on_ranks(ranks, PROGRAM, "legate_jit.numpy", "counted", env={"LEGATE_JIT_PARTITION_BYTES": partition})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == alone("legate_jit.numpy")
    launches = int(re.search(r"launches (\d+)", done.stderr)[1])
    assert launches > 50, "the ranks had next to nothing to do"


def test_ranks_as_threads_of_one_process():
    done = on_ranks("3", "--threads", PROGRAM, "legate_jit.numpy")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == alone("legate_jit.numpy")


def test_the_exit_code_and_the_streams_are_the_programs(tmp_path):
    program = tmp_path / "exits.py"
    program.write_text(
        "import os, sys\nimport legate_jit.numpy as np\n"
        "print(float(np.ones((500, 500)).sum()), sys.argv[1:], os.environ['OF_THE_USER'])\nsys.exit(7)\n"
    )
    done = on_ranks(3, program, "-n", "two words", env={"OF_THE_USER": "kept"})
    assert done.returncode == 7
    assert done.stdout == "250000.0 ['-n', 'two words'] kept\n", "printed once, by rank 0"


def test_an_exception_ends_the_job_at_the_users_line(tmp_path):
    program = tmp_path / "raises.py"
    program.write_text("import legate_jit.numpy as np\na = np.ones((500, 500)) + 1\nprint(float(a.sum()))\na[501]\n")
    done = on_ranks(2, program)
    assert done.returncode == 1
    assert done.stdout == "500000.0\n"
    assert 'raises.py", line 4' in done.stderr
    assert "IndexError: index 501 is out of bounds for axis 0 with size 500" in done.stderr


def test_a_rank_that_dies_ends_the_job_within_seconds_and_is_named(tmp_path):
    program = tmp_path / "victim.py"
    program.write_text(
        "import os, sys, time\nimport legate_jit.numpy as np\n"
        "a = np.ones((800, 800))\nprint(float((a + 1).sum()), flush=True)\n"
        "for pid in filter(str.isdigit, os.listdir('/proc')):\n"
        "    try:\n"
        "        words = open(f'/proc/{pid}/cmdline').read()\n"
        "        parent = open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[1]\n"
        "    except OSError:\n"
        "        continue\n"
        "    if 'native.work' in words and int(parent) == os.getppid():\n"
        f"        os.kill(int(pid), {int(signal.SIGKILL)})\n"
        "        break\n"
        "else:\n"
        "    sys.exit('there is no worker')\n"
        "end = time.time() + 60\n"
        "while time.time() < end:\n    a = a + 1\n    float(a.sum())\n"
        "print('survived')\n"
    )
    start = time.monotonic()
    done = on_ranks(3, program, timeout=100)
    assert done.returncode != 0
    assert "survived" not in done.stdout
    assert re.search(r"rank [12]\b.*signal 9", done.stderr, re.S), done.stderr
    assert time.monotonic() - start < 20


def test_without_mpi_there_is_a_clear_message(tmp_path):
    done = on_ranks(2, PROGRAM, "legate_jit.numpy", env={"PATH": str(tmp_path)})
    assert done.returncode == 1
    assert "there is no mpirun on PATH" in done.stderr and "apt install openmpi-bin" in done.stderr
