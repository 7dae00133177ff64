"""Gravitation between all pairs of bodies, leapfrog in time (kick, drift, kick), Plummer softening."""

from _program import Program, main, rel


def setup(np, n, steps):
    rng = np.random.default_rng(1687)
    mass = np.full(n, 20.0 / n)
    pos = rng.standard_normal((n, 3))
    vel = rng.standard_normal((n, 3))
    vel = vel - np.mean(mass[:, np.newaxis] * vel, axis=0) / np.mean(mass)
    return dict(mass=mass, pos=pos, vel=vel, steps=steps, dt=0.01, softening=0.1)


def acceleration(np, pos, mass, softening):
    x, y, z = pos[:, 0], pos[:, 1], pos[:, 2]
    dx = x - x[:, np.newaxis]
    dy = y - y[:, np.newaxis]
    dz = z - z[:, np.newaxis]
    inv_r3 = (dx**2 + dy**2 + dz**2 + softening**2) ** -1.5
    ax = (dx * inv_r3) @ mass
    ay = (dy * inv_r3) @ mass
    az = (dz * inv_r3) @ mass
    return np.stack((ax, ay, az), axis=1)


def nbody(np, mass, pos, vel, steps, dt, softening):
    acc = acceleration(np, pos, mass, softening)
    for _ in range(steps):
        vel = vel + acc * dt / 2.0
        pos = pos + vel * dt
        acc = acceleration(np, pos, mass, softening)
        vel = vel + acc * dt / 2.0
    kinetic = 0.5 * np.sum(mass[:, np.newaxis] * vel**2)
    return dict(pos=pos, vel=vel, kinetic=float(kinetic))


def limit(n, steps):
    """All pairs stay in registers; 20 flops a pair with the power counted as three."""
    return dict(bytes=8 * 10 * n * (steps + 1), flops=20 * n * n * (steps + 1), working_set=80 * n)


nbody_program = Program(
    name="nbody",
    summary="gravitation between all pairs of bodies",
    setup=setup,
    solve=nbody,
    sizes=dict(small=dict(n=40, steps=4), demo=dict(n=600, steps=5), full=dict(n=2000, steps=5)),
    limit=limit,
    # a power within a few ulp, sums of n terms in a BLAS's order
    checks=dict(pos=rel(1e-12), vel=rel(1e-12), kinetic=rel(1e-12)),
)
PROGRAMS = (nbody_program,)


def run(np, **params):
    return nbody_program.run(np, **params)


if __name__ == "__main__":
    main(*PROGRAMS)
