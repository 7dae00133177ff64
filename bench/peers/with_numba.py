"""Numba: each program as explicit loops, compiled with njit(parallel=True, fastmath=True), fused by hand.

This is what a specialist would write: no temporaries, buffers swapped instead of copied.
"""

import math

import numpy as np

from peers import Solver, numba_families

NAME = "numba"
TITLE = "Numba"


def version():
    import numba

    return numba.__version__


try:
    from numba import njit, prange
except ImportError:  # solver() is not asked then

    def njit(*_, **__):
        return lambda f: f

    prange = range

fast = dict(parallel=True, fastmath=True, cache=True)


# Laplace -----------------------------------------------------------------------------------------------------------
@njit(**fast)
def jacobi_sweep(p, q):
    rows, columns = p.shape
    for i in prange(1, rows - 1):
        for j in range(1, columns - 1):
            q[i, j] = 0.25 * (p[i, j + 1] + p[i, j - 1] + p[i + 1, j] + p[i - 1, j])


@njit(**fast)
def jacobi_sweep_l2(p, q):
    """A sweep from p to q with both sums carried along; the border contributes to the second."""
    rows, columns = p.shape
    change = 0.0
    norm = 0.0
    for i in prange(rows):
        c = 0.0
        s = 0.0
        if i == 0 or i == rows - 1:
            for j in range(columns):
                s += p[i, j] * p[i, j]
        else:
            s += p[i, 0] * p[i, 0] + p[i, columns - 1] * p[i, columns - 1]
            for j in range(1, columns - 1):
                new = 0.25 * (p[i, j + 1] + p[i, j - 1] + p[i + 1, j] + p[i - 1, j])
                d = new - p[i, j]
                c += d * d
                s += p[i, j] * p[i, j]
                q[i, j] = new
        change += c
        norm += s
    return change, norm


def jacobi(p, max_iter, output_freq, every, l2_target=1e-8):
    q = p.copy()
    l2, icount, history = 1.0, 0, []
    while l2 > l2_target and icount < max_iter:
        icount += 1
        if icount % every == 0:
            change, norm = jacobi_sweep_l2(p, q)
            l2 = math.sqrt(change / norm)
        else:
            jacobi_sweep(p, q)
        p, q = q, p
        if icount % output_freq == 0:
            history.append(l2)
    return dict(p=p, l2=l2, icount=icount, history=history)


# conjugate gradients -----------------------------------------------------------------------------------------------
@njit(**fast)
def matvec(A, p, out):
    for i in prange(A.shape[0]):
        s = 0.0
        for j in range(A.shape[1]):
            s += A[i, j] * p[j]
        out[i] = s


@njit(fastmath=True, cache=True)
def cg_update(x, r, p, Ap, rsold):
    alpha = rsold / np.dot(p, Ap)
    rsnew = 0.0
    for i in range(x.size):
        x[i] += alpha * p[i]
        r[i] -= alpha * Ap[i]
        rsnew += r[i] * r[i]
    return rsnew


@njit(fastmath=True, cache=True)
def cg_direction(p, r, beta):
    for i in range(p.size):
        p[i] = r[i] + beta * p[i]


def cg(A, b, tol, conv_iters):
    x = np.zeros_like(b)
    r = b.copy()
    p = b.copy()
    Ap = np.empty_like(b)
    rsold = float(r @ r)
    iterations = 0
    for i in range(b.size):
        matvec(A, p, Ap)
        rsnew = cg_update(x, r, p, Ap, rsold)
        iterations = i + 1
        if i % conv_iters == 0 and math.sqrt(rsnew) < tol:
            break
        cg_direction(p, r, rsnew / rsold)
        rsold = rsnew
    return dict(x=x, iterations=iterations, residual=math.sqrt(rsnew))


# channel flow ------------------------------------------------------------------------------------------------------
@njit(**fast)
def channel_source(b, rho, dt, dx, dy, u, v):
    rows, columns = u.shape
    for i in prange(1, rows - 1):
        for j in range(columns):
            e = j + 1 if j + 1 < columns else 0
            w = j - 1 if j > 0 else columns - 1
            dudx = (u[i, e] - u[i, w]) / (2 * dx)
            dvdy = (v[i + 1, j] - v[i - 1, j]) / (2 * dy)
            dudy = (u[i + 1, j] - u[i - 1, j]) / (2 * dy)
            dvdx = (v[i, e] - v[i, w]) / (2 * dx)
            b[i, j] = rho * ((dudx + dvdy) / dt - dudx * dudx - 2 * dudy * dvdx - dvdy * dvdy)


