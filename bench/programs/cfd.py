"""Channel flow by the incompressible Navier-Stokes equations (step 12 of the course "CFD Python").

A fluid at rest between two walls is driven along x by a constant force F; in x everything is periodic. The numerics are
the published ones (L. A. Barba and G. F. Forsyth, CFD Python: the 12 steps to Navier-Stokes equations, Journal of Open
Source Education 1(9), 21, 2018): forward differences in time, backward differences for the convection, central
differences for pressure and diffusion, and a pressure Poisson equation, relaxed `nit` times a step, whose right side
keeps the 1/dt term of the divergence. Rows are y, columns are x.

    cfd_41     the course's own grid of 41x41, until the mean velocity changes by less than 0.1 % a step (499 steps)
    cfd_2048   a large grid with a vortex in it, for a few steps (dt small enough for the diffusion limit dx^2 / 4 nu)
"""

from _program import Program, bits, main


def setup(np, n, nit, dt, max_steps, stir):
    """A fluid at rest; `stir` adds a vortex, so that v and the pressure have something to do as well."""
    dx = 2 / (n - 1)
    dy = 2 / (n - 1)
    u = np.zeros((n, n))
    v = np.zeros((n, n))
    p = np.ones((n, n))
    if stir:
        x = np.linspace(0, 2, n)
        y = np.linspace(0, 2, n)[:, np.newaxis]
        u += stir * (x * (2 - x)) ** 2 * (y * (2 - y) * (1 - y))
        v -= stir * (x * (2 - x) * (1 - x)) * (y * (2 - y)) ** 2
    return dict(u=u, v=v, p=p, dx=dx, dy=dy, dt=dt, nit=nit, max_steps=max_steps)


def build_up_b(np, rho, dt, dx, dy, u, v):
    """The right side of the pressure equation."""
    b = np.zeros_like(u)

    # the inner columns
    dudx = (u[1:-1, 2:] - u[1:-1, :-2]) / (2 * dx)
    dvdy = (v[2:, 1:-1] - v[:-2, 1:-1]) / (2 * dy)
    dudy = (u[2:, 1:-1] - u[:-2, 1:-1]) / (2 * dy)
    dvdx = (v[1:-1, 2:] - v[1:-1, :-2]) / (2 * dx)
    b[1:-1, 1:-1] = rho * ((dudx + dvdy) / dt - dudx**2 - 2 * dudy * dvdx - dvdy**2)

    # the last column, whose neighbour on the right is the first
    dudx = (u[1:-1, 0] - u[1:-1, -2]) / (2 * dx)
    dvdy = (v[2:, -1] - v[:-2, -1]) / (2 * dy)
    dudy = (u[2:, -1] - u[:-2, -1]) / (2 * dy)
    dvdx = (v[1:-1, 0] - v[1:-1, -2]) / (2 * dx)
    b[1:-1, -1] = rho * ((dudx + dvdy) / dt - dudx**2 - 2 * dudy * dvdx - dvdy**2)

    # the first column, whose neighbour on the left is the last
    dudx = (u[1:-1, 1] - u[1:-1, -1]) / (2 * dx)
    dvdy = (v[2:, 0] - v[:-2, 0]) / (2 * dy)
    dudy = (u[2:, 0] - u[:-2, 0]) / (2 * dy)
    dvdx = (v[1:-1, 1] - v[1:-1, -1]) / (2 * dx)
    b[1:-1, 0] = rho * ((dudx + dvdy) / dt - dudx**2 - 2 * dudy * dvdx - dvdy**2)
    return b


