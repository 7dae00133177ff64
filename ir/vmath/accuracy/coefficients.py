"""Computes the polynomials and tables of the vector math library and writes them as Rust.

    python ir/vmath/accuracy/coefficients.py > ir/vmath/src/coefficients.rs

Needs mpmath. Each polynomial is the weighted minimax one (Remez' exchange, 60 digits) of the lowest degree whose error, after
rounding of the coefficients to doubles, stays below the bound asked for.
"""
import struct

import mpmath
from mpmath import mp, mpf

mp.dps = 60
LN2 = mpmath.log(2)


def remez(f, w, a, b, n, start=0):
    """Coefficients of the polynomial of n terms, from x^start on, that minimises max |w (f - p)| on [a, b]."""
    a, b = mpf(a), mpf(b)
    weight, w = w, lambda v: max(weight(v), mpf("1e-17"))
    x = [(a + b) / 2 - (b - a) / 2 * mpmath.cos(mp.pi * i / n) for i in range(n + 1)]
    grid = [(a + b) / 2 - (b - a) / 2 * mpmath.cos(mp.pi * i / (24 * n)) for i in range(24 * n + 1)]
    values = [(f(g), w(g)) for g in grid]
    smallest, answer = mp.inf, None
    for _ in range(12):
        rows = [[v ** k for k in range(start, start + n)] + [(-1) ** i / w(v)] for i, v in enumerate(x)]
        solution = mpmath.lu_solve(mpmath.matrix(rows), mpmath.matrix([f(v) for v in x]))
        c, level = list(solution[:n]), abs(solution[n])
        error = [wg * (fg - g ** start * mpmath.polyval(c[::-1], g)) for g, (fg, wg) in zip(grid, values)]
        largest = max(abs(e) for e in error)
        if largest < smallest:
            smallest, answer = largest, c
        # The extreme point of each run of one sign.
        runs, best = [], 0
        for i in range(1, len(grid) + 1):
            if i == len(grid) or (error[i] > 0) != (error[best] > 0):
                runs.append(best)
                best = i
            elif abs(error[i]) > abs(error[best]):
                best = i
        while len(runs) > n + 1:
            runs.pop(0 if abs(error[runs[0]]) < abs(error[runs[-1]]) else -1)
        if len(runs) < n + 1:
            break
        x = [grid[i] for i in runs]
        if largest < level * mpf("1.02"):
            break
    return answer


def float32(value):
    rounded = struct.unpack("f", struct.pack("f", float(value)))[0]
    # Processors multiply with subnormal numbers a hundred times slower.
    assert rounded == 0 or abs(rounded) >= 2**-126, rounded
    return rounded


def fit(f, w, a, b, bits, fixed=None, first=2, rounding=float):
    """The shortest polynomial whose weighted error is below 2^-bits."""
    for n in ([fixed] if fixed else range(first, 30)):
        c = [rounding(v) for v in remez(f, w, a, b, n)]
        if rounding is float32:
            # What a coefficient loses by rounding the next ones make up for.
            for k in range(1, n):
                rest = lambda x: f(x) - mpmath.polyval([mpf(v) for v in c[:k]][::-1], x)
                try:
                    found = remez(rest, w, a, b, n - k, k)
                except ZeroDivisionError:
                    found = None
                # Odd powers alone do not alternate on both sides of zero: they stay.
                c[k:] = c[k:] if found is None else [rounding(v) for v in found]
        grid = [mpf(a) + (mpf(b) - mpf(a)) * i / 400 for i in range(401)]
        error = max(abs(w(g) * (f(g) - mpmath.polyval(c[::-1], g))) for g in grid)
        if error < mpf(2) ** -bits or fixed:
            return c, float(mpmath.log(error, 2))
    raise ValueError("no degree is enough")


def series(exact, tail):
    """A function that cancels near zero: its Taylor coefficients there, the formula elsewhere."""
    return lambda x: mpmath.polyval([tail(k) for k in range(24)][::-1], x) if abs(x) < mpf("0.01") else exact(x)


def rust(value):
    value = float(value)
    return repr(value) if value == value else "f64::NAN"


def emit(name, doc, values, of="f64"):
    kind = f"[{of}; {len(values)}]"
    print(f"\n/// {doc}\npub const {name}: {kind} = [")
    for v in values:
        print(f"    {rust(v)},")
    print("];")


def table(name, doc, values):
    print(f"\n/// {doc}\npub static {name}: Table<f64, {len(values)}> = Table([")
    for v in values:
        print(f"    {rust(v)},")
    print("]);")


def table32(name, doc, values):
    print(f"\n/// {doc}\npub static {name}: Table<f32, {len(values)}> = Table([")
    for v in values:
        print(f"    {rust(float32(v))},")
    print("]);")


