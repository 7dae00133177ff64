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


def test_products_by_einsum():
    def inputs(name):
        program = PROGRAMS[name]
        return program, numpy_inputs(program)

    program, i = inputs("gemm")
    want = 1.5 * numpy.einsum("ij,jk->ik", i["A"], i["B"]) + 1.2 * i["C"]
    numpy.testing.assert_allclose(program.solve(numpy, **i)["C"], want, rtol=1e-10, atol=1e-12)
    program, i = inputs("atax")
    want = numpy.einsum("ji,jk,k->i", i["A"], i["A"], i["x"])
    numpy.testing.assert_allclose(program.solve(numpy, **i)["y"], want, rtol=1e-10, atol=1e-11)
    program, i = inputs("bicg")
    got = program.solve(numpy, **i)
    numpy.testing.assert_allclose(got["s"], numpy.einsum("ji,j->i", i["A"], i["r"]), rtol=1e-10, atol=1e-12)
    program, i = inputs("syrk")
    whole = 1.5 * i["A"] @ i["A"].T + 1.2 * i["C"]
    want = numpy.where(numpy.tri(len(whole), dtype=bool), whole, i["C"])
    numpy.testing.assert_allclose(program.solve(numpy, **i)["C"], want, rtol=1e-10, atol=1e-12)
    program, i = inputs("gemver")
    B = i["A"] + i["u1"][:, None] * i["v1"] + i["u2"][:, None] * i["v2"]
    x = 1.2 * numpy.einsum("ji,j->i", B, i["y"]) + i["z"]
    numpy.testing.assert_allclose(program.solve(numpy, **i)["w"], 1.5 * numpy.einsum("ij,j->i", B, x), rtol=1e-9)


def test_factors_multiply_to_the_matrix():
    import factorisations as f

    A = f.definite(numpy, 15)["A"]
    L = f.cholesky(numpy, A.copy())["L"]
    numpy.testing.assert_allclose(L @ L.T, A, rtol=1e-12)
    both = f.lu(numpy, A.copy())["A"]
    numpy.testing.assert_allclose((numpy.tril(both, -1) + numpy.eye(15)) @ numpy.triu(both), A, rtol=1e-12)
    A = f.tall(numpy, 13, 7)["A"]
    got = f.gram_schmidt(numpy, A.copy())
    numpy.testing.assert_allclose(got["Q"] @ got["R"], A, atol=1e-13)
    numpy.testing.assert_allclose(got["Q"].T @ got["Q"], numpy.eye(7), atol=1e-12)
    R = f.householder(numpy, A.copy())["R"]
    numpy.testing.assert_allclose(R.T @ R, A.T @ A, atol=1e-12)
    i = f.triangle(numpy, 20)
    numpy.testing.assert_allclose(i["L"] @ f.forward(numpy, **i)["x"], i["b"], rtol=1e-12)


def test_levinson_solves_yule_and_walkers_equations():
    import factorisations as f

    r = f.correlated(numpy, 10)["r"]
    first = numpy.concatenate(([1.0], r[:-1]))
    toeplitz = first[abs(numpy.subtract.outer(numpy.arange(10), numpy.arange(10)))]
    numpy.testing.assert_allclose(toeplitz @ f.levinson(numpy, r)["y"], -r, atol=1e-13)


def test_shortest_paths_of_a_ring():
    import factorisations as f

    path = numpy.full((6, 6), numpy.inf)
    for i in range(6):
        path[i, i] = 0.0
        path[i, (i + 1) % 6] = 1.0
    got = f.floyd_warshall(numpy, path)["path"]
    assert (got == (numpy.arange(6) - numpy.arange(6)[:, None]) % 6).all()


def test_a_glider_flies():
    import fields

    grid = numpy.zeros((8, 8), numpy.uint8)
    for at in ((0, 1), (1, 2), (2, 0), (2, 1), (2, 2)):
        grid[at] = 1
    got = fields.life(numpy, grid, 4)
    assert (got["grid"] == numpy.roll(grid, (1, 1), (0, 1))).all() and got["alive"] == 5


