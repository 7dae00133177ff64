"""PyTorch on the CPU: the programs as its users write them, operation by operation (eager), in the same precision."""

import numpy

from peers import Solver

NAME = "torch"
TITLE = "PyTorch"


def version():
    import torch

    return torch.__version__


# Each entry makes a solver from the module, so that importing this file needs no torch. ------------------------------


def chain(torch):
    def solve(a, b):
        t = a * b + 1.5
        t = torch.sqrt(t) - a
        t = t * t + b
        t = torch.clamp(t, min=0.25) / b
        t = torch.where(t > 1.0, t - 1.0, 1.0 - t)
        t = torch.abs(t - 0.5) * 2.0
        t = torch.minimum(t, a + b)
        return dict(total=torch.sum((t + 3.0) * (t - 2.0)))

    return solve


def black_scholes(torch):
    def solve(price, strike, years, rate, volatility):
        def cdf(d):
            k = 1.0 / (1.0 + 0.2316419 * torch.abs(d))
            poly = k * (0.319381530 + k * (-0.356563782 + k * (1.781477937 + k * (-1.821255978 + k * 1.330274429))))
            tail = torch.exp(-0.5 * d * d) * 0.3989422804014327 * poly
            return torch.where(d > 0, 1.0 - tail, tail)

        spread = volatility * torch.sqrt(years)
        d1 = (torch.log(price / strike) + (rate + 0.5 * volatility**2) * years) / spread
        n1, n2 = cdf(d1), cdf(d1 - spread)
        discounted = strike * torch.exp(-rate * years)
        return dict(call=price * n1 - discounted * n2, put=discounted * (1.0 - n2) - price * (1.0 - n1))

    return solve


def jacobi(every):
    def make(torch):
        def solve(p, max_iter, output_freq, l2_target=1e-8):
            l2, icount, history = 1.0, 0, []
            often = output_freq if every is None else every
            while l2 > l2_target and icount < max_iter:
                icount += 1
                look = icount % often == 0
                pn = p.clone() if look else p
                new = 0.25 * (p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1])
                p[1:-1, 1:-1] = new
                if look:
                    l2 = float(torch.sqrt(torch.sum((p - pn) ** 2) / torch.sum(pn**2)))
                if icount % output_freq == 0:
                    history.append(l2)
            return dict(p=p, l2=l2, icount=icount, history=history)

        return solve

    return make


def cg(torch):
    def solve(A, b, tol, conv_iters=1):
        x, r = torch.zeros_like(b), b.clone()
        p, rsold = r.clone(), b @ b
        for i in range(len(b)):
            Ap = A @ p
            alpha = rsold / (p @ Ap)
            x += alpha * p
            r -= alpha * Ap
            rsnew = r @ r
            if i % conv_iters == 0 and float(rsnew) ** 0.5 < tol:
                break
            p = r + rsnew / rsold * p
            rsold = rsnew
        return dict(x=x, iterations=i + 1, residual=float(rsnew) ** 0.5)

    return solve


def flux(torch):
    def solve(cells, fluxes, alpha):
        cells += alpha * torch.sum(fluxes, dim=4)
        return dict(cells=cells)

    return solve


def logreg(torch):
    def solve(X, y, iters, rate):
        n, features = X.shape
        w, bias, losses = torch.zeros(features, dtype=X.dtype), 0.0, []
        for _ in range(iters):
            prob = torch.sigmoid(X @ w + bias)
            error = prob - y
            w = w - rate * (X.T @ error) / n
            bias = bias - rate * torch.mean(error)
            losses.append(float(-torch.mean(y * torch.log(prob) + (1.0 - y) * torch.log(1.0 - prob))))
        accuracy = torch.mean(((prob > 0.5) == (y > 0.5)).double())
        return dict(w=w, bias=bias, losses=losses, accuracy=accuracy)

    return solve


def kmeans(torch):
    def solve(points, centers, iters, tol=1e-9):
        for iterations in range(1, iters + 1):
            labels = torch.argmin(torch.sum((points - centers[:, None]) ** 2, dim=2), dim=0)
            count = torch.bincount(labels, minlength=len(centers))[:, None]
            sums = torch.zeros_like(centers).index_add_(0, labels, points)
            moved = torch.where(count > 0, sums / torch.clamp(count, min=1), centers)
            shift = float(torch.max(torch.abs(moved - centers)))
            centers = moved
            if shift < tol:
                break
        return dict(centers=centers, labels=labels, shift=shift, iterations=iterations)

    return solve


