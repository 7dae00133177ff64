"""Physics and finance: particles, sparse matrices, random paths, detectors, Green's functions.

    molecules           Lennard-Jones particles in a periodic box, all pairs, velocity Verlet
    spmv                powers of a sparse matrix (CSR) on a vector, by indexing and np.add.reduceat
    spmv_rows           one product with a sparse matrix, row by row
    monte_carlo_pi      the share of random points in a circle
    asian_option        the mean over random price paths (geometric Brownian motion)
    azimuthal           the mean brightness of rings of a detector picture, ring by ring
    contour_integral    the resolvent of a matrix along a circle: how many eigenvalues lie inside (Sakurai & Sugiura)
    scattering          self-energies: small complex products, batched over energies
    elastic             one step of explicit finite elements on a bar: gather, element forces, scatter with np.add.at
"""

from _program import Check, Program, bits, main, rel


def crystal(np, side, steps):
    rng = np.random.default_rng(1924)
    box = side * 1.7
    at = (np.arange(side) + 0.5) * 1.7
    pos = np.stack([a.ravel() for a in np.meshgrid(at, at, at)])
    pos = pos + 0.1 * rng.random(pos.shape)
    vel = rng.standard_normal(pos.shape)
    return dict(pos=pos, vel=vel - vel.mean(axis=1, keepdims=True), box=box, steps=steps, dt=0.002)


def forces(np, pos, box):
    d = pos[:, :, np.newaxis] - pos[:, np.newaxis, :]
    d = d - box * np.rint(d / box)
    r2 = d[0] ** 2 + d[1] ** 2 + d[2] ** 2
    np.fill_diagonal(r2, np.inf)
    s2 = 1.0 / r2
    s6 = s2 * s2 * s2
    strength = 24.0 * s2 * s6 * (2.0 * s6 - 1.0)
    return np.sum(strength * d, axis=2), 2.0 * np.sum(s6 * (s6 - 1.0))


def molecules(np, pos, vel, box, steps, dt):
    force, potential = forces(np, pos, box)
    for _ in range(steps):
        vel = vel + 0.5 * dt * force
        pos = (pos + dt * vel) % box
        force, potential = forces(np, pos, box)
        vel = vel + 0.5 * dt * force
    kinetic = 0.5 * np.sum(vel**2)
    return dict(pos=pos, vel=vel, potential=float(potential), kinetic=float(kinetic))


def sparse(np, n, per_row, times):
    rng = np.random.default_rng(1967)
    columns = rng.integers(0, n, n * per_row)
    values = rng.random(n * per_row) / per_row
    starts = np.arange(0, n * per_row + 1, per_row)
    return dict(starts=starts, columns=columns, values=values, x=rng.random(n), times=times)


def spmv(np, starts, columns, values, x, times):
    for _ in range(times):
        x = np.add.reduceat(values * x[columns], starts[:-1])
    return dict(x=x)


def spmv_rows(np, starts, columns, values, x, times):
    y = np.empty(len(starts) - 1)
    for i in range(len(y)):
        row = slice(starts[i], starts[i + 1])
        y[i] = values[row] @ x[columns[row]]
    return dict(y=y)


def darts(np, blocks, n):
    return dict(seed=3141, blocks=blocks, n=n)


def monte_carlo_pi(np, seed, blocks, n):
    rng = np.random.default_rng(seed)
    inside = 0
    for _ in range(blocks):
        x = rng.random(n)
        y = rng.random(n)
        inside += int(np.sum(x * x + y * y <= 1.0))
    return dict(inside=inside, pi=4.0 * inside / (blocks * n))


def market(np, paths, days):
    return dict(seed=1973, paths=paths, days=days)


def asian_option(np, seed, paths, days, price=100.0, strike=100.0, rate=0.03, volatility=0.2):
    rng = np.random.default_rng(seed)
    dt = 1.0 / days
    steps = (rate - 0.5 * volatility**2) * dt + volatility * np.sqrt(dt) * rng.standard_normal((paths, days))
    prices = price * np.exp(np.cumsum(steps, axis=1))
    payoff = np.maximum(prices.mean(axis=1) - strike, 0.0) * np.exp(-rate)
    return dict(value=float(payoff.mean()), error=float(payoff.std() / np.sqrt(paths)))


def detector(np, n, rings):
    rng = np.random.default_rng(1912)
    x = np.linspace(-1.0, 1.0, n)
    radius = np.sqrt(x**2 + x[:, np.newaxis] ** 2)
    return dict(image=rng.random((n, n)), radius=radius, rings=rings)


def azimuthal(np, image, radius, rings):
    edges = np.linspace(0.0, radius.max(), rings + 1)
    brightness = np.zeros(rings)
    for i in range(rings):
        inside = np.logical_and(radius >= edges[i], radius < edges[i + 1])
        if inside.any():
            brightness[i] = image[inside].mean()
    return dict(brightness=brightness)


def hamiltonian(np, n, points):
    rng = np.random.default_rng(1999)
    h = rng.standard_normal((n, n))
    angle = 2.0 * np.pi * (np.arange(points) + 0.5) / points
    circle = np.cos(angle) + 1j * np.sin(angle)
    return dict(h=(h + h.T) / np.sqrt(8.0 * n), circle=0.25 * circle)


def contour_integral(np, h, circle):
    one = np.eye(h.shape[0])
    inside = np.zeros(h.shape, dtype=np.complex128)
    for z in circle:
        inside += z * np.linalg.inv(z * one - h)
    inside = inside / len(circle)
    return dict(projector=inside, count=float(np.trace(inside).real))


