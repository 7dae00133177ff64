"""What a single call costs: recording, slicing, a flush, a scalar read, and small arrays beside NumPy.

    python bench/record.py [--out bench/results] [--seconds 0.2] [--rounds 7]

Everything runs in one process; NumPy and legate_jit take turns, the median of the rounds is reported, both with the
heap kept. Times contain the Python loop's own cost (about 10 ns a turn), which is subtracted as measured with an empty
body. The targets printed beside the numbers are the project's; nothing fails when one is missed.

    recorded a + b     the call alone; the results are dropped before anything runs
    slice              a[1:-1, 2:] alone
    flush, plan known  sync() after c = a + b on 10x10 operands, the recording not counted; the counters say whether
                       the plan was really known
    scalar read        float(a[3, 4]) of an array that is in memory
    small arrays       one, then ten operations, then a sum, with the result asked for, from 10 to 10^6 elements
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import harness
from harness import seconds

clock = time.perf_counter


def per_call(body, count, after=None):
    """Seconds per call of `body` over `count` calls; `after` is not timed."""
    turns = range(count)
    start = clock()
    for _ in turns:
        body()
    took = clock() - start
    if after:
        after()
    start = clock()
    for _ in turns:
        nothing()
    return max(0.0, took - (clock() - start)) / count


def nothing():
    pass


def calls_for(body, limit, after=None, most=1_000_000):
    """How many calls take about `limit` seconds."""
    count = 1
    while count < most:
        start = clock()
        for _ in range(count):
            body()
        took = clock() - start
        if after:
            after()
        if took > limit / 4:
            return max(1, int(count * limit / took))
        count *= 4
    return most


def alternate(bodies, limit, rounds, after=None, most=1_000_000):
    """Medians of per_call for each body, measured in turns."""
    after = after or {}
    counts = {k: calls_for(b, limit / rounds, after.get(k), most) for k, b in bodies.items()}
    taken = {k: [] for k in bodies}
    for _ in range(rounds):
        for k, body in bodies.items():
            taken[k].append(per_call(body, counts[k], after.get(k)))
    return {k: statistics.median(v) for k, v in taken.items()}


def operands(np, *shape):
    import numpy

    rng = numpy.random.default_rng(3)
    return np.array(rng.random(shape) + 0.5), np.array(rng.random(shape) + 0.5)


def single_calls(modules, sync, args):
    """(what, {who: seconds}, target or None)"""
    pairs = {k: operands(np, 10, 10) for k, np in modules.items()}
    after = {"ours": sync}

    def bodies(make):
        return {k: make(modules[k], *pairs[k]) for k in modules}

    def run(make, most=64):
        # few calls at a time where they are only recorded: a longer stretch would reach the recorder's own limits
        return alternate(bodies(make), args.seconds, max(args.rounds, 31), after, most)

    yield "recorded a + b (10x10)", run(lambda np, a, b: lambda: a + b), 200e-9
    yield "recorded a * 2.0 (10x10)", run(lambda np, a, b: lambda: a * 2.0), 200e-9
    yield "recorded np.sqrt(a) (10x10)", run(lambda np, a, b: lambda: np.sqrt(a)), None
    yield "slice a[1:-1, 2:]", run(lambda np, a, b: lambda: a[1:-1, 2:]), None
    yield "slice a[3]", run(lambda np, a, b: lambda: a[3]), None
    for _, b in pairs.values():
        float(b[0, 0])
    sync()
    yield (
        "scalar read float(a[3, 4])",
        alternate(bodies(lambda np, a, b: lambda: float(a[3, 4])), args.seconds, args.rounds),
        None,
    )

    def write(np, a, b):
        def body():
            a[3, 4] = 1.5

        return body

    yield "scalar write a[3, 4] = 1.5", run(write), None
    yield (
        "float(np.sum(a)) (10x10)",
        alternate(bodies(lambda np, a, b: lambda: float(np.sum(a))), args.seconds, args.rounds),
        None,
    )
    yield (
        "branch: if (a > b).any()",
        alternate(bodies(lambda np, a, b: lambda: bool((a > b).any())), args.seconds, args.rounds),
        None,
    )


def flush(np, sync, stats, args):
    """Seconds for sync() with one addition pending, and what the counters did meanwhile."""
    a, b = operands(np, 10, 10)
    for _ in range(50):  # compiled and known by now
        c = a + b
        sync()
    time.sleep(0.2)
    taken = []
    before = stats()
    began = clock()
    while clock() - began < args.seconds:
        c = a + b
        start = clock()
        sync()
        taken.append(clock() - start)
    after = stats()
    del c
    empty = []
    for _ in range(1000):
        start = clock()
        sync()
        empty.append(clock() - start)
    names = ("plans", "cache_misses", "kernels_compiled", "flushes", "numpy_calls")
    moved = {k: after[k] - before[k] for k in names if k in after and k in before}
    return statistics.median(taken), statistics.median(empty), len(taken), moved


def one(np, a, b):
    return a + b


def ten(np, a, b):
    c = (a + b) * a - b
    c = c / a + b
    c = np.maximum(c, a) * 0.5
    return np.sqrt(c * c + b)


def total(np, a, b):
    return np.sum(a * b + a)


SMALL = (("a + b", one), ("ten operations", ten), ("np.sum(a * b + a)", total))


def small_arrays(modules, sync, args):
    for label, work in SMALL:
        for n in (10, 100, 1_000, 10_000, 100_000, 1_000_000):
            pairs = {k: operands(np, n) for k, np in modules.items()}

            def body(k, work=work, pairs=pairs):
                np, (a, b) = modules[k], pairs[k]
                if k == "ours":

                    def call():
                        c = work(np, a, b)  # noqa: F841  kept until sync, so that it is computed
                        sync()

                    return call

                def call():
                    work(np, a, b)

                return call

            bodies = {k: body(k) for k in modules}
            for _ in range(3):
                for call in bodies.values():
                    call()
            time.sleep(0.05)  # kernels that are compiled aside
            yield label, n, alternate(bodies, args.seconds, args.rounds)


def main():
    parser = argparse.ArgumentParser(description="What single calls cost beside NumPy's.")
    parser.add_argument("--out", type=Path, default=harness.BENCH / "results")
    parser.add_argument("--seconds", type=float, default=0.2, help="time for each measurement")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    import numpy

    try:
        import legate_jit
        import legate_jit.numpy as ours
    except ImportError as why:
        print(f"legate_jit cannot be imported ({why}): NumPy alone")
        modules, sync, stats = {"numpy": numpy}, nothing, dict
    else:
        modules, sync, stats = {"numpy": numpy, "ours": ours}, legate_jit.sync, legate_jit.stats
    report = dict(machine=harness.machine(), single=[], small=[])

    def ratio(t):
        return f"{t['numpy'] / t['ours']:8.2f}" if t.get("ours") else "       –"

    print(f"{'':30}{'NumPy':>10}{'legate_jit':>12}{'× NumPy':>9}")
    for what, t, target in single_calls(modules, sync, args):
        report["single"].append(dict(what=what, seconds=t, target=target))
        words = f"   target {seconds(target)}" if target else ""
        print(f"{what:30}{seconds(t['numpy']):>10}{seconds(t.get('ours')):>12} {ratio(t)}{words}", flush=True)

    if "ours" in modules:
        taken, empty, count, moved = flush(ours, sync, stats, args)
        report["flush"] = dict(seconds=taken, empty=empty, count=count, counters=moved, target=5e-6)
        print(f"{'flush, plan known (10x10)':30}{'–':>10}{seconds(taken):>12} {'–':>8}   target 5 µs")
        print(f"{'sync with nothing pending':30}{'–':>10}{seconds(empty):>12}")
        print(f"   counters over {count} flushes: " + ", ".join(f"{k} +{v}" for k, v in moved.items()))
        if moved.get("cache_misses") or moved.get("kernels_compiled"):
            print("   the plan was NOT always known: this is not the time of a hit")

    print(f"\n{'small arrays':20}{'elements':>10}{'NumPy':>10}{'legate_jit':>12}{'× NumPy':>9}")
    for label, n, t in small_arrays(modules, sync, args):
        report["small"].append(dict(what=label, n=n, seconds=t))
        print(f"{label:20}{n:>10}{seconds(t['numpy']):>10}{seconds(t.get('ours')):>12} {ratio(t)}", flush=True)

    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "record.json").write_text(json.dumps(report, indent=1))
    print(f"written: {args.out}/record.json")
    return 0


if __name__ == "__main__":
    harness.keep_heap()
    sys.exit(main())