def polynomial(name, doc, f, w, a, b, bits, first=2):
    c, error = fit(f, w, a, b, bits, first=first)
    emit(name, f"{doc} Error 2^{error:.1f}.", c)


def polynomial32(name, doc, f, w, a, b, bits, first=2):
    c, error = fit(f, w, a, b, bits, first=first, rounding=float32)
    emit(name, f"{doc} Error 2^{error:.1f}.", c, "f32")


def constant32(name, doc, value):
    print(f"\n/// {doc}\npub const {name}: f32 = {rust(float32(value))};")


def parts32(names, doc, value):
    for k, name in enumerate(names):
        constant32(name, doc if k == 0 else "The next part.", value)
        value -= mpf(float32(value))


def constant(name, doc, value):
    print(f"\n/// {doc}\npub const {name}: f64 = {rust(value)};")


def double(name, doc, value):
    constant(f"{name}_HI", f"{doc}", float(value))
    constant(f"{name}_LO", f"What {name}_HI lacks.", float(value - mpf(float(value))))


def short(value, bits):
    """value rounded to a multiple of 2^-bits."""
    return float(mpmath.nint(value * mpf(2) ** bits) / mpf(2) ** bits)


def exponentials():
    m = LN2 / 2 * mpf("1.0001")
    tail = series(lambda x: (mpmath.exp(x) - 1 - x) / x ** 2, lambda k: 1 / mpmath.factorial(k + 2))
    polynomial("EXP", "(e^x - 1 - x) / x² for |x| ≤ ln 2 / 2, relative to e^x.", tail, lambda x: x ** 2 / mpmath.exp(x), -m, m, 58.5, 8)
    polynomial("EXP_SINGLE", "The same for f32.", tail, lambda x: x ** 2 / mpmath.exp(x), -m, m, 28.3)
    tail3 = series(lambda x: (mpmath.exp(x) - 1 - x - x ** 2 / 2) / x ** 3, lambda k: 1 / mpmath.factorial(k + 3))
    polynomial("EXPM1", "(e^x - 1 - x - x²/2) / x³.", tail3, lambda x: abs(x) ** 2, -m, m, 58.5, 8)
    tail2 = series(lambda x: (mpmath.power(2, x) - 1 - x * LN2) / x ** 2, lambda k: LN2 ** (k + 2) / mpmath.factorial(k + 2))
    h = mpf("0.5001")
    polynomial("EXP2", "(2^x - 1 - x ln 2) / x² for |x| ≤ 1/2.", tail2, lambda x: x ** 2 / mpmath.power(2, x), -h, h, 57, 8)
    h = LN2 / 32 * mpf("1.001")
    polynomial("EXP_16", "The same for |x| ≤ ln 2 / 32.", tail, lambda x: x ** 2, -h, h, 56, 4)
    polynomial("EXPM1_16", "The same, relative to x.", tail, lambda x: abs(x) + mpf("1e-9"), -h, h, 58, 4)
    highs = [float(mpf(2) ** (mpf(j) / 16)) for j in range(16)]
    table("POWER_16_HI", "2^(j/16).", highs)
    table("POWER_16_LO", "The rest of it.", [mpf(2) ** (mpf(j) / 16) - mpf(v) for j, v in enumerate(highs)])
    # The bits of 2^(j/16), less j in the place where (16 n + j) 2^-4 has its fourth binary place in an exponent's place.
    turned = [struct.unpack("d", struct.pack("Q", struct.unpack("Q", struct.pack("d", v))[0] - (j << 48)))[0] for j, v in enumerate(highs)]
    table("POWER_16_BITS", "2^(j/16), less j 2^48 as bits: 16 n + j, shifted by 48, is added to them.", turned)
    table("POWER_16_REST", "What POWER_16_HI lacks, in parts of it.", [mpf(2) ** (mpf(j) / 16) / mpf(v) - 1 for j, v in enumerate(highs)])
    double("LN2_16", "ln 2 / 16.", LN2 / 16)
    double("LN2", "ln 2.", LN2)
    constant("LOG2_E", "1 / ln 2.", 1 / LN2)


def places(name, doc, columns, single):
    """Tables of 16 entries from dictionaries: number modulo 16 to value."""
    for suffix, text, column in columns:
        (table32 if single else table)(f"{name}_{suffix}", f"{doc} {text}", [column.get(k, 0) for k in range(16)])


