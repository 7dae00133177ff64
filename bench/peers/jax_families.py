"""JAX solvers for the families of programs: products, fields, layers, images, science, tables.

Where a program is a pure expression, it is itself what jax.jit compiles; loops over time become lax.fori_loop, updates
in place the functional style.
"""

from functools import partial


def build():
    """The solvers by program; imports JAX only when they are wanted."""
    import fields
    import images
    import jax
    import jax.numpy as jnp
    import layers
    import products
    import tables
    from jax import lax

    jit, static = jax.jit, lambda *names: partial(jax.jit, static_argnames=names)

    def itself(solve, *names):
        """The program as it stands, compiled as a whole; `names` are the arguments that shape it."""
        return static(*names)(partial(solve, jnp))

    def over_time(step):
        """A program that is `steps` times the same on a tuple of arrays."""

        def run(state, steps, *more):
            return lax.fori_loop(0, steps, lambda _, s: step(*s, *more), state)

        return run

    # products ------------------------------------------------------------------------------------------------------
    @jit
    def gemm(A, B, C, alpha, beta):
        return dict(C=alpha * A @ B + beta * C)

    @jit
    def mvt(A, x1, x2, y1, y2, alpha, beta):
        return dict(x1=x1 + A @ y1, x2=x2 + y2 @ A)

    @jit
    def syrk(A, C, alpha, beta):
        return dict(C=jnp.where(jnp.tri(A.shape[0], dtype=bool), alpha * A @ A.T + beta * C, C))

    # factorisations ------------------------------------------------------------------------------------------------
    @jit
    def lu(A):
        at = jnp.arange(A.shape[0])

        def eliminate(k, A):
            column = jnp.where(at > k, A[:, k] / A[k, k], 0.0)
            A = A - jnp.outer(column, jnp.where(at > k, A[k], 0.0))
            return A.at[:, k].set(jnp.where(at > k, column, A[:, k]))

        return dict(A=lax.fori_loop(0, A.shape[0] - 1, eliminate, A))

    @jit
    def gram_schmidt(A):
        n = A.shape[1]

        def column(k, s):
            A, Q, R = s
            length = jnp.sqrt(A[:, k] @ A[:, k])
            q = A[:, k] / length
            row = jnp.where(jnp.arange(n) > k, q @ A, 0.0)
            return A - jnp.outer(q, row), Q.at[:, k].set(q), R.at[k].set(row.at[k].set(length))

        _, Q, R = lax.fori_loop(0, n, column, (A, jnp.zeros_like(A), jnp.zeros((n, n))))
        return dict(Q=Q, R=R)

    @jit
    def forward(L, b):
        return dict(x=jax.scipy.linalg.solve_triangular(L, b, lower=True))

    @jit
    def floyd_warshall(path):
        def through(k, path):
            return jnp.minimum(path, path[:, k, None] + path[k])

        return dict(path=lax.fori_loop(0, path.shape[0], through, path))

    # fields --------------------------------------------------------------------------------------------------------
    @static("steps")
    def jacobi_1d(a, b, steps):
        def step(a, b):
            b = b.at[1:-1].set(0.33333 * (a[:-2] + a[1:-1] + a[2:]))
            return a.at[1:-1].set(0.33333 * (b[:-2] + b[1:-1] + b[2:])), b

        return dict(zip("ab", over_time(step)((a, b), steps)))

    @static("steps")
    def wave(u, steps, courant2):
        def step(previous, u):
            c = u[1:-1, 1:-1]
            lap = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4.0 * c
            return u, jnp.pad(2.0 * c - previous[1:-1, 1:-1] + courant2 * lap, 1)

        _, u = over_time(step)((u, u), steps)
        return dict(u=u, highest=jnp.max(jnp.abs(u)))

    @static("steps")
    def advection(c, steps, cx, cy):
        def step(c):
            return (c - cx * (c - jnp.roll(c, 1, 1)) - cy * (c - jnp.roll(c, 1, 0)),)

        (c,) = over_time(step)((c,), steps)
        return dict(c=c, total=jnp.sum(c))

    @static("steps")
    def gray_scott(u, v, steps, du=0.16, dv=0.08, feed=0.035, kill=0.065):
        def step(u, v):
            reaction = u * v * v
            return (
                u + du * fields.laplacian(jnp, u) - reaction + feed * (1.0 - u),
                v + dv * fields.laplacian(jnp, v) + reaction - (feed + kill) * v,
            )

        return dict(zip("uv", over_time(step)((u, v), steps)))

    @static("steps")
    def life(grid, steps):
        def step(grid):
            rows = grid + jnp.roll(grid, 1, 0) + jnp.roll(grid, -1, 0)
            around = rows + jnp.roll(rows, 1, 1) + jnp.roll(rows, -1, 1) - grid
            return (((around == 3) | ((grid == 1) & (around == 2))).astype(jnp.uint8),)

        (grid,) = over_time(step)((grid,), steps)
        return dict(grid=grid, alive=jnp.count_nonzero(grid))

    @static("steps")
    def shallow_water(h, u, v, steps, g=9.81, depth=1.0, dt=0.05, dx=1.0):
        def step(h, u, v):
            u = u.at[1:-1].add(-g * dt / dx * (h[1:] - h[:-1]))
            v = v.at[:, 1:-1].add(-g * dt / dx * (h[:, 1:] - h[:, :-1]))
            return h - depth * dt / dx * (u[1:] - u[:-1] + v[:, 1:] - v[:, :-1]), u, v

        h, u, v = over_time(step)((h, u, v), steps)
        return dict(h=h, u=u, v=v, volume=jnp.sum(h))

    @jit
    def fdtd(ex, ey, hz, source):
        def step(t, s):
            ex, ey, hz = s
            ey = ey.at[0].set(source[t]).at[1:].add(-0.5 * (hz[1:] - hz[:-1]))
            ex = ex.at[:, 1:].add(-0.5 * (hz[:, 1:] - hz[:, :-1]))
            hz = hz.at[:-1, :-1].add(-0.7 * (ex[:-1, 1:] - ex[:-1, :-1] + ey[1:, :-1] - ey[:-1, :-1]))
            return ex, ey, hz

        return dict(zip(("ex", "ey", "hz"), lax.fori_loop(0, source.shape[0], step, (ex, ey, hz))))

    @static("steps")
    def adi(u, steps, r):
        def half(u):
            right = u.at[:, 1:-1].add(r * (u[:, 2:] - 2.0 * u[:, 1:-1] + u[:, :-2]))

            def down(s, line):
                before, upper = s
                pivot = 1.0 + 2.0 * r + r * upper
                line = (line + r * before) / pivot
                return (line, -r / pivot), (line, -r / pivot)

            _, (lines, upper) = lax.scan(down, (right[0], 0.0), right[1:-1])

            def up(after, given):
                line = given[0] - given[1] * after
                return line, line

            _, lines = lax.scan(up, right[-1], (lines, upper), reverse=True)
            return jnp.concatenate((right[:1], lines, right[-1:]))

        return dict(u=lax.fori_loop(0, steps, lambda _, u: half(half(u).T).T, u))

    @static("steps")
    def burgers(u, steps, ratio):
        def step(u):
            flux = 0.5 * u**2
            face = 0.5 * (flux + jnp.roll(flux, -1)) - 0.5 / ratio * (jnp.roll(u, -1) - u) * 0.5
            return (u - ratio * (face - jnp.roll(face, 1)),)

        (u,) = over_time(step)((u,), steps)
        return dict(u=u, total=u.sum())

    # layers --------------------------------------------------------------------------------------------------------
    @jit
    def conv2d(image, weights, bias):
        out = lax.conv_general_dilated(image, weights, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return dict(y=out + bias)

    # images --------------------------------------------------------------------------------------------------------
    @jit
    def sobel(image):
        left, middle, right = image[:, :-2], image[:, 1:-1], image[:, 2:]
        gx = (right[:-2] - left[:-2]) + 2.0 * (right[1:-1] - left[1:-1]) + (right[2:] - left[2:])
        gy = (left[2:] - left[:-2]) + 2.0 * (middle[2:] - middle[:-2]) + (right[2:] - right[:-2])
        length = jnp.sqrt(gx**2 + gy**2)
        edges = length > 0.5 * length.max()
        return dict(length=length, edges=edges, found=edges.sum())

    @jit
    def equalise(image):
        counts = jnp.bincount(image.ravel(), length=256)
        table = jnp.round(jnp.cumsum(counts) / image.size * 255).astype(jnp.uint8)
        return dict(out=table[image], counts=counts)

    # science -------------------------------------------------------------------------------------------------------
    @static("steps")
    def molecules(pos, vel, box, steps, dt):
        def forces(pos):
            d = pos[:, :, None] - pos[:, None, :]
            d = d - box * jnp.rint(d / box)
            r2 = jnp.where(jnp.eye(pos.shape[1], dtype=bool), jnp.inf, jnp.sum(d**2, axis=0))
            s2 = 1.0 / r2
            s6 = s2 * s2 * s2
            return jnp.sum(24.0 * s2 * s6 * (2.0 * s6 - 1.0) * d, axis=2), 2.0 * jnp.sum(s6 * (s6 - 1.0))

        def step(pos, vel, force, _):
            vel = vel + 0.5 * dt * force
            pos = (pos + dt * vel) % box
            force, potential = forces(pos)
            return pos, vel + 0.5 * dt * force, force, potential

        pos, vel, _, potential = over_time(step)((pos, vel, *forces(pos)), steps)
        return dict(pos=pos, vel=vel, potential=potential, kinetic=0.5 * jnp.sum(vel**2))

    @static("times")
    def spmv(starts, columns, values, x, times):
        n = starts.shape[0] - 1
        row = jnp.searchsorted(starts, jnp.arange(values.shape[0]), side="right") - 1

        def step(x):
            return (jax.ops.segment_sum(values * x[columns], row, n, indices_are_sorted=True),)

        return dict(zip("x", over_time(step)((x,), times)))

    def spmv_rows(**inputs):
        return dict(y=spmv(**inputs)["x"])

    @static("blocks", "n")
    def monte_carlo_pi(seed, blocks, n):
        def block(i, inside):
            x, y = jax.random.uniform(jax.random.fold_in(jax.random.key(seed), i), (2, n))
            return inside + jnp.sum(x * x + y * y <= 1.0)

        inside = lax.fori_loop(0, blocks, block, 0)
        return dict(inside=inside, pi=4.0 * inside / (blocks * n))

    @static("paths", "days")
    def asian_option(seed, paths, days, price=100.0, strike=100.0, rate=0.03, volatility=0.2):
        dt = 1.0 / days
        noise = jax.random.normal(jax.random.key(seed), (paths, days))
        steps = (rate - 0.5 * volatility**2) * dt + volatility * jnp.sqrt(dt) * noise
        prices = price * jnp.exp(jnp.cumsum(steps, axis=1))
        payoff = jnp.maximum(prices.mean(axis=1) - strike, 0.0) * jnp.exp(-rate)
        return dict(value=payoff.mean(), error=payoff.std() / jnp.sqrt(paths))

    @static("rings")
    def azimuthal(image, radius, rings):
        edges = jnp.linspace(0.0, radius.max(), rings + 1)
        ring = jnp.searchsorted(edges, radius.ravel(), side="right") - 1
        total = jnp.bincount(ring, weights=image.ravel(), length=rings + 1)
        count = jnp.bincount(ring, length=rings + 1)
        return dict(brightness=(total / jnp.maximum(count, 1))[:rings])

    @jit
    def contour_integral(h, circle):
        one = jnp.eye(h.shape[0])
        inside = lax.map(lambda z: z * jnp.linalg.inv(z * one - h), circle).sum(axis=0) / circle.shape[0]
        return dict(projector=inside, count=jnp.trace(inside).real)

    @jit
    def scattering(G, D, M):
        momenta, energies = G.shape[:2]

        def pair(i, sigma):
            k, q = i // momenta, i % momenta
            mgm = M[q] @ G[(k - q) % momenta] @ M[q].conj().T
            for w in range(D.shape[1]):
                sigma = sigma.at[k, w:].add(D[q, w] * mgm[: energies - w])
            return sigma

        return dict(sigma=lax.fori_loop(0, momenta * momenta, pair, jnp.zeros_like(G)))

    @static("steps")
    def elastic(u, v, steps, stiffness, dt):
        def step(u, v):
            stress = stiffness * (u[1:] - u[:-1])
            v = v + dt * (jnp.pad(stress, (0, 1)) - jnp.pad(stress, (1, 0)))
            return u + dt * v, v

        return dict(zip("uv", over_time(step)((u, v), steps)))

    # tables --------------------------------------------------------------------------------------------------------
    @jit
    def correlation(data):
        deviation = data.std(axis=0)
        deviation = jnp.where(deviation <= 0.1, 1.0, deviation)
        z = (data - data.mean(axis=0)) / (jnp.sqrt(1.0 * data.shape[0]) * deviation)
        return dict(corr=jnp.where(jnp.eye(data.shape[1], dtype=bool), 1.0, z.T @ z))

    @jit
    def standardise(data):
        z = (data - data.mean(axis=0)) / data.std(axis=0)
        return dict(z=jnp.clip(z, -3.0, 3.0), outliers=jnp.sum(jnp.abs(z) > 3.0))

    @static("window")
    def rolling_mean(x, window):
        total = jnp.cumsum(x)
        mean = total.at[window:].add(-total[:-window])[window - 1 :] / window
        return dict(mean=mean, deviation=jnp.max(jnp.abs(x[window - 1 :] - mean)))

    @static("rounds")
    def bootstrap(x, rounds, seed):
        picked = x[jax.random.randint(jax.random.key(seed), (rounds, x.shape[0]), 0, x.shape[0])]
        means = picked.mean(axis=1)
        low, high = jnp.percentile(means, jnp.array([2.5, 97.5]))
        return dict(means=means, low=low, high=high)

    @jit
    def distances(data):
        square = jnp.sum(data**2, axis=1)
        d = jnp.sqrt(jnp.maximum(square[:, None] + square - 2.0 * data @ data.T, 0.0))
        return dict(nearest=jnp.min(jnp.where(jnp.eye(data.shape[0], dtype=bool), jnp.inf, d), axis=1))

    @static("groups")
    def group_means(key, value, groups):
        count = jnp.bincount(key, length=groups)
        mean = jnp.bincount(key, weights=value, length=groups) / jnp.maximum(count, 1)
        return dict(mean=mean, spread=jnp.sqrt(jnp.mean((value - mean[key]) ** 2)))

    solvers = dict(
        gemm=gemm, gesummv=itself(products.gesummv), atax=itself(products.atax), bicg=itself(products.bicg), mvt=mvt,
        gemver=itself(products.gemver), mm3=itself(products.mm3), syrk=syrk, lu=lu, gram_schmidt=gram_schmidt,
        forward=forward, floyd_warshall=floyd_warshall, jacobi_1d=jacobi_1d, wave=wave, advection=advection,
        gray_scott=gray_scott, life=life, shallow_water=shallow_water, fdtd=fdtd, adi=adi, burgers=burgers,
        diffusion_limited=itself(fields.diffusion_limited), softmax=itself(layers.softmax), mlp=itself(layers.mlp),
        conv2d=conv2d, layer_norm=itself(layers.layer_norm), attention=itself(layers.attention),
        batch_pool=itself(layers.batch_pool), sobel=sobel, blur=itself(images.blur), equalise=equalise,
        bilateral=itself(images.bilateral, "radius"), erode=itself(images.erode, "times"), grey=itself(images.grey),
        molecules=molecules, spmv=spmv, spmv_rows=spmv_rows, monte_carlo_pi=monte_carlo_pi, asian_option=asian_option,
        azimuthal=azimuthal, contour_integral=contour_integral, scattering=scattering, elastic=elastic,
        covariance=itself(tables.covariance), correlation=correlation, standardise=standardise,
        rolling_mean=rolling_mean, bootstrap=bootstrap, distances=distances, group_means=group_means,
    )  # fmt: skip
    assert tuple(solvers) == NAMES, "NAMES and what build makes"
    return {name: (lambda inputs, solve=solve: solve(**inputs)) for name, solve in solvers.items()}


NAMES = (
    "gemm", "gesummv", "atax", "bicg", "mvt", "gemver", "mm3", "syrk", "lu", "gram_schmidt", "forward",
    "floyd_warshall", "jacobi_1d", "wave", "advection", "gray_scott", "life", "shallow_water", "fdtd", "adi", "burgers",
    "diffusion_limited", "softmax", "mlp", "conv2d", "layer_norm", "attention", "batch_pool", "sobel", "blur",
    "equalise", "bilateral", "erode", "grey", "molecules", "spmv", "spmv_rows", "monte_carlo_pi", "asian_option",
    "azimuthal", "contour_integral", "scattering", "elastic", "covariance", "correlation", "standardise",
    "rolling_mean", "bootstrap", "distances", "group_means",
)  # fmt: skip
