"""How the native module is built."""

import shutil
import subprocess

import legate_jit


def test_instructions_are_in_line():
    """An intrinsic that is a function of its own is in a closure, or in a function without the instruction set's attribute; what
    calls it takes several times as long."""
    nm = shutil.which("nm")
    assert nm, "nm comes with the compiler"
    listed = subprocess.run([nm, "-C", legate_jit._native.__file__], capture_output=True, text=True, check=True).stdout
    assert "legate_jit_vmath::" in listed, "the symbols are there"
    apart = {line.split(" ", 2)[2] for line in listed.splitlines() if "core_arch::x86" in line and "::_mm" in line}
    assert not apart, sorted(apart)
