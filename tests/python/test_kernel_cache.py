"""The kernel cache from outside: what a second process finds, compiling ahead, and taking kernels to another machine."""

import json
import os
import tarfile

from on_cache import PROGRAM, command, entries, python, run


def test_a_second_process_compiles_nothing(program, tmp_path):
    cache = tmp_path / "cache"
    first = run(program, cache)
    assert entries(cache) and first["stats"]["cache_hits"] == 0
    second = run(program, cache)
    assert second["stats"]["kernels_compiled"] == 0
    assert second["stats"]["cache_hits"] == len(entries(cache))
    assert (first["change"], first["total"]) == (second["change"], second["total"])


def test_a_program_with_little_to_do_compiles_nothing(program, tmp_path):
    cache = tmp_path / "cache"
    assert run(program, cache, n=10, steps=5)["stats"]["kernels_compiled"] == 0
    assert not cache.exists() or entries(cache) == []


def test_a_cache_that_is_full_of_rubbish(program, tmp_path):
    cache = tmp_path / "cache"
    first = run(program, cache)
    for name in entries(cache):
        (cache / name).write_bytes(os.urandom(5000))
    second = run(program, cache)
    assert (first["change"], first["total"]) == (second["change"], second["total"])
    assert second["stats"]["cache_hits"] == 0
    assert command("cache", "verify", cache=cache).returncode == 0


def test_warm_compiles_all_that_a_program_needs(program, tmp_path):
    cache = tmp_path / "cache"
    done = command("warm", program, "--", "12", "3", cache=cache)
    assert done.returncode == 0 and json.loads(done.stdout)["change"] > 0, done.stderr
    assert "for this machine" in done.stderr
    # Other sizes have the same kernels, and none of them is compiled now.
    real = run(program, cache)
    assert real["stats"]["kernels_compiled"] == 0 and real["stats"]["cache_misses"] == 0, real
    assert real["stats"]["cache_hits"] > 0
    again = command("warm", program, "12", "3", cache=cache)
    assert " 0 compiled" in again.stderr


BIG = """
import json
import legate_jit, legate_jit.numpy as np

def step(a, b):
    return (a + b * 2.0) / 3.0

a, b = np.ones((1000, 1000)), np.arange(1000.0)
arrays = []
for k in range(40):
    a, b = step(a, b), b + 1.0
    arrays.append(a * k)
    legate_jit.sync()
asked = float(arrays[3][5, 5])
x, rounds = np.ones(3), 0
while float(x.sum()) < 100:
    x, rounds = x * 2.0, rounds + 1
    legate_jit.sync()
changed = arrays[7]
changed[0, 0] = 5.0
del arrays[8:]
print(json.dumps(dict(asked=asked, rounds=rounds, stats=legate_jit.stats(), there=changed[0].tolist()[:3])))
"""


def test_warm_computes_only_what_is_asked_for(tmp_path):
    cache, program = tmp_path / "cache", tmp_path / "big.py"
    program.write_text(BIG)
    done = command("warm", str(program), cache=cache)
    assert done.returncode == 0, done.stderr
    warm = json.loads(done.stdout)
    done = python(str(program), cache=cache)
    assert done.returncode == 0, done.stderr
    real = json.loads(done.stdout)
    assert [warm[k] for k in ("asked", "rounds", "there")] == [real[k] for k in ("asked", "rounds", "there")]
    assert real["stats"]["bytes_peak"] > 40 * 8_000_000 and warm["stats"]["bytes_peak"] < 20 * 8_000_000
    assert real["stats"]["kernels_compiled"] == 0 and real["stats"]["cache_misses"] == 0, real


def test_warm_goes_through_long_loops(tmp_path):
    program = tmp_path / "long.py"
    program.write_text(
        "import legate_jit, legate_jit.numpy as np\n"
        "x = np.ones(1000)\n"
        "for k in range(20_000):\n    x = x * 0.5 + 1.0\n    legate_jit.sync()\n"
        "y = x[:10] + 1\nprint(float(y[3]))\n"
    )
    done = command("warm", str(program), cache=tmp_path / "cache")
    assert done.returncode == 0 and done.stdout == "3.0\n", done


def test_warm_for_other_processors_and_gpus(program, tmp_path):
    cache = tmp_path / "cache"
    done = command("warm", "--target-cpu", "x86-64-v2,haswell,znver4", "--target-gpu", "sm_80", program, "20", "3", cache=cache)
    assert done.returncode == 0, done.stderr
    listed = command("cache", "ls", cache=cache).stdout
    for target in ("x86-64-v2", "x86-64-v3 tuned for haswell", "x86-64-v4 tuned for znver4", "sm_80"):
        assert target in listed, listed
    assert command("cache", "verify", cache=cache).returncode == 0
    for wrong in (("--target-cpu", "pentium"), ("--target-gpu", "voodoo2")):
        refused = command("warm", *wrong, program, "20", "3", cache=cache)
        assert refused.returncode == 2 and wrong[1] in refused.stderr and refused.stdout == ""