def pressure_poisson_periodic(np, b, nit, p, dx, dy):
    """Relaxes the pressure nit times: periodic in x, no gradient at the walls."""
    for _ in range(nit):
        pn = p.copy()
        p[1:-1, 1:-1] = ((pn[1:-1, 2:] + pn[1:-1, :-2]) * dy**2 + (pn[2:, 1:-1] + pn[:-2, 1:-1]) * dx**2) / (
            2 * (dx**2 + dy**2)
        ) - dx**2 * dy**2 / (2 * (dx**2 + dy**2)) * b[1:-1, 1:-1]

        p[1:-1, -1] = ((pn[1:-1, 0] + pn[1:-1, -2]) * dy**2 + (pn[2:, -1] + pn[:-2, -1]) * dx**2) / (
            2 * (dx**2 + dy**2)
        ) - dx**2 * dy**2 / (2 * (dx**2 + dy**2)) * b[1:-1, -1]

        p[1:-1, 0] = ((pn[1:-1, 1] + pn[1:-1, -1]) * dy**2 + (pn[2:, 0] + pn[:-2, 0]) * dx**2) / (
            2 * (dx**2 + dy**2)
        ) - dx**2 * dy**2 / (2 * (dx**2 + dy**2)) * b[1:-1, 0]

        p[-1, :] = p[-2, :]
        p[0, :] = p[1, :]
    return p


def channel_flow(np, u, v, p, dx, dy, dt, nit, max_steps, rho=1, nu=0.1, F=1, tol=0.001):
    udiff = 1
    stepcount = 0
    while udiff > tol and stepcount < max_steps:
        un = u.copy()
        vn = v.copy()
        b = build_up_b(np, rho, dt, dx, dy, u, v)
        p = pressure_poisson_periodic(np, b, nit, p, dx, dy)

        u[1:-1, 1:-1] = (
            un[1:-1, 1:-1]
            - un[1:-1, 1:-1] * dt / dx * (un[1:-1, 1:-1] - un[1:-1, 0:-2])
            - vn[1:-1, 1:-1] * dt / dy * (un[1:-1, 1:-1] - un[0:-2, 1:-1])
            - dt / (2 * rho * dx) * (p[1:-1, 2:] - p[1:-1, 0:-2])
            + nu
            * (
                dt / dx**2 * (un[1:-1, 2:] - 2 * un[1:-1, 1:-1] + un[1:-1, 0:-2])
                + dt / dy**2 * (un[2:, 1:-1] - 2 * un[1:-1, 1:-1] + un[0:-2, 1:-1])
            )
            + F * dt
        )
        v[1:-1, 1:-1] = (
            vn[1:-1, 1:-1]
            - un[1:-1, 1:-1] * dt / dx * (vn[1:-1, 1:-1] - vn[1:-1, 0:-2])
            - vn[1:-1, 1:-1] * dt / dy * (vn[1:-1, 1:-1] - vn[0:-2, 1:-1])
            - dt / (2 * rho * dy) * (p[2:, 1:-1] - p[0:-2, 1:-1])
            + nu
            * (
                dt / dx**2 * (vn[1:-1, 2:] - 2 * vn[1:-1, 1:-1] + vn[1:-1, 0:-2])
                + dt / dy**2 * (vn[2:, 1:-1] - 2 * vn[1:-1, 1:-1] + vn[0:-2, 1:-1])
            )
        )

        # the last column
        u[1:-1, -1] = (
            un[1:-1, -1]
            - un[1:-1, -1] * dt / dx * (un[1:-1, -1] - un[1:-1, -2])
            - vn[1:-1, -1] * dt / dy * (un[1:-1, -1] - un[0:-2, -1])
            - dt / (2 * rho * dx) * (p[1:-1, 0] - p[1:-1, -2])
            + nu
            * (
                dt / dx**2 * (un[1:-1, 0] - 2 * un[1:-1, -1] + un[1:-1, -2])
                + dt / dy**2 * (un[2:, -1] - 2 * un[1:-1, -1] + un[0:-2, -1])
            )
            + F * dt
        )
        v[1:-1, -1] = (
            vn[1:-1, -1]
            - un[1:-1, -1] * dt / dx * (vn[1:-1, -1] - vn[1:-1, -2])
            - vn[1:-1, -1] * dt / dy * (vn[1:-1, -1] - vn[0:-2, -1])
            - dt / (2 * rho * dy) * (p[2:, -1] - p[0:-2, -1])
            + nu
            * (
                dt / dx**2 * (vn[1:-1, 0] - 2 * vn[1:-1, -1] + vn[1:-1, -2])
                + dt / dy**2 * (vn[2:, -1] - 2 * vn[1:-1, -1] + vn[0:-2, -1])
            )
        )

        # the first column
        u[1:-1, 0] = (
            un[1:-1, 0]
            - un[1:-1, 0] * dt / dx * (un[1:-1, 0] - un[1:-1, -1])
            - vn[1:-1, 0] * dt / dy * (un[1:-1, 0] - un[0:-2, 0])
            - dt / (2 * rho * dx) * (p[1:-1, 1] - p[1:-1, -1])
            + nu
            * (
                dt / dx**2 * (un[1:-1, 1] - 2 * un[1:-1, 0] + un[1:-1, -1])
                + dt / dy**2 * (un[2:, 0] - 2 * un[1:-1, 0] + un[0:-2, 0])
            )
            + F * dt
        )
        v[1:-1, 0] = (
            vn[1:-1, 0]
            - un[1:-1, 0] * dt / dx * (vn[1:-1, 0] - vn[1:-1, -1])
            - vn[1:-1, 0] * dt / dy * (vn[1:-1, 0] - vn[0:-2, 0])
            - dt / (2 * rho * dy) * (p[2:, 0] - p[0:-2, 0])
            + nu
            * (
                dt / dx**2 * (vn[1:-1, 1] - 2 * vn[1:-1, 0] + vn[1:-1, -1])
                + dt / dy**2 * (vn[2:, 0] - 2 * vn[1:-1, 0] + vn[0:-2, 0])
            )
        )

        # the walls
        u[0, :] = 0
        u[-1, :] = 0
        v[0, :] = 0
        v[-1, :] = 0

        udiff = (np.sum(u) - np.sum(un)) / np.sum(u)
        stepcount += 1
    return dict(u=u, v=v, p=p, udiff=float(udiff), stepcount=stepcount)


