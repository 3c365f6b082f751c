"""Every query strategy of ``vidal.assemble.STRATEGIES`` passes the suite that vidal ships.

A new entry is covered by being in the table. What a strategy deliberately does not do is written
down in the sets below, nowhere else.
"""

import numpy as np
import pytest

from vidal.assemble import STRATEGIES
from vidal.errors import UsageError
from vidal.openset.known import COLUMN
from vidal.openset.known_only import known_only
from vidal.query.balanced import Balanced
from vidal.query.options import build
from vidal.query.select import lift
from vidal.testing import StrategyContract
from vidal.testing.strategies import a_pool, completed, distances, generator

NEIGHBOURS_ALLOWED = {"random"}
BATCHES = {"badge", "batchbald", "cluster-margin", "coreset", "kcenter", "pal", "ppal"}
CLIPS_NOT_IN_TURN = {"random", "every-nth", "expected-errors", "entropy-l1-pseudo-label"} | BATCHES


def suite(name):
    return type(
        f"Test {name}",
        (StrategyContract,),
        {
            "strategy": STRATEGIES[name],
            "neighbours_allowed": name in NEIGHBOURS_ALLOWED,
            "clips_in_turn": name not in CLIPS_NOT_IN_TURN,
        },
    )


globals().update({f"Test_{name}": suite(name) for name in STRATEGIES})


def under_balance(name):
    """The strategy as ``--balance 0.5`` makes it: by scores, by places, or by looks."""

    def built(self, gap=2, **options):
        lifted = lift(build(self.strategy, options), gap)
        return Balanced(lifted, 0.5, {"cyclist": 2.0}, gap=gap)

    kind = suite(name)
    return type(
        f"Test balanced {name}",
        (kind,),
        {
            "built": built,
            "neighbours_allowed": False,
            "clips_in_turn": False,
        },
    )


BALANCING = ("entropy-l1-pseudo-label",)


def under_known_only(name):
    """The strategy as ``--known-only`` makes it: by detections, by frames, or by places."""

    def built(self, gap=2, **options):
        return known_only(build(self.strategy, options), gap)

    return type(f"Test known only {name}", (suite(name),), {"built": built})


KNOWN_ONLY = (
    *("entropy", "svm-margin", "expected-errors", "temporal-coherence", "novelty"),
    *("random", "random-r", "every-nth", "kcenter", "badge"),
)
globals().update({f"Test_known_only_{name}": under_known_only(name) for name in KNOWN_ONLY})


@pytest.mark.parametrize("name", list(STRATEGIES))
def test_every_strategy_is_kept_to_the_known_classes(name):
    kept = known_only(build(STRATEGIES[name], {}), 2)
    pool = completed(a_pool(labelled=[(0, 3)], needs=kept.needs), kept)
    assert COLUMN in pool.regions.columns
    picks = kept.select(pool, 6, generator())
    assert len(np.unique(picks)) == 6
    told = kept.explain(pool, picks)
    assert len(told.words) == 6
    assert (told.parts["unknown"] >= 0).all()
    assert [
        r for each in chain_of(kept) for r in getattr(each, "remarks", lambda _: ())(pool)
    ] == []


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name not in BALANCING])
def test_known_only_and_balance_go_together(name):
    under = Balanced(known_only(build(STRATEGIES[name], {}), 2), 0.5, gap=2)
    pool = completed(a_pool(labelled=[(0, 3)], needs=under.needs), under)
    picks = under.select(pool, 6, generator())
    assert len(np.unique(picks)) == 6
    assert distances(pool, picks) > 2


def chain_of(selector):
    while selector is not None:
        yield selector
        selector = getattr(selector, "inner", None)


OF_EACH_KIND = ("entropy", "expected-errors", "random", "kcenter", "badge", "coreset", "vaal")
globals().update({f"Test_balanced_{name}": under_balance(name) for name in OF_EACH_KIND})


@pytest.mark.parametrize("name", BALANCING)
def test_a_strategy_that_balances_by_itself_is_not_balanced_twice(name):
    inner = lift(build(STRATEGIES[name], {}), 2)
    with pytest.raises(UsageError, match="evens out the classes by itself"):
        Balanced(inner, 0.5, gap=2)
    with pytest.raises(UsageError, match="evens out the classes by itself"):
        Balanced(Balanced(lift(build(STRATEGIES["entropy"], {}), 2), 0.5, gap=2), 0.5, gap=2)


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name not in BALANCING])
def test_every_strategy_is_chosen_from_under_balance(name):
    under = Balanced(lift(build(STRATEGIES[name], {}), 2), 0.5, gap=2)
    pool = completed(a_pool(labelled=[(0, 3)], needs=under.needs), under)
    picks = under.select(pool, 6, generator())
    assert len(np.unique(picks)) == 6
    assert distances(pool, picks) > 2
    assert all("; brings" in words for words in under.explain(pool, picks).words)


def test_the_default_comes_first():
    assert next(iter(STRATEGIES)) == "expected-errors"


def test_exceptions_name_existing_strategies():
    assert set(STRATEGIES) >= NEIGHBOURS_ALLOWED | CLIPS_NOT_IN_TURN
