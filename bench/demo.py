"""A short tour: three kinds of programs, once with NumPy and once with legate_jit, numbers and times side by side.

    python bench/demo.py [--out bench/results] [--rounds 3]

The programs are those of bench/programs, unchanged; each run has a process of its own. The numbers must be NumPy's bit
for bit where the program promises it (Jacobi, channel flow) and within a stated bound otherwise (conjugate gradients,
whose products are a BLAS's); if one is not, this ends with status 1. A picture of the solutions is left in
OUT/demo.png.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import harness
import numpy
from harness import seconds, size

STEPS = (
    ("jacobi_a", "Jacobi iteration on a plate of 100 x 100, 1000 sweeps, l2 in every sweep"),
    ("jacobi_b", "the same on 2000 x 2000, 20 sweeps"),
    ("cg", "conjugate gradients, a dense matrix of 2000 x 2000"),
    ("cfd_41", "channel flow on 41 x 41 until it is steady (CFD Python, step 12)"),
    ("cfd_2048", "channel flow with a vortex on 512 x 512, 4 steps of 50 pressure sweeps"),
)
COUNTERS = (
    ("kernels_compiled", "kernels compiled"),
    ("cache_hits", "kernels from the cache"),
    ("plans", "plans"),
    ("flushes", "flushes"),
    ("numpy_calls", "calls left to NumPy"),
)


def load(folder):
    return {path.stem: numpy.load(path) for path in Path(folder).glob("*.npy")}


def both(program, scratch, rounds, threads):
    """Results, first-call answers and median times of NumPy and of ours."""
    params = program.sizes["demo"]
    reference = scratch / program.name
    reference.mkdir()
    answers, values, times = {}, {}, {"numpy": [], "ours": []}
    for name in times:
        saved = scratch / f"{program.name}-{name}"
        saved.mkdir()
        task = dict(
            mode="check", program=program.name, peer=name, params=params, reference=str(reference), save=str(saved),
            own_inputs=program.exact_setup,
        )  # fmt: skip
        answers[name] = harness.worker(task, threads, scratch / f"{program.name}-check", keep_heap=False)
        values[name] = load(saved)
    # once more, now that the kernels are on disk: the memory without compiling, and whether anything is compiled again
    again = harness.worker(task, threads, scratch / f"{program.name}-check", keep_heap=False)
    answers["ours"].update(peak=again["peak"], again=again.get("stats", {}), ok=answers["ours"]["ok"] and again["ok"])
    for _ in range(rounds):
        for name, taken in times.items():
            task = dict(mode="time", program=program.name, peer=name, params=params, seconds=0.5)
            taken.append(harness.worker(task, threads, scratch / f"{program.name}-cache"))
    return answers, values, times


def side_by_side(program, want, got):
    """l2 and the like, one line each, with NumPy's number beside ours."""
    lines = []
    if "history" in want:
        every = int(want["icount"]) // max(1, len(want["history"]))
        lines.append(f"   {'sweep':>6}  {'NumPy':<24}{'legate_jit':<24}")
        for i, (a, b) in enumerate(zip(want["history"].tolist(), got["history"].tolist())):
            lines.append(f"   {(i + 1) * every:>6}  {a!r:<24}{b!r:<24}{'equal' if a == b else 'NOT EQUAL'}")
    else:
        for key, a in want.items():
            if a.ndim == 0 and key in got:
                a, b = a.item(), got[key].item()
                bound = program.checks.get(key)
                word = "equal" if a == b else "NOT EQUAL" if bound and bound.kind == "bits" else "differs, as it may"
                lines.append(f"   {key:<12}{a!r:<24}{b!r:<24}{word}")
    return lines


