"""The programs at their small sizes: what they compute with NumPy, and the same with legate_jit.

Where a program promises NumPy's bits they must be equal; elsewhere the bound stands beside the program. The solvers
start from equal inputs, so that a last bit of sin in the inputs does not hide what they do; where the inputs are
promised too, they have a test of their own.
"""

import sys
from pathlib import Path

import numpy
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import harness  # noqa: E402
import peers  # noqa: E402
from _program import Check, bits, check_all, compare, differ, off, plain, rel, ulp  # noqa: E402

PROGRAMS = harness.programs()
each_program = pytest.mark.parametrize("name", PROGRAMS)


def small(program):
    return program.sizes["small"]


@pytest.fixture(scope="session")
def ours():
    legate_jit = pytest.importorskip("legate_jit")
    pytest.importorskip("legate_jit.numpy")
    return legate_jit


@pytest.fixture(scope="session")
def reference():
    """NumPy's results, computed once a program."""
    known = {}

    def get(name):
        if name not in known:
            results = PROGRAMS[name].run(numpy, **small(PROGRAMS[name]))
            known[name] = {k: plain(v).copy() for k, v in results.items()}
        return known[name]

    return get


def numpy_inputs(program):
    return program.setup(numpy, **small(program))


def convert(inputs, array):
    """The same inputs with every array passed through `array`."""
    return {k: array(v) if hasattr(v, "dtype") and hasattr(v, "shape") and v.shape else v for k, v in inputs.items()}


def assert_all(program, got, want):
    ok, each = check_all(program, {k: plain(v) for k, v in got.items()}, want)
    assert ok, "; ".join(f"{k}: {words}" for k, (good, words) in each.items() if not good)


# with legate_jit ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [p.name for p in PROGRAMS.values() if p.exact_setup])
def test_inputs_are_numpys(name, ours):
    program = PROGRAMS[name]
    want = numpy_inputs(program)
    got = program.setup(ours.numpy, **small(program))
    for key, value in want.items():
        ok, words = compare(bits(), got[key], value)
        assert ok, f"{key}: {words}"


@each_program
def test_same_numbers_as_numpy(name, ours, reference):
    program = PROGRAMS[name]
    inputs = convert(numpy_inputs(program), ours.numpy.array)
    ours.sync()
    before = ours.stats()["numpy_calls"]
    got = program.solve(ours.numpy, **inputs)
    ours.sync()
    calls = ours.stats()["numpy_calls"] - before
    assert_all(program, got, reference(name))
    if program.fallbacks is not None:
        assert calls <= program.fallbacks, f"{calls} calls were left to NumPy: {ours.report()}"


@each_program
def test_whole_program_again_and_again(name, ours):
    """Inputs and work in one recording. The first run may be the prebuilt loops', the last the compiled kernels': the
    bits may not tell which, and must be those that NumPy gets from the same inputs."""
    program = PROGRAMS[name]
    np = ours.numpy
    runs = []
    for _ in range(3):
        got = program.run(np, **small(program))
        runs.append({k: plain(v).copy() for k, v in got.items()})
        ours.sync()
    for key, first in runs[0].items():
        for other in runs[1:]:
            assert first.tobytes() == other[key].tobytes(), key
    inputs = convert(program.setup(np, **small(program)), numpy.array)
    want = {k: plain(v) for k, v in program.solve(numpy, **inputs).items()}
    assert_all(program, runs[0], want)


# with NumPy --------------------------------------------------------------------------------------------------------


def test_jacobi_prints_the_published_l2(capsys):
    import jacobi

    got = jacobi.run(numpy, n=100, iters=1000, output_freq=100)
    assert got["icount"] == 1000
    numpy.testing.assert_allclose(got["history"], jacobi.SLIDE_L2, rtol=1e-13)


def test_jacobi_variants_agree():
    import jacobi

    params = dict(n=40, iters=50, output_freq=10)
    every, seldom = jacobi.run(numpy, jacobi.jacobi_b, **params), jacobi.run(numpy, jacobi.jacobi_c, **params)
    assert every["p"].tobytes() == seldom["p"].tobytes()
    assert every["history"] == seldom["history"]


