"""From the start of a process to its first result, and the memory that takes: NumPy beside ours, each in fresh processes.

    python bench/cold.py [--programs jacobi_a,cg_each] [--sizes small,demo] [--repeat 3] [--out FILE] [--check]

For each program and size the processes take turns: NumPy, ours with an empty kernel cache, ours with the cache that the
process before left. The time runs from just before the process is made until all results lie in memory, interpreter and
imports included, on the clock that both processes share; the least of the rounds counts, because other work on the
machine only adds. The memory is the largest resident set of the process's life. Everything else is as a user has it: all
cores, the system's own heap.

With --check the exit status says whether ours kept its promises: nothing compiled in the second process, and no first
result later than NumPy's plus 50 ms.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BENCH = Path(__file__).resolve().parent
LATE = 0.050
MODULES = {"numpy": "numpy", "ours": "legate_jit.numpy"}


def child(task):
    """One program, solved once; what it cost goes to the file that the task names."""
    sys.path[:0] = [str(BENCH), str(BENCH / "programs")]
    np = importlib.import_module(task["module"])
    imported = time.monotonic()
    program = next(p for p in importlib.import_module(task["file"]).PROGRAMS if p.name == task["program"])
    from _program import plain

    results = {k: plain(v) for k, v in program.run(np, **program.sizes[task["size"]]).items()}
    answer = dict(done=time.monotonic(), imported=imported, cpu=time.process_time(), peak=peak())
    if task["module"] != "numpy":
        import legate_jit

        answer["stats"] = legate_jit.stats()
    del results
    Path(task["out"]).write_text(json.dumps(answer))


def peak():
    """The largest resident set so far, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def run(peer, program, file, size, cache):
    """One process; what its child says, with the times counted from before it was made."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        task = dict(module=MODULES[peer], file=file, program=program, size=size, out=out.name)
        env = dict(os.environ, LEGATE_JIT_CACHE_DIR=str(cache))
        start = time.monotonic()
        subprocess.run([sys.executable, __file__, "--child", json.dumps(task)], env=env, check=True)
        ended = time.monotonic()
        answer = json.loads(Path(out.name).read_text())
    answer.update(first=answer["done"] - start, imports=answer["imported"] - start, life=ended - start)
    return answer


def measure(program, file, size, repeat):
    """The least time and memory of each kind of process, and what the second process of ours counted."""
    samples = {"numpy": [], "empty": [], "filled": []}
    with tempfile.TemporaryDirectory(prefix="cold-") as scratch:
        for turn in range(repeat):
            cache = Path(scratch) / str(turn)
            samples["numpy"].append(run("numpy", program, file, size, cache))
            samples["empty"].append(run("ours", program, file, size, cache))
            samples["filled"].append(run("ours", program, file, size, cache))
    row = dict(program=program, size=size)
    for kind, runs in samples.items():
        row[kind] = {k: min(r[k] for r in runs) for k in ("first", "imports", "life", "cpu", "peak")}
    row["filled"]["kernels_compiled"] = max(r["stats"]["kernels_compiled"] for r in samples["filled"])
    row["filled"]["cache_hits"] = samples["filled"][-1]["stats"]["cache_hits"]
    row["empty"]["kernels_compiled"] = samples["empty"][-1]["stats"]["kernels_compiled"]
    return row


def late(row, kind):
    return row[kind]["first"] - row["numpy"]["first"] > LATE


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", help="names, with commas between; all if not given")
    parser.add_argument("--sizes", default="small,demo")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--out", help="a file for the numbers, in JSON")
    parser.add_argument("--check", action="store_true", help="fail where a promise is not kept")
    args = parser.parse_args()

    import harness

    files = {}
    for path in sorted((BENCH / "programs").glob("[a-z]*.py")):
        for program in importlib.import_module(path.stem).PROGRAMS:
            files[program.name] = path.stem
    programs = harness.programs()
    names = args.programs.split(",") if args.programs else list(programs)
    rows, broken = [], []
    print(f"{'':26}{'to the first result, ms':>34}{'compiled':>12}{'peak, MB':>28}")
    print(f"{'program':<18}{'size':<8}{'numpy':>10}{'empty':>12}{'filled':>12}{'1st':>6}{'2nd':>6}{'numpy':>10}{'empty':>9}{'filled':>9}")
    for name in names:
        for size in args.sizes.split(","):
            if size not in programs[name].sizes:
                continue
            row = measure(name, files[name], size, args.repeat)
            rows.append(row)
            ms = [row[k]["first"] * 1e3 for k in ("numpy", "empty", "filled")]
            mb = [row[k]["peak"] / 1e6 for k in ("numpy", "empty", "filled")]
            mark = ["*" if late(row, k) else " " for k in ("empty", "filled")]
            print(
                f"{name:<18}{size:<8}{ms[0]:>10.0f}{ms[1]:>11.0f}{mark[0]}{ms[2]:>11.0f}{mark[1]}"
                f"{row['empty']['kernels_compiled']:>6}{row['filled']['kernels_compiled']:>6}"
                f"{mb[0]:>10.0f}{mb[1]:>9.0f}{mb[2]:>9.0f}",
                flush=True,
            )
            broken += [f"{name} {size}, {k} cache: late" for k in ("empty", "filled") if late(row, k)]
            if row["filled"]["kernels_compiled"]:
                broken.append(f"{name} {size}: compiled in the second process")
    print("* later than NumPy's plus 50 ms")
    if args.out:
        Path(args.out).write_text(json.dumps(dict(machine=harness.machine(), rows=rows), indent=1))
    if args.check and broken:
        sys.exit("\n".join(broken))


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] == "--child":
        child(json.loads(sys.argv[2]))
    else:
        main()