def nbody(torch):
    def solve(mass, pos, vel, steps, dt, softening):
        def acceleration(pos):
            d = pos.T[:, None, :] - pos.T[:, :, None]
            inv_r3 = (torch.sum(d**2, dim=0) + softening**2) ** -1.5
            return ((d * inv_r3) @ mass).T

        acc = acceleration(pos)
        for _ in range(steps):
            vel = vel + acc * dt / 2.0
            pos = pos + vel * dt
            acc = acceleration(pos)
            vel = vel + acc * dt / 2.0
        return dict(pos=pos, vel=vel, kinetic=0.5 * torch.sum(mass[:, None] * vel**2))

    return solve


def heat(torch):
    def solve(u, steps, k):
        for _ in range(steps):
            u[1:-1, 1:-1, 1:-1] += k * (
                u[2:, 1:-1, 1:-1] + u[:-2, 1:-1, 1:-1] + u[1:-1, 2:, 1:-1] + u[1:-1, :-2, 1:-1]
                + u[1:-1, 1:-1, 2:] + u[1:-1, 1:-1, :-2] - 6.0 * u[1:-1, 1:-1, 1:-1]
            )  # fmt: skip
        return dict(u=u, mean=torch.mean(u), hottest=torch.max(u[1:-1, 1:-1, 1:-1]))

    return solve


def mandelbrot(torch):
    def solve(x, y, iters):
        cr, ci = torch.meshgrid(x, y, indexing="xy")
        zr, zi = torch.zeros_like(cr), torch.zeros_like(cr)
        counts = torch.zeros(cr.shape, dtype=torch.int64)
        for _ in range(iters):
            alive = zr * zr + zi * zi <= 4.0
            zr, zi = (
                torch.where(alive, zr * zr - zi * zi + cr, zr),
                torch.where(alive, 2.0 * zr * zi + ci, zi),
            )
            counts += alive
        return dict(counts=counts, inside=torch.sum(counts == iters))

    return solve


def gemm(torch):
    return lambda A, B, C, alpha, beta: dict(C=torch.addmm(C, A, B, beta=beta, alpha=alpha))


def gesummv(torch):
    return lambda A, B, x, alpha, beta: dict(y=alpha * (A @ x) + beta * (B @ x))


def atax(torch):
    return lambda A, x, **_: dict(y=(A @ x) @ A)


def bicg(torch):
    return lambda A, p, r, **_: dict(q=A @ p, s=r @ A)


def mvt(torch):
    return lambda A, x1, x2, y1, y2, **_: dict(x1=x1 + A @ y1, x2=x2 + y2 @ A)


def gemver(torch):
    def solve(A, u1, v1, u2, v2, y, z, alpha, beta):
        B = A + torch.outer(u1, v1) + torch.outer(u2, v2)
        x = beta * y @ B + z
        return dict(x=x, w=alpha * (B @ x))

    return solve


def mm3(torch):
    return lambda A, B, C, D, **_: dict(G=(A @ B) @ (C @ D))


def floyd_warshall(torch):
    def solve(path):
        for k in range(path.shape[0]):
            path = torch.minimum(path, path[:, k, None] + path[k])
        return dict(path=path)

    return solve


def advection(torch):
    def solve(c, steps, cx, cy):
        for _ in range(steps):
            c = c - cx * (c - torch.roll(c, 1, 1)) - cy * (c - torch.roll(c, 1, 0))
        return dict(c=c, total=torch.sum(c))

    return solve


def laplacian(torch, f):
    return torch.roll(f, 1, 0) + torch.roll(f, -1, 0) + torch.roll(f, 1, 1) + torch.roll(f, -1, 1) - 4.0 * f


def gray_scott(torch):
    def solve(u, v, steps, du=0.16, dv=0.08, feed=0.035, kill=0.065):
        for _ in range(steps):
            reaction = u * v * v
            u = u + du * laplacian(torch, u) - reaction + feed * (1.0 - u)
            v = v + dv * laplacian(torch, v) + reaction - (feed + kill) * v
        return dict(u=u, v=v)

    return solve


def life(torch):
    def solve(grid, steps):
        for _ in range(steps):
            rows = grid + torch.roll(grid, 1, 0) + torch.roll(grid, -1, 0)
            around = rows + torch.roll(rows, 1, 1) + torch.roll(rows, -1, 1) - grid
            grid = ((around == 3) | ((grid == 1) & (around == 2))).to(torch.uint8)
        return dict(grid=grid, alive=torch.count_nonzero(grid))

    return solve