def test_code_for_a_whole_level_is_used(program, tmp_path):
    cache = tmp_path / "cache"
    flags = open("/proc/cpuinfo").read()
    level = "x86-64-v4" if " avx512vl " in flags else "x86-64-v3" if " avx2 " in flags else "x86-64-v2"
    assert command("warm", "--target-cpu", level, program, "20", "3", cache=cache).returncode == 0
    stats = run(program, cache)["stats"]
    assert stats["kernels_compiled"] == 0 and stats["cache_hits"] > 0


def test_a_programs_exit_status_is_kept(tmp_path):
    program = tmp_path / "leaves.py"
    program.write_text("import sys, legate_jit.numpy as np\nprint(float(np.sum(np.ones(10))))\nsys.exit(3)\n")
    done = command("warm", str(program), cache=tmp_path / "cache")
    assert done.returncode == 3 and done.stdout == "10.0\n"


def test_kernels_travel_in_an_archive(program, tmp_path):
    here, there, archive = tmp_path / "here", tmp_path / "there", str(tmp_path / "kernels.tgz")
    assert command("warm", program, "20", "3", cache=here).returncode == 0
    assert command("cache", "export", archive, cache=here).stdout.startswith(f"{len(entries(here))} kernels, ")
    done = command("cache", "import", archive, cache=there)
    assert done.returncode == 0 and done.stdout.startswith(f"{len(entries(here))} new, 0 already there"), done
    assert entries(there) == entries(here)
    stats = run(program, there)["stats"]
    assert stats["kernels_compiled"] == 0 and stats["cache_misses"] == 0
    assert command("cache", "import", archive, cache=there).stdout.startswith("0 new, ")


def test_kernels_of_another_processor_are_compiled_anew(program, tmp_path):
    here, there, archive = tmp_path / "here", tmp_path / "there", str(tmp_path / "kernels.tar")
    assert command("warm", "--target-cpu", "nehalem", program, "20", "3", cache=here).returncode == 0
    for line in command("cache", "ls", cache=here).stdout.splitlines():
        if ".ljk" in line and "nehalem" not in line:
            (here / line.split()[0]).unlink()
    assert command("cache", "export", archive, cache=here).returncode == 0
    assert command("cache", "import", archive, cache=there).returncode == 0
    # Importing has made each of them for this machine too, from its text.
    assert set(entries(here)) < set(entries(there)) and len(entries(there)) == 2 * len(entries(here))
    stats = run(program, there)["stats"]
    assert stats["kernels_compiled"] == 0 and stats["cache_misses"] == 0, stats
    # With the foreign code alone, nothing of it is used.
    stats = run(program, here, LEGATE_JIT_TIER="compiled")["stats"]
    assert stats["kernels_compiled"] > 0 and stats["cache_hits"] == 0 and stats["cache_errors"] == 0, stats


def test_archives_that_are_not_right(program, tmp_path):
    here, there, archive = tmp_path / "here", tmp_path / "there", str(tmp_path / "kernels.tar")
    assert command("warm", program, "20", "3", cache=here).returncode == 0
    name = entries(here)[0]
    (here / "whole").write_bytes((here / name).read_bytes())
    (here / "torn.ljk").write_bytes((here / name).read_bytes()[:-40])
    with tarfile.open(archive, "w") as tar:
        tar.add(here / "torn.ljk", "torn.ljk")
        tar.add(here / "whole", "../../outside.ljk")
        link = tarfile.TarInfo("link.ljk")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    done = command("cache", "import", archive, cache=there)
    assert done.returncode == 1 and "torn.ljk" in done.stderr and "1 new" in done.stdout
    # The entry has the name that its key says, whatever the archive calls it.
    assert entries(there) == [name] and not (tmp_path / "outside.ljk").exists()
    (tmp_path / "text.tar").write_text("no archive")
    bad = command("cache", "import", str(tmp_path / "text.tar"), cache=there)
    assert bad.returncode == 1 and "text.tar" in bad.stderr


def test_the_cache_keeps_within_its_size(program, tmp_path):
    cache = tmp_path / "cache"
    assert command("warm", program, "20", "3", cache=cache).returncode == 0
    for name in entries(cache):
        os.utime(cache / name, (1, 1))
    other = tmp_path / "other.py"
    other.write_text(PROGRAM.replace("tanh", "sin").replace("** 2", "** 4"))
    run(str(other), cache, LEGATE_JIT_CACHE_SIZE="1K", LEGATE_JIT_TIER="compiled")
    assert sum(os.path.getsize(cache / name) for name in entries(cache)) <= 1024
