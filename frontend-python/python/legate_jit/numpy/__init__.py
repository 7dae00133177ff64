"""NumPy's namespace, recorded and compiled: `import legate_jit.numpy as np`.

What is ours stands here; everything else that NumPy has is reached through it and runs in NumPy (see `_fallback`).
"""

import numpy as _np

from .. import _fallback, _native
from .._native import (
    arange,
    array,
    asanyarray,
    asarray,
    ascontiguousarray,
    concatenate,
    copy,
    empty,
    empty_like,
    full,
    full_like,
    ndarray,
    ndenumerate,
    ones,
    ones_like,
    where,
    zeros,
    zeros_like,
)
from .._native import all, any, argmax, argmin, cumprod, cumsum, max, min, prod, sum, ufunc
from . import _index, _linalg, _math, _methods, _shape
from ._index import (
    argpartition,
    argsort,
    lexsort,
    argwhere,
    bincount,
    compress,
    extract,
    flatnonzero,
    nonzero,
    partition,
    place,
    putmask,
    searchsorted,
    sort,
    take,
)
from ._einsum import cross, einsum, kron
from ._math import (
    allclose,
    array2string,
    array_equal,
    array_equiv,
    array_repr,
    array_str,
    around,
    average,
    can_cast,
    clip,
    copyto,
    count_nonzero,
    diag,
    diff,
    dot,
    ediff1d,
    eye,
    fill_diagonal,
    from_dlpack,
    fromfunction,
    fromiter,
    identity,
    imag,
    indices,
    inner,
    interp,
    isclose,
    iscomplexobj,
    isrealobj,
    isscalar,
    iterable,
    linspace,
    may_share_memory,
    mean,
    outer,
    ptp,
    real,
    result_type,
    round,
    shares_memory,
    std,
    tensordot,
    trace,
    trapezoid,
    tri,
    tril,
    triu,
    var,
    vdot,
)
from ._errors import errstate, seterr
from ._nan import nanmax, nanmean, nanmin, nansum
from ._shape import (
    append,
    array_split,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_arrays,
    broadcast_to,
    column_stack,
    diagonal,
    dsplit,
    dstack,
    expand_dims,
    flip,
    fliplr,
    flipud,
    hsplit,
    hstack,
    matrix_transpose,
    meshgrid,
    moveaxis,
    ndim,
    permute_dims,
    ravel,
    repeat,
    reshape,
    roll,
    rollaxis,
    rot90,
    row_stack,
    shape,
    size,
    split,
    squeeze,
    stack,
    swapaxes,
    tile,
    transpose,
    unstack,
    vsplit,
    vstack,
)

amax, amin, concat = max, min, concatenate

globals().update(_native.ufuncs())
globals().update(_native.in_front(globals()))
permute_dims, row_stack = transpose, vstack

newaxis, pi, e, inf, nan, euler_gamma = None, _np.pi, _np.e, _np.inf, _np.nan, _np.euler_gamma
float32, float64, complex64, complex128 = _np.float32, _np.float64, _np.complex64, _np.complex128
int8, int16, int32, int64 = _np.int8, _np.int16, _np.int32, _np.int64
uint8, uint16, uint32, uint64 = _np.uint8, _np.uint16, _np.uint32, _np.uint64
bool, bool_, intp, dtype = _np.bool, _np.bool_, _np.intp, _np.dtype

__version__ = _np.__version__
__all__ = list(_np.__all__)

_methods.install()
_fallback.install()


def __getattr__(name):
    if name == "random":
        # NumPy too loads its generators when they are first wanted: that takes 10 ms.
        from ._random import random

        globals()[name] = random
        return random
    if name.startswith("__") and name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = _fallback.attribute(name, getattr(_np, name))
    globals()[name] = value
    return value


def __dir__():
    return sorted(set(dir(_np)) | {"random"})