def hyperbolic_table(name, rounding, places_of_b, near):
    """Numbers b near multiples of a step for which e^b and e^-b are nearly what they are when rounded: 15 of them reach over a binade."""
    step = LN2 / mpf("14.9")
    at, power, inverse = {0: 0.0}, {0: 0.25}, {0: 64.0}
    lost = lambda v: abs(mpf(rounding(v)) / v - 1)
    for j in range(1, 8):
        first = int(mpmath.nint(j * step * 2**places_of_b))
        candidates = (mpf(first + k * (1 if i else -1)) / 2**places_of_b for k in range(10**6) for i in (0, 1))
        # Near 0 the rounding of the sum would count, too.
        exact = lambda v, w: mpf(rounding(mpf(v) + mpf(w))) == mpf(v) + mpf(w)
        good = lambda v, w: max(lost(v), lost(w)) < near and (j > 3 or exact(rounding(v), rounding(w)))
        b = next(b for b in candidates if good(mpmath.exp(b), mpmath.exp(-b)))
        for sign in (1, -1):
            at[sign * j % 16] = sign * b
            power[sign * j % 16] = rounding(mpmath.exp(sign * b)) / 4
            inverse[sign * j % 16] = rounding(mpmath.exp(-sign * b)) * 64
    columns = [("AT", "b, near multiples of ln 2 / 14.9.", at), ("POWER", "e^b / 4.", power), ("INVERSE", "64 e^-b.", inverse)]
    places(name, "See `hyperbolic`:", columns, rounding is float32)


def hyperbolics():
    step = LN2 / mpf("14.9")
    # Halfway between two b, and what these are beside the multiples.
    z = (step * mpf("0.53")) ** 2
    root = mpmath.sqrt
    cosh = series(lambda x: (mpmath.cosh(root(x)) - 1) / x, lambda k: 1 / mpmath.factorial(2 * k + 2))
    sinh = series(lambda x: (mpmath.sinh(root(x)) / root(x) - 1) / x, lambda k: 1 / mpmath.factorial(2 * k + 3))
    hyperbolic_table("HYPERBOLIC", float, 34, mpf(2) ** -61)
    polynomial("COSH", "(cosh √z - 1) / z for √z ≤ ln 2 / 28.", cosh, lambda x: x, 0, z, 59)
    polynomial("SINH", "(sinh √z / √z - 1) / z.", sinh, lambda x: x, 0, z, 59)
    hyperbolic_table("HYPERBOLIC_F32", float32, 25, mpf(2) ** -32)
    polynomial32("COSH_F32", "COSH in f32.", cosh, lambda x: x, 0, z, 27, 1)
    polynomial32("SINH_F32", "SINH in f32.", sinh, lambda x: x, 0, z, 27, 1)
    constant("PER_STEP", "How many steps between the b there are in 1.", 1 / step)
    # e^b = T of eleven places whose b is nearly an f32, near multiples of 1/16.
    at, half = {}, {}
    for j in range(-6, 7):
        # The terms next to 0 are nearer to it than the middle of their intervals, where results are smallest.
        middle = mpf(j) / 16 - (mpf(1) / 500 if j == 1 else mpf(-1) / 300 if j == -1 else 0)
        candidates = (mpf(k) / 1024 for k in range(600, 1600))
        candidates = [t for t in candidates if abs(mpmath.log(t) - middle) < mpf("0.003")] if j else [mpf(1)]
        t = min(candidates, key=lambda t: abs(mpmath.log(t) - mpf(float32(mpmath.log(t)))))
        at[j % 16], half[j % 16] = mpmath.log(t), t / 2
    places("EXPM1_F32", "See `expm1`:", [("AT", "b, near multiples of 1/16.", at), ("POWER", "e^b / 2, of ten places.", half)], True)
    h = mpf("0.0345")
    tail = series(lambda x: (mpmath.exp(x) - 1 - x) / x ** 2, lambda k: 1 / mpmath.factorial(k + 2))
    polynomial32("EXPM1_F32", "(e^x - 1 - x) / x² for |x| ≤ 0.0345.", tail, lambda x: abs(x) + mpf("1e-9"), -h, h, 26)


def log_table(n):
    """c near 1/m in n intervals of m in [0.6875, 1.375), and -log c in two parts."""
    cs, hi, lo = [], [], []
    for i in range(n):
        # Interval i of [0.6875, 1.375): n to a binade.
        below = n * 5 // 8
        left, width = (mpf(11) / 16 + mpf(i) / (2 * n), mpf(1) / (2 * n)) if i < below else (1 + mpf(i - below) / n, mpf(1) / n)
        step = n if left < 1 else 2 * n
        c = mpf(1) if i in (below - 1, below) else mpmath.nint(step / (left + width / 2)) / step
        for m in (left, left + width):
            # The remainder is exact, and not larger than the logarithm it is added to.
            assert abs(m * c - 1) <= mpf(1) / n and (c == 1 or abs(m * c - 1) < abs(mpmath.log(c))), (i, m, c)
        cs.append(c)
        h = short(-mpmath.log(c), 42)
        hi.append(h)
        lo.append(-mpmath.log(c) - h)
    return cs, hi, lo


