"""Laplace's equation on the unit square by Jacobi iteration.

The potential is zero on three sides and sin(1.5 pi x) along the last column. Each sweep replaces an inner point by the
mean of its four neighbours. Three programs:

    jacobi_a   small plate, the relative change l2 computed in every iteration
    jacobi_b   the same on a large plate
    jacobi_c   large plate; the copy and l2 only in every `output_freq`-th iteration

The numerics are the five-point stencil of the "Laplace equation" lesson of Barba's essential-skills course (as in the
Legate talk of 2021). For jacobi_a at 100x100 that talk prints l2 at iterations 100, 200, ... 1000 (SLIDE_L2 below);
plain NumPy gives these to 15 digits, the rest depends on the order of the sums.
"""

from _program import Program, bits, main

SLIDE_L2 = (
    0.00326407674225425,
    0.0015602183973943686,
    0.0009900220308147304,
    0.0007072288110380173,
    0.0005398367142183384,
    0.0004301171625455644,
    0.0003532454152280064,
    0.0002967904950595478,
    0.00025384486510825514,
    0.00022026753267800596,
)


def setup(np, n, iters, output_freq):
    x = np.linspace(0, 1, n)
    p = np.zeros((n, n))
    p[:, -1] = np.sin(1.5 * np.pi * x / x[-1])
    return dict(p=p, max_iter=iters, output_freq=output_freq)


def laplace(np, p, max_iter, output_freq, l2_target=1e-8):
    """Sweeps until the solution changes by less than l2_target, looking after every sweep."""
    l2 = 1.0
    icount = 0
    history = []
    while l2 > l2_target and icount < max_iter:
        icount += 1
        pn = p.copy()
        p[1:-1, 1:-1] = 0.25 * (p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1])
        l2 = np.sqrt(np.sum((p - pn) ** 2) / np.sum(pn**2))
        if icount % output_freq == 0:
            history.append(float(l2))
    return dict(p=p, l2=float(l2), icount=icount, history=history)


def laplace_seldom(np, p, max_iter, output_freq, l2_target=1e-8):
    """The same, but copies and looks only in every output_freq-th sweep."""
    l2 = 1.0
    icount = 0
    history = []
    while l2 > l2_target and icount < max_iter:
        icount += 1
        if icount % output_freq == 0:
            pn = p.copy()
        p[1:-1, 1:-1] = 0.25 * (p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1])
        if icount % output_freq == 0:
            l2 = np.sqrt(np.sum((p - pn) ** 2) / np.sum(pn**2))
            history.append(float(l2))
    return dict(p=p, l2=float(l2), icount=icount, history=history)


def limit(n, iters, output_freq, **_):
    """One sweep reads p and writes p; l2 rides along (5 flops a point) where it is asked for."""
    return dict(bytes=16 * n * n * iters, flops=9 * n * n * iters, working_set=16 * n * n)


def limit_seldom(n, iters, output_freq, **_):
    return dict(
        bytes=16 * n * n * iters, flops=4 * n * n * iters + 5 * n * n * (iters // output_freq), working_set=16 * n * n
    )


def report(results):
    return "\n".join(f"  {value!r}" for value in results["history"].tolist())


CHECKS = dict(p=bits(), l2=bits(), icount=bits(0), history=bits())

jacobi_a = Program(
    name="jacobi_a",
    summary="Jacobi iteration on a small plate, l2 in every iteration",
    setup=setup,
    solve=laplace,
    sizes=dict(
        small=dict(n=24, iters=60, output_freq=20),
        demo=dict(n=100, iters=1000, output_freq=100),
        full=dict(n=100, iters=1000, output_freq=100),
    ),
    limit=limit,
    checks=CHECKS,
    mutates=("p",),
    report=report,
)
jacobi_b = Program(
    name="jacobi_b",
    summary="Jacobi iteration on a large plate, l2 in every iteration",
    setup=setup,
    solve=laplace,
    sizes=dict(
        small=dict(n=150, iters=12, output_freq=4),
        demo=dict(n=2000, iters=20, output_freq=5),
        full=dict(n=7000, iters=10, output_freq=5),
    ),
    limit=limit,
    checks=CHECKS,
    mutates=("p",),
    exact_setup=False,
    report=report,
)
jacobi_c = Program(
    name="jacobi_c",
    summary="Jacobi iteration on a large plate, copy and l2 seldom",
    setup=setup,
    solve=laplace_seldom,
    sizes=dict(
        small=dict(n=150, iters=40, output_freq=10),
        demo=dict(n=2000, iters=40, output_freq=10),
        full=dict(n=7000, iters=20, output_freq=10),
        long=dict(n=7000, iters=200, output_freq=100),
    ),
    limit=limit_seldom,
    checks=CHECKS,
    mutates=("p",),
    exact_setup=False,
    report=report,
    notes=("sweeps may be tiled in time, so this limit of one pass a sweep can be beaten",),
)
PROGRAMS = (jacobi_a, jacobi_b, jacobi_c)


def run(np, program=jacobi_a, **params):
    return program.run(np, **params)


if __name__ == "__main__":
    main(*PROGRAMS)
