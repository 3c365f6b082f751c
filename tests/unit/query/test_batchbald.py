"""BatchBALD against the mutual information of the explicit joint."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidal.query import batchbald as module
from vidal.query.batchbald import batchbald
from vidal.query.farthest import Takes
from vidal.query.uncertainty import bald


def information(passes, rows):
    """I(labels of rows; weights), over all combinations of labels."""
    joint = [
        np.mean(
            np.prod([passes[:, row, label] for row, label in zip(rows, labels, strict=True)], 0)
        )
        for labels in product(range(passes.shape[2]), repeat=len(rows))
    ]
    whole = -sum(p * np.log(p) for p in joint if p > 0)
    parts = passes[:, rows]
    logs = np.log(parts, out=np.zeros_like(parts), where=parts > 0)
    return whole + (parts * logs).sum() / len(passes)


def drawn(seed, passes=4, items=7, classes=3):
    return np.random.default_rng(seed).dirichlet(np.full(classes, 0.4), (passes, items))


def generator(seed=0):
    return np.random.default_rng(seed)


def test_the_first_pick_has_the_highest_bald_score():
    passes = drawn(0)
    assert batchbald(passes, 1, generator()).tolist() == [int(np.argmax(bald(passes)))]


@settings(max_examples=25)
@given(st.integers(0, 999), st.integers(1, 4))
def test_the_greedy_choice_is_that_of_the_explicit_joint(seed, budget):
    passes = drawn(seed)
    chosen = []
    for _ in range(budget):
        others = [row for row in range(7) if row not in chosen]
        chosen.append(max(others, key=lambda row: information(passes, [*chosen, row])))
    picks = batchbald(passes, budget, generator()).tolist()
    assert picks == chosen
    assert information(passes, picks) <= bald(passes)[picks].sum() + 1e-9


def test_a_copy_of_a_chosen_item_adds_less_than_another_one():
    """Four passes: A and its copy split them one way, B the other way, less surely."""
    a = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    b = np.array([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.1, 0.9]])
    passes = np.stack([a, a, b], axis=1)
    assert np.argsort(bald(passes))[0] == 2
    assert batchbald(passes, 2, generator()).tolist() == [0, 2]


def test_of_equals_the_lower_row_is_taken_or_the_first_in_order():
    passes = np.repeat(drawn(1, items=1), 5, axis=1)
    assert batchbald(passes, 3, generator()).tolist() == [0, 1, 2]
    order = np.array([4, 3, 2, 1, 0])
    assert batchbald(passes, 2, generator(), order=order).tolist() == [4, 3]


def test_drawn_combinations_come_near_the_exact_joint(monkeypatch):
    passes = drawn(3, passes=5, items=40, classes=3)
    exact = batchbald(passes, 4, generator())
    monkeypatch.setattr(module, "_COMBINATIONS", 2)
    sampled = batchbald(passes, 4, generator(), samples=4000)
    best, found = information(passes, exact.tolist()), information(passes, sampled.tolist())
    assert found == pytest.approx(best, rel=0.02)
    np.testing.assert_array_equal(sampled, batchbald(passes, 4, generator(), samples=4000))


def test_all_combinations_and_drawn_ones_give_the_same_gains():
    passes = drawn(4, passes=6, items=12, classes=3)
    joint = module._Joint(passes, generator(), 40_000)
    joint.add(2)
    joint.add(5)
    rows = np.array([0, 1, 3, 4, 6, 7])
    exact = joint._gains(rows, joint._entropy_of_chosen())
    for row, gain in zip(rows.tolist(), exact, strict=True):
        more = information(passes, [2, 5, row]) - information(passes, [2, 5])
        assert gain == pytest.approx(more, abs=1e-9)
    joint._draw()
    np.testing.assert_allclose(joint._gains(rows, joint._entropy_of_chosen()), exact, atol=0.02)


def test_above_twenty_the_highest_bald_scores_are_taken():
    passes = drawn(5, items=60)
    expected = np.argsort(-bald(passes), kind="stable")[:21]
    np.testing.assert_array_equal(batchbald(passes, 21, generator()), expected)


@given(st.integers(0, 9), st.integers(0, 25))
def test_as_many_distinct_rows_as_asked(items, budget):
    picks = batchbald(drawn(6, items=items), budget, generator())
    assert len(np.unique(picks)) == len(picks) == min(items, budget)


def test_one_pass_knows_nothing_and_still_fills_the_budget():
    assert len(batchbald(drawn(7, passes=1), 3, generator())) == 3
    with pytest.raises(ValueError, match="at least one pass"):
        batchbald(np.zeros((0, 3, 2)), 1, generator())


def test_rows_that_a_pick_takes_away_are_not_chosen():
    passes = drawn(8, items=6)
    away = np.repeat([[0, 3], [3, 6]], 3, axis=0)
    takes = Takes(Takes.itself(6).own, away)
    free = np.array([False, True, True, True, True, True])
    picks = batchbald(passes, 6, generator(), takes=takes, free=free)
    assert len(picks) == 2
    assert 0 not in picks
    assert sorted(picks // 3) == [0, 1]
