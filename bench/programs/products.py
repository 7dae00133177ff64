"""Kernels around matrix products, as the BLAS defines its routines: every one a line or two of NumPy.

    gemm      C := alpha A B + beta C                 gesummv   y = alpha A x + beta B x
    atax      y = A' (A x)                            bicg      q = A p and s = A' r, the two products of BiCG
    mvt       x1 += A y1 and x2 += A' y2              gemver    A + two outer products, then two products with it
    mm3       (A B) (C D)                             syrk      C := alpha A A' + beta C, lower half, column by column
"""

from _program import Program, bits, main, rel


def matrices(**shapes):
    """A setup that draws arrays of these shapes: letters are the parameters of a size."""

    def setup(np, **params):
        rng = np.random.default_rng(1979)
        made = {k: rng.standard_normal(tuple(params[axis] for axis in shape)) for k, shape in shapes.items()}
        return dict(made, alpha=1.5, beta=1.2)

    return setup


def gemm(np, A, B, C, alpha, beta):
    C[:] = alpha * A @ B + beta * C
    return dict(C=C)


def gesummv(np, A, B, x, alpha, beta):
    return dict(y=alpha * A @ x + beta * B @ x)


def atax(np, A, x, **_):
    return dict(y=(A @ x) @ A)


def bicg(np, A, p, r, **_):
    return dict(q=A @ p, s=r @ A)


def mvt(np, A, x1, x2, y1, y2, **_):
    x1 += A @ y1
    x2 += y2 @ A
    return dict(x1=x1, x2=x2)


def gemver(np, A, u1, v1, u2, v2, y, z, alpha, beta):
    B = A + np.outer(u1, v1) + np.outer(u2, v2)
    x = beta * y @ B + z
    return dict(x=x, w=alpha * B @ x)


def mm3(np, A, B, C, D, **_):
    return dict(G=(A @ B) @ (C @ D))


def syrk(np, A, C, alpha, beta):
    for i in range(A.shape[0]):
        C[i, : i + 1] *= beta
        for k in range(A.shape[1]):
            C[i, : i + 1] += alpha * A[i, k] * A[: i + 1, k]
    return dict(C=C)


def product(name, summary, setup, solve, sizes, limit, checks, **more):
    small, demo, full = sizes
    return Program(name, summary, setup, solve, dict(small=small, demo=demo, full=full), limit, checks, **more)


def square(*ns):
    return [dict(n=n) for n in ns]


# The sums of products follow a BLAS's order.
PROGRAMS = (
    product(
        "gemm", "scaled matrix product added to a matrix",
        lambda np, m, k, n: matrices(A="mk", B="kn", C="mn")(np, m=m, k=k, n=n), gemm,
        (dict(m=20, k=30, n=25), dict(m=300, k=350, n=250), dict(m=1200, k=1300, n=1100)),
        lambda m, k, n: dict(bytes=8 * (m * k + k * n + 2 * m * n), flops=2 * m * n * k + 3 * m * n + m * k,
                             working_set=8 * (m * k + k * n + m * n)),
        dict(C=rel(1e-13)), mutates=("C",),
    ),
    product(
        "gesummv", "the sum of two matrix-vector products",
        lambda np, n: matrices(A="nn", B="nn", x="n")(np, n=n), gesummv, square(30, 400, 4000),
        lambda n: dict(bytes=16 * n * n, flops=6 * n * n, working_set=16 * n * n),
        dict(y=rel(1e-13)),
    ),
    product(
        "atax", "a matrix, then its transpose, times a vector",
        lambda np, n: matrices(A="nn", x="n")(np, n=n), atax, square(30, 400, 6000),
        lambda n: dict(bytes=16 * n * n, flops=4 * n * n, working_set=8 * n * n),
        dict(y=rel(1e-13)),
    ),
    product(
        "bicg", "a matrix times one vector and its transpose times another",
        lambda np, n: matrices(A="nn", p="n", r="n")(np, n=n), bicg, square(30, 400, 6000),
        lambda n: dict(bytes=8 * n * n, flops=4 * n * n, working_set=8 * n * n),
        dict(q=rel(1e-13), s=rel(1e-13)),
    ),
    product(
        "mvt", "two matrix-vector products added to vectors",
        lambda np, n: matrices(A="nn", x1="n", x2="n", y1="n", y2="n")(np, n=n), mvt, square(30, 400, 6000),
        lambda n: dict(bytes=8 * n * n, flops=4 * n * n, working_set=8 * n * n),
        dict(x1=rel(1e-13), x2=rel(1e-13)), mutates=("x1", "x2"),
    ),
    product(
        "gemver", "two outer products added to a matrix, then two products with it",
        lambda np, n: matrices(A="nn", u1="n", v1="n", u2="n", v2="n", y="n", z="n")(np, n=n), gemver,
        square(30, 400, 4000),
        lambda n: dict(bytes=16 * n * n, flops=8 * n * n, working_set=16 * n * n),
        dict(x=rel(1e-12), w=rel(1e-12)),
    ),
    product(
        "mm3", "three matrix products",
        lambda np, n: matrices(A="nn", B="nn", C="nn", D="nn")(np, n=n), mm3, square(20, 250, 1000),
        lambda n: dict(bytes=8 * 7 * n * n, flops=6 * n**3, working_set=8 * 7 * n * n),
        dict(G=rel(1e-12)),
    ),
    product(
        "syrk", "a matrix times its transpose, the lower half, one column at a time",
        lambda np, n, m: matrices(A="nm", C="nn")(np, n=n, m=m), syrk,
        (dict(n=12, m=9), dict(n=120, m=100), dict(n=320, m=300)),
        lambda n, m: dict(bytes=8 * (n * m + n * n), flops=n * (n + 1) * m, working_set=8 * (n * m + n * n)),
        dict(C=bits(1e-12)), mutates=("C",),
    ),
)  # fmt: skip


if __name__ == "__main__":
    main(*PROGRAMS)