def test_fields_keep_what_they_must():
    import fields

    run = {p.name: p for p in fields.PROGRAMS}

    def both(name):
        program = run[name]
        inputs = numpy_inputs(program)
        before = {k: v.copy() for k, v in inputs.items() if isinstance(v, numpy.ndarray)}
        return before, program.solve(numpy, **inputs)

    before, got = both("advection")
    assert got["total"] == pytest.approx(before["c"].sum())
    before, got = both("burgers")
    assert got["total"] == pytest.approx(before["u"].sum())
    before, got = both("shallow_water")
    assert got["volume"] == pytest.approx(before["h"].sum())
    assert (got["u"][0] == 0).all() and (got["u"][-1] == 0).all() and abs(got["u"]).max() > 0
    before, got = both("wave")
    numpy.testing.assert_allclose(got["u"], got["u"].T, atol=1e-16)  # as symmetric as the bump
    assert got["highest"] < before["u"].max()


def test_adi_solves_each_half_step():
    import fields

    u = fields.plate(numpy, 9, 1)["u"]
    got = fields.half_step(numpy, u, 0.5)
    inner = got[1:-1] - 0.5 * (got[2:] - 2.0 * got[1:-1] + got[:-2])
    right = u[1:-1, 1:-1] + 0.5 * (u[1:-1, 2:] - 2.0 * u[1:-1, 1:-1] + u[1:-1, :-2])
    numpy.testing.assert_allclose(inner[1:-1, 1:-1], right[1:-1], atol=1e-14)
    assert (got[0, 0], got[-1, 0]) == (u[0, 0], u[-1, 0])


def test_limited_diffusion_leaves_a_plane_alone():
    import fields

    plane = numpy.add.outer(numpy.arange(9.0), 2.0 * numpy.arange(9.0))[:, :, numpy.newaxis]
    got = fields.diffusion_limited(numpy, plane, numpy.ones((5, 5, 1)))["out"]
    assert (got == plane[2:-2, 2:-2]).all()


def test_layers_by_hand():
    import layers

    got = layers.softmax(numpy, numpy.log(numpy.array([[1.0, 2.0, 5.0]])))["y"]
    numpy.testing.assert_allclose(got, [[0.125, 0.25, 0.625]], rtol=1e-14)
    image = numpy.arange(16.0).reshape(1, 4, 4, 1)
    got = layers.conv2d(numpy, image, numpy.ones((3, 3, 1, 2)), numpy.array([0.0, 100.0]))["y"]
    assert got[0, :, :, 0].tolist() == [[45.0, 54.0], [81.0, 90.0]] and (got[..., 1] - got[..., 0] == 100).all()
    i = numpy_inputs(PROGRAMS["layer_norm"])
    got = layers.layer_norm(numpy, i["x"], numpy.float32(1), numpy.float32(0))["y"]
    numpy.testing.assert_allclose(got.mean(axis=-1), 0, atol=1e-6)
    numpy.testing.assert_allclose(got.std(axis=-1), 1, atol=1e-3)
    one = numpy.ones((1, 1, 3, 2), numpy.float32)
    values = numpy.arange(6, dtype=numpy.float32).reshape(1, 1, 3, 2)
    numpy.testing.assert_allclose(layers.attention(numpy, one, one, values)["y"][0, 0], [[2.0, 3.0]] * 3)
    x = numpy.arange(16.0).reshape(1, 4, 4, 1)
    assert layers.batch_pool(numpy, x)["y"].argmax() == 3 and layers.batch_pool(numpy, x)["y"].shape == (1, 2, 2, 1)


def test_pictures_by_hand():
    import images

    edge = numpy.zeros((5, 6))
    edge[:, 3:] = 1.0
    got = images.sobel(numpy, edge)
    assert got["length"].tolist() == [[0.0, 4.0, 4.0, 0.0]] * 3 and got["found"] == 6
    flat = numpy.full((12, 12), 0.5)
    numpy.testing.assert_allclose(images.blur(numpy, flat, numpy.array([0.25, 0.5, 0.25]))["out"], flat[2:, 2:])
    numpy.testing.assert_allclose(images.bilateral(numpy, flat, 2)["out"], flat[4:, 4:])
    got = images.equalise(numpy, numpy.array([[7, 7], [9, 200]], numpy.uint8))
    assert got["out"].tolist() == [[128, 128], [191, 255]]
    dot = numpy.full((7, 7), 9, numpy.uint8)
    dot[3, 3] = 1
    assert images.erode(numpy, dot, 1)["image"].tolist() == [
        [1 if 1 <= i <= 3 and 1 <= j <= 3 else 9 for j in range(5)] for i in range(5)
    ]
    got = images.grey(numpy, numpy.array([[[0, 0, 0], [10, 10, 10], [20, 20, 20]]], numpy.uint8))["out"]
    assert got.tolist() == [[0, 127, 255]]


