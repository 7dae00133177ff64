"""Fields on grids that march in time: finite differences as NumPy users write them, by slices and np.roll.

    jacobi_1d       the mean of three neighbours, to and fro between two rods
    wave            a vibrating membrane, leapfrog
    advection       an upwind scheme on a periodic square, with np.roll
    gray_scott      two chemicals that react and diffuse (Gray & Scott 1983), periodic by np.roll
    life            Conway's Game of Life on a torus, eight np.roll of small integers
    shallow_water   the linear shallow-water equations on a staggered grid
    fdtd            Maxwell's equations in two dimensions, Yee's grid (1966)
    adi             heat by alternating directions (Peaceman & Rachford 1955): tridiagonal systems line by line
    burgers         the inviscid Burgers equation in conservative form, Lax-Friedrichs fluxes
    diffusion_limited   fourth-order horizontal diffusion with a flux limiter, as weather models use it
"""

from _program import Program, bits, main


def rods(np, n, steps):
    rng = np.random.default_rng(1)
    return dict(a=rng.random(n), b=rng.random(n), steps=steps)


def jacobi_1d(np, a, b, steps):
    for _ in range(steps):
        b[1:-1] = 0.33333 * (a[:-2] + a[1:-1] + a[2:])
        a[1:-1] = 0.33333 * (b[:-2] + b[1:-1] + b[2:])
    return dict(a=a, b=b)


def drum(np, n, steps):
    """A bump in the middle of a square membrane, at rest."""
    x = np.linspace(-1.0, 1.0, n)
    u = np.maximum(0.0, 0.25 - x * x) * np.maximum(0.0, 0.25 - x[:, np.newaxis] ** 2)
    return dict(u=u, steps=steps, courant2=0.25)


def wave(np, u, steps, courant2):
    previous = u.copy()
    for _ in range(steps):
        following = np.zeros_like(u)
        laplacian = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4.0 * u[1:-1, 1:-1]
        following[1:-1, 1:-1] = 2.0 * u[1:-1, 1:-1] - previous[1:-1, 1:-1] + courant2 * laplacian
        previous, u = u, following
    return dict(u=u, highest=float(np.max(np.abs(u))))


def cloud(np, n, steps):
    x = np.linspace(0.0, 1.0, n, endpoint=False)
    c = np.where((np.abs(x - 0.5) < 0.2) & (np.abs(x[:, np.newaxis] - 0.3) < 0.1), 1.0, 0.0)
    return dict(c=c, steps=steps, cx=0.4, cy=0.3)


def advection(np, c, steps, cx, cy):
    for _ in range(steps):
        c = c - cx * (c - np.roll(c, 1, axis=1)) - cy * (c - np.roll(c, 1, axis=0))
    return dict(c=c, total=float(np.sum(c)))


def chemicals(np, n, steps):
    rng = np.random.default_rng(1983)
    u = np.ones((n, n))
    v = np.zeros((n, n))
    middle = slice(n // 2 - n // 10, n // 2 + n // 10)
    u[middle, middle] = 0.5
    v[middle, middle] = 0.25
    u += 0.02 * rng.random((n, n))
    return dict(u=u, v=v, steps=steps)


def laplacian(np, f):
    return np.roll(f, 1, 0) + np.roll(f, -1, 0) + np.roll(f, 1, 1) + np.roll(f, -1, 1) - 4.0 * f


def gray_scott(np, u, v, steps, du=0.16, dv=0.08, feed=0.035, kill=0.065):
    for _ in range(steps):
        reaction = u * v * v
        u = u + du * laplacian(np, u) - reaction + feed * (1.0 - u)
        v = v + dv * laplacian(np, v) + reaction - (feed + kill) * v
    return dict(u=u, v=v)


def cells(np, n, steps):
    rng = np.random.default_rng(1970)
    return dict(grid=(rng.random((n, n)) < 0.3).astype(np.uint8), steps=steps)


def life(np, grid, steps):
    for _ in range(steps):
        around = sum(
            np.roll(np.roll(grid, i, axis=0), j, axis=1) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)
        )
        grid = ((around == 3) | ((grid == 1) & (around == 2))).astype(np.uint8)
    return dict(grid=grid, alive=int(np.count_nonzero(grid)))


