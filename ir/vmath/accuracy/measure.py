"""Measures the error of every function of the vector math library, in units in the last place.

    cargo build --release -p legate-jit-vmath --example evaluate
    python measure.py TARGET_DIR/release/examples/evaluate [--count N] [--only exp,sinh] > table

Needs numpy and mpmath (gmpy2 makes it faster). float64 results are compared with mpmath at 120 bits, float32 results with
NumPy's float64 functions, whose own error is some 1e-9 of a float32's last place (mpmath where those are not enough). Special
values are compared with C99's, as NumPy gives them for float64.
"""
import argparse
import itertools
import subprocess
import sys

import mpmath
import numpy as np

mp = mpmath.mp
mp.prec = 140

TWO = ["atan2", "hypot", "pow"]
INF = float("inf")


def log1p(x):
    return mpmath.log1p(x) if abs(x) < 1e-3 else mpmath.log(1 + x)


REFERENCE = {
    "exp": mpmath.exp, "exp2": lambda x: mpmath.power(2, x), "expm1": mpmath.expm1, "log": mpmath.log,
    "log2": lambda x: mpmath.log(x) / mpmath.log(2), "log10": lambda x: mpmath.log(x) / mpmath.log(10), "log1p": log1p,
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)), "sin": mpmath.sin, "cos": mpmath.cos, "tan": mpmath.tan,
    "asin": mpmath.asin, "acos": mpmath.acos, "atan": mpmath.atan, "sinh": mpmath.sinh, "cosh": mpmath.cosh,
    "tanh": mpmath.tanh, "asinh": mpmath.asinh, "acosh": mpmath.acosh, "atanh": mpmath.atanh, "erf": mpmath.erf,
    "atan2": mpmath.atan2, "hypot": mpmath.hypot, "pow": mpmath.power,
}
NUMPY = {
    **{n: getattr(np, n) for n in ["exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "cbrt", "sin", "cos", "tan",
                                   "sinh", "cosh", "tanh", "hypot"]},
    **{n: getattr(np, "arc" + n[1:]) for n in ["asin", "acos", "atan", "asinh", "acosh", "atanh", "atan2"]},
    "pow": np.power,
}


def evaluate(program, name, dtype, *args):
    data = b"".join(np.ascontiguousarray(a, dtype).tobytes() for a in args)
    short = {"float32": "f32", "float64": "f64"}[np.dtype(dtype).name]
    out = subprocess.run([program, name, short], input=data, stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(out, dtype)


def samples(name, dtype, n, rng):
    """Arguments in the ranges where the function is finite, its edges and its small and large ends included."""
    f = np.finfo(dtype)
    lo, hi = np.log2(float(f.smallest_subnormal)), f.maxexp

    def wide(k, a=lo, b=hi - 1e-9):
        return np.exp2(rng.uniform(a, b, k)) * rng.choice([-1, 1], k)

    top = f.maxexp * np.log(2)
    k = n // 4
    parts = {
        "exp": [rng.uniform(-top * 1.05, top, 2 * k), rng.uniform(-1, 1, k), wide(k, lo, 3)],
        "exp2": [rng.uniform(lo, hi, 2 * k), rng.uniform(-1, 1, k), wide(k, lo, 3)],
        "expm1": [rng.uniform(-40, top, 2 * k), rng.uniform(-1, 1, k), wide(k, lo, 3)],
        "sinh": [rng.uniform(-top - .69, top + .69, k), rng.uniform(top - 2, top + .69, k), rng.uniform(-2, 2, k), wide(k, lo, 3)],
        "asin": [rng.uniform(-1, 1, 2 * k), wide(k, lo, 0), 1 - abs(wide(k, -60, 0))],
        "tan": [rng.uniform(-20, 20, k), wide(k), wide(k, -10, 20), rng.integers(-1000, 1000, k) * np.pi / 2],
        "log": [abs(wide(2 * k)), 1 + wide(k, -53, -1), rng.uniform(0, 3, k)],
        "log1p": [abs(wide(k)), abs(wide(k, hi - 4)), -abs(wide(k, lo, 0)), rng.uniform(-1, 2, k)],
        "acosh": [1 + abs(wide(2 * k, -53, 3)), abs(wide(k, 0)), abs(wide(k, hi - 4))],
        "atanh": [rng.uniform(-1, 1, 2 * k), wide(k, lo, 0), 1 - abs(wide(k, -53, 0))],
        "erf": [rng.uniform(-6, 6, 2 * k), wide(k, lo, 3), rng.uniform(-1.5, 1.5, k)],
        "any": [wide(2 * k), wide(k, -4, 4), wide(k, hi - 4)],
    }
    alias = {"cosh": "sinh", "acos": "asin", "sin": "tan", "cos": "tan", "log2": "log", "log10": "log", "cbrt": "any",
             "atan": "any", "tanh": "erf", "asinh": "any"}
    if name not in TWO:
        x = np.concatenate(parts[alias.get(name, name)]).astype(dtype)
        return (x[np.isfinite(x)],)
    if name == "pow":
        x = np.concatenate([abs(wide(k)), 1 + wide(k, -40, -1), rng.uniform(.1, 10, k), rng.integers(-20, 20, k)])
        with np.errstate(all="ignore"):
            full = rng.uniform(lo, hi, k) / np.log2(abs(x[:k]))
            near = rng.uniform(lo, hi, k) / np.log2(x[k:2 * k])
        y = np.concatenate([full, near, rng.uniform(-20, 20, k), rng.integers(-20, 20, k)])
    else:
        x = np.concatenate([wide(k), wide(k, -3, 3), wide(k, hi - 3), wide(k, lo, lo + 60)])
        y = np.concatenate([wide(k), wide(k, -3, 3), x[2 * k:3 * k] * wide(k, -3, 0), x[3 * k:] * wide(k, -3, 3)])
    with np.errstate(all="ignore"):
        x, y = x.astype(dtype), y.astype(dtype)
    ok = np.isfinite(x) & np.isfinite(y) & ~((x == 0) & (y <= 0))
    return x[ok], y[ok]


def exact(name, args):
    """Reference values: pairs (nearest float64, remainder) as two arrays."""
    f = REFERENCE[name]
    hi, lo = np.empty(len(args[0])), np.empty(len(args[0]))
    for i, a in enumerate(zip(*(x.tolist() for x in args))):
        a = [mpmath.mpf(v) for v in a]
        x = a[0]
        if name in ("sin", "cos", "tan"):
            mp.prec = 140 + max(0, int(mpmath.mag(x)) if x else 0)
        elif name in ("sinh", "expm1", "tanh", "asinh", "atanh", "log1p", "cosh", "atan2", "hypot", "asin", "acos", "acosh"):
            mp.prec = 140 + max(0, -2 * int(mpmath.mag(x)) if x and abs(x) > 1e-30 else 0)
        small = name in ("sinh", "expm1", "tanh", "asinh", "atanh", "log1p", "sin", "tan", "asin", "atan") and abs(x) < 1e-30
        v = x if small else f(*a)
        v = mpmath.re(v)
        mp.prec = 140
        hi[i] = float(v)
        lo[i] = float(v - hi[i]) if np.isfinite(hi[i]) else 0
    return hi, lo


def ulps(got, hi, lo, dtype):
    """The error in units of the last place of the reference."""
    f = np.finfo(dtype)
    with np.errstate(all="ignore"):
        size = np.maximum(np.exp2(np.floor(np.log2(np.abs(hi)))), float(f.smallest_normal)) * float(f.eps)
        size = np.where(hi == 0, float(f.smallest_subnormal), size)
        err = np.abs((got.astype(np.float64) - hi) - lo) / size
        # A reference that rounds to infinity wants infinity.
        big = np.abs(hi) > float(f.max)
        rounded = hi.astype(dtype)
        err = np.where(big & (got == rounded), 0, err)
        err = np.where(np.isinf(hi) & (got == hi), 0, err)
    return err


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 1.5, -1.5, INF, -INF, float("nan"), 4.0, -4.0, 1e10, -1e10, 3e5, -3e5, 1e300,
           -1e300, 1e38, 3e38, -3e38, 1e-310, -1e-310, 5e-324, -5e-324, 1e-45, -1e-45, 1e-39, np.finfo("f8").max, -np.finfo("f8").max,
           np.finfo("f4").max, float(np.finfo("f8").tiny), float(np.finfo("f4").tiny), 709.5, 709.9, 710.4, 711.0, -708.0, -744.0,
           -745.13, -746.0, 88.5, 88.9, 89.3, 89.6, -87.0, -103.0, -104.5, 1023.5, 1024.0, -1074.0, -1075.0, -1076.0, 127.5, 128.0, -149.0, -150.5,
           9007199254740992.0, 9007199254740993.0, 16777216.0, 16777217.0, -9007199254740991.0, 0.9999999999, 1.0000000001]


