"""How many steps z <- z^2 + c stays bounded, for each c of a picture.

    mandelbrot         complex numbers and boolean masks, as it is usually written
    mandelbrot_real    real and imaginary parts apart, np.where instead of masks

NumPy multiplies complex numbers with fused multiply-adds where the machine has them, so the last bit of z depends on
the machine, and near the border of the set the count does too: there a small share of the counts may differ. The real
version has no such freedom.
"""

from _program import Program, bits, differ, main


def setup(np, n, iters):
    x = np.linspace(-2.0, 0.5, n)
    y = np.linspace(-1.25, 1.25, n)
    return dict(x=x, y=y, iters=iters)


def mandelbrot(np, x, y, iters):
    c = x + 1j * y[:, np.newaxis]
    z = np.zeros_like(c)
    counts = np.zeros(c.shape, dtype=np.int64)
    for _ in range(iters):
        alive = np.abs(z) <= 2.0
        z[alive] = z[alive] ** 2 + c[alive]
        counts[alive] += 1
    return dict(counts=counts, inside=int(np.sum(counts == iters)))


def mandelbrot_real(np, x, y, iters):
    cr = np.zeros((len(y), len(x))) + x
    ci = np.zeros((len(y), len(x))) + y[:, np.newaxis]
    zr = np.zeros_like(cr)
    zi = np.zeros_like(ci)
    counts = np.zeros(cr.shape, dtype=np.int64)
    for _ in range(iters):
        alive = zr * zr + zi * zi <= 4.0
        zr, zi = (
            np.where(alive, zr * zr - zi * zi + cr, zr),
            np.where(alive, 2.0 * zr * zi + ci, zi),
        )
        counts += alive
    return dict(counts=counts, inside=int(np.sum(counts == iters)))


def limit(n, iters, results):
    """Nothing needs memory but the counts; ten flops for each step that is really taken."""
    return dict(bytes=8 * n * n, flops=10 * int(results["counts"].sum()), working_set=8 * n * n)


SIZES = dict(small=dict(n=48, iters=20), demo=dict(n=400, iters=50), full=dict(n=1500, iters=100))
mandelbrot_complex = Program(
    name="mandelbrot",
    summary="Mandelbrot set, complex numbers and boolean masks",
    setup=setup,
    solve=mandelbrot,
    sizes=SIZES,
    limit=limit,
    checks=dict(counts=differ(2e-3)),
    fallbacks=None,  # boolean masks
)
mandelbrot_parts = Program(
    name="mandelbrot_real",
    summary="Mandelbrot set, real arithmetic and np.where",
    setup=setup,
    solve=mandelbrot_real,
    sizes=SIZES,
    limit=limit,
    checks=dict(counts=bits(2e-3), inside=bits(1)),
)
PROGRAMS = (mandelbrot_complex, mandelbrot_parts)


def run(np, program=mandelbrot_complex, **params):
    return program.run(np, **params)


if __name__ == "__main__":
    main(*PROGRAMS)
