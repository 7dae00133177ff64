"""Prices European options by the formula of Black and Scholes (1973).

The normal distribution is Abramowitz and Stegun's approximation 26.2.17 (error below 7.5e-8), as is usual where an
array library has no erf.
"""

from _program import Program, main, rel


def setup(np, n):
    rng = np.random.default_rng(1973)
    price = rng.uniform(10.0, 100.0, n)
    strike = rng.uniform(10.0, 100.0, n)
    years = rng.uniform(0.25, 2.0, n)
    return dict(price=price, strike=strike, years=years, rate=0.02, volatility=0.3)


def normal_cdf(np, d):
    k = 1.0 / (1.0 + 0.2316419 * np.abs(d))
    poly = k * (0.319381530 + k * (-0.356563782 + k * (1.781477937 + k * (-1.821255978 + k * 1.330274429))))
    tail = np.exp(-0.5 * d * d) / np.sqrt(2 * np.pi) * poly
    return np.where(d > 0, 1.0 - tail, tail)


def black_scholes(np, price, strike, years, rate, volatility):
    spread = volatility * np.sqrt(years)
    d1 = (np.log(price / strike) + (rate + 0.5 * volatility**2) * years) / spread
    d2 = d1 - spread
    discounted = strike * np.exp(-rate * years)
    n1 = normal_cdf(np, d1)
    n2 = normal_cdf(np, d2)
    call = price * n1 - discounted * n2
    put = discounted * (1.0 - n2) - price * (1.0 - n1)
    return dict(call=call, put=put)


def limit(n, **_):
    """Three arrays read, two written; exp and log counted as 20 flops each."""
    return dict(bytes=40 * n, flops=130 * n, working_set=40 * n)


black_scholes_program = Program(
    name="black_scholes",
    summary="European call and put prices",
    setup=setup,
    solve=black_scholes,
    sizes=dict(small=dict(n=1003), demo=dict(n=1_000_000), full=dict(n=8_000_000)),
    limit=limit,
    # log and exp within 4 ulp each; the cancellation in call and put is covered by measuring against the largest price
    checks=dict(call=rel(4e-15, 1e-13), put=rel(4e-15, 1e-13)),
)
PROGRAMS = (black_scholes_program,)


def run(np, **params):
    return black_scholes_program.run(np, **params)


if __name__ == "__main__":
    main(*PROGRAMS)
