"""Numba solvers for the families of programs: explicit loops, fused by hand, rows or blocks of rows in parallel.

Where every value needs the one before (a factorisation, a recursion), the loops are compiled as they are.
"""

import math

import numpy as np

try:
    from numba import njit, prange
except ImportError:  # with_numba says that Numba is missing

    def njit(*_, **__):
        return lambda f: f

    prange = range

fast = dict(parallel=True, fastmath=True, cache=True)
plain = dict(fastmath=True, cache=True)


# products ----------------------------------------------------------------------------------------------------------
@njit(**fast)
def syrk_kernel(A, C, alpha, beta):
    for i in prange(A.shape[0]):
        for j in range(i + 1):
            s = 0.0
            for k in range(A.shape[1]):
                s += A[i, k] * A[j, k]
            C[i, j] = alpha * s + beta * C[i, j]


def syrk(A, C, alpha, beta):
    syrk_kernel(A, C, alpha, beta)
    return dict(C=C)


@njit(**fast)
def bicg_kernel(A, p, r, q, parts):
    blocks = parts.shape[0]
    n = A.shape[0]
    for block in prange(blocks):
        parts[block] = 0.0
        for i in range(block * n // blocks, (block + 1) * n // blocks):
            t = 0.0
            for j in range(A.shape[1]):
                t += A[i, j] * p[j]
                parts[block, j] += r[i] * A[i, j]
            q[i] = t


def both(A, p, r):
    """A p and A' r in one pass over A."""
    q, parts = np.empty(A.shape[0]), np.empty((min(16, A.shape[0]), A.shape[1]))
    bicg_kernel(A, p, r, q, parts)
    return q, parts.sum(axis=0)


def bicg(A, p, r, alpha, beta):
    q, s = both(A, p, r)
    return dict(q=q, s=s)


def mvt(A, x1, x2, y1, y2, alpha, beta):
    q, s = both(A, y1, y2)
    return dict(x1=x1 + q, x2=x2 + s)


@njit(**fast)
def gemver_kernel(A, u1, v1, u2, v2, B):
    for i in prange(A.shape[0]):
        for j in range(A.shape[1]):
            B[i, j] = A[i, j] + u1[i] * v1[j] + u2[i] * v2[j]


def gemver(A, u1, v1, u2, v2, y, z, alpha, beta):
    B = np.empty_like(A)
    gemver_kernel(A, u1, v1, u2, v2, B)
    x = beta * (y @ B) + z
    return dict(x=x, w=alpha * (B @ x))


# factorisations ----------------------------------------------------------------------------------------------------
@njit(**plain)
def cholesky_kernel(A):
    for i in range(A.shape[0]):
        for j in range(i + 1):
            s = A[i, j]
            for k in range(j):
                s -= A[i, k] * A[j, k]
            A[i, j] = math.sqrt(s) if i == j else s / A[j, j]


def cholesky(A):
    cholesky_kernel(A)
    return dict(L=np.tril(A))


@njit(**plain)
def lu_kernel(A):
    n = A.shape[0]
    for k in range(n - 1):
        for i in range(k + 1, n):
            f = A[i, k] / A[k, k]
            A[i, k] = f
            for j in range(k + 1, n):
                A[i, j] -= f * A[k, j]


def lu(A):
    lu_kernel(A)
    return dict(A=A)


@njit(**plain)
def gram_schmidt_kernel(A, Q, R):
    """On the transposes, so that columns are contiguous."""
    n, m = A.shape
    for k in range(n):
        s = 0.0
        for i in range(m):
            s += A[k, i] * A[k, i]
        R[k, k] = math.sqrt(s)
        for i in range(m):
            Q[k, i] = A[k, i] / R[k, k]
        for j in range(k + 1, n):
            s = 0.0
            for i in range(m):
                s += Q[k, i] * A[j, i]
            R[k, j] = s
            for i in range(m):
                A[j, i] -= Q[k, i] * s


def gram_schmidt(A):
    A = np.ascontiguousarray(A.T)
    Q, R = np.empty_like(A), np.zeros((A.shape[0], A.shape[0]))
    gram_schmidt_kernel(A, Q, R)
    return dict(Q=Q.T, R=R)


@njit(**plain)
def forward_kernel(L, b, x):
    for i in range(b.size):
        s = b[i]
        for j in range(i):
            s -= L[i, j] * x[j]
        x[i] = s / L[i, i]


def forward(L, b):
    x = np.empty_like(b)
    forward_kernel(L, b, x)
    return dict(x=x)


@njit(**plain)
def levinson_kernel(r, y, z):
    y[0] = -r[0]
    alpha, beta = -r[0], 1.0
    for k in range(1, r.size):
        beta *= 1.0 - alpha * alpha
        s = r[k]
        for i in range(k):
            s += r[k - 1 - i] * y[i]
        alpha = -s / beta
        for i in range(k):
            z[i] = y[i] + alpha * y[k - 1 - i]
        for i in range(k):
            y[i] = z[i]
        y[k] = alpha


def levinson(r):
    y, z = np.zeros_like(r), np.empty_like(r)
    levinson_kernel(r, y, z)
    return dict(y=y)


@njit(parallel=True, cache=True)  # not fastmath: there are infinities
def floyd_warshall_kernel(path):
    n = path.shape[0]
    for k in range(n):
        for i in prange(n):
            a = path[i, k]
            for j in range(n):
                path[i, j] = min(path[i, j], a + path[k, j])


def floyd_warshall(path):
    floyd_warshall_kernel(path)
    return dict(path=path)


# fields ------------------------------------------------------------------------------------------------------------
@njit(**fast)
def mean3(a, b):
    for i in prange(1, a.size - 1):
        b[i] = 0.33333 * (a[i - 1] + a[i] + a[i + 1])


def jacobi_1d(a, b, steps):
    for _ in range(steps):
        mean3(a, b)
        mean3(b, a)
    return dict(a=a, b=b)


@njit(**fast)
def wave_step(previous, u, courant2):
    """The field after u, over the one before it."""
    for i in prange(1, u.shape[0] - 1):
        for j in range(1, u.shape[1] - 1):
            lap = u[i + 1, j] + u[i - 1, j] + u[i, j + 1] + u[i, j - 1] - 4.0 * u[i, j]
            previous[i, j] = 2.0 * u[i, j] - previous[i, j] + courant2 * lap


def wave(u, steps, courant2):
    previous = u.copy()
    for step in range(steps):
        wave_step(previous, u, courant2)
        previous, u = u, previous
    return dict(u=u, highest=float(np.max(np.abs(u))))


@njit(**fast)
def advection_step(c, new, cx, cy):
    n, m = c.shape
    for i in prange(n):
        up = i - 1 if i > 0 else n - 1
        new[i, 0] = c[i, 0] - cx * (c[i, 0] - c[i, m - 1]) - cy * (c[i, 0] - c[up, 0])
        for j in range(1, m):
            new[i, j] = c[i, j] - cx * (c[i, j] - c[i, j - 1]) - cy * (c[i, j] - c[up, j])


def advection(c, steps, cx, cy):
    new = np.empty_like(c)
    for _ in range(steps):
        advection_step(c, new, cx, cy)
        c, new = new, c
    return dict(c=c, total=float(c.sum()))


@njit(**fast)
def gray_scott_step(u, v, un, vn, du, dv, feed, kill):
    n, m = u.shape
    for i in prange(n):
        up = i - 1 if i > 0 else n - 1
        down = i + 1 if i < n - 1 else 0
        for j in range(m):
            left = j - 1 if j > 0 else m - 1
            right = j + 1 if j < m - 1 else 0
            uc, vc = u[i, j], v[i, j]
            lu_ = u[up, j] + u[down, j] + u[i, left] + u[i, right] - 4.0 * uc
            lv_ = v[up, j] + v[down, j] + v[i, left] + v[i, right] - 4.0 * vc
            reaction = uc * vc * vc
            un[i, j] = uc + du * lu_ - reaction + feed * (1.0 - uc)
            vn[i, j] = vc + dv * lv_ + reaction - (feed + kill) * vc


def gray_scott(u, v, steps, du=0.16, dv=0.08, feed=0.035, kill=0.065):
    un, vn = np.empty_like(u), np.empty_like(v)
    for _ in range(steps):
        gray_scott_step(u, v, un, vn, du, dv, feed, kill)
        u, un, v, vn = un, u, vn, v
    return dict(u=u, v=v)


@njit(**fast)
def life_step(grid, new):
    n, m = grid.shape
    for i in prange(n):
        up = i - 1 if i > 0 else n - 1
        down = i + 1 if i < n - 1 else 0
        for j in range(m):
            left = j - 1 if j > 0 else m - 1
            right = j + 1 if j < m - 1 else 0
            around = (
                grid[up, left] + grid[up, j] + grid[up, right] + grid[i, left] + grid[i, right]
                + grid[down, left] + grid[down, j] + grid[down, right]
            )  # fmt: skip
            new[i, j] = around == 3 or (grid[i, j] == 1 and around == 2)


def life(grid, steps):
    new = np.empty_like(grid)
    for _ in range(steps):
        life_step(grid, new)
        grid, new = new, grid
    return dict(grid=grid, alive=int(np.count_nonzero(grid)))


@njit(**fast)
def shallow_velocities(h, u, v, k):
    n = h.shape[0]
    for i in prange(n):
        for j in range(n):
            if i > 0:
                u[i, j] -= k * (h[i, j] - h[i - 1, j])
            if j > 0:
                v[i, j] -= k * (h[i, j] - h[i, j - 1])


@njit(**fast)
def shallow_height(h, u, v, k):
    for i in prange(h.shape[0]):
        for j in range(h.shape[1]):
            h[i, j] -= k * (u[i + 1, j] - u[i, j] + v[i, j + 1] - v[i, j])


def shallow_water(h, u, v, steps, g=9.81, depth=1.0, dt=0.05, dx=1.0):
    for _ in range(steps):
        shallow_velocities(h, u, v, g * dt / dx)
        shallow_height(h, u, v, depth * dt / dx)
    return dict(h=h, u=u, v=v, volume=float(h.sum()))


@njit(**fast)
def fdtd_electric(ex, ey, hz, source):
    n, m = hz.shape
    for i in prange(n):
        for j in range(m):
            if i == 0:
                ey[i, j] = source
            else:
                ey[i, j] -= 0.5 * (hz[i, j] - hz[i - 1, j])
            if j > 0:
                ex[i, j] -= 0.5 * (hz[i, j] - hz[i, j - 1])


@njit(**fast)
def fdtd_magnetic(ex, ey, hz):
    for i in prange(hz.shape[0] - 1):
        for j in range(hz.shape[1] - 1):
            hz[i, j] -= 0.7 * (ex[i, j + 1] - ex[i, j] + ey[i + 1, j] - ey[i, j])


def fdtd(ex, ey, hz, source):
    for s in source:
        fdtd_electric(ex, ey, hz, s)
        fdtd_magnetic(ex, ey, hz)
    return dict(ex=ex, ey=ey, hz=hz)


@njit(**fast)
def adi_half(u, right, upper, r):
    """Blocks of columns in parallel, each down and up again."""
    n, m = u.shape
    upper[0] = 0.0
    for i in range(1, n - 1):
        upper[i] = -r / (1.0 + 2.0 * r + r * upper[i - 1])
    blocks = min(16, m)
    for block in prange(blocks):
        low, high = block * m // blocks, (block + 1) * m // blocks
        for i in range(n):
            pivot = 1.0 + 2.0 * r + r * upper[i - 1] if i > 0 else 1.0
            for j in range(low, high):
                t = u[i, j]
                if 0 < j < m - 1:
                    t += r * (u[i, j + 1] - 2.0 * u[i, j] + u[i, j - 1])
                right[i, j] = (t + r * right[i - 1, j]) / pivot if 0 < i < n - 1 else t
        for i in range(n - 2, 0, -1):
            for j in range(low, high):
                right[i, j] -= upper[i] * right[i + 1, j]


def adi(u, steps, r):
    upper = np.empty(max(u.shape))
    for _ in range(2 * steps):
        right = np.empty_like(u)
        adi_half(u, right, upper, r)
        u = np.ascontiguousarray(right.T)
    return dict(u=u)


@njit(**fast)
def burgers_step(u, new, ratio):
    n = u.size
    for i in prange(n):
        a, b, c = u[i - 1 if i > 0 else n - 1], u[i], u[i + 1 if i < n - 1 else 0]
        right = 0.25 * (b * b + c * c) - 0.25 / ratio * (c - b)
        left = 0.25 * (a * a + b * b) - 0.25 / ratio * (b - a)
        new[i] = b - ratio * (right - left)


def burgers(u, steps, ratio):
    new = np.empty_like(u)
    for _ in range(steps):
        burgers_step(u, new, ratio)
        u, new = new, u
    return dict(u=u, total=float(u.sum()))


@njit(**fast)
def diffusion_kernel(f, coeff, out):
    rows, columns, levels = out.shape
    for x in prange(rows):
        lap = np.empty((5, levels))  # at the point, and its four neighbours
        for y in range(columns):
            i, j = x + 2, y + 2
            for k in range(levels):
                for at in range(5):
                    p = i + (at == 1) - (at == 2)
                    q = j + (at == 3) - (at == 4)
                    lap[at, k] = 4.0 * f[p, q, k] - (f[p + 1, q, k] + f[p - 1, q, k] + f[p, q + 1, k] + f[p, q - 1, k])
            for k in range(levels):
                c = f[i, j, k]
                south = lap[1, k] - lap[0, k]
                south = 0.0 if south * (f[i + 1, j, k] - c) > 0 else south
                north = lap[0, k] - lap[2, k]
                north = 0.0 if north * (c - f[i - 1, j, k]) > 0 else north
                east = lap[3, k] - lap[0, k]
                east = 0.0 if east * (f[i, j + 1, k] - c) > 0 else east
                west = lap[0, k] - lap[4, k]
                west = 0.0 if west * (c - f[i, j - 1, k]) > 0 else west
                out[x, y, k] = c - coeff[x, y, k] * (south - north + east - west)


def diffusion_limited(f, coeff):
    out = np.empty_like(coeff)
    diffusion_kernel(f, coeff, out)
    return dict(out=out)


# layers ------------------------------------------------------------------------------------------------------------
@njit(**fast)
def softmax_kernel(x, y):
    for i in prange(x.shape[0]):
        top = x[i, 0]
        for j in range(x.shape[1]):
            top = max(top, x[i, j])
        s = np.float32(0.0)
        for j in range(x.shape[1]):
            y[i, j] = math.exp(x[i, j] - top)
            s += y[i, j]
        for j in range(x.shape[1]):
            y[i, j] /= s


def softmax(x):
    y = np.empty_like(x)
    softmax_kernel(x.reshape(-1, x.shape[-1]), y.reshape(-1, x.shape[-1]))
    return dict(y=y)


@njit(**fast)
def conv2d_kernel(image, weights, bias, out):
    batch, rows, columns, filters = out.shape
    window, _, channels, _ = weights.shape
    for job in prange(batch * rows):
        b, i = job // rows, job % rows
        for j in range(columns):
            for f in range(filters):
                out[b, i, j, f] = bias[f]
            for p in range(window):
                for q in range(window):
                    for c in range(channels):
                        t = image[b, i + p, j + q, c]
                        for f in range(filters):
                            out[b, i, j, f] += t * weights[p, q, c, f]


def conv2d(image, weights, bias):
    batch, n, m, _ = image.shape
    window = weights.shape[0]
    out = np.empty((batch, n - window + 1, m - window + 1, weights.shape[3]), image.dtype)
    conv2d_kernel(image, weights, bias, out)
    return dict(y=out)


@njit(**fast)
def layer_norm_kernel(x, scale, shift, eps, y):
    n = x.shape[1]
    for i in prange(x.shape[0]):
        mean = np.float32(0.0)
        for j in range(n):
            mean += x[i, j]
        mean /= np.float32(n)
        var = np.float32(0.0)
        for j in range(n):
            d = x[i, j] - mean
            var += d * d
        inv = np.float32(1.0) / math.sqrt(var / np.float32(n) + eps)
        for j in range(n):
            y[i, j] = scale[j] * (x[i, j] - mean) * inv + shift[j]


def layer_norm(x, scale, shift, eps=1e-5):
    y = np.empty_like(x)
    layer_norm_kernel(x.reshape(-1, x.shape[-1]), scale, shift, np.float32(eps), y.reshape(-1, x.shape[-1]))
    return dict(y=y)


# images ------------------------------------------------------------------------------------------------------------
@njit(**fast)
def sobel_kernel(a, length):
    top = 0.0
    for i in prange(length.shape[0]):
        best = 0.0
        for j in range(length.shape[1]):
            gx = a[i, j + 2] - a[i, j] + 2.0 * (a[i + 1, j + 2] - a[i + 1, j]) + a[i + 2, j + 2] - a[i + 2, j]
            gy = a[i + 2, j] - a[i, j] + 2.0 * (a[i + 2, j + 1] - a[i, j + 1]) + a[i + 2, j + 2] - a[i, j + 2]
            length[i, j] = math.sqrt(gx * gx + gy * gy)
            best = max(best, length[i, j])
        top = max(top, best)
    return top


@njit(**fast)
def threshold(a, level, edges):
    found = 0
    for i in prange(a.shape[0]):
        for j in range(a.shape[1]):
            edges[i, j] = a[i, j] > level
            found += edges[i, j]
    return found


def sobel(image):
    length = np.empty((image.shape[0] - 2, image.shape[1] - 2))
    edges = np.empty(length.shape, bool)
    found = threshold(length, 0.5 * sobel_kernel(image, length), edges)
    return dict(length=length, edges=edges, found=found)


@njit(**fast)
def blur_kernel(image, weights, out):
    size = weights.size
    for i in prange(out.shape[0]):
        row = np.zeros(image.shape[1])
        for k in range(size):
            for j in range(image.shape[1]):
                row[j] += weights[k] * image[i + k, j]
        for j in range(out.shape[1]):
            s = 0.0
            for k in range(size):
                s += weights[k] * row[j + k]
            out[i, j] = s


def blur(image, weights):
    out = np.empty((image.shape[0] - weights.size + 1, image.shape[1] - weights.size + 1))
    blur_kernel(image, weights, out)
    return dict(out=out)


@njit(**fast)
def bilateral_kernel(image, radius, spread, contrast, out):
    for i in prange(out.shape[0]):
        for j in range(out.shape[1]):
            centre = image[i + radius, j + radius]
            total = 0.0
            weight = 0.0
            for p in range(2 * radius + 1):
                for q in range(2 * radius + 1):
                    v = image[i + p, j + q]
                    near = ((p - radius) ** 2 + (q - radius) ** 2) / (2.0 * spread * spread)
                    w = math.exp(-near - (v - centre) ** 2 / (2.0 * contrast * contrast))
                    total += w * v
                    weight += w
            out[i, j] = total / weight


def bilateral(image, radius, spread=2.0, contrast=0.1):
    n = image.shape[0] - 2 * radius
    out = np.empty((n, n))
    bilateral_kernel(image, radius, spread, contrast, out)
    return dict(out=out)


@njit(**fast)
def erode_step(a, out):
    for i in prange(out.shape[0]):
        row = np.empty(a.shape[1], a.dtype)
        for j in range(a.shape[1]):
            row[j] = min(min(a[i, j], a[i + 1, j]), a[i + 2, j])
        for j in range(out.shape[1]):
            out[i, j] = min(min(row[j], row[j + 1]), row[j + 2])


def erode(image, times):
    for _ in range(times):
        out = np.empty((image.shape[0] - 2, image.shape[1] - 2), image.dtype)
        erode_step(image, out)
        image = out
    return dict(image=image)


@njit(**fast)
def brightness(picture, out):
    low, high = np.inf, -np.inf
    for i in prange(out.shape[0]):
        a, b = np.inf, -np.inf
        for j in range(out.shape[1]):
            t = 0.299 * picture[i, j, 0] + 0.587 * picture[i, j, 1] + 0.114 * picture[i, j, 2]
            out[i, j] = t
            a, b = min(a, t), max(b, t)
        low, high = min(low, a), max(high, b)
    return low, high


@njit(**fast)
def stretch(bright, low, high, out):
    for i in prange(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = np.uint8(255.0 * (bright[i, j] - low) / (high - low))


def grey(picture):
    bright, out = np.empty(picture.shape[:2]), np.empty(picture.shape[:2], np.uint8)
    low, high = brightness(picture, bright)
    stretch(bright, low, high, out)
    return dict(out=out)


# science -----------------------------------------------------------------------------------------------------------
@njit(**fast)
def molecules_forces(pos, box, force):
    n = pos.shape[1]
    potential = 0.0
    for i in prange(n):
        fx, fy, fz, p = 0.0, 0.0, 0.0, 0.0
        for j in range(n):
            if j != i:
                dx, dy, dz = pos[0, i] - pos[0, j], pos[1, i] - pos[1, j], pos[2, i] - pos[2, j]
                dx -= box * round(dx / box)
                dy -= box * round(dy / box)
                dz -= box * round(dz / box)
                s2 = 1.0 / (dx * dx + dy * dy + dz * dz)
                s6 = s2 * s2 * s2
                k = 24.0 * s2 * s6 * (2.0 * s6 - 1.0)
                fx += k * dx
                fy += k * dy
                fz += k * dz
                p += s6 * (s6 - 1.0)
        force[0, i], force[1, i], force[2, i] = fx, fy, fz
        potential += p
    return 2.0 * potential


def molecules(pos, vel, box, steps, dt):
    force = np.empty_like(pos)
    potential = molecules_forces(pos, box, force)
    for _ in range(steps):
        vel = vel + 0.5 * dt * force
        pos = (pos + dt * vel) % box
        potential = molecules_forces(pos, box, force)
        vel = vel + 0.5 * dt * force
    return dict(pos=pos, vel=vel, potential=potential, kinetic=0.5 * float(np.sum(vel**2)))


@njit(**fast)
def spmv_kernel(starts, columns, values, x, y):
    for i in prange(y.size):
        s = 0.0
        for k in range(starts[i], starts[i + 1]):
            s += values[k] * x[columns[k]]
        y[i] = s


def spmv(starts, columns, values, x, times):
    for _ in range(times):
        y = np.empty_like(x)
        spmv_kernel(starts, columns, values, x, y)
        x = y
    return dict(x=x)


def spmv_rows(starts, columns, values, x, times):
    return dict(y=spmv(starts, columns, values, x, 1)["x"])


@njit(**fast)
def darts(seed, blocks, n):
    inside = 0
    for block in prange(blocks):
        np.random.seed(seed + block)
        for _ in range(n):
            x, y = np.random.random(), np.random.random()
            inside += x * x + y * y <= 1.0
    return inside


def monte_carlo_pi(seed, blocks, n):
    inside = darts(seed, blocks, n)
    return dict(inside=inside, pi=4.0 * inside / (blocks * n))


@njit(**fast)
def asian_kernel(seed, payoff, days, price, strike, rate, volatility):
    dt = 1.0 / days
    for block in prange(16):
        np.random.seed(seed + block)
        for i in range(block * payoff.size // 16, (block + 1) * payoff.size // 16):
            level, total = 0.0, 0.0
            for _ in range(days):
                level += (rate - 0.5 * volatility**2) * dt + volatility * math.sqrt(dt) * np.random.standard_normal()
                total += math.exp(level)
            payoff[i] = max(price * total / days - strike, 0.0) * math.exp(-rate)


def asian_option(seed, paths, days, price=100.0, strike=100.0, rate=0.03, volatility=0.2):
    payoff = np.empty(paths)
    asian_kernel(seed, payoff, days, price, strike, rate, volatility)
    return dict(value=payoff.mean(), error=payoff.std() / math.sqrt(paths))


@njit(**plain)
def rings_of(image, radius, edges, total, count):
    rings = total.size
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            k = int(radius[i, j] * rings / edges[rings])
            while k > 0 and (k >= rings or radius[i, j] < edges[k]):
                k -= 1
            while k < rings and radius[i, j] >= edges[k + 1]:
                k += 1
            if k < rings:
                total[k] += image[i, j]
                count[k] += 1


def azimuthal(image, radius, rings):
    total, count = np.zeros(rings), np.zeros(rings)
    rings_of(image, radius, np.linspace(0.0, radius.max(), rings + 1), total, count)
    return dict(brightness=total / np.maximum(count, 1))


@njit(**fast)
def elastic_step(u, v, stiffness, dt):
    n = u.size
    for i in prange(n):
        force = 0.0
        if i < n - 1:
            force += stiffness * (u[i + 1] - u[i])
        if i > 0:
            force -= stiffness * (u[i] - u[i - 1])
        v[i] += dt * force


def elastic(u, v, steps, stiffness, dt):
    u, v = u.copy(), v.copy()
    for _ in range(steps):
        elastic_step(u, v, stiffness, dt)
        u += dt * v
    return dict(u=u, v=v)


# tables ------------------------------------------------------------------------------------------------------------
@njit(**fast)
def standardise_kernel(data, mean, deviation, z):
    outliers = 0
    for i in prange(data.shape[0]):
        for j in range(data.shape[1]):
            t = (data[i, j] - mean[j]) / deviation[j]
            outliers += abs(t) > 3.0
            z[i, j] = min(max(t, -3.0), 3.0)
    return outliers


def standardise(data):
    z = np.empty_like(data)
    outliers = standardise_kernel(data, data.mean(axis=0), data.std(axis=0), z)
    return dict(z=z, outliers=outliers)


@njit(**plain)
def rolling_kernel(x, window, mean):
    total = 0.0
    top = 0.0
    for i in range(x.size):
        total += x[i]
        if i >= window:
            total -= x[i - window]
        if i >= window - 1:
            m = total / window
            mean[i - window + 1] = m
            top = max(top, abs(x[i] - m))
    return top


def rolling_mean(x, window):
    mean = np.empty(x.size - window + 1)
    deviation = rolling_kernel(x, window, mean)
    return dict(mean=mean, deviation=deviation)


@njit(**fast)
def distances_kernel(data, nearest):
    n, m = data.shape
    for i in prange(n):
        best = np.inf
        for j in range(n):
            s = 0.0
            for k in range(m):
                t = data[i, k] - data[j, k]
                s += t * t
            if j != i:
                best = min(best, s)
        nearest[i] = math.sqrt(best)


def distances(data):
    nearest = np.empty(len(data))
    distances_kernel(data, nearest)
    return dict(nearest=nearest)


@njit(**plain)
def group_kernel(key, value, total, count):
    for i in range(key.size):
        total[key[i]] += value[i]
        count[key[i]] += 1


@njit(**fast)
def group_spread(key, value, mean):
    s = 0.0
    for i in prange(key.size):
        d = value[i] - mean[key[i]]
        s += d * d
    return s


def group_means(key, value, groups):
    total, count = np.zeros(groups), np.zeros(groups)
    group_kernel(key, value, total, count)
    mean = total / np.maximum(count, 1)
    return dict(mean=mean, spread=math.sqrt(group_spread(key, value, mean) / key.size))


# parts -------------------------------------------------------------------------------------------------------------
@njit(**fast)
def frames_kernel(film, dark, gain, out, level):
    count, n, m = film.shape
    for k in prange(count):
        total = 0.0
        for i in range(n):
            for j in range(m):
                flat = (film[k, i, j] - dark[i, j]) / gain[i, j]
                out[k, i, j] = flat
                total += flat
        mean = total / (n * m)
        squares = 0.0
        for i in range(n):
            for j in range(m):
                squares += (out[k, i, j] - mean) ** 2
        scale = 1.0 / math.sqrt(squares / (n * m))
        for i in range(n):
            for j in range(m):
                out[k, i, j] = (out[k, i, j] - mean) * scale
        level[k] = mean


def frames(film, dark, gain):
    out, level = np.empty_like(film), np.empty(len(film))
    frames_kernel(film, dark, gain, out, level)
    return dict(out=out, level=level)


@njit(**fast)
def distance_rows_kernel(x, d):
    n, dims = x.shape
    for i in prange(n):
        for j in range(n):
            s = 0.0
            for c in range(dims):
                s += (x[j, c] - x[i, c]) ** 2
            d[i, j] = math.sqrt(s)


def distance_rows(x):
    d = np.empty((len(x), len(x)))
    distance_rows_kernel(x, d)
    return dict(d=d)


@njit(**fast)
def ensemble_kernel(x, mean, spread, largest, block):
    count, n = x.shape
    for part in prange((n + block - 1) // block):
        first, last = part * block, min((part + 1) * block, n)
        for k in range(count):
            for i in range(first, last):
                y = math.sqrt(x[k, i] * (1.0 - x[k, i])) / (1.0 + x[k, i] * x[k, i])
                mean[i] += y
                spread[i] += y * y
                largest[i] = max(largest[i], y)
        for i in range(first, last):
            mean[i] /= count
            spread[i] = math.sqrt(spread[i] / count - mean[i] * mean[i])


def ensemble(x):
    mean, spread, largest = np.zeros(x.shape[1]), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    ensemble_kernel(x, mean, spread, largest, 512)
    return dict(mean=mean, spread=spread, largest=largest)


# elements ----------------------------------------------------------------------------------------------------------
@njit(cache=True)
def seidel_kernel(a, sweeps):
    n = a.shape[0]
    for _ in range(sweeps):
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                a[i, j] = (
                    a[i - 1, j - 1] + a[i - 1, j] + a[i - 1, j + 1]
                    + a[i, j - 1] + a[i, j] + a[i, j + 1]
                    + a[i + 1, j - 1] + a[i + 1, j] + a[i + 1, j + 1]
                ) / 9.0  # fmt: skip


def seidel(a, sweeps):
    seidel_kernel(a, sweeps)
    return dict(a=a)


@njit(cache=True)
def subsequence_kernel(a, b, table):
    for i in range(len(a)):
        for j in range(len(b)):
            if a[i] == b[j]:
                table[i + 1, j + 1] = table[i, j] + 1
            else:
                table[i + 1, j + 1] = max(table[i, j + 1], table[i + 1, j])


def subsequence(a, b):
    table = np.zeros((len(a) + 1, len(b) + 1), dtype=np.int64)
    subsequence_kernel(a, b, table)
    return dict(length=int(table[-1, -1]), table=table)


@njit(parallel=True, cache=True)
def orbits_kernel(r, steps, parts, visits):
    for k in prange(len(r)):
        x = 0.5
        for _ in range(steps):
            x = r[k] * x * (1.0 - x)
            visits[k, int(x * parts)] += 1


def orbits(r, steps, parts):
    visits = np.zeros((len(r), parts), dtype=np.int64)
    orbits_kernel(r, steps, parts, visits)
    return dict(visits=visits)


@njit(cache=True)
def acceleration(x, v, push):
    return x - x * x * x - 0.2 * v + push


@njit(cache=True)
def oscillator_kernel(push, dt, x, v, path):
    a = acceleration(x, v, push[0])
    for i in range(len(push)):
        half = v + 0.5 * dt * a
        x = x + dt * half
        a = acceleration(x, half, push[i])
        v = half + 0.5 * dt * a
        path[i] = x
    return v


def oscillator(push, dt):
    path = np.zeros(len(push))
    v = oscillator_kernel(push, dt, 0.5, 0.0, path)
    return dict(path=path, v=v)


SOLVERS = {
    solve.__name__: (lambda i, solve=solve: solve(**i))
    for solve in (
        syrk, bicg, mvt, gemver, cholesky, lu, gram_schmidt, forward, levinson, floyd_warshall, jacobi_1d, wave,
        advection, gray_scott, life, shallow_water, fdtd, adi, burgers, diffusion_limited, softmax, conv2d, layer_norm,
        sobel, blur, bilateral, erode, grey, molecules, spmv, spmv_rows, monte_carlo_pi, asian_option, azimuthal,
        elastic, standardise, rolling_mean, distances, group_means,
        frames, distance_rows, ensemble,
        seidel, subsequence, orbits, oscillator,
    )
}  # fmt: skip
