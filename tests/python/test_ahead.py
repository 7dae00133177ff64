"""Loops that ask for a value in every round are worked on ahead; whatever they do instead, they get NumPy's bits."""

import numpy
import pytest
from same import assert_same

import legate_jit
import legate_jit.numpy as ours

N = 700  # arrays that are worth it: 4 MB


def start(np):
    x = np.linspace(0, 1, N)
    p = np.zeros((N, N))
    p[:, -1] = np.sin(1.5 * np.pi * x)
    p[N // 3, :] = np.cos(x)
    return p


def sweep(np, p):
    pn = p.copy()
    p[1:-1, 1:-1] = 0.25 * (p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1])
    return pn, float(np.sqrt(np.sum((p - pn) ** 2) / np.sum(pn**2)))


def plain(np, rounds):
    p = start(np)
    values = [sweep(np, p)[1] for _ in range(rounds)]
    return [p, *values]


def stops_early(np, rounds):
    """The last two states of a loop that ends in the middle of a batch."""
    p = start(np)
    values = []
    for _ in range(rounds):
        pn, change = sweep(np, p)
        values.append(change)
    return [pn, p, *values]


def reads_on_the_way(np, rounds):
    p = start(np)
    values = []
    for k in range(rounds):
        values.append(sweep(np, p)[1])
        if k % 7 == 5:
            values.append(float(p[N // 2, N // 2 + k]))
    return [p, *values]


def writes_on_the_way(np, rounds):
    p = start(np)
    values = []
    for k in range(rounds):
        values.append(sweep(np, p)[1])
        if k == rounds // 2:
            p[3, 4] = 17.0
        if k == rounds // 2 + 3:
            p[5] *= 2.0
    return [p, *values]


def writes_through_numpy(np, rounds):
    p = start(np)
    values = []
    for k in range(rounds):
        values.append(sweep(np, p)[1])
        if k == rounds // 2:
            numpy.asarray(p)[5, 5:9] = 3.0
    return [p, *values]


def changes_a_scalar(np, rounds):
    p = start(np)
    values = []
    for k in range(rounds):
        pn = p.copy()
        factor = 0.25 if k < rounds // 2 else 0.125
        p[1:-1, 1:-1] = factor * (p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1])
        values.append(float(np.max(np.abs(p - pn))))
    return [p, *values]


def keeps_every_state(np, rounds):
    p = start(np)
    states = []
    for _ in range(rounds):
        pn, change = sweep(np, p)
        states += [pn, change]
    return [p, *states]


def wave(np, rounds):
    """Two states back: an input of a round is an input of the round before."""
    u = start(np)
    before = u.copy()
    values = []
    for _ in range(rounds):
        after = 2.0 * u - before
        after[1:-1, 1:-1] += 0.1 * (u[1:-1, 2:] + u[1:-1, :-2] + u[2:, 1:-1] + u[:-2, 1:-1] - 4.0 * u[1:-1, 1:-1])
        before, u = u, after
        values.append(float(np.sum(u)))
    return [u, before, *values]


def with_a_source(np, rounds):
    p, b = start(np), start(np) * 0.01
    values = []
    for _ in range(rounds):
        pn = p.copy()
        p[1:-1, 1:-1] = 0.25 * (pn[1:-1, 2:] + pn[1:-1, :-2] + pn[2:, 1:-1] + pn[:-2, 1:-1] - b[1:-1, 1:-1])
        p[0, :] = p[1, :]
        p[:, 0] = p[:, -2]
        values.append(float(np.sum(np.abs(p - pn))))
    return [p, b, *values]


def with_a_source_that_numpy_writes(np, rounds):
    """What does not change from round to round, and the state before, are written behind our back."""
    p, b = start(np), start(np) * 0.01
    values = []
    for k in range(rounds):
        pn = p.copy()
        p[1:-1, 1:-1] = 0.25 * (pn[1:-1, 2:] + pn[1:-1, :-2] + pn[2:, 1:-1] + pn[:-2, 1:-1] - b[1:-1, 1:-1])
        values.append(float(np.sum(np.abs(p - pn))))
        if k == rounds // 2:
            numpy.asarray(pn)[300:310, 5:90] = 3.0
        if k == rounds // 2 + 1:
            numpy.asarray(b)[300:310, 5:90] = 3.0
    return [p, pn, b, *values]


def names_what_nobody_reads(np, rounds):
    """The difference is there when the value is asked for, though only the last one is looked at."""
    p = start(np)
    values = []
    for _ in range(rounds):
        pn = p.copy()
        p[1:-1, 1:-1] = 0.25 * (pn[1:-1, 2:] + pn[1:-1, :-2] + pn[2:, 1:-1] + pn[:-2, 1:-1])
        difference = np.abs(p - pn)
        values.append(float(np.max(difference)))
    return [p, difference, *values]


def two_sweeps_a_round(np, rounds):
    """What a round leaves lies in the memory of what it began with."""
    p = start(np)
    values = []
    for _ in range(rounds):
        p[1:-1, 1:-1] = 0.25 * (p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1])
        p[1:-1, 1:-1] = 0.25 * (p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1])
        values.append(float(np.max(p)))
    return [p, *values]