def wave(torch):
    def solve(u, steps, courant2):
        previous = u.clone()
        for _ in range(steps):
            c = u[1:-1, 1:-1]
            lap = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4.0 * c
            following = torch.zeros_like(u)
            following[1:-1, 1:-1] = 2.0 * c - previous[1:-1, 1:-1] + courant2 * lap
            previous, u = u, following
        return dict(u=u, highest=torch.max(torch.abs(u)))

    return solve


def shallow_water(torch):
    def solve(h, u, v, steps, g=9.81, depth=1.0, dt=0.05, dx=1.0):
        for _ in range(steps):
            u[1:-1] -= g * dt / dx * (h[1:] - h[:-1])
            v[:, 1:-1] -= g * dt / dx * (h[:, 1:] - h[:, :-1])
            h -= depth * dt / dx * (u[1:] - u[:-1] + v[:, 1:] - v[:, :-1])
        return dict(h=h, u=u, v=v, volume=torch.sum(h))

    return solve


def fdtd(torch):
    def solve(ex, ey, hz, source):
        for t in range(len(source)):
            ey[0] = source[t]
            ey[1:] -= 0.5 * (hz[1:] - hz[:-1])
            ex[:, 1:] -= 0.5 * (hz[:, 1:] - hz[:, :-1])
            hz[:-1, :-1] -= 0.7 * (ex[:-1, 1:] - ex[:-1, :-1] + ey[1:, :-1] - ey[:-1, :-1])
        return dict(ex=ex, ey=ey, hz=hz)

    return solve


def burgers(torch):
    def solve(u, steps, ratio):
        for _ in range(steps):
            flux = 0.5 * u**2
            face = 0.5 * (flux + torch.roll(flux, -1)) - 0.5 / ratio * (torch.roll(u, -1) - u) * 0.5
            u = u - ratio * (face - torch.roll(face, 1))
        return dict(u=u, total=u.sum())

    return solve


def softmax(torch):
    return lambda x: dict(y=torch.softmax(x, dim=-1))


def mlp(torch):
    def solve(x, w0, b0, w1, b1, w2, b2):
        x = torch.relu(torch.addmm(b0, x, w0))
        x = torch.relu(torch.addmm(b1, x, w1))
        return dict(y=torch.softmax(torch.addmm(b2, x, w2), dim=-1))

    return solve


def conv2d(torch):
    def solve(image, weights, bias):
        out = torch.nn.functional.conv2d(image.permute(0, 3, 1, 2), weights.permute(3, 2, 0, 1), bias)
        return dict(y=out.permute(0, 2, 3, 1).contiguous())

    return solve


def layer_norm(torch):
    return lambda x, scale, shift, eps=1e-5: dict(y=torch.nn.functional.layer_norm(x, x.shape[-1:], scale, shift, eps))


def attention(torch):
    return lambda q, k, v: dict(y=torch.nn.functional.scaled_dot_product_attention(q, k, v))


def batch_pool(torch):
    def solve(x, eps=1e-5):
        x = x.permute(0, 3, 1, 2)
        x = torch.relu(torch.nn.functional.batch_norm(x, None, None, training=True, eps=eps))
        return dict(y=torch.nn.functional.max_pool2d(x, 2).permute(0, 2, 3, 1).contiguous())

    return solve


def sobel(torch):
    def solve(image):
        left, middle, right = image[:, :-2], image[:, 1:-1], image[:, 2:]
        gx = (right[:-2] - left[:-2]) + 2.0 * (right[1:-1] - left[1:-1]) + (right[2:] - left[2:])
        gy = (left[2:] - left[:-2]) + 2.0 * (middle[2:] - middle[:-2]) + (right[2:] - right[:-2])
        length = torch.sqrt(gx**2 + gy**2)
        edges = length > 0.5 * length.max()
        return dict(length=length, edges=edges, found=edges.sum())

    return solve


def blur(torch):
    def solve(image, weights):
        image = image[None, None]
        rows = torch.nn.functional.conv2d(image, weights[None, None, :, None])
        return dict(out=torch.nn.functional.conv2d(rows, weights[None, None, None, :])[0, 0])

    return solve


def erode(torch):
    def solve(image, times):
        for _ in range(times):
            rows = torch.minimum(torch.minimum(image[:-2], image[1:-1]), image[2:])
            image = torch.minimum(torch.minimum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])
        return dict(image=image)

    return solve


def bilateral(torch):
    import images

    def solve(image, radius, spread=2.0, contrast=0.1):
        class names:  # the few that the program calls otherwise
            zeros = staticmethod(lambda shape: torch.zeros(shape, dtype=image.dtype))
            exp = torch.exp

        return images.bilateral(names, image, radius, spread, contrast)

    return solve


