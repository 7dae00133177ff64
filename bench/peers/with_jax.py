"""JAX: each program rewritten in its functional style and compiled as a whole by jax.jit, in double precision."""

import numpy

from peers import Solver, jax_families

NAME = "jax"
TITLE = "JAX"
NAMES = (
    "jacobi_a", "jacobi_b", "jacobi_c", "cg", "cg_every", "cfd_41", "cfd_2048", "flux", "black_scholes", "kmeans",
    "logreg", "chain", "mandelbrot", "mandelbrot_real", "nbody", "heat", *jax_families.NAMES,
)  # fmt: skip


def version():
    import jax

    return jax.__version__


def build():
    """The solvers; importing JAX only when they are wanted."""
    from functools import partial

    import jax
    import jax.numpy as jnp
    from jax import lax

    jax.config.update("jax_enable_x64", True)
    jit, static = jax.jit, lambda *names: partial(jax.jit, static_argnames=names)

    # Laplace -------------------------------------------------------------------------------------------------------
    def sweep(p):
        return p.at[1:-1, 1:-1].set(0.25 * (p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1]))

    def change(p, pn):
        return jnp.sqrt(jnp.sum((p - pn) ** 2) / jnp.sum(pn**2))

    @static("max_iter", "output_freq", "every")
    def jacobi(p, max_iter, output_freq, every, l2_target=1e-8):
        """`every` sweeps and then l2, until it is small; the l2 of each round is kept."""

        def body(state):
            p, _, i, log = state
            p = lax.fori_loop(0, every - 1, lambda _, q: sweep(q), p)
            new = sweep(p)
            l2 = change(new, p)
            return new, l2, i + 1, log.at[i].set(l2)

        rounds = max_iter // every
        state = (p, jnp.float64(1.0), 0, jnp.zeros(rounds))
        p, l2, i, log = lax.while_loop(lambda s: (s[1] > l2_target) & (s[2] < rounds), body, state)
        return dict(p=p, l2=l2, icount=i * every, history=log[output_freq // every - 1 :: output_freq // every])

    # conjugate gradients -------------------------------------------------------------------------------------------
    @static("conv_iters")
    def cg(A, b, tol, conv_iters):
        n = b.shape[0]

        def body(s):
            x, r, p, rsold, i, _ = s
            Ap = A @ p
            alpha = rsold / (p @ Ap)
            x, r = x + alpha * p, r - alpha * Ap
            rsnew = r @ r
            done = (i % conv_iters == 0) & (jnp.sqrt(rsnew) < tol)
            return x, r, r + rsnew / rsold * p, rsnew, i + 1, done

        r = b
        s = lax.while_loop(lambda s: (~s[5]) & (s[4] < n), body, (jnp.zeros_like(b), r, r, r @ r, 0, False))
        return dict(x=s[0], iterations=s[4], residual=jnp.sqrt(s[3]))

    # channel flow --------------------------------------------------------------------------------------------------
    def neighbours(f):
        """East and west (periodic), north and south (inner rows) of all columns."""
        row = f[1:-1]
        return row, jnp.roll(row, -1, 1), jnp.roll(row, 1, 1), f[2:], f[:-2]

    @static("nit", "max_steps", "dx", "dy", "dt")
    def channel(u, v, p, dx, dy, dt, nit, max_steps, rho=1.0, nu=0.1, F=1.0, tol=0.001):
        def step(s):
            u, v, p, _, count = s
            uc, ue, uw, un_, us = neighbours(u)
            vc, ve, vw, vn_, vs = neighbours(v)
            dudx, dudy = (ue - uw) / (2 * dx), (un_ - us) / (2 * dy)
            dvdx, dvdy = (ve - vw) / (2 * dx), (vn_ - vs) / (2 * dy)
            b = rho * ((dudx + dvdy) / dt - dudx**2 - 2 * dudy * dvdx - dvdy**2)

            def relax(_, p):
                _, e, w, n, s = neighbours(p)
                inner = ((e + w) * dy**2 + (n + s) * dx**2) / (2 * (dx**2 + dy**2))
                inner = inner - dx**2 * dy**2 / (2 * (dx**2 + dy**2)) * b
                return jnp.concatenate((inner[:1], inner, inner[-1:]))

            p = lax.fori_loop(0, nit, relax, p)
            _, pe, pw, pn, ps = neighbours(p)

            def carried(c, e, w, n, s):
                return (
                    c - uc * dt / dx * (c - w) - vc * dt / dy * (c - s)
                    + nu * (dt / dx**2 * (e - 2 * c + w) + dt / dy**2 * (n - 2 * c + s))
                )  # fmt: skip

            un = carried(uc, ue, uw, un_, us) - dt / (2 * rho * dx) * (pe - pw) + F * dt
            vn = carried(vc, ve, vw, vn_, vs) - dt / (2 * rho * dy) * (pn - ps)
            un, vn = jnp.pad(un, ((1, 1), (0, 0))), jnp.pad(vn, ((1, 1), (0, 0)))
            return un, vn, p, (jnp.sum(un) - jnp.sum(u)) / jnp.sum(un), count + 1

        s = lax.while_loop(lambda s: (s[3] > tol) & (s[4] < max_steps), step, (u, v, p, jnp.float64(1.0), 0))
        return dict(u=s[0], v=s[1], p=s[2], udiff=s[3], stepcount=s[4])

    # the others ----------------------------------------------------------------------------------------------------
    @jit
    def flux(cells, fluxes, alpha):
        return dict(cells=cells + alpha * jnp.sum(fluxes, axis=4))

    @jit
    def black_scholes(price, strike, years, rate, volatility):
        def cdf(d):
            k = 1.0 / (1.0 + 0.2316419 * jnp.abs(d))
            poly = k * (0.319381530 + k * (-0.356563782 + k * (1.781477937 + k * (-1.821255978 + k * 1.330274429))))
            tail = jnp.exp(-0.5 * d * d) / jnp.sqrt(2 * jnp.pi) * poly
            return jnp.where(d > 0, 1.0 - tail, tail)

        spread = volatility * jnp.sqrt(years)
        d1 = (jnp.log(price / strike) + (rate + 0.5 * volatility**2) * years) / spread
        n1, n2 = cdf(d1), cdf(d1 - spread)
        discounted = strike * jnp.exp(-rate * years)
        return dict(call=price * n1 - discounted * n2, put=discounted * (1.0 - n2) - price * (1.0 - n1))

    @static("iters")
    def kmeans(points, centers, iters, tol=1e-9):
        def body(s):
            centers, _, _, i = s
            distances = jnp.sum((points - centers[:, None]) ** 2, axis=2)
            labels = jnp.argmin(distances, axis=0)
            mine = labels[:, None] == jnp.arange(centers.shape[0])
            count = jnp.sum(mine, axis=0)
            sums = mine.astype(points.dtype).T @ points
            moved = jnp.where(count[:, None] > 0, sums / jnp.maximum(count, 1)[:, None], centers)
            return moved, labels, jnp.max(jnp.abs(moved - centers)), i + 1

        start = (centers, jnp.zeros(points.shape[0], jnp.int64), jnp.float64(jnp.inf), 0)
        s = lax.while_loop(lambda s: (s[2] >= tol) & (s[3] < iters), body, start)
        return dict(centers=s[0], labels=s[1], shift=s[2], iterations=s[3])

    @static("iters")
    def logreg(X, y, iters, rate):
        n, features = X.shape

        def body(i, s):
            w, bias, losses, _ = s
            prob = 1.0 / (1.0 + jnp.exp(-(X @ w + bias)))
            error = prob - y
            w = w - rate * (X.T @ error) / n
            bias = bias - rate * jnp.mean(error)
            loss = -jnp.mean(y * jnp.log(prob) + (1.0 - y) * jnp.log(1.0 - prob))
            return w, bias, losses.at[i].set(loss), jnp.mean((prob > 0.5) == (y > 0.5), dtype=jnp.float64)

        s = lax.fori_loop(0, iters, body, (jnp.zeros(features), jnp.float64(0.0), jnp.zeros(iters), jnp.float64(0.0)))
        return dict(w=s[0], bias=s[1], losses=s[2], accuracy=s[3])

    @jit
    def chain(a, b):
        t = a * b + 1.5
        t = jnp.sqrt(t) - a
        t = t * t + b
        t = jnp.maximum(t, 0.25) / b
        t = jnp.where(t > 1.0, t - 1.0, 1.0 - t)
        t = jnp.abs(t - 0.5) * 2.0
        t = jnp.minimum(t, a + b)
        return dict(total=jnp.sum((t + 3.0) * (t - 2.0)))

    @static("iters")
    def mandelbrot(x, y, iters):
        cr, ci = jnp.meshgrid(x, y)

        def body(_, s):
            zr, zi, counts = s
            alive = zr * zr + zi * zi <= 4.0
            zr, zi = (
                jnp.where(alive, zr * zr - zi * zi + cr, zr),
                jnp.where(alive, 2.0 * zr * zi + ci, zi),
            )
            return zr, zi, counts + alive

        zero = jnp.zeros_like(cr)
        _, _, counts = lax.fori_loop(0, iters, body, (zero, zero, jnp.zeros(cr.shape, jnp.int64)))
        return dict(counts=counts, inside=jnp.sum(counts == iters))

    @static("steps")
    def nbody(mass, pos, vel, steps, dt, softening):
        def acceleration(pos):
            x, y, z = pos[:, 0], pos[:, 1], pos[:, 2]
            dx, dy, dz = x - x[:, None], y - y[:, None], z - z[:, None]
            inv_r3 = (dx**2 + dy**2 + dz**2 + softening**2) ** -1.5
            return jnp.stack(((dx * inv_r3) @ mass, (dy * inv_r3) @ mass, (dz * inv_r3) @ mass), axis=1)

        def body(_, s):
            pos, vel, acc = s
            vel = vel + acc * dt / 2.0
            pos = pos + vel * dt
            acc = acceleration(pos)
            return pos, vel + acc * dt / 2.0, acc

        pos, vel, _ = lax.fori_loop(0, steps, body, (pos, vel, acceleration(pos)))
        return dict(pos=pos, vel=vel, kinetic=0.5 * jnp.sum(mass[:, None] * vel**2))

    @static("steps")
    def heat(u, steps, k):
        def body(_, u):
            return u.at[1:-1, 1:-1, 1:-1].add(
                k * (
                    u[2:, 1:-1, 1:-1] + u[:-2, 1:-1, 1:-1] + u[1:-1, 2:, 1:-1] + u[1:-1, :-2, 1:-1]
                    + u[1:-1, 1:-1, 2:] + u[1:-1, 1:-1, :-2] - 6.0 * u[1:-1, 1:-1, 1:-1]
                )
            )  # fmt: skip

        u = lax.fori_loop(0, steps, body, u)
        return dict(u=u, mean=jnp.mean(u), hottest=jnp.max(u[1:-1, 1:-1, 1:-1]))

    return {
        "jacobi_a": lambda i: jacobi(every=1, **i),
        "jacobi_b": lambda i: jacobi(every=1, **i),
        "jacobi_c": lambda i: jacobi(every=i["output_freq"], **i),
        "cg": lambda i: cg(**{**i, "conv_iters": 1}),
        "cg_every": lambda i: cg(**i),
        "cfd_41": lambda i: channel(**i),
        "cfd_2048": lambda i: channel(**i),
        "flux": lambda i: flux(**i),
        "black_scholes": lambda i: black_scholes(**i),
        "kmeans": lambda i: kmeans(**i),
        "logreg": lambda i: logreg(**i),
        "chain": lambda i: chain(**i),
        "mandelbrot": lambda i: mandelbrot(**i),
        "mandelbrot_real": lambda i: mandelbrot(**i),
        "nbody": lambda i: nbody(**i),
        "heat": lambda i: heat(**i),
        **jax_families.build(),
    }


def solver(program):
    import jax
    import jax.numpy as jnp

    solve = build().get(program.name)
    if solve is None:
        return None
    return Solver(
        lambda a: jax.block_until_ready(jnp.array(numpy.asarray(a), copy=True)),
        lambda inputs: jax.block_until_ready(solve(inputs)),
    )
