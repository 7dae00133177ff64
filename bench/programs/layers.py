"""Layers of neural networks, forwards, in single precision (so that a flop counts half in the limits).

    softmax       over the last axis of attention scores, shifted by the maximum
    mlp           three fully connected layers with rectifiers, and a softmax
    conv2d        a convolution as a sum over the window: slices times weights (no padding)
    layer_norm    normalisation over the features, with scale and shift
    attention     scaled dot products of queries, keys and values, all heads at once
    batch_pool    batch normalisation, a rectifier and 2x2 maximum pooling
"""

from _program import Program, bits, main, rel


def scores(np, batch, heads, n):
    rng = np.random.default_rng(2017)
    return dict(x=rng.random((batch, heads, n, n), dtype=np.float32))


def softmax_of(np, x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def softmax(np, x):
    return dict(y=softmax_of(np, x))


def network(np, batch, width):
    rng = np.random.default_rng(1986)
    sizes = (width, 2 * width, width, 10)
    made = dict(x=rng.random((batch, width), dtype=np.float32))
    for i in range(3):
        made[f"w{i}"] = (rng.random((sizes[i], sizes[i + 1]), dtype=np.float32) - np.float32(0.5)) / np.float32(8)
        made[f"b{i}"] = rng.random(sizes[i + 1], dtype=np.float32)
    return made


def mlp(np, x, w0, b0, w1, b1, w2, b2):
    x = np.maximum(x @ w0 + b0, 0)
    x = np.maximum(x @ w1 + b1, 0)
    return dict(y=softmax_of(np, x @ w2 + b2))


def pictures(np, batch, n, channels, filters, window):
    rng = np.random.default_rng(1989)
    return dict(
        image=rng.random((batch, n, n, channels), dtype=np.float32),
        weights=rng.random((window, window, channels, filters), dtype=np.float32),
        bias=rng.random(filters, dtype=np.float32),
    )


def conv2d(np, image, weights, bias):
    window = weights.shape[0]
    batch, height, width, _ = image.shape
    rows, columns = height - window + 1, width - window + 1
    out = np.empty((batch, rows, columns, weights.shape[3]), dtype=image.dtype)
    for i in range(rows):
        for j in range(columns):
            patch = image[:, i : i + window, j : j + window, :, np.newaxis]
            out[:, i, j, :] = np.sum(patch * weights, axis=(1, 2, 3))
    return dict(y=out + bias)


def tokens(np, batch, n, features):
    rng = np.random.default_rng(2016)
    return dict(
        x=rng.standard_normal((batch, n, features), dtype=np.float32),
        scale=rng.random(features, dtype=np.float32),
        shift=rng.random(features, dtype=np.float32),
    )


def layer_norm(np, x, scale, shift, eps=1e-5):
    mean = x.mean(axis=-1, keepdims=True)
    var = x.var(axis=-1, keepdims=True)
    return dict(y=scale * (x - mean) / np.sqrt(var + eps) + shift)


def heads(np, batch, heads, n, depth):
    rng = np.random.default_rng(2014)
    return {k: rng.standard_normal((batch, heads, n, depth), dtype=np.float32) for k in ("q", "k", "v")}


def attention(np, q, k, v):
    weights = softmax_of(np, q @ k.transpose(0, 1, 3, 2) / np.sqrt(np.float32(q.shape[-1])))
    return dict(y=weights @ v)


def maps(np, batch, n, channels):
    rng = np.random.default_rng(2015)
    return dict(x=rng.standard_normal((batch, n, n, channels), dtype=np.float32))


def batch_pool(np, x, eps=1e-5):
    mean = np.mean(x, axis=(0, 1, 2))
    std = np.std(x, axis=(0, 1, 2))
    x = np.maximum((x - mean) / np.sqrt(std**2 + eps), 0)
    pooled = np.maximum(
        np.maximum(x[:, ::2, ::2], x[:, 1::2, ::2]),
        np.maximum(x[:, ::2, 1::2], x[:, 1::2, 1::2]),
    )
    return dict(y=pooled)


PROGRAMS = (
    Program(
        "softmax", "softmax over the last axis", scores, softmax,
        dict(small=dict(batch=2, heads=2, n=12), demo=dict(batch=4, heads=4, n=128), full=dict(batch=8, heads=8, n=400)),
        lambda batch, heads, n: dict(bytes=8 * batch * heads * n * n, flops=25 * batch * heads * n * n,
                                     working_set=8 * batch * heads * n * n),
        dict(y=rel(1e-6)),
    ),
    Program(
        "mlp", "three fully connected layers", network, mlp,
        dict(small=dict(batch=5, width=16), demo=dict(batch=64, width=256), full=dict(batch=2048, width=768)),
        lambda batch, width: dict(bytes=4 * (4 * width * width + batch * (width + 10)),
                                  flops=batch * (8 * width * width + 20 * width) / 2,
                                  working_set=4 * (4 * width * width + 4 * batch * width)),
        dict(y=rel(1e-5)),
    ),
    Program(
        "conv2d", "a convolution, window by window", pictures, conv2d,
        dict(small=dict(batch=2, n=7, channels=3, filters=4, window=3),
             demo=dict(batch=4, n=24, channels=3, filters=16, window=3),
             full=dict(batch=8, n=64, channels=3, filters=16, window=5)),
        lambda batch, n, channels, filters, window: dict(
            bytes=4 * batch * n * n * (channels + filters),
            flops=batch * (n - window + 1) ** 2 * 2 * window**2 * channels * filters / 2,
            working_set=4 * batch * n * n * (channels + filters)),
        dict(y=bits(1e-5)),
    ),
    Program(
        "layer_norm", "normalisation over the features", tokens, layer_norm,
        dict(small=dict(batch=2, n=5, features=16), demo=dict(batch=8, n=64, features=256),
             full=dict(batch=16, n=512, features=768)),
        lambda batch, n, features: dict(bytes=8 * batch * n * features, flops=9 * batch * n * features,
                                        working_set=8 * batch * n * features),
        dict(y=bits(1e-5)),
    ),
    Program(
        "attention", "scaled dot-product attention, all heads at once", heads, attention,
        dict(small=dict(batch=2, heads=2, n=9, depth=8), demo=dict(batch=4, heads=4, n=64, depth=32),
             full=dict(batch=4, heads=8, n=400, depth=64)),
        lambda batch, heads, n, depth: dict(bytes=16 * batch * heads * n * depth,
                                           flops=batch * heads * n * n * (4 * depth + 20) / 2,
                                           working_set=batch * heads * (16 * n * depth + 4 * n * n)),
        dict(y=rel(1e-5)),
    ),
    Program(
        "batch_pool", "batch normalisation, rectifier, maximum pooling", maps, batch_pool,
        dict(small=dict(batch=2, n=6, channels=3), demo=dict(batch=4, n=32, channels=32),
             full=dict(batch=8, n=112, channels=64)),
        lambda batch, n, channels: dict(bytes=9 * batch * n * n * channels, flops=8 * batch * n * n * channels,
                                        working_set=5 * batch * n * n * channels),
        dict(y=bits(1e-5)),
    ),
)  # fmt: skip


if __name__ == "__main__":
    main(*PROGRAMS)
