"""cuPyNumeric on the CPU: the program as it stands, with its import. Its packages need a CUDA driver even so."""

import os

from peers import Solver

NAME = "cupynumeric"
TITLE = "cuPyNumeric"


def module():
    threads = os.environ.get("OMP_NUM_THREADS", str(os.cpu_count() or 1))
    os.environ.setdefault("LEGATE_AUTO_CONFIG", "0")
    os.environ.setdefault("LEGATE_CONFIG", f"--cpus {threads} --gpus 0 --omps 0 --sysmem 8000")
    import cupynumeric

    return cupynumeric


def version():
    return module().__version__


def sync():
    """Waits until everything launched so far is done."""
    from legate.core import get_legate_runtime

    get_legate_runtime().issue_execution_fence(block=True)


def solver(program):
    np = module()

    def prepare(array):
        own = np.array(array)
        sync()
        return own

    def solve(inputs):
        results = program.solve(np, **inputs)
        sync()
        return results

    return Solver(prepare, solve)
