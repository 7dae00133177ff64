"""Pictures: filters by shifted slices, tables of grey values, thresholds.

    sobel       gradients in two directions, their length, and a threshold
    blur        a Gaussian, separable: a weighted sum of shifted rows, then of shifted columns
    equalise    histogram equalisation of 8-bit grey values
    bilateral   weights by distance and by difference (Tomasi & Manduchi 1998)
    erode       the minimum over a 3x3 neighbourhood of 8-bit values, several times
    grey        8-bit colours to grey values, contrast stretched to the full range
"""

from _program import Program, bits, main, rel


def grey_picture(np, n):
    rng = np.random.default_rng(1968)
    y, x = np.mgrid[0:n, 0:n]
    return dict(image=(x * y % 97) / 97.0 + 0.1 * rng.random((n, n)))


def sobel(np, image):
    left, middle, right = image[:, :-2], image[:, 1:-1], image[:, 2:]
    gx = (right[:-2] - left[:-2]) + 2.0 * (right[1:-1] - left[1:-1]) + (right[2:] - left[2:])
    gy = (left[2:] - left[:-2]) + 2.0 * (middle[2:] - middle[:-2]) + (right[2:] - right[:-2])
    length = np.sqrt(gx**2 + gy**2)
    edges = length > 0.5 * length.max()
    return dict(length=length, edges=edges, found=int(edges.sum()))


def blur_inputs(np, n, radius):
    t = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (t / (radius / 2.0)) ** 2)
    return dict(grey_picture(np, n), weights=weights / weights.sum())


def blur(np, image, weights):
    size = len(weights)
    rows = np.zeros((image.shape[0] - size + 1, image.shape[1]))
    for k in range(size):
        rows += weights[k] * image[k : k + rows.shape[0]]
    out = np.zeros((rows.shape[0], image.shape[1] - size + 1))
    for k in range(size):
        out += weights[k] * rows[:, k : k + out.shape[1]]
    return dict(out=out)


def photograph(np, n):
    rng = np.random.default_rng(1977)
    dark = rng.random((n, n)) * rng.random((n, n))
    return dict(image=(dark * 255).astype(np.uint8))


def equalise(np, image):
    counts = np.bincount(image.ravel(), minlength=256)
    share = np.cumsum(counts) / image.size
    table = np.round(share * 255).astype(np.uint8)
    return dict(out=table[image], counts=counts)


def bilateral_inputs(np, n, radius):
    return dict(grey_picture(np, n), radius=radius)


def bilateral(np, image, radius, spread=2.0, contrast=0.1):
    n = image.shape[0] - 2 * radius
    centre = image[radius : radius + n, radius : radius + n]
    total = np.zeros((n, n))
    weight = np.zeros((n, n))
    for i in range(2 * radius + 1):
        for j in range(2 * radius + 1):
            shifted = image[i : i + n, j : j + n]
            near = ((i - radius) ** 2 + (j - radius) ** 2) / (2.0 * spread**2)
            w = np.exp(-near - (shifted - centre) ** 2 / (2.0 * contrast**2))
            total += w * shifted
            weight += w
    return dict(out=total / weight)


def erode_inputs(np, n, times):
    return dict(photograph(np, n), times=times)


def erode(np, image, times):
    for _ in range(times):
        rows = np.minimum(np.minimum(image[:-2], image[1:-1]), image[2:])
        image = np.minimum(np.minimum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])
    return dict(image=image)


def colours(np, n):
    rng = np.random.default_rng(1931)
    return dict(picture=rng.integers(20, 200, (n, n, 3), dtype=np.uint8))


def grey(np, picture):
    bright = 0.299 * picture[..., 0] + 0.587 * picture[..., 1] + 0.114 * picture[..., 2]
    low, high = bright.min(), bright.max()
    return dict(out=(255.0 * (bright - low) / (high - low)).astype(np.uint8))


def pixels(bytes, flops):
    def limit(n, **_):
        return dict(bytes=bytes * n * n, flops=flops * n * n, working_set=bytes * n * n)

    return limit


def sizes(small, demo, full):
    return dict(small=small, demo=demo, full=full)


PROGRAMS = (
    Program("sobel", "gradients, their length and a threshold", grey_picture, sobel,
            sizes(dict(n=15), dict(n=300), dict(n=3000)), pixels(25, 15),
            dict(length=bits(1e-12), edges=bits(1e-6), found=bits(1e-4))),
    Program("blur", "a separable Gaussian blur", blur_inputs, blur,
            sizes(dict(n=24, radius=3), dict(n=300, radius=4), dict(n=2000, radius=6)),
            lambda n, radius: dict(bytes=16 * n * n, flops=4 * (2 * radius + 1) * n * n, working_set=16 * n * n),
            dict(out=bits(1e-12)), exact_setup=False),
    Program("equalise", "histogram equalisation of grey values", photograph, equalise,
            sizes(dict(n=20), dict(n=300), dict(n=4000)), pixels(2, 2), dict(out=bits(0), counts=bits(0))),
    Program("bilateral", "a bilateral filter, offset by offset", bilateral_inputs, bilateral,
            sizes(dict(n=16, radius=2), dict(n=120, radius=3), dict(n=800, radius=3)),
            lambda n, radius: dict(bytes=16 * n * n, flops=25 * (2 * radius + 1) ** 2 * n * n, working_set=16 * n * n),
            dict(out=rel(1e-13))),
    Program("erode", "minimum over 3x3 neighbours of 8-bit values, repeated", erode_inputs, erode,
            sizes(dict(n=24, times=3), dict(n=400, times=10), dict(n=3000, times=10)),
            lambda n, times: dict(bytes=2 * n * n * times, flops=4 * n * n * times / 8, working_set=2 * n * n),
            dict(image=bits(0)),
            notes=("passes may be tiled in time, so this limit of one pass over the picture each can be beaten",)),
    Program("grey", "colours to grey values with full contrast", colours, grey,
            sizes(dict(n=15), dict(n=300), dict(n=2500)), pixels(7, 8), dict(out=bits(1e-3))),
)  # fmt: skip


if __name__ == "__main__":
    main(*PROGRAMS)