def picture(found, path):
    """The solutions as our module computed them. False without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(2, 3, figsize=(13, 7.6))
    (laplace, change, cg), (channel, vortex, bars) = axes

    p = found["jacobi_a"]["values"]["ours"]["p"]
    image = laplace.imshow(p, origin="lower", extent=(0, 1, 0, 1), cmap="RdBu_r", vmin=-1, vmax=1)
    laplace.set_title("Laplace: potential after 1000 sweeps")
    fig.colorbar(image, ax=laplace, shrink=0.8)

    for name, style in (("numpy", "o"), ("ours", "x")):
        l2 = found["jacobi_a"]["values"][name]["history"]
        label = "legate_jit" if name == "ours" else "NumPy"
        change.semilogy(100 * (1 + numpy.arange(len(l2))), l2, style, label=label, ms=9, mfc="none")
    change.set_title("Laplace: relative change l2")
    change.set_xlabel("sweep")
    change.legend()

    values = found["cg"]["values"]
    cg.plot(values["numpy"]["x"], values["ours"]["x"], ".", ms=3)
    cg.set_title("conjugate gradients: x, ours against NumPy's")

    v = found["cfd_41"]["values"]["ours"]
    n = len(v["u"])
    grid = numpy.linspace(0, 2, n)
    image = channel.pcolormesh(grid, grid, numpy.hypot(v["u"], v["v"]), shading="auto")
    channel.quiver(grid[::4], grid[::4], v["u"][::4, ::4], v["v"][::4, ::4], color="white", scale=60)
    channel.set_title(f"channel flow: speed after {int(v['stepcount'])} steps")
    fig.colorbar(image, ax=channel, shrink=0.8)

    v = found["cfd_2048"]["values"]["ours"]
    grid = numpy.linspace(0, 2, len(v["u"]))
    image = vortex.imshow(numpy.hypot(v["u"], v["v"]), origin="lower", extent=(0, 2, 0, 2))
    vortex.streamplot(grid, grid, v["u"], v["v"], color="white", linewidth=0.6, density=0.8, arrowsize=0.6)
    vortex.set_title("channel with a vortex: speed")
    fig.colorbar(image, ax=vortex, shrink=0.8)

    names = list(found)
    bars.barh(names, [found[k]["ratio"] for k in names], color="#1a73e8")
    bars.invert_yaxis()
    bars.axvline(1, color="black", lw=1)
    bars.set_title("speed, in multiples of NumPy's")
    fig.tight_layout()
    fig.savefig(path, dpi=110)
    plt.close(fig)
    return True


def main():
    parser = argparse.ArgumentParser(description="NumPy and legate_jit side by side on three kinds of programs.")
    parser.add_argument("--out", type=Path, default=harness.BENCH / "results")
    parser.add_argument("--rounds", type=int, default=3, help="alternating rounds of timing, at least 2")
    parser.add_argument("--threads", type=int, default=len(harness.cores()))
    args = parser.parse_args()
    args.rounds = max(2, args.rounds)

    import peers

    try:
        version = peers.load("ours").version()
    except ImportError as why:
        print(f"legate_jit cannot be imported ({why}); `make demo` builds it first")
        return 1
    m = harness.machine()
    print("The same programs with `import numpy as np` and with `import legate_jit.numpy as np`.")
    print(f"NumPy {numpy.__version__}, legate_jit {version}; {m['cpu']}, {args.threads} threads\n")

    known = harness.programs()
    found = {}
    good = True
    with tempfile.TemporaryDirectory(prefix="demo-") as scratch:
        for i, (name, title) in enumerate(STEPS, 1):
            program = known[name]
            print(f"{i}. {title}", flush=True)
            try:
                answers, values, times = both(program, Path(scratch), args.rounds, args.threads)
            except harness.WorkerFailed as why:
                print(f"   FAILED: {why}\n")
                good = False
                continue
            print("\n".join(side_by_side(program, values["numpy"], values["ours"])))
            arrays = [k for k in program.checks if values["numpy"][k].ndim > 0 and k != "history"]
            for key in arrays:
                print(f"   {key}: {answers['ours']['checks'][key]}")
            good = good and answers["ours"]["ok"]
            steady = {k: statistics.median(t["steady"] for t in taken) for k, taken in times.items()}
            ratio = steady["numpy"] / steady["ours"]
            found[name] = dict(values=values, ratio=ratio)
            theirs, mine = seconds(steady["numpy"]), seconds(steady["ours"])
            print(f"   time: NumPy {theirs}, legate_jit {mine}: {ratio:.2f} times as fast")
            cold = {k: taken[0]["first"] for k, taken in times.items()}
            theirs, mine, second = seconds(cold["numpy"]), seconds(cold["ours"]), seconds(times["ours"][-1]["first"])
            print(f"   first call: NumPy {theirs}, legate_jit {mine}, and {second} with an earlier process's kernels")
            print(f"   memory: NumPy {size(answers['numpy']['peak'])}, legate_jit {size(answers['ours']['peak'])}")
            stats = answers["ours"].get("stats", {})
            print("   " + ", ".join(f"{stats[key]} {words}" for key, words in COUNTERS if key in stats))
            compiled = answers["ours"]["again"].get("kernels_compiled")
            print(f"   a second process: {'–' if compiled is None else compiled} kernels compiled\n")

    if len(found) == len(STEPS):
        args.out.mkdir(parents=True, exist_ok=True)
        path = args.out / "demo.png"
        print(f"picture: {path}" if picture(found, path) else "no picture: matplotlib is not installed")
    print("All numbers are NumPy's." if good else "SOME NUMBERS ARE NOT NUMPY'S: see above.")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
