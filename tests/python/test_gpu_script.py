"""tests/gpu/run where there is no GPU: it says so, and lowers the kernels all the same. With a GPU it must find them right."""

import subprocess
import sys
import zipfile
from pathlib import Path

import legate_jit

RUN = Path(__file__).resolve().parents[1] / "gpu" / "run"


def run(*args):
    return subprocess.run([sys.executable, str(RUN), *map(str, args)], capture_output=True, text=True, timeout=600)


def test_the_script_runs_from_a_wheel(tmp_path):
    # As good as a wheel: the package at hand in a zip file. Only its own module and what is beside it are needed.
    wheel = tmp_path / "legate_jit.whl"
    package = Path(legate_jit.__file__).parent
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in package.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path.name != "liblegate_jit_mpi.so":
                archive.write(path, Path("legate_jit") / path.relative_to(package))
    done = run(wheel)
    assert done.returncode in (0, 77), done.stdout + done.stderr
    assert "; 0 wrong, " in done.stdout, done.stdout
    if done.returncode == 77:
        assert "there is no GPU here" in done.stderr
        assert "kernels lowered" in done.stdout and not done.stdout.startswith("0 kernels")


def test_without_a_wheel(tmp_path):
    done = run(tmp_path / "none.whl")
    assert done.returncode == 2 and "no wheel" in done.stderr
