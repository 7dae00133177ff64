"""Dask arrays on its threads: the programs as they stand where they are expressions that it can divide into blocks.

Blocks are as many rows as give each thread a few of them. What updates slices in place, visits elements or marches
through many steps in time is left out: Dask's arrays are not made for it.
"""

import os

import numpy

from peers import Solver

NAME = "dask"
TITLE = "Dask"
NAMES = (
    "black_scholes", "chain", "flux", "logreg", "diffusion_limited", "sobel", "blur", "bilateral", "grey", "softmax",
    "mlp", "layer_norm", "attention", "batch_pool", "gesummv", "atax", "bicg", "gemver", "mm3",
    "covariance", "standardise", "rolling_mean", "monte_carlo_pi", "asian_option",
)  # fmt: skip


def version():
    import dask.array  # noqa: F401

    return dask.__version__


def black_scholes(da, price, strike, years, rate, volatility):
    def cdf(d):
        k = 1.0 / (1.0 + 0.2316419 * da.fabs(d))
        poly = k * (0.319381530 + k * (-0.356563782 + k * (1.781477937 + k * (-1.821255978 + k * 1.330274429))))
        tail = da.exp(-0.5 * d * d) * 0.3989422804014327 * poly
        return da.where(d > 0, 1.0 - tail, tail)

    spread = volatility * da.sqrt(years)
    d1 = (da.log(price / strike) + (rate + 0.5 * volatility**2) * years) / spread
    n1, n2 = cdf(d1), cdf(d1 - spread)
    discounted = strike * da.exp(-rate * years)
    return dict(call=price * n1 - discounted * n2, put=discounted * (1.0 - n2) - price * (1.0 - n1))


def logreg(da, X, y, iters, rate):
    """The weights are values after every round, or the graph would grow with the rounds."""
    import dask

    n, features = X.shape
    w, bias, losses = numpy.zeros(features), 0.0, []
    for _ in range(iters):
        prob = 1.0 / (1.0 + da.exp(-(X @ w + bias)))
        error = prob - y
        loss = -da.mean(y * da.log(prob) + (1.0 - y) * da.log(1.0 - prob))
        hits = da.mean((prob > 0.5) == (y > 0.5))
        gradient, shift, loss, accuracy = dask.compute(X.T @ error, da.mean(error), loss, hits)
        w = w - rate * gradient / n
        bias = bias - rate * shift
        losses.append(loss)
    return dict(w=w, bias=bias, losses=losses, accuracy=accuracy)


def sobel(da, image):
    left, middle, right = image[:, :-2], image[:, 1:-1], image[:, 2:]
    gx = (right[:-2] - left[:-2]) + 2.0 * (right[1:-1] - left[1:-1]) + (right[2:] - left[2:])
    gy = (left[2:] - left[:-2]) + 2.0 * (middle[2:] - middle[:-2]) + (right[2:] - right[:-2])
    length = da.sqrt(gx**2 + gy**2)
    edges = length > 0.5 * length.max()
    return dict(length=length, edges=edges, found=edges.sum())


def standardise(da, data):
    z = (data - data.mean(axis=0)) / data.std(axis=0)
    return dict(z=da.clip(z, -3.0, 3.0), outliers=da.sum(da.fabs(z) > 3.0))


def rolling_mean(da, x, window):
    total = da.cumsum(x, axis=0)
    mean = da.concatenate((total[window - 1 : window], total[window:] - total[:-window])) / window
    return dict(mean=mean, deviation=da.max(da.fabs(x[window - 1 :] - mean)))


def attention(da, q, k, v):
    x = q @ k.transpose(0, 1, 3, 2) / numpy.sqrt(numpy.float32(q.shape[-1]))
    e = da.exp(x - x.max(axis=-1, keepdims=True))
    return dict(y=(e / e.sum(axis=-1, keepdims=True)) @ v)


def monte_carlo_pi(da, seed, blocks, n):
    rng = da.random.default_rng(seed)
    x, y = rng.random(blocks * n, chunks=n), rng.random(blocks * n, chunks=n)
    inside = da.sum(x * x + y * y <= 1.0)
    return dict(inside=inside, pi=4.0 * inside / (blocks * n))


def asian_option(da, seed, paths, days, price=100.0, strike=100.0, rate=0.03, volatility=0.2):
    dt = 1.0 / days
    noise = da.random.default_rng(seed).standard_normal((paths, days), chunks=(max(1, paths // 16), days))
    steps = (rate - 0.5 * volatility**2) * dt + volatility * dt**0.5 * noise
    prices = price * da.exp(da.cumsum(steps, axis=1))
    payoff = da.maximum(prices.mean(axis=1) - strike, 0.0) * numpy.exp(-rate)
    return dict(value=payoff.mean(), error=payoff.std() / paths**0.5)


OWN = {
    f.__name__: f
    for f in (
        black_scholes, logreg, sobel, standardise, rolling_mean, attention, monte_carlo_pi, asian_option
    )
}  # fmt: skip


def solver(program):
    if program.name not in NAMES:
        return None
    import dask
    import dask.array as da

    threads = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
    dask.config.set(scheduler="threads", num_workers=threads)

    def prepare(a):
        a = numpy.array(a)
        if a.nbytes < 2**16:
            return da.from_array(a, chunks=-1)
        rows = -(-a.shape[0] // (4 * threads))
        return da.from_array(a, chunks=(max(1, rows), *a.shape[1:]))

    def solve(inputs):
        if program.name in OWN:
            results = OWN[program.name](da, **inputs)
        else:
            results = program.solve(da, **inputs)
        return dict(zip(results, dask.compute(*results.values())))

    return Solver(prepare, solve)
