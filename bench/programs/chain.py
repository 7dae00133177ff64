"""A chain of twenty elementwise operations and a reduction: what fusion is for.

All twenty are exact in IEEE arithmetic (no transcendental functions), so the sum must have NumPy's bits.
"""

from _program import Program, bits, main


def setup(np, n):
    rng = np.random.default_rng(20)
    return dict(a=rng.random(n), b=rng.random(n) + 0.5)


def chain(np, a, b):
    t = a * b + 1.5
    t = np.sqrt(t) - a
    t = t * t + b
    t = np.maximum(t, 0.25) / b
    t = np.where(t > 1.0, t - 1.0, 1.0 - t)
    t = np.abs(t - 0.5) * 2.0
    t = np.minimum(t, a + b)
    t = (t + 3.0) * (t - 2.0)
    return dict(total=float(np.sum(t)))


def limit(n):
    """Two arrays read, nothing written."""
    return dict(bytes=16 * n, only_read=16 * n, flops=21 * n, working_set=16 * n)


chain_program = Program(
    name="chain",
    summary="twenty elementwise operations and a sum",
    setup=setup,
    solve=chain,
    sizes=dict(small=dict(n=2007), demo=dict(n=2_000_000), full=dict(n=20_000_000)),
    limit=limit,
    checks=dict(total=bits(1e-11)),
)
PROGRAMS = (chain_program,)


def run(np, **params):
    return chain_program.run(np, **params)


if __name__ == "__main__":
    main(*PROGRAMS)