def logarithms():
    # log1p(r) for the r that the table leaves.
    a, b = mpf("-0.0626"), mpf("0.0626")
    tail2 = series(lambda x: (mpmath.log1p(x) - x) / x ** 2, lambda k: (-1) ** (k + 1) / mpf(k + 2))
    tail3 = series(lambda x: (mpmath.log1p(x) - x + x ** 2 / 2) / x ** 3, lambda k: (-1) ** k / mpf(k + 3))
    polynomial("LOG", "(log(1 + r) - r) / r² for |r| ≤ 1/16, relative to r.", tail2, lambda x: abs(x) + mpf("1e-9"), a, b, 57.3)
    polynomial("LOG_TAIL", "(log(1 + r) - r + r²/2) / r³ for |r| ≤ 1/32, relative to r.", tail3, lambda x: x ** 2, a / 2, b / 2, 64)
    polynomial("LOG_POWER", "(log(1 + r) - r) / r², exact enough for the powers of f32.", tail2, lambda x: abs(x) + mpf("1e-9"), a, b, 35)
    for n, prefix in ((16, "LOG"), (32, "LOG32")):
        cs, hi, lo = log_table(n)
        table(f"{prefix}_C", f"Nearly 1/m in each of {n} intervals of m in [0.6875, 1.375), so short that m c - 1 is exact.", cs)
        table(f"{prefix}_HI", "-log c, in multiples of 2^-42.", hi)
        table(f"{prefix}_LO", "The rest of it.", lo)
    h = short(LN2, 42)
    constant("LN2_SHORT", "ln 2 in multiples of 2^-42: its products with exponents are exact.", h)
    constant("LN2_REST", "The rest of ln 2.", LN2 - mpf(h))
    double("INV_LN2", "1 / ln 2.", 1 / LN2)
    double("INV_LN10", "1 / ln 10.", 1 / mpmath.log(10))
    l = mpmath.log(2) / mpmath.log(10)
    h = short(l, 42)
    constant("LOG10_2_SHORT", "log10 2 in multiples of 2^-42.", h)
    constant("LOG10_2_REST", "The rest of it.", l - mpf(h))


