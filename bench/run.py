"""Runs the programs by several means and writes down how long each takes, how much memory, and how far from the limit.

    python bench/run.py [--programs jacobi_b,cfd_2048] [--peers numpy,ours,numba] [--size small|demo|full|...]
                        [--repeat 3] [--threads 2] [--seconds 1] [--out bench/results] [--list]

Every measurement has a process of its own (worker.py), held to the same cores. For each program:

1. Check. Each peer solves in two processes, the second with the compiled code of the first on disk, and the results are
   compared with NumPy's: bit for bit where the program promises it for ours, within a stated bound otherwise. What is
   wrong is not timed. The second run gives the peak memory: resident bytes above those after the imports. Inputs count,
   making them does not. Freed blocks are given back to the system here.
2. Time. The peers take turns (A B C A B C ...), `--repeat` rounds. Each process makes a first call and then repeats;
   the median of a process's repetitions is one sample, the median of the rounds is reported. The first call of the
   first round finds empty caches of compiled code, those of the later rounds find them filled on disk ("first,
   cached"). Here everybody keeps the heap (harness.KEEP_HEAP), or NumPy would pay for fresh pages with every temporary.
3. Limit. What a perfect program that passes once over its data needs: bytes moved / copy bandwidth for a working set of
   that size, or flops / the flop rate of a matrix product, whichever is longer, both measured in this run. What a program
   says to be only read comes at the speed of a loop that only reads (reading.py), if it lies in memory: on some machines
   that is less than what copying reads and writes.

A peer that is not installed is skipped, and the report says so.
"""

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness
import peers
from report import HEADINGS, cells, describe, summary, write


# Working sets from this many bytes on are in no cache.
FROM_MEMORY = 1 << 28


def available(names):
    """(versions of what can be used, reasons for what cannot)."""
    versions, missing = {}, {}
    for name in names:
        code = f"import harness, peers; print(peers.load({name!r}).version())"
        done = subprocess.run(
            [sys.executable, "-c", code], env=harness.environment(1), capture_output=True, text=True, cwd=harness.BENCH
        )
        if done.returncode == 0:
            versions[name] = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
        else:
            missing[name] = harness.reason(done.stderr) or "does not start"
    return versions, missing


def measure_machine(threads):
    """Bandwidth by working set and flop rate, the best of one thread and all."""
    runs = [harness.worker(dict(mode="machine"), n) for n in sorted({1, threads})]
    bandwidth = {int(k): max(r["bandwidth"][k] for r in runs) for k in runs[0]["bandwidth"]}
    best = {name: max(r[name] for r in runs) for name in ("reading", "flops")}
    return dict(runs=runs, bandwidth=bandwidth, **best)


def limit_seconds(model, machine):
    """The longer of the two limits, and which one it is."""
    sizes = sorted(machine["bandwidth"])
    nearest = min(sizes, key=lambda s: abs(math.log(s / max(1, model["working_set"]))))
    only_read = model.get("only_read", 0) if nearest >= FROM_MEMORY else 0
    memory = (model["bytes"] - only_read) / machine["bandwidth"][nearest] + only_read / machine["reading"]
    flops = model["flops"] / machine["flops"]
    return (memory, "memory") if memory >= flops else (flops, "arithmetic")


def median(values):
    return statistics.median(values) if values else None


def check(task, args, cache):
    """The first process compiles, the second finds the code on disk; both must be right, the second says the memory."""
    first = harness.worker(task, args.threads, cache, keep_heap=False, timeout=args.timeout)
    if task["peer"] == "numpy" or not first["ok"]:
        return first
    second = harness.worker(task, args.threads, cache, keep_heap=False, timeout=args.timeout)
    return dict(second, peak_compiling=first["peak"], stats_compiling=first.get("stats"))


