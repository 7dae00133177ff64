"""Statistics of tables: observations in rows, variables in columns.

    covariance      of all pairs of variables
    correlation     the same, standardised
    standardise     each variable to mean 0 and deviation 1, outliers clipped
    rolling_mean    over a window, by differences of the cumulative sum, and the largest deviation from it
    bootstrap       a confidence interval of a mean from resampled data
    distances       between all pairs of observations, by the binomial formula
    group_means     means by group, with np.bincount
"""

from _program import Program, bits, main, rel


def table(np, n, m):
    rng = np.random.default_rng(1888)
    return dict(data=rng.standard_normal((n, m)) * rng.random(m) + rng.random(m))


def covariance(np, data):
    centred = data - data.mean(axis=0)
    return dict(cov=centred.T @ centred / (len(data) - 1.0))


def correlation(np, data):
    deviation = data.std(axis=0)
    deviation[deviation <= 0.1] = 1.0
    z = (data - data.mean(axis=0)) / (np.sqrt(float(len(data))) * deviation)
    corr = z.T @ z
    np.fill_diagonal(corr, 1.0)
    return dict(corr=corr)


def standardise(np, data):
    z = (data - data.mean(axis=0)) / data.std(axis=0)
    return dict(z=np.clip(z, -3.0, 3.0), outliers=int(np.sum(np.abs(z) > 3.0)))


def series(np, n, window):
    rng = np.random.default_rng(1927)
    return dict(x=rng.standard_normal(n) + 100.0, window=window)


def rolling_mean(np, x, window):
    total = np.cumsum(x)
    total[window:] = total[window:] - total[:-window]
    mean = total[window - 1 :] / window
    return dict(mean=mean, deviation=float(np.max(np.abs(x[window - 1 :] - mean))))


def sample(np, n, rounds):
    return dict(x=np.random.default_rng(1979).standard_normal(n), rounds=rounds, seed=5)


def bootstrap(np, x, rounds, seed):
    rng = np.random.default_rng(seed)
    picked = x[rng.integers(0, len(x), (rounds, len(x)))]
    means = picked.mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return dict(means=means, low=float(low), high=float(high))


def distances(np, data):
    square = np.sum(data**2, axis=1)
    d2 = square[:, np.newaxis] + square - 2.0 * data @ data.T
    d = np.sqrt(np.maximum(d2, 0.0))
    np.fill_diagonal(d, np.inf)
    return dict(nearest=np.min(d, axis=1))


def grouped(np, n, groups):
    rng = np.random.default_rng(1890)
    return dict(key=rng.integers(0, groups, n), value=rng.random(n), groups=groups)


def group_means(np, key, value, groups):
    count = np.bincount(key, minlength=groups)
    total = np.bincount(key, weights=value, minlength=groups)
    mean = total / np.maximum(count, 1)
    return dict(mean=mean, spread=float(np.sqrt(np.mean((value - mean[key]) ** 2))))


def sizes(small, demo, full):
    return dict(small=small, demo=demo, full=full)


PROGRAMS = (
    Program(
        "covariance", "the covariances of all pairs of variables", table, covariance,
        sizes(dict(n=40, m=6), dict(n=2000, m=50), dict(n=100_000, m=50)),
        lambda n, m: dict(bytes=8 * n * m, flops=n * m * m, working_set=8 * n * m), dict(cov=rel(1e-12)),
    ),
    Program(
        "correlation", "the correlations of all pairs of variables", table, correlation,
        sizes(dict(n=40, m=6), dict(n=2000, m=50), dict(n=100_000, m=50)),
        lambda n, m: dict(bytes=8 * n * m, flops=n * m * m, working_set=8 * n * m), dict(corr=rel(1e-12)),
    ),
    Program(
        "standardise", "variables to mean 0 and deviation 1, clipped", table, standardise,
        sizes(dict(n=40, m=6), dict(n=5000, m=30), dict(n=300_000, m=30)),
        lambda n, m: dict(bytes=16 * n * m, flops=10 * n * m, working_set=16 * n * m),
        dict(z=bits(1e-12), outliers=bits(1e-6)),
    ),
    Program(
        "rolling_mean", "means over a window by cumulative sums", series, rolling_mean,
        sizes(dict(n=100, window=7), dict(n=100_000, window=50), dict(n=10_000_000, window=100)),
        lambda n, window: dict(bytes=16 * n, flops=5 * n, working_set=16 * n),
        dict(mean=bits(1e-9), deviation=bits(1e-6)),
    ),
    Program(
        "bootstrap", "a confidence interval from resampled data", sample, bootstrap,
        sizes(dict(n=30, rounds=20), dict(n=500, rounds=300), dict(n=5000, rounds=2000)),
        lambda n, rounds: dict(bytes=8 * n, flops=10 * n * rounds, working_set=8 * n),
        dict(means=bits(None), low=bits(None), high=bits(None)), fallbacks=1,  # np.percentile
    ),
    Program(
        "distances", "the nearest neighbour of each observation", table, distances,
        sizes(dict(n=30, m=4), dict(n=400, m=8), dict(n=3000, m=16)),
        lambda n, m: dict(bytes=8 * n * (m + 1), flops=n * n * (2 * m + 5), working_set=8 * n * m),
        dict(nearest=rel(1e-9)),
    ),
    Program(
        "group_means", "means by group with bincount", grouped, group_means,
        sizes(dict(n=100, groups=5), dict(n=50_000, groups=100), dict(n=5_000_000, groups=1000)),
        lambda n, groups: dict(bytes=32 * n, flops=6 * n, working_set=16 * n), dict(mean=bits(1e-12), spread=bits(1e-12)),
    ),
)  # fmt: skip


if __name__ == "__main__":
    main(*PROGRAMS)