def test_cg_solves_the_system():
    import cg

    inputs = cg.setup(numpy, n=80, cond=30.0, tol=1e-11, conv_iters=4)
    A, b = inputs["A"], inputs["b"]
    assert (A == A.T).all()
    numpy.testing.assert_allclose(numpy.linalg.eigvalsh(A), numpy.linspace(1.0, 30.0, 80), rtol=1e-12)
    for solve in (cg.cg_solve, cg.cg_solve_every):
        x = solve(numpy, **inputs)["x"]
        assert numpy.linalg.norm(A @ x - b) < 1e-10


def test_channel_flow_takes_the_published_number_of_steps():
    import cfd

    got = cfd.run(numpy, **cfd.cfd_41.sizes["full"])
    assert got["stepcount"] == 499
    assert (got["v"] == 0).all() and (got["p"] == 1).all()  # the flow stays parallel
    y = numpy.linspace(0, 2, 41)
    profile = got["u"][:, 20] / got["u"][20, 20]
    assert abs(profile - y * (2 - y)).max() < 0.03  # still on its way to Poiseuille's parabola


def test_flux_adds_every_face():
    import flux

    inputs = flux.setup(numpy, n=3, species=2, faces=6)
    before = inputs["cells"].copy()
    got = flux.add_fluxes(numpy, **inputs)["cells"]
    assert got is inputs["cells"]
    x, y, z, s = 1, 2, 0, 1
    assert got[x, y, z, s] == pytest.approx(before[x, y, z, s] + 0.01 * sum(inputs["fluxes"][x, y, z, s].tolist()))


def test_black_scholes_parity_and_a_known_price():
    import black_scholes

    inputs = black_scholes.setup(numpy, n=200)
    got = black_scholes.black_scholes(numpy, **inputs)
    forward = inputs["price"] - inputs["strike"] * numpy.exp(-inputs["rate"] * inputs["years"])
    numpy.testing.assert_allclose(got["call"] - got["put"], forward, atol=1e-12)
    one = numpy.ones(1)
    call = black_scholes.black_scholes(numpy, 42 * one, 40 * one, 0.5 * one, 0.1, 0.2)["call"]
    assert call[0] == pytest.approx(4.76, abs=0.005)  # Hull, Options, Futures and Other Derivatives


def test_kmeans_finds_separate_heaps():
    import kmeans

    homes = numpy.array([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]])
    points = numpy.repeat(homes, 20, axis=0) + numpy.random.default_rng(0).standard_normal((60, 2))
    got = kmeans.kmeans(numpy, points, points[[0, 20, 40]].copy(), 10)
    assert (got["labels"] == numpy.repeat([0, 1, 2], 20)).all()
    assert abs(got["centers"] - homes).max() < 1


def test_logistic_regression_learns():
    import logreg

    got = logreg.run(numpy, n=2000, features=5, iters=40)
    assert got["losses"][0] == pytest.approx(numpy.log(2))
    assert got["losses"][-1] < got["losses"][0] / 2 and got["accuracy"] > 0.9


def test_chain_by_hand():
    import chain

    a, b = numpy.array([0.5]), numpy.array([1.25])
    t = (0.5 * 1.25 + 1.5) ** 0.5 - 0.5
    t = (t * t + 1.25) / 1.25
    t = min(abs(t - 1.0 - 0.5) * 2.0, 1.75)
    assert chain.chain(numpy, a, b)["total"] == pytest.approx((t + 3) * (t - 2))


def test_mandelbrot_variants_agree_with_a_loop():
    import mandelbrot

    inputs = mandelbrot.setup(numpy, n=17, iters=15)
    masks = mandelbrot.mandelbrot(numpy, **inputs)["counts"]
    parts = mandelbrot.mandelbrot_real(numpy, **inputs)["counts"]
    for i, y in enumerate(inputs["y"]):
        for j, x in enumerate(inputs["x"]):
            z, count = 0j, 0
            while count < 15 and abs(z) <= 2:
                z, count = z * z + complex(x, y), count + 1
            assert masks[i, j] == parts[i, j] == count