def measure(program, params, names, versions, machine, args):
    """One row of the report."""
    row = dict(program=program.name, summary=program.summary, params=params, peers={}, notes=list(program.notes))
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        reference = Path(scratch) / "reference"
        reference.mkdir()
        samples = {}
        for name in names:
            entry = row["peers"][name] = {}
            task = dict(mode="check", program=program.name, peer=name, params=params, reference=str(reference))
            try:
                entry.update(check(task, args, Path(scratch) / f"{name}-check"))
            except harness.WorkerFailed as why:
                entry.update(ok=False, error=str(why))
                if name == "numpy":
                    raise
            if entry["ok"]:
                samples[name] = []
            else:
                wrong = [f"{k}: {v}" for k, v in entry.get("checks", {}).items() if v.startswith("WRONG")]
                print(f"  {name}: {entry.get('error') or '; '.join(wrong)}", flush=True)
        row["limit"] = row["peers"]["numpy"].pop("limit")
        row["limit_s"], row["limit_by"] = limit_seconds(row["limit"], machine)

        for _ in range(args.repeat):
            for name in list(samples):
                task = dict(mode="time", program=program.name, peer=name, params=params, seconds=args.seconds)
                try:
                    samples[name].append(harness.worker(task, args.threads, Path(scratch) / name, timeout=args.timeout))
                except harness.WorkerFailed as why:
                    row["peers"][name].update(ok=False, error=str(why))
                    del samples[name]
                    print(f"  {name}: {why}", flush=True)
        for name, taken in samples.items():
            entry = row["peers"][name]
            entry["first_cold"] = median([t["first"] for t in taken[:1]])
            entry["first_warm"] = median([t["first"] for t in taken[1:]])
            entry["steady"] = median([t["steady"] for t in taken])
            entry["samples"] = [t["steady"] for t in taken]
    base = row["peers"]["numpy"].get("steady")
    for entry in row["peers"].values():
        if entry.get("steady") and base:
            entry["speedup"] = base / entry["steady"]
            entry["of_limit"] = row["limit_s"] / entry["steady"]
    return row


def main():
    known = harness.programs()
    parser = argparse.ArgumentParser(description="Programs side by side with other ways to run them.")
    parser.add_argument("--programs", default=",".join(known), help="comma-separated; default: all")
    parser.add_argument("--peers", default=",".join(peers.MODULES), help="comma-separated; NumPy always runs")
    parser.add_argument("--size", default="full", help="small, demo, full, or another size that a program has")
    parser.add_argument("--repeat", type=int, default=3, help="alternating rounds of timing (0: only check)")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each process repeats")
    parser.add_argument("--threads", type=int, default=len(harness.cores()))
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds after which a process is given up")
    parser.add_argument("--out", type=Path, default=harness.BENCH / "results")
    parser.add_argument("--list", action="store_true", help="print the programs with their sizes and end")
    args = parser.parse_args()
    if args.list:
        for program in known.values():
            print(f"{program.name}: {program.summary}")
            for label, params in program.sizes.items():
                print(f"    {label:6} " + ", ".join(f"{k}={v}" for k, v in params.items()))
        return 0

    chosen = [n for n in args.programs.split(",") if n]
    names = ["numpy"] + [n for n in args.peers.split(",") if n and n != "numpy"]
    for n in chosen:
        if n not in known:
            parser.error(f"no program {n!r}; there are {', '.join(known)}")
    for n in names:
        if n not in peers.MODULES:
            parser.error(f"no peer {n!r}; there are {', '.join(peers.MODULES)}")
    args.threads = max(1, min(args.threads, len(harness.cores())))

    versions, missing = available(names)
    for name, why in missing.items():
        print(f"{peers.load(name).TITLE} is skipped: {why}")
    print("measuring the machine ...", flush=True)
    report = dict(
        machine=harness.machine(), threads=args.threads, size=args.size, repeat=args.repeat, versions=versions,
        missing=missing, limits=measure_machine(args.threads), date=time.strftime("%Y-%m-%d"), rows=[],
    )  # fmt: skip
    print("\n".join(describe(report)))

    widths = (17, 11, 11, 14, 9, 9, 9, 22, 9)
    print("".join(h.ljust(w) if i < 2 else h.rjust(w) for i, (h, w) in enumerate(zip(HEADINGS, widths))) + "  result")
    good = True
    for n in chosen:
        program = known[n]
        if args.size not in program.sizes:
            print(f"{n} has no size {args.size!r}")
            continue
        use = [p for p in names if p in versions and (p in ("numpy", "ours") or offers(p, program))]
        row = measure(program, program.sizes[args.size], use, versions, report["limits"], args)
        report["rows"].append(row)
        for name, line in cells(row):
            good = good and (name != "ours" or row["peers"][name]["ok"])
            print(
                "".join(t.ljust(w) if i < 2 else t.rjust(w) for i, (t, w) in enumerate(zip(line, widths)))
                + "  "
                + line[-1]
            )
        sys.stdout.flush()
        write(report, args.out)
    if report["rows"]:
        print("\n".join(["", *summary(report)]))
        print(f"written: {args.out}/results.json, results.md, report.html")
    return 0 if good else 1


def offers(name, program):
    """Whether a peer has this program, without importing what it needs."""
    return program.name in peers.load(name).NAMES


if __name__ == "__main__":
    sys.exit(main())