def trigonometric():
    q = (mp.pi / 4 * mpf("1.0001")) ** 2
    root = mpmath.sqrt
    sin = series(lambda z: (mpmath.sin(root(z)) / root(z) - 1) / z, lambda k: (-1) ** (k + 1) / mpmath.factorial(2 * k + 3))
    cos = series(lambda z: (mpmath.cos(root(z)) - 1 + z / 2) / z ** 2, lambda k: (-1) ** k / mpmath.factorial(2 * k + 4))
    cos1 = series(lambda z: (mpmath.cos(root(z)) - 1) / z, lambda k: (-1) ** (k + 1) / mpmath.factorial(2 * k + 2))
    polynomial("SIN", "(sin √z / √z - 1) / z for √z ≤ π/4.", sin, lambda z: z, 0, q, 56.7)
    polynomial("COS", "(cos √z - 1 + z/2) / z².", cos, lambda z: z ** 2, 0, q, 59)
    sin5 = series(lambda z: (mpmath.sin(root(z)) / root(z) - 1 + z / 6) / z ** 2, lambda k: (-1) ** k / mpmath.factorial(2 * k + 5))
    cos6 = series(lambda z: (mpmath.cos(root(z)) - 1 + z / 2 - z ** 2 / 24) / z ** 3, lambda k: (-1) ** (k + 1) / mpmath.factorial(2 * k + 6))
    polynomial("SIN_5", "(sin √z / √z - 1 + z/6) / z².", sin5, lambda z: z ** 2, 0, q, 63)
    polynomial("COS_6", "(cos √z - 1 + z/2 - z²/24) / z³.", cos6, lambda z: z ** 3, 0, q, 63)
    double("MINUS_SIXTH", "-1/6.", -mpf(1) / 6)
    double("TWENTY_FOURTH", "1/24.", mpf(1) / 24)
    polynomial("SIN_SINGLE", "(sin √z / √z - 1) / z, for f32.", sin, lambda z: z, 0, q, 28.3)
    polynomial("COS_SINGLE", "(cos √z - 1) / z, for f32.", cos1, lambda z: z, 0, q, 28.3)
    two_over_pi = 2 / mp.pi
    constant("TWO_OVER_PI", "2/π.", two_over_pi)
    rest = mp.pi / 2
    for k in range(3):
        v = float(rest)
        constant(f"HALF_PI_{k}", "π/2 in three parts." if k == 0 else "The next part.", v)
        rest -= mpf(v)
    double("PI", "π.", mp.pi)
    asin = series(lambda z: (mpmath.asin(root(z)) / root(z) - 1) / z, lambda k: mpmath.binomial(2 * k + 2, k + 1) / (mpf(4) ** (k + 1) * (2 * k + 3)))
    polynomial("ASIN", "(asin √z / √z - 1) / z for z ≤ 1/4.", asin, lambda z: z, 0, mpf("0.2501"), 57)
    atan = series(lambda z: (mpmath.atan(root(z)) / root(z) - 1) / z, lambda k: (-1) ** (k + 1) / mpf(2 * k + 3))
    t = mpf("0.172")
    polynomial("ATAN", "(atan √z / √z - 1) / z for √z ≤ 0.172.", atan, lambda z: z, 0, t * t, 58)
    polynomial("ATAN_SINGLE", "The same for √z ≤ 1, for f32.", atan, lambda z: z, 0, 1, 28.3)
    pieces = {}
    for i in range(14):
        # 0: below 1/8. 1 to 12: half a binade each from 1/8 to 8. 13: 8 and above.
        if i in (0, 13):
            pieces[i] = (mpf(0), mp.pi / 2 if i else mpf(0))
        else:
            left = mpf(2) ** ((i - 1) // 2 - 3) * (1 if i % 2 else mpf("1.5"))
            c = left * (mpf("1.25") if i % 2 else mpf(7) / 6)
            pieces[i] = (c, mpmath.atan(c))
    # The highest 13 bits of 1/8 are 0x7f8: interval i has the index (i + 7) modulo 16.
    order = [pieces.get((k - 7) % 16, (mpf(0), mpf(0))) for k in range(16)]
    table("ATAN_C", "The c of each interval of atan, in the order of exponent and first place modulo 16.", [c for c, _ in order])
    table("ATAN_HI", "atan c.", [v for _, v in order])
    table("ATAN_LO", "The rest of it.", [v - mpf(float(v)) for _, v in order])
    double("HALF_PI", "π/2.", mp.pi / 2)
    # 2/π to 1216 bits, for arguments beyond all multiples that fit a double.
    bits = int(mpmath.floor(0))
    with mpmath.workprec(1500):
        bits = int(mpmath.floor(2 / mp.pi * mpf(2) ** 1280))
    words = [(bits >> (64 * (19 - i))) & (2 ** 64 - 1) for i in range(20)]
    print("\n/// The binary places of 2/π, 64 a word.\npub static TWO_OVER_PI_BITS: [u64; 20] = [")
    for w in words:
        print(f"    0x{w:016x},")
    print("];")


def others():
    cube = lambda x: mpmath.power(x, -mpf(1) / 3)
    polynomial("CBRT", "m^(-1/3) for m in [1, 2], relative.", cube, lambda x: mpmath.cbrt(x), 1, 2, 13.5)
    table("CBRT_INVERSE", "2^(-k/3) for k = -1, 0, 1.", [mpf(2) ** (-(k - 1) / mpf(3)) if k < 3 else 0 for k in range(16)])
    c = 2 / mpmath.sqrt(mp.pi)
    erf = lambda z: mpmath.erf(mpmath.sqrt(z)) / mpmath.sqrt(z) if z > mpf("1e-30") else c
    # The first two terms have rounded coefficients of their own.
    c1 = float(-c / 3)
    near = lambda k: c * (-1) ** k / (mpmath.factorial(k) * (2 * k + 1))
    tail = series(lambda z: (erf(z) - c - c1 * z) / z ** 2, lambda k: near(k + 2))
    constant("ERF_1", "The second coefficient of erf √z / √z.", c1)
    polynomial("ERF", "(erf √z / √z - 2/√π - ERF_1 z) / z² for z ≤ 1.", tail, lambda z: z * z / erf(z), 0, 1, 57, 8)
    constant("TWO_OVER_ROOT_PI_LESS_1", "2/√π - 1.", c - 1)
    start = mpmath.erfc(1)
    constant("ERFC_1", "erfc 1.", start)
    log_erfc = lambda t: mpmath.log(mpmath.erfc(t + 1) / start) / t if t > mpf("1e-12") else -c * mpmath.exp(-1) / start
    weight = lambda t: t * mpmath.erfc(t + 1)
    polynomial("ERFC", "log(erfc(1 + t) / erfc 1) / t for t in [0, 5], its error weighed as erf feels it.", log_erfc, weight, 0, 5, 56, 15)


def singles():
    m = LN2 / 2 * mpf("1.0001")
    tail = series(lambda x: (mpmath.exp(x) - 1 - x) / x ** 2, lambda k: 1 / mpmath.factorial(k + 2))
    polynomial32("EXP_F32", "EXP in f32.", tail, lambda x: x ** 2 / mpmath.exp(x), -m, m, 28)
    tail2 = series(lambda x: (mpmath.power(2, x) - 1 - x * LN2) / x ** 2, lambda k: LN2 ** (k + 2) / mpmath.factorial(k + 2))
    h = mpf("0.5001")
    polynomial32("EXP2_F32", "EXP2 in f32.", tail2, lambda x: x ** 2 / mpmath.power(2, x), -h, h, 28)
    parts32(["LN2_HI_F32", "LN2_LO_F32"], "ln 2.", LN2)
    parts32(["HALF_PI_F32_0", "HALF_PI_F32_1", "HALF_PI_F32_2"], "π/2 in three parts.", mp.pi / 2)
    # For numbers of quarter turns of nine bits: the first part is not too large, the second has 15 bits.
    first = mpmath.floor(mp.pi / 2 * 2**23) / 2**23
    second = short(mp.pi / 2 - first, 38)
    constant32("HALF_PI_NEAR_F32_0", "π/2 in three parts, the first not too large, the second of 15 bits.", first)
    constant32("HALF_PI_NEAR_F32_1", "The next part.", second)
    constant32("HALF_PI_NEAR_F32_2", "The next part.", mp.pi / 2 - first - second)
    q = (mp.pi / 4 * mpf("1.0001")) ** 2
    root = mpmath.sqrt
    sin = series(lambda z: (mpmath.sin(root(z)) / root(z) - 1) / z, lambda k: (-1) ** (k + 1) / mpmath.factorial(2 * k + 3))
    cos = series(lambda z: (mpmath.cos(root(z)) - 1 + z / 2) / z ** 2, lambda k: (-1) ** k / mpmath.factorial(2 * k + 4))
    polynomial32("SIN_F32", "SIN in f32.", sin, lambda z: z, 0, q, 27)
    polynomial32("COS_F32", "COS in f32.", cos, lambda z: z ** 2, 0, q, 28)


def pieces(name, doc, f, terms, highest):
    """Polynomials of f in 16 intervals: the one below 1/4 in powers of a, and half a binade each from there on."""
    centres, rows = [0.0] * 16, [[0.0] * 16 for _ in range(terms)]
    # Exponent and first place of 3/16, modulo 16, are 9.
    q = mpf(1) / 4
    # Rounded to 40 places: what is left of a derivative of exactly 1 would be subnormal, and slow to multiply with.
    start = mpmath.nint((f(mpf("1e-30")) / mpf("1e-30") - 1) * mpf(10) ** 40) / mpf(10) ** 40
    tail = lambda z: (f(mpmath.sqrt(z)) / mpmath.sqrt(z) - 1 - start) / z if z > mpf("1e-9") else (f(mpf("1e-4")) * 10 ** 4 - 1 - start) * 10 ** 8
    odd = [start] + remez(tail, lambda z: z, 0, q * q, terms // 2 - 1)
    for k, c in enumerate(odd):
        rows[2 * k + 1][9] = float32(c)
    for i in range(11):
        left = mpf(2) ** (i // 2 - 2) * (mpf("1.5") if i % 2 else 1)
        half = left / 4 if i % 2 == 0 else left / 6
        k = (10 + i) % 16
        if left >= highest:
            centres[k], rows[0][k] = float32(left), 1.0
            continue
        # A centre whose value is nearly an f32.
        candidates = [float32(left + half * (1 + mpf(j) / 2000)) for j in range(-400, 401)]
        value = lambda c: abs(f(mpf(c)) - mpf(float32(f(mpf(c)))))
        c = min(candidates, key=value)
        first = float32(f(mpf(c)))
        g = lambda d: (f(c + d) - first) / d if abs(d) > mpf("1e-12") else mpmath.diff(f, c)
        found = remez(g, lambda d: abs(d) / f(c + d), left - c, left + 2 * half - c, terms - 1)
        centres[k] = c
        for j, v in enumerate([first] + found):
            rows[j][k] = float32(v)
    worst = 0
    for j in range(4000):
        a = mpf(highest) * (j + 1) / 4000
        k = (struct.unpack("I", struct.pack("f", float(max(a, mpf(3) / 16))))[0] >> 22) % 16
        d = a - centres[k]
        v = mpmath.polyval([mpf(rows[i][k]) for i in range(terms)][::-1], d) + (a if k == 9 else 0)
        worst = max(worst, abs(v / f(a) - 1))
    print(f"\n/// {doc} Error 2^{float(mpmath.log(worst, 2)):.1f}.\npub static {name}: Pieces<{terms}> = Pieces {{")
    show = lambda row: "[" + ", ".join(rust(v) for v in row) + "]"
    print(f"    centre: Table({show(centres)}),\n    terms: [")
    for row in rows:
        print(f"        Table({show(row)}),")
    print("    ],\n};")


def logarithm_of_base(name, factor, first=None):
    """Terms of a logarithm of f32 in 16 intervals: factor = 1 / ln of the base. With a first term they are those of `log_table`."""
    power = LN2 * factor
    h = short(power, 16)
    # Between what the intervals around 0 ask for and the last ones, which have the other errors.
    fourth = float32(factor * mpf("0.11" if first else "0.07"))
    below = 8
    if first:
        # f is in [-5/16, 3/8).
        first, below = float32(first), 10
    else:
        # Of two binary places at most, so that its product with f, which has 22, is exact.
        first = min((n / 2**k for n in (1.0, 3.0) for k in range(4)), key=lambda v: abs(v - factor))
    whole = lambda f: factor * (mpmath.log1p(f) / f if abs(f) > mpf("1e-12") else 1 - f / 2)
    columns, worst = [], -99
    for i in range(16):
        # By the first four places of m in [1, 3/2) and of 2m for m in [3/4, 1). f may lie a little outside.
        left, width = (mpf(i) / 16, mpf(1) / 16) if i < 8 else (mpf(i - 8) / 32 - mpf(1) / 4, mpf(1) / 32)
        if below == 10:
            left, width = (mpf(i) / 32 - mpf(5) / 16, mpf(1) / 32) if i < 10 else (mpf(i - 10) / 16, mpf(1) / 16)
        edge = mpf(2) ** -24
        rest = lambda f: whole(f) - mpf(first) - mpf(fourth) * f ** 4
        c, error = fit(rest, lambda f: 1 / whole(f), left - edge, left + width + edge, 0, fixed=4, rounding=float32)
        columns.append(c)
        worst = max(worst, error)
    row = lambda values: "[" + ", ".join(rust(float32(v)) for v in values) + "]"
    print(f"\n/// {float(factor):.4f} log x. Error 2^{worst:.1f}.\npub static {name}: Logarithm = Logarithm {{")
    print(f"    power: {row([h, power - mpf(h)])},\n    factor: {rust(first)},\n    fourth: {rust(fourth)},\n    terms: [")
    for k in range(4):
        print(f"        Table({row([c[k] for c in columns])}),")
    print("    ],\n};")


def more_singles():
    print("\n/// What belongs to one base of logarithms, see `short/log.rs`: of 2 in two parts, a number near that of e, and log(1 + f) / f less")
    print("/// that number as four terms of each interval and one for all.")
    print("pub struct Logarithm {\n    pub power: [f32; 2],\n    pub factor: f32,\n    pub fourth: f32,\n    pub terms: [Table<f32, 16>; 4],\n}")
    cs, _, _ = log_table(16)
    table32("LOG_C_F32", "LOG_C.", cs)
    his = [short(-mpmath.log(c), 16) for c in cs]
    table32("LOG_HI_F32", "-log c, in multiples of 2^-16.", his)
    table32("LOG_LO_F32", "The rest of it.", [-mpmath.log(c) - mpf(v) for c, v in zip(cs, his)])
    tail2 = series(lambda x: (mpmath.log1p(x) - x) / x ** 2, lambda k: (-1) ** (k + 1) / mpf(k + 2))
    polynomial32("LOG_F32", "LOG in f32.", tail2, lambda x: abs(x) + mpf("1e-9"), mpf("-0.0626"), mpf("0.0626"), 27)
    logarithm_of_base("LOG_E_F32", mpf(1))
    logarithm_of_base("LOG_2_F32", 1 / LN2, mpf("1.333"))
    logarithm_of_base("LOG_10_F32", 1 / mpmath.log(10))
    m = LN2 / 2 * mpf("1.0001")
    root = mpmath.sqrt
    print("\n/// See `short/pieces.rs`.\npub struct Pieces<const K: usize> {\n    pub centre: Table<f32, 16>,\n    pub terms: [Table<f32, 16>; K],\n}")
    pieces("TANH_F32", "tanh.", mpmath.tanh, 8, 10)
    pieces("ERF_F32", "erf.", mpmath.erf, 9, 4)
    atan = series(lambda z: (mpmath.atan(root(z)) / root(z) - 1) / z, lambda k: (-1) ** (k + 1) / mpf(2 * k + 3))
    polynomial32("ATAN_F32", "(atan √z / √z - 1) / z for √z ≤ 0.55, in f32.", atan, lambda z: z, 0, mpf("0.3026"), 27)
    for k, name in ((1, "PI_1_4"), (3, "PI_3_4")):
        parts32([f"{name}_F32_HI", f"{name}_F32_LO"], f"{k}π/4.", mp.pi * k / 4)
    asin = series(lambda z: (mpmath.asin(root(z)) / root(z) - 1) / z, lambda k: mpmath.binomial(2 * k + 2, k + 1) / (mpf(4) ** (k + 1) * (2 * k + 3)))
    polynomial32("ASIN_F32", "ASIN in f32.", asin, lambda z: z, 0, mpf("0.2501"), 27)
    q = (mp.pi / 4 * mpf("1.0001")) ** 2
    tan = lambda z: (mpmath.tan(root(z)) / root(z) - 1) / z if z > mpf("1e-8") else mpf(1) / 3 + z * 2 / 15
    polynomial32("TAN_F32", "(tan √z / √z - 1) / z for √z ≤ π/4.", tan, lambda z: z, 0, q, 28)
    asinh = series(lambda z: (mpmath.asinh(root(z)) / root(z) - 1) / z, lambda k: (-1) ** (k + 1) * mpmath.binomial(2 * k + 2, k + 1) / (mpf(4) ** (k + 1) * (2 * k + 3)))
    polynomial32("ASINH_F32", "(asinh √z / √z - 1) / z for √z ≤ 1/4, in f32.", asinh, lambda z: z, 0, mpf("0.0626"), 27)
    parts32(["PI_F32_HI", "PI_F32_LO"], "π.", mp.pi)
    tail = series(lambda x: (mpmath.exp(x) - 1 - x) / x ** 2, lambda k: 1 / mpmath.factorial(k + 2))
    h = LN2 / 32 + mpf(1) / 32
    polynomial32("EXP_16_F32", "(e^x - 1 - x) / x² for |x| ≤ ln 2 / 32 + 1/32.", tail, lambda x: x ** 2, -h, h, 28, 2)
    highs = [float32(mpf(2) ** (mpf(j) / 16)) for j in range(16)]
    table32("POWER_16_HI_F32", "2^(j/16).", highs)
    table32("POWER_16_LO_F32", "The rest of it.", [mpf(2) ** (mpf(j) / 16) - mpf(v) for j, v in enumerate(highs)])
    parts32(["LN2_16_F32_HI", "LN2_16_F32_LO"], "ln 2 / 16.", LN2 / 16)
    tail3 = series(lambda x: (mpmath.log1p(x) - x + x ** 2 / 2) / x ** 3, lambda k: (-1) ** k / mpf(k + 3))
    r = mpf("0.0313")
    polynomial32("LOG_TAIL_F32", "(log(1 + r) - r + r²/2) / r³ for |r| ≤ 1/32, relative to r.", tail3, lambda x: x ** 2, -r, r, 34)
    short_ln2 = short(LN2, 16)
    constant32("LN2_POWER_F32", "ln 2 in multiples of 2^-16.", short_ln2)
    constant32("LN2_POWER_REST_F32", "The rest of it.", LN2 - mpf(short_ln2))
    cs, hi, lo = log_table(32)
    table32("LOG32_C_F32", "LOG32_C.", cs)
    his = [short(-mpmath.log(c), 16) for c in cs]
    table32("LOG32_HI_F32", "-log c, in multiples of 2^-16.", his)
    table32("LOG32_LO_F32", "The rest of it.", [-mpmath.log(c) - mpf(v) for c, v in zip(cs, his)])
    # y ≈ a^(-1/3) from the bits: the constant makes the relative error of y³ a even.
    e = mpf("0.1025")
    cube = lambda v: (mpmath.power(1 - v, -mpf(1) / 3) - 1) / v if abs(v) > mpf("1e-9") else mpf(1) / 3 + v * 2 / 9
    polynomial32("CBRT_F32", "((1 - e)^(-1/3) - 1) / e for |e| ≤ 0.1025, relative to 1.", cube, lambda v: abs(v) + mpf("1e-9"), -e, e, 17)


def main():
    print("//! The polynomials and tables, in the order of the powers. Made by `accuracy/coefficients.py`; change that, not this.")
    print("\n#![allow(clippy::excessive_precision, clippy::approx_constant, clippy::unreadable_literal)]")
    print("\nuse crate::lanes::Table;")
    exponentials()
    hyperbolics()
    logarithms()
    trigonometric()
    others()
    singles()
    more_singles()


if __name__ == "__main__":
    main()