def limit(n, nit, results, **_):
    """A relaxation reads p and b and writes p. A step also reads u and v to make b, writes it, and reads u, v and p to
    write u and v."""
    steps = int(results["stepcount"])
    points = n * n
    return dict(
        bytes=(24 * nit + 24 + 40) * points * steps,
        flops=(8 * nit + 19 + 64) * points * steps,
        working_set=24 * points,
    )


CHECKS = dict(u=bits(), v=bits(), p=bits(), udiff=bits(1e-6), stepcount=bits(0))
cfd_41 = Program(
    name="cfd_41",
    summary="channel flow on the course's small grid until it is steady",
    setup=setup,
    solve=channel_flow,
    sizes=dict(
        small=dict(n=21, nit=10, dt=0.01, max_steps=15, stir=0.5),
        demo=dict(n=41, nit=50, dt=0.01, max_steps=1000, stir=0.0),
        full=dict(n=41, nit=50, dt=0.01, max_steps=1000, stir=0.0),
    ),
    limit=limit,
    checks=CHECKS,
    mutates=("u", "v", "p"),
)
cfd_2048 = Program(
    name="cfd_2048",
    summary="channel flow on a large grid, a few steps",
    setup=setup,
    solve=channel_flow,
    sizes=dict(
        small=dict(n=96, nit=6, dt=1e-4, max_steps=3, stir=0.5),
        demo=dict(n=512, nit=50, dt=1e-5, max_steps=4, stir=0.5),
        full=dict(n=2048, nit=50, dt=1e-6, max_steps=2, stir=0.5),
    ),
    limit=limit,
    checks=CHECKS,
    mutates=("u", "v", "p"),
    notes=("sweeps may be tiled in time, so this limit of one pass a sweep can be beaten",),
)
PROGRAMS = (cfd_41, cfd_2048)


def run(np, program=cfd_41, **params):
    return program.run(np, **params)


if __name__ == "__main__":
    main(*PROGRAMS)
