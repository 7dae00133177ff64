"""What run.py, demo.py and the tests share: finding the programs, starting worker processes, describing the machine."""

import importlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

BENCH = Path(__file__).resolve().parent
sys.path[:0] = [p for p in (str(BENCH), str(BENCH / "programs")) if p not in sys.path]

# glibc gives large blocks back to the system at once and asks for fresh, zeroed pages for the next temporary; on
# virtual machines that can cost more than the arithmetic. Every timed process keeps its heap, and may use huge pages,
# so that nobody is compared with a page fault. Where memory is measured, each large block is given back when it is
# freed, so that what is resident is what is alive.
KEEP_HEAP = (
    "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=1099511627776:glibc.malloc.top_pad=67108864"
    ":glibc.malloc.hugetlb=1"
)
GIVE_BACK = "glibc.malloc.mmap_threshold=131072:glibc.malloc.trim_threshold=131072"


def programs():
    """All programs by name, in the order of the files."""
    found = {}
    for path in sorted((BENCH / "programs").glob("[a-z]*.py")):
        for program in importlib.import_module(path.stem).PROGRAMS:
            found[program.name] = program
    return found


def cores():
    return sorted(os.sched_getaffinity(0))


def environment(threads, cache=None, keep_heap=True):
    """The environment of a worker: its number of threads, its caches of compiled code, its heap."""
    env = dict(os.environ)
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
    ):
        env[name] = str(threads)
    env["GLIBC_TUNABLES"] = KEEP_HEAP if keep_heap else GIVE_BACK
    if cache:
        env["LEGATE_JIT_CACHE_DIR"] = str(Path(cache) / "legate_jit")
        env["NUMBA_CACHE_DIR"] = str(Path(cache) / "numba")
        env["JAX_COMPILATION_CACHE_DIR"] = str(Path(cache) / "jax")
        env["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        env["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "0"
    env["JAX_PLATFORMS"] = "cpu"
    env["PYTHONPATH"] = os.pathsep.join(p for p in (str(BENCH), env.get("PYTHONPATH")) if p)
    return env


def keep_heap():
    """Starts this very program again with KEEP_HEAP, unless it already runs so; for measurements of calls in one process, which
    all have to be made: a loop over one that is seen to do nothing else would make a few."""
    if os.environ.get("GLIBC_TUNABLES") != KEEP_HEAP:
        env = dict(os.environ, GLIBC_TUNABLES=KEEP_HEAP, LEGATE_JIT_LOOPS="off")
        os.execve(sys.executable, [sys.executable, *sys.argv], env)


def reason(stderr):
    """The line of a traceback that says what happened."""
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Interrupt|Exit)\b", line)]
    return (named or lines or [""])[-1]


class WorkerFailed(Exception):
    pass


def worker(task, threads, cache=None, keep_heap=True, timeout=1800):
    """Runs worker.py on one task in a process of its own and returns what it reports."""
    task = dict(task, cores=cores()[:threads])
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        task["out"] = out.name
        try:
            done = subprocess.run(
                [sys.executable, str(BENCH / "worker.py"), json.dumps(task)],
                env=environment(threads, cache, keep_heap),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            raise WorkerFailed(f"took longer than {timeout} s") from None
        if done.returncode != 0:
            raise WorkerFailed(reason(done.stderr) or f"ended with status {done.returncode}")
        return json.loads(Path(out.name).read_text())


def machine():
    """The machine in words: processor, cores, memory, system. No names of hosts or users."""
    cpu = platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
        flags = Path("/proc/cpuinfo").read_text()
        cpu += " (AVX-512)" if " avx512f " in flags else " (AVX2)" if " avx2 " in flags else ""
    except OSError:
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return dict(
        cpu=cpu,
        cores=len(cores()),
        memory_gib=round(memory, 1),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        load=round(os.getloadavg()[0], 2),
    )


def seconds(t):
    """A time for a person."""
    if t is None:
        return "–"
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if t >= scale:
            return f"{t / scale:.3g} {unit}"
    return f"{t / 1e-9:.3g} ns"


def size(b):
    if b is None:
        return "–"
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(b) >= scale:
            return f"{b / scale:.3g} {unit}"
    return f"{b:.0f} B"
