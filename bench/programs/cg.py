"""Conjugate gradients for a dense symmetric positive definite matrix.

    cg         tests convergence in every iteration
    cg_every   tests only in every `conv_iters`-th, so that the program can run ahead

The algorithm is Hestenes and Stiefel's (1952). The matrix is H D H with D = diag(1 ... cond) evenly spaced and H a
Householder reflection by a random vector: dense, exactly symmetric, of known eigenvalues, and cheap to make.
"""

from _program import Program, main, off, rel


def setup(np, n, cond, tol, conv_iters):
    rng = np.random.default_rng(1952)
    d = np.linspace(1.0, cond, n)
    v = rng.standard_normal(n)
    v = v / np.sqrt(v.dot(v))
    w = d * v
    A = np.outer(v, w)
    A = (4 * v.dot(w)) * np.outer(v, v) - 2 * (A + A.T)
    A[np.arange(n), np.arange(n)] += d
    b = rng.standard_normal(n)
    return dict(A=A, b=b, tol=tol, conv_iters=conv_iters)


def cg_solve(np, A, b, tol, conv_iters=1):
    x = np.zeros(A.shape[1])
    r = b - A.dot(x)
    p = r
    rsold = r.dot(r)
    iterations = 0
    for i in range(b.shape[0]):
        Ap = A.dot(p)
        alpha = rsold / p.dot(Ap)
        x = x + alpha * p
        r = r - alpha * Ap
        rsnew = r.dot(r)
        iterations = i + 1
        if np.sqrt(rsnew) < tol:
            break
        beta = rsnew / rsold
        p = r + beta * p
        rsold = rsnew
    return dict(x=x, iterations=iterations, residual=float(np.sqrt(rsnew)))


def cg_solve_every(np, A, b, tol, conv_iters):
    x = np.zeros_like(b)
    r = b - A.dot(x)
    p = r
    rsold = r.dot(r)
    converged = -1
    max_iters = b.shape[0]
    for i in range(max_iters):
        Ap = A.dot(p)
        alpha = rsold / (p.dot(Ap))
        x = x + alpha * p
        r = r - alpha * Ap
        rsnew = r.dot(r)
        if i % conv_iters == 0 and np.sqrt(rsnew) < tol:
            converged = i
            break
        beta = rsnew / rsold
        p = r + beta * p
        rsold = rsnew
    return dict(x=x, iterations=converged + 1, residual=float(np.sqrt(rsnew)))


def limit(n, cond, tol, conv_iters, results):
    """Each product reads A once; the vectors stay in cache."""
    products = int(results["iterations"]) + 1
    moved = 8 * n * n * products
    return dict(bytes=moved, only_read=moved, flops=2 * n * n * products, working_set=8 * n * n)


def checks(step):
    """x to 1e-10 of its largest element (cond * tol, with room); a product's order may move the last iteration by one
    test. The residual is rounding noise by then and is not compared."""
    return dict(x=rel(1e-10), iterations=off(step))


SIZES = dict(
    small=dict(n=96, cond=50.0, tol=1e-10, conv_iters=5),
    demo=dict(n=2000, cond=100.0, tol=1e-10, conv_iters=25),
    full=dict(n=8000, cond=100.0, tol=1e-10, conv_iters=25),
)
cg = Program(
    name="cg",
    summary="conjugate gradients, dense matrix, convergence tested in every iteration",
    setup=setup,
    solve=cg_solve,
    sizes=SIZES,
    limit=limit,
    checks=checks(1),
    exact_setup=False,
)
cg_every = Program(
    name="cg_every",
    summary="conjugate gradients, dense matrix, convergence tested seldom",
    setup=setup,
    solve=cg_solve_every,
    sizes=SIZES,
    limit=limit,
    checks=checks(25),
    exact_setup=False,
)
PROGRAMS = (cg, cg_every)


def run(np, program=cg, **params):
    return program.run(np, **params)


if __name__ == "__main__":
    main(*PROGRAMS)
