"""numexpr: where a program is a line or two of elementwise work."""

import math

import numpy as np

from peers import Solver

NAME = "numexpr"
TITLE = "numexpr"


def version():
    import numexpr

    return numexpr.__version__


def jacobi(p, max_iter, output_freq, every, l2_target=1e-8):
    import numexpr as ne

    l2, icount, history = 1.0, 0, []
    q = p.copy()
    while l2 > l2_target and icount < max_iter:
        icount += 1
        ne.evaluate(
            "0.25 * (e + w + s + n)",
            dict(e=p[1:-1, 2:], w=p[1:-1, :-2], s=p[2:, 1:-1], n=p[:-2, 1:-1]),
            out=q[1:-1, 1:-1],
        )
        p, q = q, p
        if icount % every == 0:
            l2 = math.sqrt(float(ne.evaluate("sum((p - q)**2)")) / float(ne.evaluate("sum(q**2)")))
        if icount % output_freq == 0:
            history.append(l2)
    return dict(p=p, l2=l2, icount=icount, history=history)


def chain(a, b):
    import numexpr as ne

    t = ne.evaluate("(sqrt(a * b + 1.5) - a) ** 2 + b")
    t = ne.evaluate("where(t > 0.25, t, 0.25) / b", dict(t=t, b=b))
    t = ne.evaluate("2.0 * abs(abs(t - 1.0) - 0.5)", dict(t=t))
    t = ne.evaluate("where(t < a + b, t, a + b)", dict(t=t, a=a, b=b))
    return dict(total=float(ne.evaluate("sum((t + 3.0) * (t - 2.0))", dict(t=t))))


def black_scholes(price, strike, years, rate, volatility):
    import numexpr as ne

    def cdf(d):
        k = "1.0 / (1.0 + 0.2316419 * abs(d))"
        poly = "k * (0.319381530 + k * (-0.356563782 + k * (1.781477937 + k * (-1.821255978 + k * 1.330274429))))"
        tail = f"exp(-0.5 * d * d) * norm * ({poly.replace('k', f'({k})')})"  # numexpr evaluates equal parts once
        return ne.evaluate(f"where(d > 0, 1.0 - ({tail}), {tail})", dict(d=d, norm=1 / math.sqrt(2 * math.pi)))

    given = dict(price=price, strike=strike, years=years, rate=rate, volatility=volatility)
    d1 = ne.evaluate(
        "(log(price / strike) + (rate + 0.5 * volatility * volatility) * years) / (volatility * sqrt(years))", given
    )
    d2 = ne.evaluate("d1 - volatility * sqrt(years)", dict(given, d1=d1))
    parts = dict(price=price, n1=cdf(d1), n2=cdf(d2), discounted=ne.evaluate("strike * exp(-rate * years)", given))
    return dict(
        call=ne.evaluate("price * n1 - discounted * n2", parts),
        put=ne.evaluate("discounted * (1.0 - n2) - price * (1.0 - n1)", parts),
    )


def heat(u, steps, k):
    import numexpr as ne

    new = u.copy()
    for _ in range(steps):
        views = dict(
            k=k, c=u[1:-1, 1:-1, 1:-1], a=u[2:, 1:-1, 1:-1], b=u[:-2, 1:-1, 1:-1], d=u[1:-1, 2:, 1:-1],
            e=u[1:-1, :-2, 1:-1], f=u[1:-1, 1:-1, 2:], g=u[1:-1, 1:-1, :-2],
        )  # fmt: skip
        ne.evaluate("c + k * (a + b + d + e + f + g - 6.0 * c)", views, out=new[1:-1, 1:-1, 1:-1])
        u, new = new, u
    return dict(u=u, mean=float(u.mean()), hottest=float(u[1:-1, 1:-1, 1:-1].max()))


SOLVERS = {
    "jacobi_a": lambda i: jacobi(every=1, **i),
    "jacobi_b": lambda i: jacobi(every=1, **i),
    "jacobi_c": lambda i: jacobi(every=i["output_freq"], **i),
    "chain": lambda i: chain(**i),
    "black_scholes": lambda i: black_scholes(**i),
    "heat": lambda i: heat(**i),
}
NAMES = tuple(SOLVERS)


def solver(program):
    solve = SOLVERS.get(program.name)
    return solve and Solver(np.array, solve)