PROGRAMS = [
    plain,
    two_sweeps_a_round,
    names_what_nobody_reads,
    stops_early,
    reads_on_the_way,
    writes_on_the_way,
    writes_through_numpy,
    changes_a_scalar,
    keeps_every_state,
    wave,
    with_a_source,
    with_a_source_that_numpy_writes,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_the_bits_are_numpys(program):
    # The same loop again and again: its length becomes known, and then is wrong.
    for rounds in (13, 13, 6, 40, 21):
        want, got = program(numpy, rounds), program(ours, rounds)
        assert len(want) == len(got)
        for w, g in zip(want, got):
            assert_same(numpy.asarray(g), numpy.asarray(w))


def test_rounds_are_worked_ahead_and_some_are_wasted():
    before = legate_jit.stats()
    plain(ours, 20)
    after = legate_jit.stats()
    assert after["rounds_ahead"] - before["rounds_ahead"] >= 10
    stops_early(ours, 12)
    assert legate_jit.stats()["rounds_wasted"] > before["rounds_wasted"]


def test_a_loop_that_was_met_before_stops_in_time():
    field = start(ours)

    def loop():
        p = field.copy()
        for _ in range(10):
            sweep(ours, p)

    for _ in range(5):
        loop()
    before = legate_jit.stats()
    loop()
    after = legate_jit.stats()
    assert after["rounds_wasted"] == before["rounds_wasted"]
    assert after["rounds_ahead"] > before["rounds_ahead"]


def test_rims_that_are_set_first_belong_to_their_rounds():
    """Few elements of a large array in memory, with which a round begins."""

    def program(np, rounds):
        p, values = start(np), []
        for _ in range(rounds):
            p[0, :] = 1.0
            values.append(sweep(np, p)[1])
        return [p, *values]

    want = program(numpy, 25)
    program(ours, 25)
    before = legate_jit.stats()["rounds_ahead"]
    got = program(ours, 25)
    assert legate_jit.stats()["rounds_ahead"] - before >= 10
    for g, w in zip(got, want):
        assert numpy.asarray(g).tobytes() == numpy.asarray(w).tobytes()


@pytest.mark.parametrize("program", [names_what_nobody_reads, two_sweeps_a_round], ids=lambda p: p.__name__)
def test_rounds_that_are_worked_ahead(program):
    program(ours, 20)
    before = legate_jit.stats()
    program(ours, 20)
    assert legate_jit.stats()["rounds_ahead"] - before["rounds_ahead"] >= 15


@pytest.mark.parametrize("adopted", [False, True], ids=["ours", "numpys"])
def test_a_loop_that_was_met_before_is_one_batch_from_its_first_round(adopted):
    """Also where its first array is NumPy's memory."""

    def loop():
        p = ours.array(start(numpy)) if adopted else start(ours)
        legate_jit.sync()
        for _ in range(10):
            sweep(ours, p)

    for _ in range(3):
        loop()
    before = legate_jit.stats()
    loop()
    after = legate_jit.stats()
    # (The first one is not ahead of anything.)
    assert after["rounds_ahead"] - before["rounds_ahead"] == 9
    assert after["rounds_wasted"] == before["rounds_wasted"]


def test_what_does_not_go_on_from_call_to_call_is_computed_at_each():
    """The same work on the same arrays again and again, whose results nobody reads, is not put off by a batch."""
    a = start(ours)
    legate_jit.sync()
    before = legate_jit.stats()
    for _ in range(12):
        edges = ours.sqrt((a[1:, 1:] - a[:-1, :-1]) ** 2 + (a[1:, :-1] - a[:-1, 1:]) ** 2)
        legate_jit.sync()
        del edges
    after = legate_jit.stats()
    assert after["rounds_ahead"] == before["rounds_ahead"]
    assert after["outputs_put_off"] == before["outputs_put_off"]
