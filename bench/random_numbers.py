"""Random numbers of NumPy's default generator, drawn by all threads, beside NumPy's; they are the same ones, and the generators' states
after them, before anything is timed."""

import sys

import numpy

import beside
import harness

# The law and its arguments before the size.
LAWS = {
    "random": (),
    "uniform": (-1.0, 1.0),
    "standard_normal": (),
    "normal": (3.0, 0.5),
    "integers": (0, 5000),
}


def main():
    import legate_jit.numpy as ours

    parser = beside.arguments("Random numbers beside NumPy's.", None)
    parser.add_argument("--sizes", default="10,1000,100000,1000000,10000000")
    args = parser.parse_args()
    rows, slower = [], []
    print(f"{'':20}{'type':>6}{'n':>10}{'NumPy':>10}{'ours':>10}{'× NumPy':>9}")
    for law, given in LAWS.items():
        for n in map(int, args.sizes.split(",")) if beside.wanted(args, law) else ():
            generators = {"numpy": numpy.random.default_rng(1), "ours": ours.random.default_rng(1)}
            runs = {who: lambda draw=getattr(g, law): draw(*given, size=n) for who, g in generators.items()}
            theirs, mine = (numpy.asarray(run()) for run in runs.values())
            states = [g.bit_generator.state for g in generators.values()]
            if theirs.tobytes() != mine.tobytes() or states[0] != states[1]:
                raise SystemExit(f"{law}, {n}: other numbers than NumPy's")
            took = beside.take_turns(runs, args.rounds, args.ms)
            beside.line(law, 20, "i64" if law == "integers" else "f64", n, took, "", slower, rows)
    beside.finish(slower, rows, args, "random_numbers")
    return 0


if __name__ == "__main__":
    harness.keep_heap()
    sys.exit(main())
