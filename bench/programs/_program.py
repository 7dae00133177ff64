"""What the programs of this folder share: their description, how results are compared, and the command line.

A program is two plain functions that take the array module as their first argument:

    setup(np, **params) -> dict     the inputs (arrays and scalars), by the names that solve takes
    solve(np, **inputs) -> dict     the work itself; this is what is timed

Nothing here knows a particular array module. A program file describes itself with one or more `Program` values.
"""

import argparse
import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy


@dataclass(frozen=True)
class Check:
    """How close a result must be to NumPy's.

    kind    bits     equal bit for bit (dtype and shape too)
            rel      |got - want| <= bound * max|want|
            ulp      every element within `bound` units in the last place of NumPy's
            off      integers that differ by at most `bound`
            differ   at most the fraction `bound` of the elements is different
    peer    the bound for programs that reassociate (other compilers): where the kind is `bits` or `ulp`, in the unit of
            `rel` for floats and of `differ` for integers, else in the unit of `kind`; None: not compared there
    """

    kind: str
    bound: float = 0.0
    peer: float | None = 1e-9


def bits(peer=1e-9):
    return Check("bits", 0.0, peer)


def rel(bound, peer=None):
    return Check("rel", bound, bound if peer is None else peer)


def ulp(bound, peer=1e-9):
    return Check("ulp", bound, peer)


def off(bound, peer=None):
    return Check("off", bound, bound if peer is None else peer)


def differ(bound, peer=None):
    return Check("differ", bound, bound if peer is None else peer)


@dataclass(frozen=True)
class Program:
    """One program with everything that a benchmark or a test needs to know about it."""

    name: str
    summary: str
    setup: Callable
    solve: Callable
    sizes: dict  # "small" (tests), "demo", "full": parameters of setup
    # **params and results -> {"bytes", "flops", "working_set"} of a perfect single-pass program, and how many of the bytes are
    # "only_read", if any are
    limit: Callable
    checks: dict  # result name -> Check
    mutates: tuple = ()  # inputs that solve writes to, so that a repetition needs fresh ones
    exact_setup: bool = True  # False: setup calls functions (sin, ...) whose last bit differs between math libraries
    fallbacks: int | None = 0  # calls that our own module may hand to NumPy while solving; None: any number
    report: Callable | None = None  # results -> text, for a run by hand
    notes: tuple = field(default=())

    def run(self, np, **params):
        return self.solve(np, **self.setup(np, **params))


def plain(value):
    """A result as NumPy sees it, whichever module made it."""
    if isinstance(value, (bool, int, float, complex, str)):
        return numpy.asarray(value)
    return numpy.asarray(value)


def _ordered(a):
    """Floats as integers in which neighbours differ by one (both zeros are 0)."""
    i = a.view({4: numpy.int32, 8: numpy.int64}[a.dtype.itemsize]).astype(numpy.int64)
    low = numpy.int64(-(2 ** (8 * a.dtype.itemsize - 1)))
    return numpy.where(i < 0, low - i, i)


def distance(kind, got, want):
    """How far `got` is from `want`, in the unit of `kind` (`bits`: the largest relative difference)."""
    if got.size == 0:
        return 0.0
    if kind == "off":
        return float(numpy.max(numpy.abs(got.astype(numpy.int64) - want.astype(numpy.int64))))
    if kind == "differ":
        return float(numpy.mean(got != want))
    if kind == "ulp":
        same = (got == want) | (numpy.isnan(got) & numpy.isnan(want))
        apart = numpy.abs(_ordered(got) - _ordered(want)).astype(float)
        return float(numpy.max(numpy.where(same, 0.0, apart)))
    with numpy.errstate(all="ignore"):
        finite = numpy.abs(want)[numpy.isfinite(want)]
        top = (float(numpy.max(finite)) if finite.size else 0.0) or 1.0
        d = float(numpy.max(numpy.where(got == want, 0.0, numpy.abs(got - want)))) / top  # infinities may be equal
    return d if d == d else float("inf")


def compare(check, got, want, peer=False):
    """(ok, words) for one result; `peer` takes the looser bound for programs that reassociate."""
    got, want = plain(got), plain(want)
    kind, bound = check.kind, check.bound
    if peer:
        if check.peer is None:
            return True, "not compared"
        bound = check.peer
        if kind in ("bits", "ulp"):
            kind = "differ" if want.dtype.kind in "biu" else "rel"
    if got.shape != want.shape:
        return False, f"shape {got.shape}, expected {want.shape}"
    if not peer and got.dtype != want.dtype:
        return False, f"dtype {got.dtype}, expected {want.dtype}"
    if kind == "bits":
        a, b = numpy.ascontiguousarray(got), numpy.ascontiguousarray(want)
        if a.tobytes() == b.tobytes():
            return True, "equal bits"
        apart = a.reshape(-1) != b.reshape(-1)
        with numpy.errstate(all="ignore"):
            far = distance("rel", a.astype(complex), b.astype(complex))
        return False, f"{int(apart.sum())} of {a.size} elements differ, by up to {far:.2g} of the largest"
    d = distance(kind, got, want)
    unit = {"rel": "relative", "ulp": "ulp", "off": "off", "differ": "of the elements differ"}[kind]
    return d <= bound, f"{d:.2g} {unit} (bound {bound:.2g})"


def check_all(program, got, want, peer=False):
    """(ok, {result name: (ok, words)}) over the results that the program says how to check."""
    each = {}
    for name, check in program.checks.items():
        if name not in got:
            each[name] = (peer, "absent")
        else:
            each[name] = compare(check, got[name], want[name], peer)
    return all(ok for ok, _ in each.values()), each


def main(*programs):
    """The command line of a program file: choose the program, its size, single parameters and the array module."""
    parser = argparse.ArgumentParser(description=programs[0].summary)
    if len(programs) > 1:
        parser.add_argument("program", nargs="?", choices=[p.name for p in programs], default=programs[0].name)
    parser.add_argument("--module", default="numpy", help="the array module: numpy, legate_jit.numpy, ...")
    parser.add_argument("--size", default="demo", choices=["small", "demo", "full"])
    names = sorted({k for p in programs for s in p.sizes.values() for k in s})
    for name in names:
        kind = next(type(s[name]) for p in programs for s in p.sizes.values() if name in s)
        parser.add_argument("--" + name.replace("_", "-"), type=kind, dest=name)
    args = parser.parse_args()
    chosen = getattr(args, "program", programs[0].name)
    program = next(p for p in programs if p.name == chosen)
    params = dict(program.sizes[args.size])
    params.update({k: getattr(args, k) for k in names if getattr(args, k) is not None})

    np = importlib.import_module(args.module)
    print(f"{program.name}: {program.summary}")
    print("  " + ", ".join(f"{k}={v}" for k, v in params.items()) + f", module={args.module}")
    inputs = program.setup(np, **params)
    start = time.perf_counter()
    results = program.solve(np, **inputs)
    values = {k: plain(v) for k, v in results.items()}  # asks for every value, so that the work is done
    seconds = time.perf_counter() - start
    if program.report:
        print(program.report(values))
    for name, value in values.items():
        if value.ndim == 0:
            print(f"  {name} = {value.item()!r}")
        else:
            total = value.sum(dtype=complex if value.dtype.kind == "c" else float)
            print(f"  {name}: {value.dtype} {value.shape}, sum {total.item()!r}")
    print(f"  time = {seconds:.4f} s")
