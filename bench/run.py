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
   that size, or flops / the flop rate of a matrix product, whichever is longer, both measured in this run. A program
   that mostly reads may get somewhat past 100 %, because reading alone is faster than copying.

A peer that is not installed is skipped, and the report says so.
"""

import argparse
import html
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness
import peers
from harness import seconds, size


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
    return dict(runs=runs, bandwidth=bandwidth, flops=max(r["flops"] for r in runs))


def limit_seconds(model, machine):
    """The longer of the two limits, and which one it is."""
    sizes = sorted(machine["bandwidth"])
    nearest = min(sizes, key=lambda s: abs(math.log(s / max(1, model["working_set"]))))
    memory = model["bytes"] / machine["bandwidth"][nearest]
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


HEADINGS = (
    "program",
    "by",
    "first call",
    "first, cached",
    "steady",
    "× NumPy",
    "memory",
    "limit",
    "of limit",
    "result",
)


def cells(row):
    """The lines of a row of the report, one for each peer, as texts."""
    for name, entry in row["peers"].items():
        if entry["ok"]:
            words = "reference" if name == "numpy" else "; ".join(sorted(set(entry["checks"].values()))) or "ok"
            if len(words) > 60:
                words = "within bounds" if name != "ours" else words
        else:
            words = entry.get("error") or "; ".join(
                f"{k} {v}" for k, v in entry["checks"].items() if v.startswith("WRONG")
            )
        yield (
            name,
            (
                row["program"],
                peers.load(name).TITLE,
                seconds(entry.get("first_cold")),
                seconds(entry.get("first_warm")),
                seconds(entry.get("steady")),
                f"{entry['speedup']:.2f}" if "speedup" in entry else "–",
                size(entry.get("peak")),
                f"{seconds(row['limit_s'])} ({row['limit_by']})",
                f"{100 * entry['of_limit']:.0f} %" if "of_limit" in entry else "–",
                words,
            ),
        )


def describe(report):
    m, limits = report["machine"], report["limits"]
    large = max(limits["bandwidth"])
    one, many = limits["runs"][0], limits["runs"][-1]
    slow, fast = (run["bandwidth"][str(large)] / 1e9 for run in (one, many))
    lines = [
        f"{m['cpu']}, {report['threads']} of {m['cores']} cores, {m['memory_gib']} GiB, {m['system']}, "
        f"Python {m['python']}",
        f"copy bandwidth (read + write, {size(large)}): {slow:.1f} GB/s with 1 thread, {fast:.1f} GB/s with "
        f"{many['threads']}; matrix product: {one['flops'] / 1e9:.0f} and {many['flops'] / 1e9:.0f} Gflop/s",
        f"sizes: {report['size']}; {report['repeat']} alternating rounds, medians; "
        + ", ".join(f"{peers.load(k).TITLE} {v}" for k, v in report["versions"].items()),
    ]
    if m["load"] > 0.5:
        lines.append(
            f"the machine was busy with other work at the start (load {m['load']}): these times are not reliable"
        )
    lines += [f"not run: {peers.load(k).TITLE} ({why})" for k, why in report["missing"].items()]
    return lines


def markdown(report):
    out = ["# Benchmark", ""] + [f"- {line}" for line in describe(report)] + [""]
    out += ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    for row in report["rows"]:
        for _, line in cells(row):
            out.append("| " + " | ".join(text.replace("|", "/") for text in line) + " |")
    out += ["", "Parameters: " + "; ".join(
        f"{row['program']} " + ", ".join(f"{k}={v}" for k, v in row["params"].items()) for row in report["rows"]
    )]  # fmt: skip
    for row in report["rows"]:
        out += [f"- {row['program']}: {note}" for note in row["notes"]]
    return "\n".join(out) + "\n"


COLOURS = {"numpy": "#9aa0a6", "ours": "#1a73e8", "numba": "#12a37f", "jax": "#c26401", "numexpr": "#8e5bd0"}


def draw(report, path):
    """Speed in multiples of NumPy's, with the limit as a mark. False without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [r for r in report["rows"] if "steady" in r["peers"]["numpy"]]
    names = [n for n in COLOURS if any("speedup" in r["peers"].get(n, {}) for r in rows)]
    if not rows or not names:
        return False
    fig, ax = plt.subplots(figsize=(9, 1.2 + 0.16 * len(rows) * (len(names) + 1)))
    height = 0.85 / len(names)
    for k, name in enumerate(names):
        at = [i + (k - (len(names) - 1) / 2) * height for i in range(len(rows))]
        value = [r["peers"].get(name, {}).get("speedup", math.nan) for r in rows]
        ax.barh(at, value, height * 0.92, color=COLOURS[name], label=peers.load(name).TITLE)
    for i, row in enumerate(rows):
        limit = row["peers"]["numpy"]["steady"] / row["limit_s"]
        ax.plot([limit, limit], [i - 0.45, i + 0.45], color="black", lw=1.5, label="limit" if i == 0 else None)
    ax.set_yticks(range(len(rows)), [r["program"] for r in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xscale("log")
    ax.axvline(1, color="#bbbbbb", lw=0.8, zorder=0)
    ax.grid(axis="x", which="both", color="#eeeeee", zorder=0)
    ax.set_axisbelow(True)
    ax.xaxis.set_major_formatter(lambda v, _: f"{v:g}×")
    ax.set_xlabel("speed, in multiples of NumPy's (steady state)")
    ax.set_title(f"{report['machine']['cpu']}, {report['threads']} threads, size {report['size']}", fontsize=9)
    ax.legend(fontsize=8, loc="lower right")
    fig.tight_layout()
    fig.savefig(path, dpi=130)
    plt.close(fig)
    return True


STYLE = """
body { font: 14px system-ui, sans-serif; margin: 2em; color: #222 }
table { border-collapse: collapse }
td, th { padding: 2px 9px; text-align: right; white-space: nowrap }
td:nth-child(-n+2), td:last-child { text-align: left }
td:last-child { white-space: normal; max-width: 24em; color: #666 }
.f td { border-top: 1px solid #ccc }
.w { width: 260px }
.a { position: relative; height: 12px; width: 260px }
.b { height: 12px }
.l { position: absolute; top: -2px; height: 16px; width: 2px; background: #000 }
.k { display: inline-block; width: 12px; height: 12px; margin-left: 12px }
"""


def page(report):
    """The report as one HTML page that needs nothing else: a table and bars."""
    names = report["versions"]
    body = ["<h1>Benchmark</h1><ul>"] + [f"<li>{html.escape(line)}</li>" for line in describe(report)] + ["</ul>"]
    keys = "".join(f"<span class=k style='background:{COLOURS[n]}'></span> {peers.load(n).TITLE}" for n in names)
    keys += "<span class=k style='background:#000;width:2px'></span> limit"
    body.append(f"<p>{keys}; bars: speed in multiples of NumPy's (log scale)</p>")

    def place(x):
        return max(0.4, min(100.0, 100 * (math.log10(max(x, 1e-9)) + 1) / 3.2))  # 0.1 ... 160

    body.append("<table><tr>" + "".join(f"<th>{h}</th>" for h in HEADINGS[:6]) + "<th class=w></th>"
                + "".join(f"<th>{h}</th>" for h in HEADINGS[6:]) + "</tr>")  # fmt: skip
    for row in report["rows"]:
        base = row["peers"]["numpy"].get("steady")
        for i, (name, line) in enumerate(cells(row)):
            bar = ""
            if base and "speedup" in row["peers"][name]:
                width, mark = place(row["peers"][name]["speedup"]), place(base / row["limit_s"])
                bar = f"<div class=b style='width:{width:.1f}%;background:{COLOURS[name]}'></div>"
                bar += f"<div class=l style='left:{mark:.1f}%'></div>"
            params = ", ".join(f"{k}={v}" for k, v in row["params"].items())
            body.append(
                f"<tr{' class=f' if i == 0 else ''} title='{html.escape(row['summary'])}: {html.escape(params)}'>"
                + "".join(f"<td>{html.escape(t)}</td>" for t in line[:6])
                + f"<td class=w><div class=a>{bar}</div></td>"
                + "".join(f"<td>{html.escape(t)}</td>" for t in line[6:])
                + "</tr>"
            )
    body.append("</table>")
    notes = [f"<li>{row['program']}: {html.escape(n)}</li>" for row in report["rows"] for n in row["notes"]]
    if notes:
        body.append("<ul>" + "".join(notes) + "</ul>")
    head = f"<!doctype html><meta charset=utf-8><title>Benchmark</title><style>{STYLE}</style>"
    return head + "".join(body)


def write(report, out):
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(report, indent=1))
    (out / "results.md").write_text(markdown(report))
    (out / "index.html").write_text(page(report))
    return draw(report, out / "speed.png")


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
        drawn = write(report, args.out)
    if report["rows"]:
        print(
            f"written: {args.out}/results.json, results.md, index.html"
            + (", speed.png" if drawn else " (no matplotlib, no plot)")
        )
    return 0 if good else 1


def offers(name, program):
    """Whether a peer has this program, without importing what it needs."""
    return program.name in peers.load(name).NAMES


if __name__ == "__main__":
    sys.exit(main())
