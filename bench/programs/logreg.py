"""Logistic regression by gradient descent on the mean log loss."""

from _program import Program, main, rel


def setup(np, n, features, iters):
    rng = np.random.default_rng(1958)
    X = rng.standard_normal((n, features))
    truth = rng.standard_normal(features)
    y = (X @ truth + 0.5 * rng.standard_normal(n) > 0).astype(np.float64)
    return dict(X=X, y=y, iters=iters, rate=0.5)


def train(np, X, y, iters, rate):
    n, features = X.shape
    w = np.zeros(features)
    bias = 0.0
    losses = []
    for _ in range(iters):
        z = X @ w + bias
        prob = 1.0 / (1.0 + np.exp(-z))
        error = prob - y
        w -= rate * (X.T @ error) / n
        bias -= rate * np.mean(error)
        losses.append(float(-np.mean(y * np.log(prob) + (1.0 - y) * np.log(1.0 - prob))))
    accuracy = np.mean((prob > 0.5) == (y > 0.5))
    return dict(w=w, bias=float(bias), losses=losses, accuracy=float(accuracy))


def limit(n, features, iters):
    """A round needs X once (each row gives its probability and its share of the gradient) and y."""
    return dict(
        bytes=8 * n * (features + 1) * iters, flops=n * (4 * features + 75) * iters, working_set=8 * n * (features + 1)
    )


logreg = Program(
    name="logreg",
    summary="logistic regression by gradient descent, with the loss of each round",
    setup=setup,
    solve=train,
    sizes=dict(
        small=dict(n=500, features=7, iters=5),
        demo=dict(n=100_000, features=32, iters=10),
        full=dict(n=500_000, features=32, iters=20),
    ),
    limit=limit,
    # sums over n terms of both signs in a BLAS's order: n * 1e-16 at worst, in practice far less
    checks=dict(w=rel(1e-12), bias=rel(1e-9), losses=rel(1e-12), accuracy=rel(1e-5)),
)
PROGRAMS = (logreg,)


def run(np, **params):
    return logreg.run(np, **params)


if __name__ == "__main__":
    main(*PROGRAMS)
