"""Exchanges of two items at once, and prices from samples of narrow bands."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidal.query import balance_pairs, balance_solver
from vidal.query.balance_exchange import exchanged
from vidal.query.balance_pairs import exchanged_twice, size_of
from vidal.query.balance_problem import Problem, bound_at


def a_problem(seed, items=40, classes=4, budget=8, lam=10.0, euclidean=False):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(classes, 0.4), items)
    target = budget * rng.dirichlet(np.full(classes, 4.0))
    return Problem(rng.normal(size=items), probs, target, lam, budget, euclidean, None)


def cheapest(problem):
    known = bound_at(problem, np.zeros(len(problem.target)))
    return np.sort(np.argsort(known.reduced)[: problem.budget]), known


def test_two_exchanges_that_only_help_together_are_found():
    # One x and one y are wanted. The sure x with the half-half costs .2; both sure ones cost 0.
    probs = np.array([[0.5, 0.5], [0.5, 0.5], [1.0, 0.0], [0.0, 1.0]])
    costs = np.array([0.0, 0.0, -0.1, -0.1])
    problem = Problem(costs, probs, np.array([1.0, 1.0]), 10.0, 2, False, None)
    known = bound_at(problem, np.array([0.0, 0.0]))
    halves = np.array([0, 1])
    assert exchanged(problem, halves, known).tolist() == [0, 1]
    assert exchanged_twice(problem, halves, known).tolist() == [2, 3]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(2, 40),
    st.integers(1, 6),
    st.sampled_from([0.1, 10.0, 1e4]),
    st.booleans(),
)
def test_the_choice_keeps_its_size_and_is_never_worse(seed, items, classes, lam, euclidean):
    budget = 1 + seed % items
    problem = a_problem(seed, items, classes, budget, lam, euclidean)
    start, known = cheapest(problem)
    found = exchanged_twice(problem, start, known)
    assert len(found) == budget
    assert (np.diff(found) > 0).all()
    assert problem.value(found) <= problem.value(start) + 1e-9 * size_of(problem, start)


@pytest.mark.parametrize("euclidean", [False, True])
def test_no_exchange_of_one_or_two_items_is_left(euclidean):
    problem = a_problem(3, items=14, budget=5, euclidean=euclidean)
    start, known = cheapest(problem)
    found = set(exchanged_twice(problem, start, known).tolist())
    value = problem.value(np.sort(list(found)))
    rest = set(range(14)) - found
    for count in (1, 2):
        for out in combinations(sorted(found), count):
            for into in combinations(sorted(rest), count):
                other = np.sort(list((found - set(out)) | set(into)))
                assert problem.value(other) >= value - 1e-9


def test_kicks_find_what_a_descent_alone_does_not(monkeypatch):
    monkeypatch.setattr(balance_pairs, "_EXCHANGES", 200)
    monkeypatch.setattr(balance_pairs, "_KICKS", 20)
    problems = [a_problem(seed, 200, 10, 20) for seed in range(4)]
    kicked = [problem.value(exchanged_twice(problem, *cheapest(problem))) for problem in problems]
    monkeypatch.setattr(balance_pairs, "_KICKS", 0)
    plain = [problem.value(exchanged_twice(problem, *cheapest(problem))) for problem in problems]
    assert all(a <= b for a, b in zip(kicked, plain, strict=True))
    assert sum(kicked) < sum(plain)


def test_samples_of_narrow_bands_give_better_prices_than_one_of_all():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(300_000, 12)) * 2
    probs = np.exp(logits)
    probs /= probs.sum(axis=1, keepdims=True)
    target = 6_000 * 0.1 ** np.linspace(0, 1, 12)
    costs = (probs * np.log(probs)).sum(axis=1)
    problem = Problem(costs, probs, target * 6_000 / target.sum(), 10.0, 6_000, False, None)
    first = bound_at(problem, balance_solver._sampled(problem))
    better = balance_solver._refined(problem, first)
    assert better.bound > first.bound
    found = balance_solver.solve(costs, probs, problem.target, 10.0, 6_000)
    assert found.relative_gap <= 2e-4
    assert found.bound - better.bound < 0.2 * (found.bound - first.bound)
