"""Factorisations and recurrences written by hand, row by row: views whose length changes in every round.

    cholesky          L L' = A in place, one element of L after the other (Cholesky-Banachiewicz)
    lu                L U = A in place without pivoting, right-looking: an outer product a round
    gram_schmidt      Q R = A, modified Gram-Schmidt, column by column
    householder       the same R by reflections
    forward           the solution of L x = b, row by row
    levinson          the Yule-Walker equations of a Toeplitz matrix (Levinson 1946, Durbin 1960)
    floyd_warshall    shortest paths between all pairs
"""

from _program import Program, bits, main, rel


def definite(np, n):
    """A symmetric positive definite matrix: products of a random one, and enough on the diagonal."""
    rng = np.random.default_rng(1910)
    B = rng.random((n, n))
    return dict(A=(B + B.T) / n + 2.0 * np.eye(n))


def cholesky(np, A):
    for i in range(A.shape[0]):
        for j in range(i):
            A[i, j] -= np.dot(A[i, :j], A[j, :j])
            A[i, j] /= A[j, j]
        A[i, i] -= np.dot(A[i, :i], A[i, :i])
        A[i, i] = np.sqrt(A[i, i])
    return dict(L=np.tril(A))


def lu(np, A):
    n = A.shape[0]
    for k in range(n - 1):
        A[k + 1 :, k] /= A[k, k]
        A[k + 1 :, k + 1 :] -= np.outer(A[k + 1 :, k], A[k, k + 1 :])
    return dict(A=A)


def tall(np, m, n):
    return dict(A=np.random.default_rng(1907).standard_normal((m, n)))


def gram_schmidt(np, A):
    m, n = A.shape
    Q = np.zeros((m, n))
    R = np.zeros((n, n))
    for k in range(n):
        R[k, k] = np.sqrt(np.dot(A[:, k], A[:, k]))
        Q[:, k] = A[:, k] / R[k, k]
        for j in range(k + 1, n):
            R[k, j] = np.dot(Q[:, k], A[:, j])
            A[:, j] -= Q[:, k] * R[k, j]
    return dict(Q=Q, R=R)


def householder(np, A):
    m, n = A.shape
    for k in range(n):
        v = A[k:, k].copy()
        v[0] += np.copysign(np.linalg.norm(v), v[0])
        v /= np.linalg.norm(v)
        A[k:, k:] -= 2.0 * np.outer(v, v @ A[k:, k:])
    return dict(R=np.triu(A[:n]))


def triangle(np, n):
    rng = np.random.default_rng(1947)
    L = np.tril(rng.random((n, n))) / n + np.eye(n)
    return dict(L=L, b=rng.random(n))


def forward(np, L, b):
    x = np.zeros_like(b)
    for i in range(len(b)):
        x[i] = (b[i] - L[i, :i] @ x[:i]) / L[i, i]
    return dict(x=x)


def correlated(np, n):
    """Autocorrelations of a process that forgets: r[k] falls off, with some noise."""
    rng = np.random.default_rng(1946)
    return dict(r=0.5 ** np.arange(1, n + 1) + 0.001 * rng.random(n))


def levinson(np, r):
    n = len(r)
    y = np.zeros(n)
    y[0] = -r[0]
    alpha, beta = -r[0], 1.0
    for k in range(1, n):
        beta *= 1.0 - alpha * alpha
        alpha = -(r[k] + np.dot(r[:k][::-1], y[:k])) / beta
        y[:k] += alpha * y[:k][::-1]
        y[k] = alpha
    return dict(y=y)


def roads(np, n):
    rng = np.random.default_rng(1962)
    path = rng.integers(1, 1000, (n, n)).astype(np.float64)
    path[rng.random((n, n)) < 0.9] = np.inf
    path[np.arange(n), np.arange(n)] = 0.0
    return dict(path=path)


def floyd_warshall(np, path):
    for k in range(path.shape[0]):
        path[:] = np.minimum(path, path[:, k, np.newaxis] + path[k])
    return dict(path=path)


def whole(bytes, flops, working_set):
    return dict(bytes=bytes, flops=flops, working_set=working_set)


def square(*ns):
    return dict(zip(("small", "demo", "full"), (dict(n=n) for n in ns)))


# A factor stays in the cache at these sizes: it is read and written once, the rest is arithmetic.
PROGRAMS = (
    Program(
        "cholesky", "a Cholesky factor, element by element", definite, cholesky, square(12, 100, 360),
        lambda n: whole(16 * n * n, n**3 / 3, 8 * n * n), dict(L=rel(1e-13)), mutates=("A",),
    ),
    Program(
        "lu", "an LU factorisation, an outer product a round", definite, lu, square(12, 150, 700),
        lambda n: whole(16 * n * n, 2 * n**3 / 3, 8 * n * n), dict(A=bits(1e-12)), mutates=("A",),
    ),
    Program(
        "gram_schmidt", "modified Gram-Schmidt, column by column", tall, gram_schmidt,
        dict(small=dict(m=14, n=9), demo=dict(m=150, n=80), full=dict(m=400, n=300)),
        lambda m, n: whole(16 * m * n, 2 * m * n * n, 16 * m * n), dict(Q=rel(1e-11), R=rel(1e-11)), mutates=("A",),
    ),
    Program(
        "householder", "a QR factorisation by reflections", tall, householder,
        dict(small=dict(m=14, n=9), demo=dict(m=200, n=100), full=dict(m=900, n=400)),
        lambda m, n: whole(16 * m * n, 4 * m * n * n / 2, 8 * m * n), dict(R=rel(1e-11)), mutates=("A",),
    ),
    Program(
        "forward", "forward substitution, row by row", triangle, forward, square(15, 500, 8000),
        lambda n: whole(4 * n * n, n * n, 4 * n * n), dict(x=rel(1e-12)),
    ),
    Program(
        "levinson", "the Levinson-Durbin recursion", correlated, levinson, square(15, 500, 3000),
        lambda n: whole(32 * n, 2 * n * n, 24 * n), dict(y=rel(1e-9)),
        exact_setup=False,
    ),
    Program(
        "floyd_warshall", "shortest paths between all pairs", roads, floyd_warshall, square(12, 150, 600),
        lambda n: whole(16 * n * n, 2 * n**3, 8 * n * n), dict(path=bits(0)), mutates=("path",),
    ),
)  # fmt: skip


if __name__ == "__main__":
    main(*PROGRAMS)