def special(program, name, dtype, numpy_name):
    """Special values whose class (nan, inf, zero with its sign, finite) is not NumPy's, or which are more than 1 ulp off."""
    with np.errstate(all="ignore"):
        s = np.array(SPECIAL).astype(dtype)
        args = (s,) if name not in TWO else tuple(np.array(list(itertools.product(s, s)), dtype).T)
        want = NUMPY[name](*[a.astype("f8") for a in args]).astype(dtype) if name in NUMPY else mp_erf(args[0])
        got = evaluate(program, name, dtype, *args)
        close = np.abs(got.astype("f8") - want.astype("f8")) <= 5 * np.spacing(np.abs(want)).astype("f8")
        same = (np.isnan(got) & np.isnan(want)) | ((got == want) & (np.signbit(got) == np.signbit(want)))
        same |= np.isfinite(got) & np.isfinite(want) & close & (np.signbit(got) == np.signbit(want))
    return [tuple(float(a[i]) for a in args) + (float(got[i]), float(want[i])) for i in np.flatnonzero(~same)]


def mp_erf(x):
    import math
    return np.array([math.erf(v) for v in x.tolist()]).astype(x.dtype)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--only", default="")
    parser.add_argument("--limit", type=float, default=1.0)
    options = parser.parse_args()
    bad = 0
    print("| function | float64 max ulp | at | float32 max ulp | at | special values that differ |\n|---|---|---|---|---|---|")
    for name in options.only.split(",") if options.only else REFERENCE:
        row, wrong = [], []
        for dtype in ("float64", "float32"):
            rng = np.random.default_rng(7)
            n = options.count if dtype == "float64" or name not in NUMPY else options.count * 50
            args = samples(name, dtype, n, rng)
            got = evaluate(options.program, name, dtype, *args)
            if dtype == "float64" or name not in NUMPY:
                hi, lo = exact(name, args)
            else:
                with np.errstate(all="ignore"):
                    hi, lo = NUMPY[name](*[a.astype("f8") for a in args]), 0
            err = ulps(got, hi, lo, dtype)
            err[np.isnan(hi) & np.isnan(got)] = 0
            err[np.isnan(err)] = np.inf
            i = int(np.argmax(err))
            row += [f"{err[i]:.3f}", ", ".join(f"{float(a[i]):.17g}" for a in args)]
            wrong += [(dtype,) + w for w in special(options.program, name, dtype, name)]
            bad += err[i] > options.limit
        bad += len(wrong)
        print(f"| {name} | " + " | ".join(row) + f" | {len(wrong)} |", flush=True)
        for w in wrong[:12]:
            print("    ", w, file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