def basin(np, n, steps):
    x = np.linspace(-1.0, 1.0, n)
    h = 1.0 + 0.5 * np.maximum(0.0, 0.1 - x * x - x[:, np.newaxis] ** 2)
    return dict(h=h, u=np.zeros((n + 1, n)), v=np.zeros((n, n + 1)), steps=steps)


def shallow_water(np, h, u, v, steps, g=9.81, depth=1.0, dt=0.05, dx=1.0):
    """u and v live on the faces of the cells of h; the walls' faces stay zero."""
    for _ in range(steps):
        u[1:-1, :] -= g * dt / dx * (h[1:, :] - h[:-1, :])
        v[:, 1:-1] -= g * dt / dx * (h[:, 1:] - h[:, :-1])
        h -= depth * dt / dx * (u[1:, :] - u[:-1, :] + v[:, 1:] - v[:, :-1])
    return dict(h=h, u=u, v=v, volume=float(np.sum(h)))


def cavity(np, n, steps):
    rng = np.random.default_rng(1966)
    return dict(ex=rng.random((n, n)), ey=rng.random((n, n)), hz=rng.random((n, n)), source=np.arange(steps) / 10.0)


def fdtd(np, ex, ey, hz, source):
    for t in range(len(source)):
        ey[0, :] = source[t]
        ey[1:, :] -= 0.5 * (hz[1:, :] - hz[:-1, :])
        ex[:, 1:] -= 0.5 * (hz[:, 1:] - hz[:, :-1])
        hz[:-1, :-1] -= 0.7 * (ex[:-1, 1:] - ex[:-1, :-1] + ey[1:, :-1] - ey[:-1, :-1])
    return dict(ex=ex, ey=ey, hz=hz)


def plate(np, n, steps):
    return dict(u=np.random.default_rng(1955).random((n, n)), steps=steps, r=0.5)


def half_step(np, u, r):
    """Implicit along the first axis, explicit along the second: Thomas's algorithm for all columns at once."""
    n = u.shape[0]
    right = u.copy()
    right[:, 1:-1] += r * (u[:, 2:] - 2.0 * u[:, 1:-1] + u[:, :-2])
    upper = np.empty(n)
    upper[0] = 0.0
    for i in range(1, n - 1):
        pivot = 1.0 + 2.0 * r + r * upper[i - 1]
        upper[i] = -r / pivot
        right[i] = (right[i] + r * right[i - 1]) / pivot
    for i in range(n - 2, 0, -1):
        right[i] -= upper[i] * right[i + 1]
    return right


def adi(np, u, steps, r):
    for _ in range(steps):
        u = half_step(np, u, r)
        u = half_step(np, u.T, r).T
    return dict(u=u)


def tube(np, n, steps):
    x = np.linspace(0.0, 1.0, n, endpoint=False)
    return dict(u=1.0 + x * (1.0 - x), steps=steps, ratio=0.4)


def burgers(np, u, steps, ratio):
    for _ in range(steps):
        flux = 0.5 * u**2
        right = np.roll(u, -1)
        face = 0.5 * (flux + np.roll(flux, -1)) - 0.5 / ratio * (right - u) * 0.5
        u = u - ratio * (face - np.roll(face, 1))
    return dict(u=u, total=float(u.sum()))


def weather(np, n, levels):
    rng = np.random.default_rng(2013)
    return dict(f=rng.random((n, n, levels)), coeff=rng.random((n - 4, n - 4, levels)))


