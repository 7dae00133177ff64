"""What the tables beside NumPy's share: their options, taking turns, and comparing results."""

import argparse
import json
import time

import harness


def median(values):
    values = sorted(values)
    return values[len(values) // 2]


def arguments(description, types, rounds=5, ms=10.0):
    """The options that every table has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds)
    if ms:
        parser.add_argument("--ms", type=float, default=ms, help="time of a turn in milliseconds")
    parser.add_argument("--only", help="rows with one of these words in their names, with commas between")
    parser.add_argument("--types", default=types)
    parser.add_argument("--out", type=harness.Path, help="a folder for the table as JSON")
    return parser


def wanted(args, name):
    return not args.only or any(word in name for word in args.only.split(","))


def turn(run, ms, clock=time.perf_counter):
    """Seconds a run, of as many as fit the time."""
    run()
    count, batch, start = 0, 1, clock()
    while True:
        for _ in range(batch):
            run()
        count += batch
        took = clock() - start
        if took > ms * 1e-3:
            return took / count
        batch = min(2 * batch, 1000)


def take_turns(runs, rounds, ms, clock=time.perf_counter):
    """The median time of each run, which take turns."""
    took = {who: [] for who in runs}
    for _ in range(rounds):
        for who, run in runs.items():
            took[who].append(turn(run, ms, clock))
    return {who: median(v) for who, v in took.items()}


def line(statement, width, short, n, took, of, slower, rows):
    """A row: prints it, and adds it to the table and to the list of the slower ones."""
    ratio = took["numpy"] / took["ours"]
    mark = "" if ratio >= 0.95 else "  slower"
    slower += [f"{statement} {short} {n}"] if mark else []
    rows.append(dict(statement=statement, dtype=short, n=n, seconds=took, of=of))
    times = "".join(f"{harness.seconds(took[who]):>10}" for who in ("numpy", "ours"))
    print(f"{statement:{width}}{short:>6}{n:10}{times}{ratio:9.2f} {of}{mark}", flush=True)


def finish(slower, rows, args, name):
    """The table's last line, and its file."""
    print(f"{len(rows) - len(slower)} of {len(rows)} not slower than NumPy; slower: {', '.join(slower) or 'none'}")
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / f"{name}.json").write_text(json.dumps(dict(machine=harness.machine(), rows=rows), indent=1))
