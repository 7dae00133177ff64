"""LEGATE_JIT_DUMP: a whole session of it for one Jacobi step, stage by stage, beside the snapshot of how it should read.

After a change that is meant to change a stage, `UPDATE_SNAPSHOTS=1 pytest tests/python/test_dump.py` writes the snapshot
anew; read its diff before it is committed.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SNAPSHOT = Path(__file__).parent / "snapshots" / "jacobi_dump.txt"
PROGRAM = """
import legate_jit.numpy as np
p = np.zeros((6, 7))
p[:, -1] = np.arange(6.0)
float(np.sum(p))
pn = p.copy()
p[1:-1, 1:-1] = 0.25 * (p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1])
print(float(np.sqrt(np.sum((p - pn) ** 2) / np.sum(pn**2))))
"""
STAGES = ["capture", "canonicalize", "rewrite", "unfold", "fuse", "schedule", "kernel", "mlir", "llvm", "asm", "ptx"]

runs_v3 = pytest.mark.skipif(" avx2 " not in Path("/proc/cpuinfo").read_text(), reason="code for x86-64-v3 does not run here")


def dump(request, program=PROGRAM, **env):
    env = {**os.environ, "LEGATE_JIT_DUMP": request, **env}
    return subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=300)


def files(folder):
    """Text by name, of the step alone; what was made before it has a folder of its own."""
    return {path.name: path.read_text() for path in sorted(folder.iterdir())}


@runs_v3
def test_a_whole_session(tmp_path):
    done = dump(f"all@{tmp_path}/dump", LEGATE_JIT_DUMP_TARGET="x86-64-v3")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert sorted(os.listdir(tmp_path / "dump")) == ["0001", "0002"]
    step = files(tmp_path / "dump" / "0002")
    kernels = sorted({name[3:].split(".")[0] for name in step if re.match(r"06-k\d+\.kernel$", name)})
    assert kernels
    for number, stage in enumerate(STAGES):
        for name in kernels if number >= STAGES.index("kernel") else [stage]:
            assert any(f.startswith(f"{number:02}-{name}.") for f in step), (stage, name, sorted(step))

    # What LLVM and the assembler make of it differs from version to version; that it is that kind of text does not.
    for name in kernels:
        assert "define void @kernel(" in step[f"08-{name}.ll"]
        assert "kernel:" in step[f"09-{name}.s"] and "ret" in step[f"09-{name}.s"]
        assert ".visible .entry kernel(" in step[f"10-{name}.ptx"] and ".target sm_90" in step[f"10-{name}.ptx"]
    stencil = max(kernels, key=lambda k: step[f"06-{k}.kernel"].count("load"))
    assert "<4 x double>" in step[f"08-{stencil}.ll"] and "ymm" in step[f"09-{stencil}.s"]
    assert "add.rn.f64" in step[f"10-{stencil}.ptx"]

    # The stages that are ours, with the stencil's MLIR; that of the others adds nothing.
    ours = [name for name in step if int(name[:2]) < STAGES.index("mlir")] + [f"07-{stencil}.mlir"]
    text = "".join(f"==== {name}\n{step[name].rstrip()}\n" for name in ours)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        SNAPSHOT.parent.mkdir(exist_ok=True)
        SNAPSHOT.write_text(text)
    assert text == SNAPSHOT.read_text(), "see the head of this file for how to accept what changed"

    # The same bytes from the same program.
    assert dump(f"all@{tmp_path}/again", LEGATE_JIT_DUMP_TARGET="x86-64-v3").returncode == 0
    assert files(tmp_path / "again" / "0002") == step


def test_single_stages_go_to_the_error_output():
    done = dump("capture,fuse")
    assert "; 0002 capture: the graph as recorded\ngraph @trace(" in done.stderr
    assert "; 0002 fuse: " in done.stderr and "plan @trace {" in done.stderr
    assert "rewrite:" not in done.stderr and "mlir" not in done.stderr
    assert done.stdout == dump("").stdout


# Minus of minus is what there was.
TWICE = "import legate_jit.numpy as np\na = np.arange(8.0)\nprint(float(np.sum(-(-a) + a)))\n"


def test_what_a_stage_changed():
    done = dump("diff:rewrite", TWICE)
    assert done.returncode == 0 and done.stdout == "56.0\n"
    assert " rewrite: the cheapest of all forms" in done.stderr
    lines = [line for line in done.stderr.splitlines() if line and not line.startswith(";")]
    assert all(line[:2] in ("  ", "- ", "+ ") for line in lines), lines
    assert any(line.startswith("- ") and "negative" in line for line in lines), lines
    assert not any(line.startswith("+ ") and "negative" in line for line in lines), lines


def test_rules_that_fired_are_named():
    assert re.search(r"^;   [a-z-]+ ×\d+$", dump("rewrite", TWICE).stderr, re.M)


def test_a_gpu_of_ones_own():
    done = dump("ptx", LEGATE_JIT_DUMP_TARGET="sm_80")
    assert done.returncode == 0 and ".target sm_80" in done.stderr


def test_unknown_words():
    for request, said in (("fusion", "no stage fusion; there are capture, canonicalize"), ("all@", "a folder is expected")):
        done = dump(request)
        assert done.returncode != 0 and f"LEGATE_JIT_DUMP: {said}" in done.stderr, done.stderr
        assert done.stderr.count("LEGATE_JIT_DUMP:") == 1
    assert "LEGATE_JIT_DUMP_TARGET=pentium: expected" in dump("asm", LEGATE_JIT_DUMP_TARGET="pentium").stderr
