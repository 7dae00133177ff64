"""Programs that work on one element after the other, in Python's own loops: what comes next depends on what was just written.

    seidel          Gauss-Seidel sweeps over a plate, nine points, in place
    subsequence     the longest common subsequence of two texts (Wagner & Fischer 1974), by its table
    orbits          how often the orbits of the logistic map (May 1976) visit each part of the interval
    oscillator      a driven Duffing oscillator, by velocity Verlet
"""

from _program import Program, bits, main


def plate(np, n, sweeps):
    return dict(a=np.random.default_rng(1823).random((n, n)), sweeps=sweeps)


def seidel(np, a, sweeps):
    n = a.shape[0]
    for _ in range(sweeps):
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                a[i, j] = (
                    a[i - 1, j - 1] + a[i - 1, j] + a[i - 1, j + 1]
                    + a[i, j - 1] + a[i, j] + a[i, j + 1]
                    + a[i + 1, j - 1] + a[i + 1, j] + a[i + 1, j + 1]
                ) / 9.0  # fmt: skip
    return dict(a=a)


def texts(np, n):
    rng = np.random.default_rng(1974)
    return dict(a=rng.integers(0, 4, n), b=rng.integers(0, 4, n))


def subsequence(np, a, b):
    n, m = len(a), len(b)
    table = np.zeros((n + 1, m + 1), dtype=np.int64)
    for i in range(n):
        for j in range(m):
            if a[i] == b[j]:
                table[i + 1, j + 1] = table[i, j] + 1
            else:
                table[i + 1, j + 1] = max(table[i, j + 1], table[i + 1, j])
    return dict(length=int(table[n, m]), table=table)


def rates(np, count, steps, parts):
    return dict(r=np.linspace(3.5, 3.99, count), steps=steps, parts=parts)


def logistic(r, x):
    return r * x * (1.0 - x)


def orbits(np, r, steps, parts):
    visits = np.zeros((len(r), parts), dtype=np.int64)
    for k in range(len(r)):
        x = 0.5
        for _ in range(steps):
            x = logistic(r[k], x)
            visits[k, int(x * parts)] += 1
    return dict(visits=visits)


def well(np, steps):
    return dict(push=0.3 * np.cos(1.2 * 0.01 * np.arange(steps)), dt=0.01)


def acceleration(x, v, push):
    return x - x * x * x - 0.2 * v + push


def oscillator(np, push, dt, x=0.5, v=0.0):
    path = np.zeros(len(push))
    a = acceleration(x, v, push[0])
    for i in range(len(push)):
        half = v + 0.5 * dt * a
        x = x + dt * half
        a = acceleration(x, half, push[i])
        v = half + 0.5 * dt * a
        path[i] = x
    return dict(path=path, v=float(v))


def sizes(small, demo, full):
    return dict(small=small, demo=demo, full=full)


PROGRAMS = (
    Program(
        "seidel", "Gauss-Seidel sweeps, element by element", plate, seidel,
        sizes(dict(n=12, sweeps=2), dict(n=60, sweeps=5), dict(n=200, sweeps=10)),
        lambda n, sweeps: dict(bytes=16 * n * n, flops=9 * n * n * sweeps, working_set=8 * n * n),
        dict(a=bits(1e-12)), mutates=("a",),
    ),
    Program(
        "subsequence", "the longest common subsequence of two texts", texts, subsequence,
        sizes(dict(n=20), dict(n=150), dict(n=700)),
        lambda n: dict(bytes=8 * n * n, flops=2 * n * n, working_set=8 * n * n),
        dict(length=bits(0), table=bits(0)),
    ),
    Program(
        "orbits", "where the orbits of the logistic map go", rates, orbits,
        sizes(dict(count=4, steps=30, parts=10), dict(count=40, steps=500, parts=50), dict(count=200, steps=2000, parts=100)),
        lambda count, steps, parts: dict(bytes=8 * count * parts, flops=4 * count * steps, working_set=8 * count * parts),
        dict(visits=bits(0)),
    ),
    Program(
        "oscillator", "a driven oscillator, step by step", well, oscillator,
        sizes(dict(steps=50), dict(steps=10_000), dict(steps=300_000)),
        lambda steps: dict(bytes=16 * steps, flops=16 * steps, working_set=16 * steps),
        dict(path=bits(1e-6), v=bits(1e-6)),
    ),
)  # fmt: skip


if __name__ == "__main__":
    main(*PROGRAMS)