def test_two_bodies_keep_their_momentum():
    import nbody

    inputs = nbody.setup(numpy, n=12, steps=20)
    got = nbody.nbody(numpy, **inputs)
    mass = inputs["mass"][:, numpy.newaxis]
    numpy.testing.assert_allclose((mass * got["vel"]).sum(axis=0), 0, atol=1e-12)


def test_heat_reads_old_temperatures():
    import heat

    u = numpy.zeros((5, 5, 5))
    u[2, 2, 2] = 1.0
    got = heat.conduct(numpy, u, 1, 0.1)["u"]
    assert got[2, 2, 2] == pytest.approx(0.4)
    for at in ((1, 2, 2), (3, 2, 2), (2, 1, 2), (2, 3, 2), (2, 2, 1), (2, 2, 3)):
        assert got[at] == pytest.approx(0.1)
    assert got.sum() == pytest.approx(1.0)


# the harness itself ------------------------------------------------------------------------------------------------


@each_program
def test_description_is_complete(name, reference):
    program = PROGRAMS[name]
    assert {"small", "demo", "full"} <= set(program.sizes)
    got = reference(name)
    assert set(program.checks) <= set(got)
    inputs = program.setup(numpy, **small(program))
    kept = {k: v.copy() for k, v in inputs.items() if isinstance(v, numpy.ndarray) and k not in program.mutates}
    program.solve(numpy, **inputs)
    for key, value in kept.items():
        assert (inputs[key] == value).all(), f"{key} is written to, but not in mutates"
    import worker

    model = worker.limits(program, small(program), got)
    assert set(model) == {"bytes", "flops", "working_set"} and all(v > 0 for v in model.values())


def test_peers_name_programs_that_exist():
    for name in peers.MODULES:
        assert set(getattr(peers.load(name), "NAMES", ())) <= set(PROGRAMS)


@pytest.mark.parametrize(
    "check, got, want, ok",
    [
        (bits(), numpy.array([0.0]), numpy.array([0.0]), True),
        (bits(), numpy.array([-0.0]), numpy.array([0.0]), False),
        (bits(), numpy.array([1]), numpy.array([1.0]), False),
        (bits(), numpy.array([[1.0]]), numpy.array([1.0]), False),
        (bits(), numpy.array([numpy.nan]), numpy.array([numpy.nan]), True),
        (ulp(1), numpy.array([numpy.nextafter(1.0, 2)]), numpy.array([1.0]), True),
        (ulp(1), numpy.array([1 + 5e-16]), numpy.array([1.0]), False),
        (ulp(1), numpy.array([5e-324]), numpy.array([-5e-324]), False),
        (ulp(0), numpy.array([-0.0]), numpy.array([0.0]), True),
        (rel(1e-9), numpy.array([1.0, 1e-12]), numpy.array([1.0, 0.0]), True),
        (rel(1e-9), numpy.array([numpy.nan]), numpy.array([1.0]), False),
        (off(1), numpy.array(4), numpy.array(5), True),
        (off(1), numpy.array(3), numpy.array(5), False),
        (differ(0.5), numpy.array([1, 2]), numpy.array([1, 3]), True),
        (differ(0.4), numpy.array([1, 2]), numpy.array([1, 3]), False),
    ],
)
def test_compare(check, got, want, ok):
    assert compare(check, got, want)[0] is ok


def test_compare_for_peers():
    check = Check("bits", peer=1e-9)
    assert compare(check, numpy.array([1.0 + 1e-12]), numpy.array([1.0]), peer=True)[0]
    assert not compare(check, numpy.array([1.0 + 1e-6]), numpy.array([1.0]), peer=True)[0]
    assert not compare(bits(0), numpy.array([4]), numpy.array([5]), peer=True)[0]
    assert compare(Check("bits", peer=None), numpy.array([4]), numpy.array([5]), peer=True)[0]
