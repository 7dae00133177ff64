"""Results that a program names and nobody reads: not computed until somebody does, and then what NumPy has."""

import numpy
import pytest

import legate_jit
import legate_jit.numpy as ours
from same import assert_same

N = 200_000  # elements: large enough for a result to be put off, and for rounds not to be relayed


def put_off():
    stats = legate_jit.stats()
    return stats["outputs_put_off"], stats["outputs_made_after_all"]


def descend(np, rounds, after=lambda np, names: None):
    """Gradient descent in which every step has a name. What `after` returns in each round is kept."""
    rng = numpy.random.default_rng(3)
    x, y = np.array(rng.random(N)), np.array(rng.random(N))
    w, kept = np.array(0.5), []
    for k in range(rounds):
        guess = x * w + 0.25
        error = guess - y
        weighted = error * x
        gradient = np.sum(weighted)
        w = w - gradient / N
        loss = float(np.sum(error * error))
        kept.append((loss, after(np, dict(k=k, x=x, guess=guess, error=error, weighted=weighted))))
    return kept, w, guess, error, weighted


def both(rounds, after=lambda np, names: None):
    for got, want in zip(descend(ours, rounds, after), descend(numpy, rounds, after)):
        if isinstance(want, list):
            for (g, more_g), (w, more_w) in zip(got, want, strict=True):
                assert g == w
                if more_w is not None:
                    assert_same(more_g, more_w)
        else:
            assert_same(got, want)


def test_what_nobody_reads_is_put_off(planned):
    before = put_off()
    both(8)
    after = put_off()
    assert after[0] - before[0] >= 3 * 5, "three names, and the first rounds show that nobody reads them"
    assert after[1] - before[1] == 3, "those of the last round were compared"


def test_what_is_read_now_and_then():
    both(12, lambda np, names: names["error"] + names["guess"] if names["k"] in (3, 4, 9) else None)


def test_what_is_always_read_is_not_put_off():
    both(3, lambda np, names: np.sqrt(names["weighted"] * names["weighted"]))
    before = put_off()
    both(8, lambda np, names: np.sqrt(names["weighted"] * names["weighted"]))
    after = put_off()
    assert after[1] - before[1] <= 3


def test_what_was_put_off_is_written():
    def after(np, names):
        if names["k"] == 5:
            names["error"][::7] = -1.0
            names["guess"] += names["error"]
            return names["guess"] * 1.0
        return None

    both(9, after)


def test_inputs_change_after_the_flush():
    def after(np, names):
        if names["k"] == 6:
            # What `weighted` was computed from changes before anybody has looked at it.
            names["x"][:] = 0.5
            names["x"][17] = 3.0
            return names["weighted"] + 0.0
        return None

    both(10, after)


def test_numpy_looks_at_what_was_put_off():
    for k in range(6):
        a = ours.arange(N) * (1.0 + k)
        b = a + 1.0
        total = float(b.sum())
        assert total == float((numpy.arange(N) * (1.0 + k) + 1.0).sum())
    seen = numpy.asarray(a)
    assert_same(seen, numpy.arange(N) * 6.0)
    assert a[5] == 30.0 and a[-1] == (N - 1) * 6.0
    assert str(b) == str(numpy.arange(N) * 6.0 + 1.0)


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_foreign_inputs_are_not_kept_for_later(rounds):
    base = numpy.random.default_rng(5).random(N)
    for k in range(rounds):
        mine = ours.asarray(base)
        doubled = mine * 2.0
        total = float((doubled + 1.0).sum())
        assert total == float((base * 2.0 + 1.0).sum())
        want = base * 2.0
        base[k] = 9.0
        assert_same(doubled, want)
