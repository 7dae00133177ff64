"""Starts a program on several ranks: rank 0 runs it, the others are workers that never see it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

WORKER = "import legate_jit._native as native; native.work()"


def launch(ranks, program, threads=False):
    """Runs `python program…` as the controller of `ranks` ranks; the job takes this process's place, so that its signals,
    streams and exit code are the job's. `threads` makes the ranks threads of one process, for tests."""
    if ranks < 1:
        sys.exit(f"legate-jit run: -n {ranks}: a job has at least one rank")
    sys.stdout.flush()
    if threads:
        env = dict(os.environ, LEGATE_JIT_RANKS=str(ranks), LEGATE_JIT_TRANSPORT="threads")
        os.execve(sys.executable, [sys.executable, *program], env)
    command = _job(_mpirun(), ranks, program)
    os.execv(command[0], command)


def _mpirun():
    """The command that starts an MPI job, or an end with the reason why there is none."""
    found = shutil.which("mpirun") or shutil.which("mpiexec")
    if found is None:
        sys.exit(
            "legate-jit: several ranks need MPI, and there is no mpirun on PATH. Install OpenMPI (Debian: apt install "
            "openmpi-bin), or run the program without `legate-jit run`: one process uses all cores."
        )
    if not (Path(__file__).parent / "liblegate_jit_mpi.so").exists():
        sys.exit(
            "legate-jit: this installation was built without its MPI library (liblegate_jit_mpi.so). Build it where MPI is "
            "installed (Debian: apt install libopenmpi-dev openmpi-bin)."
        )
    return found


def _job(mpirun, ranks, program):
    """The whole command line."""
    version = subprocess.run([mpirun, "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
    command = [mpirun]
    if "Open MPI" in version or "OpenRTE" in version:
        # More ranks than cores are a matter of speed, not an error; the ranks' own threads choose their cores.
        command += ["--oversubscribe", "--bind-to", "none"]
        if os.geteuid() == 0:
            command.append("--allow-run-as-root")
        if shutil.which("ssh") is None and shutil.which("rsh") is None:
            # On one machine nothing has to be started from afar.
            command += ["--mca", "plm", "isolated"]
    settings = [f"LEGATE_JIT_RANKS={ranks}"]
    if "LEGATE_JIT_THREADS" not in os.environ:
        settings.append(f"LEGATE_JIT_THREADS={max(1, len(os.sched_getaffinity(0)) // ranks)}")
    command += ["-n", "1", "env", *settings, "LEGATE_JIT_TRANSPORT=mpi", sys.executable, *program]
    if ranks > 1:
        worker = [sys.executable, "-c", WORKER]
        command += [":", "-n", str(ranks - 1), "env", *settings, "LEGATE_JIT_TRANSPORT=local", *worker]
    return command