def diffusion_limited(np, f, coeff):
    lap = 4.0 * f[1:-1, 1:-1] - (f[2:, 1:-1] + f[:-2, 1:-1] + f[1:-1, 2:] + f[1:-1, :-2])
    flx = lap[1:, 1:-1] - lap[:-1, 1:-1]
    flx = np.where(flx * (f[2:-1, 2:-2] - f[1:-2, 2:-2]) > 0, 0.0, flx)
    fly = lap[1:-1, 1:] - lap[1:-1, :-1]
    fly = np.where(fly * (f[2:-2, 2:-1] - f[2:-2, 1:-2]) > 0, 0.0, fly)
    out = f[2:-2, 2:-2] - coeff * (flx[1:] - flx[:-1] + fly[:, 1:] - fly[:, :-1])
    return dict(out=out)


def each_step(arrays, flops, itemsize=8, dims=2):
    """The limit of a program that passes over `arrays` fields (read and written) once a step."""

    def limit(n, steps):
        field = itemsize * n**dims
        return dict(bytes=arrays * field * steps, flops=flops * n**dims * steps, working_set=arrays * field)

    return limit


def march(name, summary, setup, solve, sizes, limit, checks, **more):
    sizes = dict(zip(("small", "demo", "full"), (dict(n=n, steps=steps) for n, steps in sizes)))
    note = ("sweeps may be tiled in time, so this limit of one pass a step can be beaten",)
    return Program(name, summary, setup, solve, sizes, limit, checks, notes=note, **more)


PROGRAMS = (
    march("jacobi_1d", "three-point means, to and fro between two rods", rods, jacobi_1d,
          ((50, 6), (4000, 300), (2_000_000, 20)), each_step(4, 6, dims=1), dict(a=bits(1e-13), b=bits(1e-13)),
          mutates=("a", "b")),
    march("wave", "a vibrating membrane, leapfrog", drum, wave, ((20, 6), (200, 100), (1200, 15)),
          each_step(3, 9), dict(u=bits(1e-12), highest=bits(1e-12))),
    march("advection", "upwind advection on a torus, with np.roll", cloud, advection, ((20, 6), (200, 50), (1200, 20)),
          each_step(2, 6), dict(c=bits(1e-12), total=bits(1e-12))),
    march("gray_scott", "reaction and diffusion of two chemicals, with np.roll", chemicals, gray_scott,
          ((20, 6), (200, 40), (800, 20)), each_step(4, 24), dict(u=bits(1e-12), v=bits(1e-12))),
    march("life", "Conway's Game of Life on a torus", cells, life, ((16, 6), (256, 40), (2000, 10)),
          each_step(2, 11, itemsize=1), dict(grid=bits(0), alive=bits(0))),
    march("shallow_water", "linear shallow water on a staggered grid", basin, shallow_water,
          ((20, 6), (200, 100), (1500, 15)), each_step(6, 12),
          dict(h=bits(1e-12), u=bits(1e-12), v=bits(1e-12), volume=bits(1e-12)), mutates=("h", "u", "v")),
    march("fdtd", "Maxwell's equations on Yee's grid", cavity, fdtd, ((20, 6), (200, 100), (1500, 15)),
          each_step(6, 11), dict(ex=bits(1e-12), ey=bits(1e-12), hz=bits(1e-12)), mutates=("ex", "ey", "hz")),
    march("adi", "heat by alternating directions, line by line", plate, adi, ((16, 3), (150, 5), (1000, 3)),
          each_step(4, 22), dict(u=bits(1e-12))),
    march("burgers", "the Burgers equation, Lax-Friedrichs", tube, burgers, ((40, 6), (2000, 300), (2_000_000, 10)),
          each_step(2, 11, dims=1), dict(u=bits(1e-12), total=bits(1e-12))),
    Program(
        "diffusion_limited", "horizontal diffusion with a flux limiter", weather, diffusion_limited,
        dict(small=dict(n=14, levels=4), demo=dict(n=64, levels=32), full=dict(n=256, levels=64)),
        lambda n, levels: dict(bytes=24 * n * n * levels, flops=22 * n * n * levels, working_set=24 * n * n * levels),
        dict(out=bits(1e-12)),
    ),
)  # fmt: skip


if __name__ == "__main__":
    main(*PROGRAMS)
