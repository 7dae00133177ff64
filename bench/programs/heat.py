"""Heat conduction in a cube: forward Euler with the seven-point Laplacian, the faces kept at their temperature.

The update is written in place: the right side reads the old temperatures, as NumPy promises.
"""

from _program import Program, bits, main


def setup(np, n, steps):
    rng = np.random.default_rng(1822)
    u = rng.random((n, n, n))
    u[0] = 1.0
    u[-1] = 0.0
    return dict(u=u, steps=steps, k=0.1)


def conduct(np, u, steps, k):
    for _ in range(steps):
        u[1:-1, 1:-1, 1:-1] += k * (
            u[2:, 1:-1, 1:-1]
            + u[:-2, 1:-1, 1:-1]
            + u[1:-1, 2:, 1:-1]
            + u[1:-1, :-2, 1:-1]
            + u[1:-1, 1:-1, 2:]
            + u[1:-1, 1:-1, :-2]
            - 6.0 * u[1:-1, 1:-1, 1:-1]
        )
    return dict(u=u, mean=float(np.mean(u)), hottest=float(np.max(u[1:-1, 1:-1, 1:-1])))


def limit(n, steps):
    """A step reads u and writes u."""
    return dict(bytes=16 * n**3 * steps, flops=9 * n**3 * steps, working_set=16 * n**3)


heat = Program(
    name="heat",
    summary="heat in a cube, seven-point stencil in place",
    setup=setup,
    solve=conduct,
    sizes=dict(small=dict(n=20, steps=5), demo=dict(n=128, steps=10), full=dict(n=320, steps=10)),
    limit=limit,
    checks=dict(u=bits(1e-13), mean=bits(1e-12), hottest=bits(1e-13)),
    mutates=("u",),
    notes=("sweeps may be tiled in time, so this limit of one pass a sweep can be beaten",),
)
PROGRAMS = (heat,)


def run(np, **params):
    return heat.run(np, **params)


if __name__ == "__main__":
    main(*PROGRAMS)