@njit(**fast)
def channel_relax(p, q, b, dx, dy):
    rows, columns = p.shape
    cx = dy**2 / (2 * (dx**2 + dy**2))
    cy = dx**2 / (2 * (dx**2 + dy**2))
    cb = dx**2 * dy**2 / (2 * (dx**2 + dy**2))
    for i in prange(1, rows - 1):
        for j in range(1, columns - 1):
            q[i, j] = (p[i, j + 1] + p[i, j - 1]) * cx + (p[i + 1, j] + p[i - 1, j]) * cy - cb * b[i, j]
        last = columns - 1
        q[i, 0] = (p[i, 1] + p[i, last]) * cx + (p[i + 1, 0] + p[i - 1, 0]) * cy - cb * b[i, 0]
        q[i, last] = (p[i, 0] + p[i, last - 1]) * cx + (p[i + 1, last] + p[i - 1, last]) * cy - cb * b[i, last]
        if i == 1:
            q[0, :] = q[1, :]
        if i == rows - 2:
            q[rows - 1, :] = q[rows - 2, :]


@njit(**fast)
def channel_velocity(u, v, un, vn, p, dx, dy, dt, rho, nu, F):
    """From u, v to un, vn; returns the sums of both u."""
    rows, columns = u.shape
    before = 0.0
    after = 0.0
    for i in prange(1, rows - 1):
        s0 = 0.0
        s1 = 0.0
        for j in range(columns):
            e = j + 1 if j + 1 < columns else 0
            w = j - 1 if j > 0 else columns - 1
            uc, vc = u[i, j], v[i, j]
            un[i, j] = (
                uc - uc * dt / dx * (uc - u[i, w]) - vc * dt / dy * (uc - u[i - 1, j])
                - dt / (2 * rho * dx) * (p[i, e] - p[i, w])
                + nu * (dt / dx**2 * (u[i, e] - 2 * uc + u[i, w]) + dt / dy**2 * (u[i + 1, j] - 2 * uc + u[i - 1, j]))
                + F * dt
            )  # fmt: skip
            vn[i, j] = (
                vc - uc * dt / dx * (vc - v[i, w]) - vc * dt / dy * (vc - v[i - 1, j])
                - dt / (2 * rho * dy) * (p[i + 1, j] - p[i - 1, j])
                + nu * (dt / dx**2 * (v[i, e] - 2 * vc + v[i, w]) + dt / dy**2 * (v[i + 1, j] - 2 * vc + v[i - 1, j]))
            )  # fmt: skip
            s0 += uc
            s1 += un[i, j]
        before += s0
        after += s1
    return before, after


def channel(u, v, p, dx, dy, dt, nit, max_steps, rho=1.0, nu=0.1, F=1.0, tol=0.001):
    un, vn, q, b = np.zeros_like(u), np.zeros_like(v), p.copy(), np.zeros_like(p)
    udiff, stepcount = 1.0, 0
    while udiff > tol and stepcount < max_steps:
        channel_source(b, rho, dt, dx, dy, u, v)
        for _ in range(nit):
            channel_relax(p, q, b, dx, dy)
            p, q = q, p
        before, after = channel_velocity(u, v, un, vn, p, dx, dy, dt, rho, nu, F)
        if stepcount == 0:
            before += float(u[0].sum() + u[-1].sum())
        u, un = un, u
        v, vn = vn, v
        if stepcount == 0:  # the first buffers come with walls of their own
            un[0] = un[-1] = vn[0] = vn[-1] = 0
        udiff = (after - before) / after
        stepcount += 1
    return dict(u=u, v=v, p=p, udiff=udiff, stepcount=stepcount)


# the others --------------------------------------------------------------------------------------------------------
@njit(**fast)
def flux_kernel(cells, fluxes, alpha):
    cells_, fluxes_ = cells.reshape(-1), fluxes.reshape(-1, fluxes.shape[-1])
    for i in prange(cells_.size):
        s = 0.0
        for f in range(fluxes_.shape[1]):
            s += fluxes_[i, f]
        cells_[i] += alpha * s