def test_two_particles_fall_apart_evenly():
    import science

    pos = numpy.array([[1.0, 2.0], [1.0, 1.0], [1.0, 1.0]])
    force, potential = science.forces(numpy, pos, 100.0)
    assert potential == 0 and force[:, 0].tolist() == [-24.0, 0.0, 0.0] and force[0, 1] == 24.0
    force, potential = science.forces(numpy, numpy.array([[0.5, 99.5], [0.0, 0.0], [0.0, 0.0]]), 100.0)
    assert force[0, 0] == 24.0  # they see each other through the wall
    got = PROGRAMS["molecules"].run(numpy, side=3, steps=20)
    early = PROGRAMS["molecules"].run(numpy, side=3, steps=1)
    total = [r["potential"] + r["kinetic"] for r in (early, got)]
    assert total[1] == pytest.approx(total[0], rel=1e-2)


def test_sparse_products_agree_with_a_dense_one():
    import science

    i = numpy_inputs(PROGRAMS["spmv"]) | dict(times=1)
    dense = numpy.zeros((30, 30))
    numpy.add.at(dense, (numpy.repeat(numpy.arange(30), 4), i["columns"]), i["values"])
    numpy.testing.assert_allclose(science.spmv(numpy, **i)["x"], dense @ i["x"], rtol=1e-12)
    numpy.testing.assert_allclose(science.spmv_rows(numpy, **i)["y"], dense @ i["x"], rtol=1e-12)


def test_random_means_are_near_what_they_estimate():
    got = PROGRAMS["monte_carlo_pi"].run(numpy, blocks=4, n=20_000)
    assert got["pi"] == pytest.approx(numpy.pi, abs=0.02)
    got = PROGRAMS["asian_option"].run(numpy, paths=4000, days=20)
    assert got["value"] == pytest.approx(5.4, abs=5 * got["error"])  # half the variance of Black and Scholes' 9.4, about
    got = PROGRAMS["bootstrap"].run(numpy, n=200, rounds=400)
    assert got["low"] < numpy.mean(got["means"]) < got["high"]
    assert got["high"] - got["low"] == pytest.approx(4 * 200**-0.5, rel=0.25)


def test_rings_and_resolvents():
    import science

    i = science.detector(numpy, 40, 4)
    assert science.azimuthal(numpy, numpy.full((40, 40), 3.0), i["radius"], 4)["brightness"] == pytest.approx(3.0)
    i = science.hamiltonian(numpy, 12, 64)
    inside = numpy.sum(abs(numpy.linalg.eigvalsh(i["h"])) < 0.25)
    got = science.contour_integral(numpy, **i)
    assert inside > 0 and got["count"] == pytest.approx(inside, abs=1e-2)


def test_scattering_by_einsum():
    import science

    i = numpy_inputs(PROGRAMS["scattering"])
    G, D, M = i["G"], i["D"], i["M"]
    want = numpy.zeros_like(G)
    for k in range(2):
        for q in range(2):
            for w in range(3):
                for e in range(w, 5):
                    part = numpy.einsum("ij,jk,lk->il", M[q], G[(k - q) % 2, e - w], M[q].conj())
                    want[k, e] += D[q, w] * part
    numpy.testing.assert_allclose(science.scattering(numpy, **i)["sigma"], want, rtol=1e-12)


def test_a_bar_keeps_its_momentum():
    import science

    i = numpy_inputs(PROGRAMS["elastic"])
    got = science.elastic(numpy, **i)
    assert abs(got["v"]).max() > 0 and got["v"].sum() == pytest.approx(0.0, abs=1e-15)


def test_tables_by_other_means():
    import tables

    data = tables.table(numpy, 50, 4)["data"]
    numpy.testing.assert_allclose(tables.covariance(numpy, data)["cov"], numpy.cov(data.T), rtol=1e-12)
    numpy.testing.assert_allclose(tables.correlation(numpy, data)["corr"], numpy.corrcoef(data.T), rtol=1e-10)
    z = tables.standardise(numpy, data)["z"]
    assert abs(z).max() <= 3
    x = tables.series(numpy, 40, 5)["x"]
    numpy.testing.assert_allclose(tables.rolling_mean(numpy, x, 5)["mean"], numpy.convolve(x, numpy.ones(5) / 5, "valid"))
    got = tables.distances(numpy, data)["nearest"]
    apart = numpy.linalg.norm(data[:, None] - data, axis=2) + numpy.diag(numpy.full(50, numpy.inf))
    numpy.testing.assert_allclose(got, apart.min(axis=1), rtol=1e-7)
    got = tables.group_means(numpy, numpy.array([0, 2, 0]), numpy.array([1.0, 5.0, 3.0]), 4)
    assert got["mean"].tolist() == [2.0, 0.0, 5.0, 0.0] and got["spread"] == pytest.approx((2 / 3) ** 0.5)


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
    assert model.keys() - {"only_read"} == {"bytes", "flops", "working_set"} and all(v > 0 for v in model.values())
    assert model.get("only_read", 0) <= model["bytes"]


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
        (rel(1e-9), numpy.array([1.0, numpy.inf]), numpy.array([1.0, numpy.inf]), True),
        (rel(1e-9), numpy.array([1.0, numpy.inf]), numpy.array([1.1, numpy.inf]), False),
        (rel(1e-9), numpy.array([1.0, -numpy.inf]), numpy.array([1.0, numpy.inf]), False),
        (rel(1e-9), numpy.array([1.0, 2.0]), numpy.array([1.0, numpy.inf]), False),
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