def spmv(torch):
    def solve(starts, columns, values, x, times):
        A = torch.sparse_csr_tensor(starts, columns, values, (x.shape[0], x.shape[0]))
        for _ in range(times):
            x = A @ x
        return dict(x=x)

    return solve


def spmv_rows(torch):
    return lambda **inputs: dict(y=spmv(torch)(**inputs)["x"])


def monte_carlo_pi(torch):
    def solve(seed, blocks, n):
        torch.manual_seed(seed)
        inside = 0
        for _ in range(blocks):
            x, y = torch.rand(n, dtype=torch.float64), torch.rand(n, dtype=torch.float64)
            inside += int(torch.sum(x * x + y * y <= 1.0))
        return dict(inside=inside, pi=4.0 * inside / (blocks * n))

    return solve


def asian_option(torch):
    def solve(seed, paths, days, price=100.0, strike=100.0, rate=0.03, volatility=0.2):
        torch.manual_seed(seed)
        dt = 1.0 / days
        noise = torch.randn(paths, days, dtype=torch.float64)
        steps = (rate - 0.5 * volatility**2) * dt + volatility * dt**0.5 * noise
        prices = price * torch.exp(torch.cumsum(steps, dim=1))
        payoff = torch.clamp(prices.mean(dim=1) - strike, min=0.0) * 2.718281828459045**-rate
        return dict(value=payoff.mean(), error=payoff.std() / paths**0.5)

    return solve


def covariance(torch):
    return lambda data: dict(cov=torch.cov(data.T))


def correlation(torch):
    def solve(data):
        deviation = data.std(dim=0, correction=0)
        deviation[deviation <= 0.1] = 1.0
        z = (data - data.mean(dim=0)) / (len(data) ** 0.5 * deviation)
        return dict(corr=(z.T @ z).fill_diagonal_(1.0))

    return solve


def standardise(torch):
    def solve(data):
        z = (data - data.mean(dim=0)) / data.std(dim=0, correction=0)
        return dict(z=torch.clamp(z, -3.0, 3.0), outliers=torch.sum(torch.abs(z) > 3.0))

    return solve


def rolling_mean(torch):
    def solve(x, window):
        total = torch.cumsum(x, dim=0)
        total[window:] = total[window:] - total[:-window]
        mean = total[window - 1 :] / window
        return dict(mean=mean, deviation=torch.max(torch.abs(x[window - 1 :] - mean)))

    return solve


def distances(torch):
    return lambda data: dict(nearest=torch.cdist(data, data).fill_diagonal_(float("inf")).min(dim=1).values)


def group_means(torch):
    def solve(key, value, groups):
        count = torch.bincount(key, minlength=groups)
        mean = torch.bincount(key, weights=value, minlength=groups) / torch.clamp(count, min=1)
        return dict(mean=mean, spread=torch.sqrt(torch.mean((value - mean[key]) ** 2)))

    return solve


MAKERS = dict(
    jacobi_a=jacobi(1), jacobi_b=jacobi(1), jacobi_c=jacobi(None), cg=cg, cg_every=cg, flux=flux,
    black_scholes=black_scholes, kmeans=kmeans, logreg=logreg, chain=chain, mandelbrot=mandelbrot,
    mandelbrot_real=mandelbrot, nbody=nbody, heat=heat, gemm=gemm, gesummv=gesummv, atax=atax, bicg=bicg, mvt=mvt,
    gemver=gemver, mm3=mm3, floyd_warshall=floyd_warshall, wave=wave, advection=advection, gray_scott=gray_scott,
    life=life, shallow_water=shallow_water, fdtd=fdtd, burgers=burgers, softmax=softmax, mlp=mlp, conv2d=conv2d,
    layer_norm=layer_norm, attention=attention, batch_pool=batch_pool, sobel=sobel, blur=blur, bilateral=bilateral,
    erode=erode, spmv=spmv, spmv_rows=spmv_rows, monte_carlo_pi=monte_carlo_pi, asian_option=asian_option,
    covariance=covariance, correlation=correlation, standardise=standardise, rolling_mean=rolling_mean,
    distances=distances, group_means=group_means,
)  # fmt: skip
NAMES = tuple(MAKERS)


def solver(program):
    make = MAKERS.get(program.name)
    if make is None:
        return None
    import os

    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    torch.set_grad_enabled(False)
    solve = make(torch)
    if program.name == "cg":  # every iteration looks
        return Solver(lambda a: torch.tensor(numpy.asarray(a)), lambda i: solve(**{**i, "conv_iters": 1}))
    return Solver(lambda a: torch.tensor(numpy.asarray(a)), lambda i: solve(**i))