def flux(cells, fluxes, alpha):
    flux_kernel(cells, fluxes, alpha)
    return dict(cells=cells)


@njit(fastmath=True, cache=True, inline="always")
def cdf(d):
    k = 1.0 / (1.0 + 0.2316419 * abs(d))
    poly = k * (0.319381530 + k * (-0.356563782 + k * (1.781477937 + k * (-1.821255978 + k * 1.330274429))))
    tail = math.exp(-0.5 * d * d) * 0.3989422804014327 * poly
    return 1.0 - tail if d > 0 else tail


@njit(**fast)
def black_scholes_kernel(price, strike, years, rate, volatility, call, put):
    for i in prange(price.size):
        spread = volatility * math.sqrt(years[i])
        d1 = (math.log(price[i] / strike[i]) + (rate + 0.5 * volatility * volatility) * years[i]) / spread
        n1 = cdf(d1)
        n2 = cdf(d1 - spread)
        discounted = strike[i] * math.exp(-rate * years[i])
        call[i] = price[i] * n1 - discounted * n2
        put[i] = discounted * (1.0 - n2) - price[i] * (1.0 - n1)


def black_scholes(price, strike, years, rate, volatility):
    call, put = np.empty_like(price), np.empty_like(price)
    black_scholes_kernel(price, strike, years, rate, volatility, call, put)
    return dict(call=call, put=put)


