"""Chooses the arguments of `tests/accuracy.rs`: for each f64 function the hardest and some others of a sample, with exact results.

    python points.py TARGET_DIR/release/examples/evaluate > ../tests/points.txt

A line is the function, its arguments, the nearest double to the result (all as bits) and what that lacks, in units of 2^-20 of
its last place. Needs numpy and mpmath, as `measure.py`, whose samples these are.
"""
import sys

import numpy as np

import measure


def main():
    for name in measure.REFERENCE:
        args = measure.samples(name, "float64", 6000, np.random.default_rng(11))
        got = measure.evaluate(sys.argv[1], name, "float64", *args)
        hi, lo = measure.exact(name, args)
        error = measure.ulps(got, hi, lo, "float64")
        # What a subnormal result lacks is no double any more.
        ok = np.isfinite(hi) & np.isfinite(error) & (abs(hi) >= np.finfo("f8").tiny)
        order = [i for i in np.argsort(-error) if ok[i]]
        for i in order[:24] + order[24::len(order) // 24]:
            size = max(2.0 ** np.floor(np.log2(abs(hi[i]))), np.finfo("f8").tiny) * np.finfo("f8").eps
            words = [f"{a[i].view('u8'):016x}" for a in args] + [f"{hi[i].view('u8'):016x}", str(round(lo[i] / size * 2 ** 20))]
            print(name, *words)


if __name__ == "__main__":
    main()
