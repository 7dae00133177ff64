"""One kernel cache and everything that may happen to it: sixty-four processes at once, processes killed as they write, files cut
off, turned bits, files that vanish, a full disk, a disk that can only be read, code of another processor under this one's name.
No program stops, and none prints another number."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys

import pytest

from on_cache import command, entries, run

PROCESSES = 64


def start(path, cache, tier):
    env = {**os.environ, "LEGATE_JIT_CACHE_DIR": str(cache), "LEGATE_JIT_TIER": tier}
    words = [sys.executable, path, "300", "40"]
    return subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def spoil(cache, chance):
    """One misfortune to one of the files."""
    names = os.listdir(cache) if cache.exists() else []
    if not names:
        return
    path = cache / chance.choice(names)
    try:
        size = path.stat().st_size
        what = chance.randrange(3)
        if what == 0:
            os.truncate(path, chance.randrange(size + 1))
        elif what == 1 and size:
            with open(path, "r+b") as file:
                at = chance.randrange(size)
                file.seek(at)
                byte = file.read(1)[0]
                file.seek(at)
                file.write(bytes([byte ^ 1 << chance.randrange(8)]))
        elif what == 2:
            path.unlink()
    except FileNotFoundError:
        pass  # somebody else has removed it


def numbers(result):
    return result["change"], result["total"]


def test_sixty_four_processes_on_one_cache(program, tmp_path):
    cache = tmp_path / "cache"
    expected = numbers(run(program, cache, LEGATE_JIT_CACHE="off"))
    chance = random.Random(7)
    # Half of them wait for their code, the others run on prebuilt loops meanwhile and write what they have compiled at their end.
    running = [start(program, cache, ("auto", "compiled")[k % 2]) for k in range(PROCESSES)]
    killed = set()
    while any(p.poll() is None for p in running):
        spoil(cache, chance)
        alive = [p for p in running if p.poll() is None]
        # About a quarter of them, at any moment: some of them are writing.
        if alive and len(killed) < PROCESSES // 4 and chance.random() < 0.1:
            victim = chance.choice(alive)
            victim.send_signal(signal.SIGKILL)
            killed.add(victim)
        try:
            chance.choice(running).wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            pass
    for p in running:
        out, err = p.communicate()
        if p.returncode == -signal.SIGKILL and p in killed:
            continue
        assert p.returncode == 0, err
        assert numbers(json.loads(out)) == expected
    assert any(p.returncode == -signal.SIGKILL for p in killed), "nobody was killed at work"
    # What has been left is sorted out by the next two: the first replaces what is damaged, the second finds everything.
    assert numbers(run(program, cache)) == expected
    last = run(program, cache)
    assert numbers(last) == expected
    assert last["stats"]["cache_errors"] == 0 and last["stats"]["kernels_compiled"] == 0, last["stats"]
    assert last["stats"]["cache_hits"] > 0


def mounted(tmp_path, script, program, cache):
    """Runs a shell script in a namespace where it may mount what it likes, then the program, and gives back what it printed."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody make a mount namespace")
    env = {**os.environ, "LEGATE_JIT_CACHE_DIR": str(cache), "LEGATE_JIT_TIER": "compiled", "CACHE": str(cache)}
    words = ["unshare", "-rm", "sh", "-ec", script + '\n"$@"\nls -A "$CACHE" >&2', "sh", sys.executable, program, "300", "40"]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr.split()


def test_a_disk_that_is_full(program, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    expected = numbers(run(program, tmp_path / "other"))
    result, left = mounted(tmp_path, 'mount -t tmpfs -o size=8k,mode=700 tmpfs "$CACHE"', program, cache)
    assert numbers(result) == expected
    assert result["stats"]["kernels_compiled"] > 0 and result["stats"]["cache_errors"] > 0, result["stats"]
    assert [name for name in left if name.endswith(".tmp")] == [], "nothing half-written stays"


def test_a_disk_that_can_only_be_read(program, tmp_path):
    cache, only_read = tmp_path / "cache", 'mount --bind "$CACHE" "$CACHE"; mount -o remount,bind,ro "$CACHE"'
    first = run(program, cache, LEGATE_JIT_TIER="compiled")
    there = entries(cache)
    result, left = mounted(tmp_path, only_read, program, cache)
    assert numbers(result) == numbers(first)
    assert result["stats"]["cache_hits"] == len(there) and result["stats"]["kernels_compiled"] == 0, result["stats"]
    # And with nothing in it, or only what is damaged.
    for name in there:
        (cache / name).write_bytes(b"LEGATJIT")
    result, left = mounted(tmp_path, only_read, program, cache)
    assert numbers(result) == numbers(first) and left == there
    assert result["stats"]["kernels_compiled"] > 0 and result["stats"]["cache_errors"] > 0, result["stats"]


def test_code_of_another_processor_under_this_ones_name(program, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    first = run(program, here, LEGATE_JIT_TIER="compiled")
    assert command("warm", "--target-cpu", "x86-64-v2,nehalem", program, "20", "3", cache=there).returncode == 0
    foreign = [name for name in entries(there) if name not in entries(here)]
    assert foreign
    for k, name in enumerate(entries(here)):
        shutil.copy(there / foreign[k % len(foreign)], here / name)
    again = run(program, here, LEGATE_JIT_TIER="compiled")
    assert numbers(again) == numbers(first)
    assert again["stats"]["cache_hits"] == 0 and again["stats"]["cache_errors"] >= len(entries(here)), again["stats"]