@njit(**fast)
def kmeans_round(points, centers, labels, sums, counts):
    """Each block of points has its own sums; they are added afterwards."""
    n, dims = points.shape
    clusters = centers.shape[0]
    blocks = sums.shape[0]
    for block in prange(blocks):
        sums[block] = 0.0
        counts[block] = 0
        for i in range(block * n // blocks, (block + 1) * n // blocks):
            best = np.inf
            mine = 0
            for k in range(clusters):
                s = 0.0
                for d in range(dims):
                    t = points[i, d] - centers[k, d]
                    s += t * t
                if s < best:
                    best = s
                    mine = k
            labels[i] = mine
            counts[block, mine] += 1
            for d in range(dims):
                sums[block, mine, d] += points[i, d]


def kmeans(points, centers, iters, tol=1e-9):
    blocks = 64
    labels = np.empty(len(points), np.int64)
    sums = np.empty((blocks, *centers.shape))
    counts = np.empty((blocks, len(centers)), np.int64)
    iterations = 0
    for _ in range(iters):
        kmeans_round(points, centers, labels, sums, counts)
        count = counts.sum(axis=0)[:, np.newaxis]
        moved = np.where(count > 0, sums.sum(axis=0) / np.maximum(count, 1), centers)
        shift = float(np.max(np.abs(moved - centers)))
        centers = moved
        iterations += 1
        if shift < tol:
            break
    return dict(centers=centers, labels=labels, shift=shift, iterations=iterations)


@njit(**fast)
def logreg_round(X, y, w, bias, gradients, scalars):
    """One pass over X: each block of rows has its own gradient, bias gradient, loss and hits."""
    n, features = X.shape
    blocks = gradients.shape[0]
    for block in prange(blocks):
        gradients[block] = 0.0
        g = 0.0
        loss = 0.0
        hits = 0
        for i in range(block * n // blocks, (block + 1) * n // blocks):
            z = bias
            for j in range(features):
                z += X[i, j] * w[j]
            prob = 1.0 / (1.0 + math.exp(-z))
            error = prob - y[i]
            for j in range(features):
                gradients[block, j] += error * X[i, j]
            g += error
            loss -= y[i] * math.log(prob) + (1.0 - y[i]) * math.log(1.0 - prob)
            hits += (prob > 0.5) == (y[i] > 0.5)
        scalars[block, 0] = g
        scalars[block, 1] = loss
        scalars[block, 2] = hits


def logreg(X, y, iters, rate):
    n, features = X.shape
    w, bias, losses = np.zeros(features), 0.0, []
    gradients, scalars = np.empty((64, features)), np.empty((64, 3))
    for _ in range(iters):
        logreg_round(X, y, w, bias, gradients, scalars)
        g, loss, hits = scalars.sum(axis=0)
        w -= rate * gradients.sum(axis=0) / n
        bias -= rate * g / n
        losses.append(loss / n)
    return dict(w=w, bias=bias, losses=losses, accuracy=hits / n)


@njit(**fast)
def chain_kernel(a, b):
    total = 0.0
    for i in prange(a.size):
        t = math.sqrt(a[i] * b[i] + 1.5) - a[i]
        t = t * t + b[i]
        t = max(t, 0.25) / b[i]
        t = t - 1.0 if t > 1.0 else 1.0 - t
        t = abs(t - 0.5) * 2.0
        t = min(t, a[i] + b[i])
        total += (t + 3.0) * (t - 2.0)
    return total


def chain(a, b):
    return dict(total=chain_kernel(a, b))


@njit(parallel=True, cache=True)
def mandelbrot_kernel(x, y, iters, counts):
    for i in prange(y.size):
        for j in range(x.size):
            zr = 0.0
            zi = 0.0
            count = 0
            for _ in range(iters):
                if zr * zr + zi * zi > 4.0:
                    break
                zr, zi = zr * zr - zi * zi + x[j], 2.0 * zr * zi + y[i]
                count += 1
            counts[i, j] = count


def mandelbrot(x, y, iters):
    counts = np.empty((y.size, x.size), np.int64)
    mandelbrot_kernel(x, y, iters, counts)
    return dict(counts=counts, inside=int(np.sum(counts == iters)))


@njit(**fast)
def nbody_acceleration(x, y, z, mass, softening, ax, ay, az):
    for i in prange(x.size):
        sx = 0.0
        sy = 0.0
        sz = 0.0
        for j in range(x.size):
            dx = x[j] - x[i]
            dy = y[j] - y[i]
            dz = z[j] - z[i]
            r2 = dx * dx + dy * dy + dz * dz + softening * softening
            f = mass[j] / (r2 * math.sqrt(r2))
            sx += dx * f
            sy += dy * f
            sz += dz * f
        ax[i] = sx
        ay[i] = sy
        az[i] = sz


def nbody(mass, pos, vel, steps, dt, softening):
    pos, vel = np.ascontiguousarray(pos.T), np.ascontiguousarray(vel.T)
    acc = np.empty_like(pos)
    nbody_acceleration(*pos, mass, softening, *acc)
    for _ in range(steps):
        vel = vel + acc * dt / 2.0
        pos = pos + vel * dt
        nbody_acceleration(*pos, mass, softening, *acc)
        vel = vel + acc * dt / 2.0
    return dict(pos=pos.T, vel=vel.T, kinetic=float(0.5 * np.sum(mass * vel**2)))


@njit(**fast)
def heat_step(u, new, k):
    nx, ny, nz = u.shape
    for x in prange(1, nx - 1):
        for y in range(1, ny - 1):
            for z in range(1, nz - 1):
                new[x, y, z] = u[x, y, z] + k * (
                    u[x + 1, y, z] + u[x - 1, y, z] + u[x, y + 1, z] + u[x, y - 1, z]
                    + u[x, y, z + 1] + u[x, y, z - 1] - 6.0 * u[x, y, z]
                )  # fmt: skip


@njit(**fast)
def heat_summary(u):
    total = 0.0
    top = -np.inf
    for x in prange(u.shape[0]):
        s = 0.0
        m = -np.inf
        for y in range(u.shape[1]):
            for z in range(u.shape[2]):
                s += u[x, y, z]
        if 0 < x < u.shape[0] - 1:
            for y in range(1, u.shape[1] - 1):
                for z in range(1, u.shape[2] - 1):
                    m = max(m, u[x, y, z])
        total += s
        top = max(top, m)
    return total / u.size, top


def heat(u, steps, k):
    new = u.copy()
    for _ in range(steps):
        heat_step(u, new, k)
        u, new = new, u
    mean, hottest = heat_summary(u)
    return dict(u=u, mean=mean, hottest=hottest)


SOLVERS = {
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
    **numba_families.SOLVERS,
}
NAMES = tuple(SOLVERS)


def solver(program):
    solve = SOLVERS.get(program.name)
    return solve and Solver(np.array, solve)