def made_report():
    """Two programs as run.py reports them: numbers that are easy to average, and a peer that went wrong."""

    def row(name, numpy_s, ours_s, jax_s):
        def entry(s, peak):
            return dict(ok=True, checks={"y": "equal bits"}, first_cold=10 * s, first_warm=2 * s, steady=s, peak=peak,
                        speedup=numpy_s / s, of_limit=0.001 / s)  # fmt: skip

        jax = dict(ok=False, checks={"y": "WRONG: 3 | off"}) if jax_s is None else entry(jax_s, 200)
        by = {"numpy": entry(numpy_s, 100), "ours": entry(ours_s, 50), "jax": jax}
        return dict(program=name, summary=f"<{name}>", params=dict(n=3), peers=by, notes=["a note"], limit_s=0.001,
                    limit_by="memory")  # fmt: skip

    machine = dict(cpu="a processor", cores=2, memory_gib=4.0, system="Linux", python="3", load=0.0)
    runs = [dict(threads=n, bandwidth={"1024": n * 1e9}, reading=n * 1e9, flops=n * 1e9) for n in (1, 2)]
    return dict(
        machine=machine, threads=2, size="full", repeat=2, versions=dict(numpy="2", ours="1", jax="0"),
        missing=dict(dask="ImportError"), limits=dict(runs=runs, bandwidth={"1024": 2e9}, reading=2e9, flops=2e9), date="",
        rows=[row("first", 0.8, 0.1, 0.2), row("second", 0.2, 0.4, None)],
    )  # fmt: skip


def test_report_averages_over_programs():
    import report

    got = {(what, name): (mean, count, below) for what, name, mean, count, below in report.means(made_report())}
    assert got["steady state, × NumPy", "ours"] == (pytest.approx((8 * 0.5) ** 0.5), 2, ["second"])
    assert got["steady state, × NumPy", "jax"] == (pytest.approx(4.0), 1, [])
    # The best of the others is JAX for the first program, and NumPy for the second, which JAX got wrong.
    assert got["steady state, × best of the others", "ours"] == (pytest.approx((2 * 0.5) ** 0.5), 2, ["second"])
    assert got["NumPy's peak memory over this", "ours"] == (pytest.approx(2.0), 2, [])


def test_report_is_a_page_with_plots_and_all_numbers(tmp_path):
    import xml.etree.ElementTree as ElementTree

    import report

    cold = dict(
        rows=[
            dict(program="first", size="small", numpy=dict(first=0.1, peak=10**7),
                 empty=dict(first=0.2, peak=10**7, kernels_compiled=3),
                 filled=dict(first=0.15, peak=10**7, kernels_compiled=0))
        ]
    )  # fmt: skip
    report.write(made_report(), tmp_path, cold)
    page = (tmp_path / "report.html").read_text()
    plots = [part.split("</svg>")[0] + "</svg>" for part in page.split("<svg")[1:]]
    assert len(plots) == 3
    dots = [ElementTree.fromstring("<svg" + plot).iter("circle") for plot in plots]
    # One for each measured ratio and one in the legend for each series: ours and JAX; ours and JAX cold and cached; ...
    assert [len(list(d)) for d in dots] == [2 + 3, 4 + 6, 2 + 3]
    text = (tmp_path / "results.md").read_text()
    for words in ("WRONG: 3", "not run: Dask (ImportError)", "a note", "100 ms", "150 ms"):
        assert words in page and words in text
    assert "&lt;first&gt;" in page and "<first>" not in page
    assert "WRONG: 3 / off" in text  # a bar would end the cell
