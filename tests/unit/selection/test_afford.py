"""What frames are expected to cost, and who tells which of their objects are known."""

from dataclasses import replace

import numpy as np
import pytest

from vidal.errors import BudgetError
from vidal.openset.known import COLUMN, OBJECT
from vidal.query.budget import Budget
from vidal.query.cost import Cost
from vidal.query.select import RoundRobin
from vidal.query.within import expected_boxes
from vidal.selection.afford import afforded, expected_cost, unanswered_remark, with_known
from vidal.selection.asked import Counts
from vidal.selection.history import NO_HISTORY, AnsweredQuery, History
from vidal.selection.plan import QueryPlan
from vidal.testing.strategies import a_pool, generator
from vidal.types import BACKGROUND, Explanation, Items


class Flat:
    needs = frozenset()

    def score(self, pool):
        return np.zeros(len(pool))

    def explain(self, pool, positions):
        return Explanation(("",) * len(positions), {})


def a_plan(budget, **more):
    return QueryPlan(Budget.parse(budget), "flat", RoundRobin(Flat(), 1), 0, 0.5, **more)


def history(*counts):
    return History(
        tuple(
            AnsweredQuery(n, "x", None if c is None else Counts(*c)) for n, c in enumerate(counts)
        )
    )


def test_a_plan_needs_the_objects_where_a_detector_runs_anyway_or_the_budget_asks():
    assert a_plan("2%").needs == frozenset()
    assert a_plan("6h").needs == frozenset({"expected_objects"})
    assert a_plan("9boxes").needs == frozenset({"expected_objects"})


def test_until_unknown_objects_are_known_of_all_objects_are_known():
    pool = a_pool()
    assert with_known(pool, NO_HISTORY) is pool
    assert expected_boxes(pool)[1].sum() == 0
    spent = expected_cost(Cost(unknown=0.5), pool, np.arange(3))
    assert spent.unknown == 0
    assert spent.known == pytest.approx(pool.column("expected_objects")[:3].sum())


def test_the_last_answered_query_tells_the_share_of_known_objects():
    pool = with_known(a_pool(), history((1, 9, 0), (6, 2, 3), None))
    total = pool.column("expected_objects").sum(axis=1)
    known, unknown = expected_boxes(pool)
    np.testing.assert_allclose(known, 0.75 * total)
    np.testing.assert_allclose(unknown, 0.25 * total)


def learned(labelled):
    """A pool whose odd frames show unknown objects only, the others none; learned of so many."""
    pool = a_pool()
    regions = pool.regions
    unknown = (regions.pos % 2).astype(float)
    columns = {**regions.columns, COLUMN: unknown, OBJECT: np.ones(len(unknown))}
    kinds = len(pool.classes)
    answers = np.repeat([0, kinds, BACKGROUND], [4, labelled, 2])
    features = np.zeros((len(answers), regions.features.shape[1]), np.float32)
    probs = np.full((len(answers), kinds + 1), 1 / (kinds + 1), np.float32)
    items = Items(features, probs, answers)
    odd = np.isin(np.arange(len(pool)), regions.pos) & (np.arange(len(pool)) % 2 == 1)
    return replace(pool, regions=replace(regions, columns=columns), items=items), odd


def test_what_was_learned_of_detections_tells_alone_until_a_query_is_answered():
    pool, odd = learned(7)
    share = with_known(pool, history(None)).column("p_known")
    assert (share[odd] == 0).all()
    assert (share[~odd] == 1).all()
    (remark,) = unanswered_remark(pool, history(None))
    assert "told by 7 labelled ones alone" in remark
    assert unanswered_remark(a_pool(), NO_HISTORY) == ()  # all are taken for known, as the docs say


def test_the_last_query_tells_as_much_as_what_was_learned_of_a_hundred_unknown_objects():
    for labelled, there, elsewhere in [(100, 0.375, 0.875), (300, 0.1875, 0.9375)]:
        pool, odd = learned(labelled)
        share = with_known(pool, history((0, 9, 0), (6, 2, 3), None)).column("p_known")
        np.testing.assert_allclose(share[odd], there)  # (n 0 + 100 3/4) / (n + 100)
        np.testing.assert_allclose(share[~odd], elsewhere)  # (n 1 + 100 3/4) / (n + 100)
        assert unanswered_remark(pool, history((6, 2, 3))) == ()


def test_no_cost_is_told_where_no_detector_ran():
    assert expected_cost(Cost(), replace(a_pool(), columns={}), np.arange(2)) is None


def test_cheaper_unknown_objects_let_the_budget_reach_further():
    pool = with_known(a_pool(seed=4), history((2, 8, 0)))
    few, _ = afforded(a_plan("12boxes"), pool, generator())
    more, _ = afforded(a_plan("12boxes", cost=Cost(unknown=0.1)), pool, generator())
    assert 0 < len(few) < len(more)


def test_budgets_that_pay_for_nothing_or_that_nothing_uses_up_are_refused_by_name():
    pool = a_pool()
    with pytest.raises(BudgetError, match=r"pays for no frame: the cheapest .* cost 2 s"):
        afforded(
            a_plan("0.01min"),
            pool.with_columns(expected_objects=np.zeros((len(pool), 4))),
            generator(),
        )
    with pytest.raises(BudgetError, match=r"no frame .* to cost anything \(at .* counts 0\)"):
        afforded(a_plan("9boxes", cost=Cost(known=0)), pool, generator())
    with pytest.raises(BudgetError, match="to cost anything"):
        afforded(a_plan("9min", cost=Cost(frame=0, known=0)), pool, generator())
    only = with_known(pool, history((0, 3, 0)))
    with pytest.raises(BudgetError, match="to cost anything"):
        afforded(a_plan("9boxes", cost=Cost(unknown=0)), only, generator())
    with pytest.raises(BudgetError, match="no object is expected in any frame"):
        afforded(
            a_plan("9boxes"),
            pool.with_columns(expected_objects=np.zeros((len(pool), 4))),
            generator(),
        )