def electrons(np, momenta, energies, phonons, orbitals):
    rng = np.random.default_rng(1965)

    def random(*shape):
        return rng.random(shape) + 1j * rng.random(shape)

    return dict(
        G=random(momenta, energies, orbitals, orbitals), D=random(momenta, phonons), M=random(momenta, orbitals, orbitals)
    )


def scattering(np, G, D, M):
    momenta, energies = G.shape[:2]
    sigma = np.zeros_like(G)
    for k in range(momenta):
        for q in range(momenta):
            mgm = M[q] @ G[(k - q) % momenta] @ M[q].conj().T
            for w in range(D.shape[1]):
                sigma[k, w:] += D[q, w] * mgm[: energies - w]
    return dict(sigma=sigma)


def bar(np, n, steps):
    rng = np.random.default_rng(1943)
    return dict(u=0.01 * rng.random(n), v=np.zeros(n), steps=steps, stiffness=1.0, dt=0.5)


def elastic(np, u, v, steps, stiffness, dt):
    left = np.arange(len(u) - 1)
    right = left + 1
    for _ in range(steps):
        stress = stiffness * (u[right] - u[left])
        force = np.zeros_like(u)
        np.add.at(force, left, stress)
        np.add.at(force, right, -stress)
        v = v + dt * force
        u = u + dt * v
    return dict(u=u, v=v)


def sizes(small, demo, full):
    return dict(small=small, demo=demo, full=full)


PROGRAMS = (
    Program(
        "molecules", "Lennard-Jones particles in a periodic box", crystal, molecules,
        sizes(dict(side=3, steps=3), dict(side=6, steps=10), dict(side=10, steps=5)),
        lambda side, steps: dict(bytes=96 * side**3 * (steps + 1), flops=40 * side**6 * (steps + 1),
                                 working_set=144 * side**3),
        dict(pos=bits(1e-9), vel=bits(1e-9), potential=bits(1e-9), kinetic=bits(1e-9)),
    ),
    Program(
        "spmv", "powers of a sparse matrix on a vector", sparse, spmv,
        sizes(dict(n=30, per_row=4, times=3), dict(n=10_000, per_row=8, times=10), dict(n=400_000, per_row=10, times=5)),
        lambda n, per_row, times: dict(bytes=(16 * n * per_row + 24 * n) * times, flops=2 * n * per_row * times,
                                       working_set=16 * n * per_row + 24 * n),
        dict(x=bits(1e-12)),
    ),
    Program(
        "spmv_rows", "a product with a sparse matrix, row by row", sparse, spmv_rows,
        sizes(dict(n=30, per_row=4, times=1), dict(n=3000, per_row=12, times=1), dict(n=100_000, per_row=12, times=1)),
        lambda n, per_row, times: dict(bytes=16 * n * per_row + 24 * n, flops=2 * n * per_row,
                                       working_set=16 * n * per_row + 24 * n),
        dict(y=rel(1e-13)),
    ),
    Program(
        "monte_carlo_pi", "the share of random points in a circle", darts, monte_carlo_pi,
        sizes(dict(blocks=3, n=100), dict(blocks=10, n=50_000), dict(blocks=20, n=1_000_000)),
        lambda blocks, n: dict(bytes=8, flops=20 * blocks * n, working_set=8),
        dict(inside=bits(None), pi=bits(None)),
    ),
    Program(
        "asian_option", "the mean over random price paths", market, asian_option,
        sizes(dict(paths=50, days=12), dict(paths=5000, days=50), dict(paths=50_000, days=100)),
        lambda paths, days: dict(bytes=8 * paths, flops=50 * paths * days, working_set=8 * paths),
        dict(value=Check("rel", 1e-12, None), error=Check("rel", 1e-10, None)),  # peers draw other numbers
    ),
    Program(
        "azimuthal", "mean brightness of rings, ring by ring", detector, azimuthal,
        sizes(dict(n=20, rings=5), dict(n=300, rings=30), dict(n=1000, rings=60)),
        lambda n, rings: dict(bytes=16 * n * n, flops=4 * n * n, working_set=16 * n * n),
        dict(brightness=bits(1e-12)), fallbacks=None,  # selecting by a boolean mask has a size that depends on the data
    ),
    Program(
        "contour_integral", "resolvents along a circle", hamiltonian, contour_integral,
        sizes(dict(n=12, points=8), dict(n=60, points=16), dict(n=120, points=24)),
        lambda n, points: dict(bytes=32 * n * n * points, flops=8 * n**3 * points, working_set=32 * n * n),
        dict(projector=rel(1e-9), count=rel(1e-9)), exact_setup=False,
        fallbacks=None,  # np.linalg.inv
    ),
    Program(
        "scattering", "self-energies from small complex products", electrons, scattering,
        sizes(dict(momenta=2, energies=5, phonons=3, orbitals=3), dict(momenta=4, energies=40, phonons=8, orbitals=6),
              dict(momenta=8, energies=120, phonons=16, orbitals=10)),
        lambda momenta, energies, phonons, orbitals: dict(
            bytes=16 * momenta * energies * orbitals**2 * (1 + momenta),
            flops=momenta**2 * energies * (16 * orbitals**3 + 8 * phonons * orbitals**2),
            working_set=32 * momenta * energies * orbitals**2),
        dict(sigma=rel(1e-12)),
    ),
    Program(
        "elastic", "explicit finite elements on a bar", bar, elastic,
        sizes(dict(n=30, steps=4), dict(n=3000, steps=30), dict(n=500_000, steps=8)),
        lambda n, steps: dict(bytes=32 * n * steps, flops=8 * n * steps, working_set=32 * n),
        dict(u=bits(1e-12), v=bits(1e-12)),
    ),
)  # fmt: skip


if __name__ == "__main__":
    main(*PROGRAMS)
