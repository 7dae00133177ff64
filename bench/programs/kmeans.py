"""Lloyd's k-means clustering (1957), in the way that array tutorials write it.

Distances by broadcasting points against centres, the nearest by argmin, each new centre as the mean of the points that
a boolean mask selects.
"""

from _program import Program, bits, differ, main


def setup(np, n, dims, clusters, iters):
    rng = np.random.default_rng(1957)
    homes = rng.uniform(-10.0, 10.0, (clusters, dims))
    points = homes[rng.integers(0, clusters, n)] + rng.standard_normal((n, dims))
    centers = points[:clusters].copy()
    return dict(points=points, centers=centers, iters=iters)


def kmeans(np, points, centers, iters, tol=1e-9):
    iterations = 0
    for _ in range(iters):
        distances = np.sum((points - centers[:, np.newaxis]) ** 2, axis=2)
        labels = np.argmin(distances, axis=0)
        moved = centers.copy()
        for k in range(len(centers)):
            mine = points[labels == k]
            if len(mine) > 0:
                moved[k] = mine.mean(axis=0)
        shift = np.max(np.abs(moved - centers))
        centers = moved
        iterations += 1
        if shift < tol:
            break
    return dict(centers=centers, labels=labels, shift=float(shift), iterations=iterations)


def limit(n, dims, clusters, results, **_):
    """A round reads the points and updates k sums; the labels are written."""
    rounds = int(results["iterations"])
    return dict(
        bytes=8 * n * (dims + 1) * rounds,
        flops=n * (3 * dims * clusters + dims) * rounds,
        working_set=8 * n * (dims + 1),
    )


kmeans_program = Program(
    name="kmeans",
    summary="k-means clustering",
    setup=setup,
    solve=kmeans,
    sizes=dict(
        small=dict(n=400, dims=3, clusters=4, iters=6),
        demo=dict(n=100_000, dims=4, clusters=8, iters=10),
        full=dict(n=1_000_000, dims=4, clusters=8, iters=10),
    ),
    limit=limit,
    checks=dict(centers=bits(1e-9), labels=differ(0.0, 1e-4), shift=bits(1e-6), iterations=bits(0)),
    fallbacks=None,  # selecting by a boolean mask has a size that depends on the data
)
PROGRAMS = (kmeans_program,)


def run(np, **params):
    return kmeans_program.run(np, **params)


if __name__ == "__main__":
    main(*PROGRAMS)
