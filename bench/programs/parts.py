"""Loops over the parts of arrays, as people write them who think of one frame, one point, one member at a time.

    frames          each frame of a film, freed of the dark current and the gain, and normalised
    distance_rows   distances between all pairs of points, a row a round
    ensemble        mean, spread and extremes over the members of an ensemble, one member a round
"""

from _program import Program, bits, main


def film(np, frames, n):
    rng = np.random.default_rng(1888)
    return dict(
        film=rng.random((frames, n, n)), dark=rng.random((n, n)) * 0.1, gain=rng.random((n, n)) + 0.5
    )


def frames(np, film, dark, gain):
    out, level = np.empty_like(film), np.empty(len(film))
    for k in range(len(film)):
        flat = (film[k] - dark) / gain
        level[k] = flat.mean()
        out[k] = (flat - flat.mean()) / flat.std()
    return dict(out=out, level=level)


def points(np, n, dims):
    return dict(x=np.random.default_rng(1905).random((n, dims)))


def distance_rows(np, x):
    d = np.empty((len(x), len(x)))
    for i in range(len(x)):
        d[i] = np.sqrt(((x - x[i]) ** 2).sum(axis=1))
    return dict(d=d)


def members(np, count, n):
    return dict(x=np.random.default_rng(1963).random((count, n)))


def ensemble(np, x):
    total, squares = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    largest = np.zeros(x.shape[1])
    for k in range(len(x)):
        y = np.sqrt(x[k] * (1.0 - x[k])) / (1.0 + x[k] * x[k])
        total += y
        squares += y * y
        largest = np.maximum(largest, y)
    mean = total / len(x)
    return dict(mean=mean, spread=np.sqrt(squares / len(x) - mean * mean), largest=largest)


PROGRAMS = (
    Program(
        "frames", "a film, normalised frame by frame", film, frames,
        dict(small=dict(frames=9, n=7), demo=dict(frames=400, n=40), full=dict(frames=2000, n=64)),
        lambda frames, n: dict(bytes=16 * frames * n * n, flops=12 * frames * n * n, working_set=16 * frames * n * n),
        dict(out=bits(), level=bits()),
    ),
    Program(
        "distance_rows", "distances between all pairs of points, row by row", points, distance_rows,
        dict(small=dict(n=12, dims=3), demo=dict(n=400, dims=3), full=dict(n=4000, dims=3)),
        lambda n, dims: dict(bytes=8 * n * n, flops=(3 * dims + 4) * n * n, working_set=8 * n * n),
        dict(d=bits()),
    ),
    Program(
        "ensemble", "mean, spread and extremes of an ensemble, member by member", members, ensemble,
        dict(small=dict(count=9, n=50), demo=dict(count=300, n=2000), full=dict(count=1000, n=20_000)),
        lambda count, n: dict(bytes=8 * count * n, flops=16 * count * n, working_set=8 * count * n),
        dict(mean=bits(), spread=bits(1e-6), largest=bits()),
    ),
)  # fmt: skip


if __name__ == "__main__":
    main(*PROGRAMS)
